"""Text from servers, made safe for terminals and logs (`reliability.md` A.5: log injection, secrets in URLs)."""

from __future__ import annotations

import re

from fleet.masking import masked

LIMIT = 512
"""Characters of a server's words that are kept."""

# Controls (C0, DEL, C1), bidirectional marks and overrides, separators that break lines, invisible formatting,
# the byte-order mark, surrogates, tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_USERINFO = re.compile(r"(?<=://)[^/\s?#\"'<>]*@")
_QUERY = re.compile(r"(://[^\s?\"'<>]*)\?[^\s\"'<>]*")
# What proves somebody, where no URL is around it: headers that are told back, and parts of a query.
_PROOF = re.compile(
    r"(?P<header>\b(?:authorization|proxy-authorization|cookie|set-cookie|x-api-key)[\"']?\s*[:=]\s*[\"'\[]*)"
    r"(?:(?:bearer|basic|token)\s+)?[^\s\"'\],;]+"
    r"|(?P<key>\b(?:x-amz-(?:signature|credential|security-token)|x-goog-signature|signature|sig|access_token|token)=)"
    r"[^\s\"'&,;]+",
    re.IGNORECASE,
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _without_proof(match: re.Match[str]) -> str:
    return f"{match['header'] or match['key']}…"


def clean(text: str, limit: int = LIMIT) -> str:
    """The text in one line of at most `limit` characters: escapes for what could act on a terminal or reorder it,
    URLs without credentials and without their query, which may be a signature, nothing of secrets that fleet uses.
    """
    # Twice the limit is read at most four times over by the patterns; a megabyte of hostile text costs nothing.
    text = text[: 4 * limit + 4096]
    text = _QUERY.sub(r"\1?…", _USERINFO.sub("", masked(text)))
    text = _PROOF.sub(_without_proof, text)
    text = _UNSAFE.sub(_escape, text.strip())
    return text if len(text) <= limit else text[: limit - 1] + "…"

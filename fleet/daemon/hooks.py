"""Webhooks of Git forges: who sent one, and which ref it tells of. Pure; nothing in them is trusted further.

A hook only says that it may be worth looking: what is read then comes from the repository itself.

Signatures: GitHub signs the body in `X-Hub-Signature-256`, Gitea and Forgejo in headers of their own, without a prefix;
GitLab sends the secret itself as `X-Gitlab-Token`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

MOST_BYTES = 5 << 20
"""Of a body. A push of many commits is some hundred KiB."""

_PREFIX = "sha256="
_SIGNED = (
    ("x-gitea-signature", "gitea", ""),
    ("x-forgejo-signature", "forgejo", ""),
    ("x-hub-signature-256", "github", _PREFIX),
)
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_REF = re.compile(r"refs/(?:heads|tags)/[^\x00-\x20\x7f~^:?*\[\\]{1,1000}\Z")
_EVENTS = {
    "x-github-event": {"push"},
    "x-gitea-event": {"push"},
    "x-forgejo-event": {"push"},
    "x-gitlab-event": {"push hook", "tag push hook", "system hook"},
}
_GITLAB = ("push", "tag_push")


def verify(headers: Mapping[str, str], body: bytes, secret: bytes) -> str | None:
    """Which forge proves that it knows the secret: `github`, `gitea`, `forgejo` or `gitlab`; nothing where none does.

    `headers` in any case. An empty secret proves nothing. Takes as long for a nearly right signature as for any other.
    """
    if not secret or len(body) > MOST_BYTES:
        return None
    given = _lower(headers)
    proof = hmac.new(secret, body, hashlib.sha256).hexdigest()
    for header, forge, prefix in _SIGNED:
        signature = given.get(header, "")
        if not signature.startswith(prefix) or not _HEX.match(signature.removeprefix(prefix)):
            continue
        if hmac.compare_digest(signature.removeprefix(prefix), proof):
            return forge
    token = given.get("x-gitlab-token", "").encode("utf-8", "surrogatepass")
    return "gitlab" if hmac.compare_digest(token, secret) else None


def pushed_ref(headers: Mapping[str, str], body: bytes) -> str | None:
    """The ref that was pushed, as `refs/heads/main`; nothing for every other event, and for what is none."""
    given = _lower(headers)
    for header, events in _EVENTS.items():
        if header in given and given[header].lower() not in events:
            return None
    if not given.keys() & _EVENTS.keys():
        return None
    document = _document(given.get("content-type", ""), body)
    if document is None:
        return None
    if "x-gitlab-event" in given and not any(document.get(key) in _GITLAB for key in ("object_kind", "event_name")):
        return None
    ref = document.get("ref")
    return ref if isinstance(ref, str) and _REF.match(ref) else None


def _document(kind: str, body: bytes) -> dict[str, object] | None:
    """The JSON of a body, which forges may also send as the one field of a form."""
    if len(body) > MOST_BYTES:
        return None
    try:
        text = body.decode()
        if kind.lower().startswith("application/x-www-form-urlencoded"):
            text = parse_qs(text, max_num_fields=8).get("payload", [""])[0]
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

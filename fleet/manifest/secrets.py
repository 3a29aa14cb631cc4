"""Secrets that somebody wrote where everybody can read them: files under version control hold none. Pure.

Nothing here repeats what it found. Told apart by the key, by the forms that services give their tokens, and in labels by
what no person would think of.
"""

from __future__ import annotations

import math
import re
from collections import Counter

HINT = (
    "put it into a file or an environment variable that `auth` names, and give this one out of use: others have read it"
)

_KEY = re.compile(
    r"(?:\A|[_.-])(?:passwords?|passwd|passphrase|secrets?|tokens?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?"
    r"|credentials?)\Z",
    re.IGNORECASE,
)
_FORMS = tuple(
    (start, re.compile(re.escape(start) + rest), what)
    for start, rest, what in (
        (b"-----BEGIN ", rb"[A-Z ]{0,20}PRIVATE KEY-----", "a private key"),
        (b"AKIA", rb"[0-9A-Z]{16}(?![0-9A-Za-z])", "a key of AWS"),
        (b"ghp_", rb"[0-9A-Za-z]{36}", "a token of GitHub"),
        (b"gho_", rb"[0-9A-Za-z]{36}", "a token of GitHub"),
        (b"ghs_", rb"[0-9A-Za-z]{36}", "a token of GitHub"),
        (b"github_pat_", rb"[0-9A-Za-z_]{60}", "a token of GitHub"),
        (b"glpat-", rb"[0-9A-Za-z_-]{20}", "a token of GitLab"),
        (b"hf_", rb"[0-9A-Za-z]{34}", "a token of Hugging Face"),
        (b"sk-", rb"(?=[0-9A-Za-z_-]*[0-9])(?=[0-9A-Za-z_-]*[A-Z])[0-9A-Za-z_-]{32}", "an API key"),
        (b"xoxb-", rb"[0-9A-Za-z-]{20}", "a token of Slack"),
        (b"xoxp-", rb"[0-9A-Za-z-]{20}", "a token of Slack"),
    )
)
_SHORTEST = 32
_LEAST_BITS = 3.9
"""Entropy of each letter: words and numbers of 32 letters stay below it, random ones do not."""


def is_secret_key(name: str) -> bool:
    """Whether a key by its name asks for a secret: `password`, `registry_token`, `api-key`."""
    return _KEY.search(name) is not None


def credential_in(content: bytes) -> tuple[int, str] | None:
    """The offset of the first thing in a file that has the form of a credential, and what it looks like."""
    found = [
        (match.start(), what) for start, form, what in _FORMS if start in content and (match := form.search(content))
    ]
    return min(found, default=None)


def looks_random(text: str) -> bool:
    """Whether a text can only be a key: long, of letters and digits of all kinds, without any order. Digests, and words joined by dashes, are none."""
    if len(text) < _SHORTEST or not re.fullmatch(r"[A-Za-z0-9+/=]+", text):
        return False
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]")
    if not all(re.search(kind, text) for kind in kinds):
        return False
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) >= _LEAST_BITS

"""What an HTTP status and an error body amount to: one error that an operator can act on.

Pure. Content types are not relied on (`ollama-api.md` 1.2): a body with an `error` key is Ollama's, anything else came
from a proxy, a captive portal or another service.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError, OutcomeUnknown
from fleet.foreign import clean
from fleet.ollama.failure import Doing, ModelMissing, classify

_TAGS = re.compile(r"<(?:script|style).*?(?:</(?:script|style)>|\Z)|<[^>]{0,1000}>", re.DOTALL | re.IGNORECASE)

_TOO_LONG = (
    "a proxy before the host limits how long a request is: raise it (nginx: `client_max_body_size`), or go past it"
)


class Answer(NamedTuple):
    """A whole reply: header names in lower case, the body as far as it was read."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The first header of that name (in lower case), decoded so that nothing is lost or fails."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), None)


def error_text(body: bytes) -> str | None:
    """The words of an error body of Ollama's; nothing if it is none."""
    try:
        read = json.loads(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    told = read.get("error") if isinstance(read, dict) else None
    return told if told is None or isinstance(told, str) else json.dumps(told)


def refusal(answer: Answer, *, doing: Doing, where: str, changing: bool) -> HostError:
    """The error for a reply whose status is not the one of success."""
    words = error_text(answer.body)
    ours = words is not None
    if words is None:
        words = " ".join(_TAGS.sub(" ", answer.body.decode(errors="replace")).split())
    code = classify(words, status=answer.status, doing=doing) if ours else _of_others(answer, words)
    if 300 <= answer.status < 400:
        return _answered(code, answer.status, f"{where} redirects to {_target(answer)}, which is not followed")
    told = clean(words) or None
    message = f"{where} answered {answer.status}" + (f": `{told}`" if told else "")
    if changing and not ours and answer.status >= 500 and code is not Code.BUSY:
        # A proxy that lost patience or a handler that broke: the work may go on behind it.
        return OutcomeUnknown(message, code=code, hint=code.cure, told=told)
    missing = ours and answer.status == 404
    if answer.status == 413:
        return _answered(code, 413, message, told=told, hint=_TOO_LONG)
    return _answered(code, answer.status, message, told=told, missing=missing)


def error_line(words: str, status: str, *, doing: Doing, where: str) -> HostAnswered:
    """The error for a line with an `error` key: `status` is the line's own, a number where it repeats one."""
    flagged = int(status) if status.isascii() and status.isdigit() else 200
    told = clean(words) or None
    message = f"{where} ended with an error: `{told or 'no words'}`"
    code = classify(words, status=flagged, doing=doing)
    return _answered(code, 200, message, told=told, missing=flagged == 404)


def not_ollama(where: str, why: str, status: int = 200) -> HostAnswered:
    """The error for a reply of the right status that cannot be read."""
    return _answered(Code.NOT_OLLAMA, status, f"{where} does not answer as Ollama does: {why}")


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Seconds that the reply asks to wait; nothing where it does not say, or says what makes no sense."""
    text = (answer.header(b"retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        seconds = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def _of_others(answer: Answer, words: str) -> Code:
    """Without Ollama's own words, the status alone counts; a 404 then means that no Ollama is there."""
    if answer.status == 404 or answer.status < 300:
        return Code.NOT_OLLAMA
    if answer.status == 403 and words:
        return Code.UNAUTHORIZED
    return classify("", status=answer.status, doing=Doing.OBSERVE)


def _answered(
    code: Code, status: int, message: str, *, told: str | None = None, missing: bool = False, hint: str | None = None
) -> HostAnswered:
    kind = ModelMissing if missing else HostAnswered
    return kind(message, code=code, status=status, hint=hint or code.cure, told=told)


def _target(answer: Answer) -> str:
    """The origin alone: a path or query may hold what somebody else is to keep secret."""
    try:
        parts = urlsplit(answer.header(b"location") or "")
        origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "an unreadable address"
    return clean(origin, limit=200) if parts.scheme and parts.hostname else "another path"

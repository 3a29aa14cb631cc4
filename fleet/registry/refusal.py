"""What a registry's statuses and words of refusal mean. Pure."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fleet.codes import Code
from fleet.foreign import clean
from fleet.names import DEFAULT_REGISTRY, ModelName
from fleet.registry.link import Reply
from fleet.registry.served import Unpublished

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PRIVATE = "fleet has no credentials for registries; a host may pull the model all the same, by its own key"


def refusal(reply: Reply, where: str, name: ModelName) -> Unpublished:
    """The outcome for a status that is neither success nor trouble that passes by itself."""
    told = told_of(reply)
    registry = "Ollama's registry" if name.registry.lower() == DEFAULT_REGISTRY else f"`{name.registry}`"
    if reply.status == 404:
        message = f"{registry} has no `{name}`{told}: {where}"
        return Unpublished(Code.NOT_IN_REGISTRY, message, Code.NOT_IN_REGISTRY.cure)
    if reply.status in {401, 403}:
        message = f"{registry} does not serve `{name}` to everybody (answered {reply.status}){told}: {where}"
        return Unpublished(Code.REGISTRY_UNAUTHORIZED, message, PRIVATE)
    return Unpublished(
        Code.REGISTRY_TROUBLE, f"{where} answered {reply.status}{told}", "look at what answers at this address"
    )


def told_of(reply: Reply) -> str:
    """The registry's own words, cleaned and led in: of an OCI error, or of an `error` key; else nothing."""
    try:
        read = json.loads(reply.body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(read, dict):
        return ""
    found, errors = read.get("error"), read.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        found = errors[0].get("message") or errors[0].get("code")
    return f": `{clean(found, limit=200)}`" if isinstance(found, str) and found.strip() else ""


def retry_after(reply: Reply, now: datetime) -> float | None:
    """Seconds that the reply asks to wait, as a number or a date; nothing where it does not say, or not sensibly."""
    text = (reply.header(b"retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        seconds = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None

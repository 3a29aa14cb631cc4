"""What faults tell in place of the host: streams that stall, fail or lie. The host itself is not asked.

Statuses are those of `ollama-api.md` 7.8, 10.2 and 10.9.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from fleet.simulate.calls import Call
from fleet.simulate.clock import Clock
from fleet.simulate.fault_wire import NDJSON, Reply

_OPENING = {"pull": "pulling manifest", "push": "retrieving manifest", "create": "reading model metadata"}
_CLOSING = {
    "pull": ("verifying sha256 digest", "writing manifest", "success"),
    "push": ("pushing manifest", "success"),
    "create": ("writing manifest", "success"),
}
_UNKNOWN_SIZE = 100_000_000

Content = Callable[[str], tuple[str, int] | None]
"""Digest (64 hex digits) and size of the largest layer of a model in the registry, if it is there."""


def opening(call: Call) -> dict[str, Any]:
    return {"status": _OPENING[call.kind]}


def progress(call: Call, content: Content, part: float) -> dict[str, Any]:
    """One line of progress at `part` of the whole. Create tells no numbers; `completed` is left out at 0."""
    model = call.model or ""
    digest, total = content(model) or (hashlib.sha256(model.encode()).hexdigest(), _UNKNOWN_SIZE)
    if call.kind == "create":
        return {"status": f"creating new layer sha256:{digest}"}
    verb = "pushing" if call.kind == "push" else "pulling"
    told = {"status": f"{verb} {digest[:12]}", "digest": f"sha256:{digest}", "total": total}
    completed = int(total * part)
    return told | ({"completed": completed} if completed else {})


def steps(call: Call, content: Content) -> Iterator[dict[str, Any]]:
    """The lines of an operation before anything is decided: the opening, then progress that grows."""
    yield opening(call)
    for tenth in itertools.count(1):
        yield progress(call, content, min(tenth, 9) / 10)


async def ticking(
    reply: Reply, call: Call, content: Content, *, clock: Clock, part: float, interval: float, grows: int
) -> None:
    """A stream that lives and does not come to an end: `completed` grows by `grows` bytes with each line, or stays."""
    await reply.start(200, NDJSON)
    await reply.line(opening(call))
    told = progress(call, content, part)
    while True:
        await reply.line(told)
        await clock.sleep(interval)
        if grows and "total" in told:
            told["completed"] = min(told.get("completed", 0) + grows, told["total"] - 1)


async def failing(reply: Reply, call: Call, content: Content, *, lines: int, message: str, then_success: bool) -> None:
    """`lines` ordinary lines, then the error, then what a server ≤0.12.5 may still say."""
    if not call.stream:
        await reply.json(500, {"error": message})
        return
    await reply.start(200, NDJSON)
    for told in itertools.islice(steps(call, content), lines):
        await reply.line(told)
    await reply.line({"error": message})
    if then_success:
        await reply.line({"status": "success"})
    await reply.end()


def lies_about(call: Call) -> bool:
    """Whether a success can be told for this kind of request."""
    return call.kind in {"copy", "delete", "blob_post", "load", "unload", *_OPENING}


async def lying(reply: Reply, call: Call, content: Content) -> None:
    """The success of an operation that is not done at all."""
    if call.kind in _OPENING and call.stream:
        await reply.start(200, NDJSON)
        for told in (opening(call), progress(call, content, 1.0)):
            await reply.line(told)
        for status in _CLOSING[call.kind]:
            await reply.line({"status": status})
        await reply.end()
    elif call.kind in _OPENING:
        await reply.json(200, {"status": "success"})
    elif call.kind in {"load", "unload"}:
        told = {"model": call.model, "created_at": "2026-01-01T00:00:00Z", "response": "", "done": True}
        await reply.json(200, told | {"done_reason": call.kind})
    else:
        await reply.send(
            {
                "type": "http.response.start",
                "status": 201 if call.kind == "blob_post" else 200,
                "headers": [(b"content-length", b"0")],
            }
        )
        await reply.end()

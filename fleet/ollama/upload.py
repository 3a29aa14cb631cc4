"""Watches over an upload that runs in a thread of its own: time limits, progress, and its end with who waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from http.client import HTTPException, RemoteDisconnected
from threading import Thread

from fleet.codes import Code
from fleet.errors import HostError, HostUnreachable, OutcomeUnknown
from fleet.ollama.answer import Answer
from fleet.ollama.breakage import by_cause, plain
from fleet.ollama.sending import Sending, Stage, WrongLengthError

_EVERY = 0.25
"""Seconds between two words on how far it got."""


class Uploaded(StrEnum):
    """How a blob came to be on a host."""

    SENT = "sent"
    THERE = "there"
    """It was there before, or is there although the connection broke off."""


async def watch(
    sending: Sending, *, connect: float, silence: float, moved: Callable[[int], None], where: str
) -> Answer:
    """Runs it to its end. `connect` and `silence`: seconds until a connection, and until each block is taken.

    Cancelled, it closes the connection and waits for the thread, which is at an end when this is: one that has not
    even an address yet is left to itself. `moved` is called here, with the bytes taken so far. Raises what the source
    of the blocks raises, `HostUnreachable` and `OutcomeUnknown`.
    """
    try:
        return await _watched(sending, connect, silence, moved)
    except WrongLengthError as wrong:
        raise wrong_length(wrong) from None
    except (OSError, UnicodeError, HTTPException) as error:
        if error is sending.fault:
            raise
        raise _translated(error, sending, silence, where) from error


def wrong_length(wrong: WrongLengthError) -> HostError:
    """What to raise for blocks that are not as long as was announced."""
    return OutcomeUnknown(
        f"the content to upload {wrong}: it changed while it was read",
        code=Code.DIGEST_MISMATCH,
        hint="leave the file alone while fleet runs",
    )


async def _watched(sending: Sending, connect: float, silence: float, moved: Callable[[int], None]) -> Answer:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Answer | BaseException] = loop.create_future()

    def work() -> None:
        try:
            result: Answer | BaseException = sending.run()
        except BaseException as error:
            result = error
        # A loop that is closed waits for nothing.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set_result, result)

    # A thread each: they last for hours, and a pool would hold up the end of the process for one that hangs.
    thread = Thread(target=work, name="upload", daemon=True)
    thread.start()
    told = 0
    try:
        while not ended.done():
            left = _left(sending, connect, silence)
            if left <= 0:
                raise TimeoutError
            await asyncio.wait({ended}, timeout=min(left, _EVERY))
            if sending.taken != told:
                told = sending.taken
                moved(told)
    finally:
        sending.stop()
        if sending.at[0] is not Stage.LOOKING_UP:
            await asyncio.wait({ended})
            # It has said its last word.
            thread.join()
    result = ended.result()
    if isinstance(result, BaseException):
        raise result
    return result


def _left(sending: Sending, connect: float, silence: float) -> float:
    """Seconds that the present stage may still take. What reading from this machine takes is not the host's fault."""
    stage, since = sending.at
    waited = time.monotonic() - since
    match stage:
        case Stage.READING:
            return _EVERY
        case Stage.LOOKING_UP:
            return connect - waited
        case Stage.CONNECTING:
            # It keeps to this limit itself, and begins to count a little later.
            return connect + _EVERY - waited
        case Stage.SENDING | Stage.ANSWERING:
            return silence - waited


def _translated(error: Exception, sending: Sending, silence: float, where: str) -> HostError:
    stage = sending.at[0]
    before = stage in {Stage.LOOKING_UP, Stage.CONNECTING}
    code, what = by_cause(error) or _judged(error, stage, silence)
    message = f"{what}: {where}"
    # A server may refuse our certificate as late as at the first block, and has done nothing then.
    if before or (code is Code.TLS_FAILED and not sending.taken):
        return HostUnreachable(message, code=code, hint=code.cure)
    return OutcomeUnknown(message, code=code, hint=code.cure)


def _judged(error: Exception, stage: Stage, silence: float) -> tuple[Code, str]:
    if stage in {Stage.LOOKING_UP, Stage.CONNECTING}:
        if isinstance(error, TimeoutError):
            return Code.NO_ANSWER, "no connection in time"
        return Code.UNREACHABLE, f"no connection ({plain(error)})"
    if isinstance(error, TimeoutError):
        return Code.NO_ANSWER, f"{'no answer' if stage is Stage.ANSWERING else 'nothing taken'} within {silence:g}s"
    if isinstance(error, HTTPException) and not isinstance(error, RemoteDisconnected):
        return Code.NOT_OLLAMA, f"the reply is no HTTP ({plain(error)})"
    return Code.STREAM_CUT, f"the connection broke off ({plain(error)})"

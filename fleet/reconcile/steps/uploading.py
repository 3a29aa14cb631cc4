"""Sends blobs from this machine to a host: what is there already is never sent, what is sent is proven."""

from __future__ import annotations

import re

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError
from fleet.names import Digest
from fleet.ollama.client import Uploaded
from fleet.ollama.wire import Progress
from fleet.quantities import show_size
from fleet.reconcile.difference import LocalBlob
from fleet.reconcile.progress import StepMoved
from fleet.reconcile.step import Step
from fleet.reconcile.steps.session import Session, not_as_wanted
from fleet.weights.faults import InvalidWeights

_STATUS = "uploading"
_TIMES = 2
"""How often a host is believed that it has what it then has not: another upload of the same may have come to nothing."""
_GOT = re.compile(r"got \"?sha256:([0-9a-f]{64})")


async def upload_step(session: Session, step: Step) -> None:
    """The blob of an upload step is on the host."""
    if step.blob is None:
        raise TypeError("an upload step without what to send")
    await upload(session, step, step.blob)


async def upload(session: Session, step: Step, blob: LocalBlob) -> Digest:
    """Its digest, once the host has it. Raises `HostError`, which names the file; code `FILE_CHANGED` where that is
    another one by now.
    """
    try:
        digest = await session.shared.uploads.digest(blob)
        if not await session.client.blob_exists(digest):
            await _brought(session, step, blob, digest)
    except InvalidWeights as fault:
        raise _changed(blob, fault) from fault
    except HostError as error:
        error.args = (f"{blob.shown}: {error}",)
        raise
    return digest


async def _brought(session: Session, step: Step, blob: LocalBlob, digest: Digest) -> None:
    answer = Uploaded.SENT

    async def sent() -> None:
        nonlocal answer
        answer = await _sent(session, step, blob, digest)

    for _ in range(_TIMES):
        try:
            await session.again(step, sent, recheck=lambda: session.client.blob_exists(digest))
        except HostAnswered as error:
            if error.code is not Code.DIGEST_MISMATCH:
                raise
            raise _damaged(blob, error) from error
        if await session.client.blob_exists(digest):
            return
        if blob.digest is None and answer is Uploaded.THERE:
            # Servers up to 0.5.4 want no archive again that they converted, and may have it no more (`ollama-api.md` 6).
            return
    raise not_as_wanted("the host said that it has it, and has it not")


async def _sent(session: Session, step: Step, blob: LocalBlob, digest: Digest) -> Uploaded:
    async with session.shared.uploads.place(digest):
        if await session.client.blob_exists(digest):
            return Uploaded.THERE
        with await session.shared.uploads.open(blob) as blocks:
            moved = session.transferred(step)

            def heard(sent: int) -> None:
                line = Progress(status=_STATUS, digest=str(digest), total=blocks.size, completed=sent)
                moved.heard(line)
                session.tell(StepMoved(step, _STATUS, *moved.shown(line)))

            heard(0)
            try:
                return await session.stop.heed(
                    session.client.upload_blob(digest, blocks, blocks.size, heard), session.settings.grace
                )
            except HostAnswered as error:
                if error.code is Code.DIGEST_MISMATCH:
                    # Is it the file that is not what it was, or was it damaged on its way?
                    await session.shared.uploads.prove(blob, digest)
                raise


def _changed(blob: LocalBlob, fault: InvalidWeights) -> HostError:
    """Nothing that the host did, and the end of the step all the same."""
    return HostAnswered(
        f"{blob.shown} cannot be sent: {fault}",
        code=Code.FILE_CHANGED,
        status=200,
        hint=fault.hint or Code.FILE_CHANGED.cure,
    )


def _damaged(blob: LocalBlob, error: HostAnswered) -> HostError:
    """Another digest arrived although the file is what it was. The host keeps that too (`ollama-api.md` 6)."""
    got = _GOT.search(error.told or "")
    kept = f", and holds {show_size(blob.size)} that nothing uses: sha256:{got[1][:12]}" if got else ""
    return HostAnswered(
        f"the host received something else than was sent{kept}",
        code=Code.DIGEST_MISMATCH,
        status=error.status,
        hint="the file is unchanged, so suspect the network, a proxy or the host's memory; a restart of Ollama removes"
        " what nothing uses",
        told=error.told,
    )

"""Makes a model on a host from another one or from files of this machine, proves it, and records how it came about."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError
from fleet.manifest.item import Create
from fleet.ollama.wire import Progress
from fleet.quantities import show_size
from fleet.reconcile.compare import cannot_clear, changes, uncleared
from fleet.reconcile.content import content_hash
from fleet.reconcile.inputs import fingerprint, inputs
from fleet.reconcile.making import blobs, request
from fleet.reconcile.observed import Content, Present
from fleet.reconcile.progress import StepRetried
from fleet.reconcile.step import Step
from fleet.reconcile.steps.replacing import replacing
from fleet.reconcile.steps.session import Session, broken, not_as_wanted
from fleet.reconcile.steps.uploading import upload
from fleet.state.evidence import Evidence

Base = tuple[Present, Content]


async def create(session: Session, step: Step) -> None:
    """The model is what its entry says, in all that the host shows of it."""
    source = step.item.source if step.item else None
    if not isinstance(source, Create):
        raise TypeError("a create step without what to create")
    await session.read_version()
    base = await _base(session, source)
    field = uncleared(source, base[1] if base else None, session.version)
    if field is not None:
        # Not known when this was planned: the base came in the same pass.
        raise HostAnswered(cannot_clear(field, source), code=Code.CANNOT_CLEAR, status=200, hint=Code.CANNOT_CLEAR.cure)
    await replacing(session, step, lambda: _created(session, step, source, base))


async def _created(session: Session, step: Step, source: Create, base: Base | None) -> None:
    await _blobs(session, step, source)
    try:
        await _sent(session, step, source, base)
    except HostAnswered as error:
        if error.code is not Code.BLOB_VANISHED:
            _say_what_stays(error, source, session)
            raise
        # A restart of the server between upload and create takes blobs away that nothing uses yet (6.1).
        session.tell(StepRetried(step, 2, str(error)))
        await _blobs(session, step, source)
        await _sent(session, step, source, base)
    present = await session.listed(step)
    made = await session.content(present, fresh=True)
    if made is None:
        raise broken(step)
    differing = changes(source, made, base[1] if base else None, session.version)
    if differing:
        fields = ", ".join(f"`{change.field}`" for change in differing)
        raise not_as_wanted(f"`{step.model}` was created, but differs in {fields}")
    host = session.desired.host
    session.shared.memory.keep_evidence(
        host.name, host.url, step.model, evidence_of(source, present, made, base, session, adopted=False)
    )


def _say_what_stays(error: HostAnswered, source: Create, session: Session) -> None:
    """No server tells what no model uses, nor removes it before its next start (`ollama-api.md` 6.1)."""
    size = sum(blob.size for blob in blobs(source, session.version))
    if size:
        error.args = (
            f"{error}; the {show_size(size)} sent for it stay on the host, unused, until its Ollama is started again",
        )


async def _sent(session: Session, step: Step, source: Create, base: Base | None) -> None:
    archives = {blob.files: await session.shared.uploads.digest(blob) for blob in blobs(source, session.version)}
    listed = base[0].listed if base else None

    def begin() -> AsyncGenerator[Progress, None]:
        return session.client.create(request(source, step.listed, listed, session.version, archives))

    async def recheck() -> bool:
        await session.read_version()
        if base is not None:
            await _base(session, source)
        present = (await session.models()).get(step.model)
        made = await session.content(present, fresh=True) if present else None
        if made is None or changes(source, made, base[1] if base else None, session.version):
            # Neither what was there nor what was asked for would be somebody else's.
            session.presume(step, present)
        return False

    await session.transfer(step, begin, recheck)


async def _blobs(session: Session, step: Step, source: Create) -> None:
    """What the create refers to is on the host now: asked straight before, and sent where it is not."""
    for blob in blobs(source, session.version):
        await upload(session, step, blob)


async def _base(session: Session, source: Create) -> Base | None:
    """The base as it is now, whole. Raises `HostAnswered` where it is not: some servers would pull it by themselves, or
    destroy what is there (`ollama-api.md` 7.7).
    """
    if source.base is None:
        return None
    present = (await session.models()).get(source.base)
    content = await session.content(present, fresh=True) if present else None
    if present is None or content is None:
        raise _no_base(source, there=present is not None)
    return present, content


def _no_base(source: Create, *, there: bool) -> HostError:
    return HostAnswered(
        f"the base `{source.base}` is {'not whole' if there else 'gone'}", code=Code.SOURCE_NOT_THERE, status=404
    )


def evidence_of(
    source: Create, present: Present, made: Content | None, base: Base | None, session: Session, *, adopted: bool
) -> Evidence:
    """What is to be remembered of a model that was just proven."""
    return recorded_now(source, present, made, base, str(session.version), session.shared.revision, adopted=adopted)


def recorded_now(
    source: Create,
    present: Present,
    made: Content | None,
    base: tuple[Present, Content | None] | None,
    version: str,
    revision: str,
    *,
    adopted: bool,
) -> Evidence:
    """Evidence as of this moment; what the host did not show is not in it."""
    made_from = inputs(source)
    content = base[1] if base is not None else None
    return Evidence(
        inputs=made_from,
        fingerprint=fingerprint(source),
        digest=present.digest,
        base=base[0].digest if base is not None else None,
        base_content=content_hash(content) if content is not None else None,
        weights=made.weights if made is not None else frozenset(),
        version=version,
        at=datetime.now(UTC),
        revision=revision,
        adopted=adopted,
    )

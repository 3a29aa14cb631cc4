"""How a created model stands: by evidence, else by what its show proves (`design.md` 6, `ollama-api.md` 16). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.manifest.item import Create
from fleet.names import Digest
from fleet.ollama.versions import Version
from fleet.reconcile.compare import changes, proven
from fleet.reconcile.content import content_hash
from fleet.reconcile.difference import Change, Reason, State
from fleet.reconcile.inputs import comparable, differing, fingerprint, inputs
from fleet.reconcile.observed import Content, Present
from fleet.state.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands; `adopt` says that this is to be recorded, since no evidence tells it yet."""

    state: State
    reason: Reason | None = None
    changes: tuple[Change, ...] = ()
    adopt: bool = False


_AS_DESIRED = Standing(State.AS_DESIRED)


def recorded(create: Create, present: Present, base: Digest | None, evidence: Evidence | None) -> bool:
    """Whether evidence alone tells that the model is as desired: same inputs, same result, same base."""
    return (
        evidence is not None
        and evidence.digest == present.digest
        and evidence.base == base
        and evidence.fingerprint == fingerprint(create)
    )


def standing(
    create: Create,
    present: Present,
    made: Content | None,
    base: Present | None,
    base_content: Content | None,
    evidence: Evidence | None,
    version: Version,
) -> Standing:
    """`made` and `base_content` are what the host shows of model and base, nothing where it was not asked; `base` is
    what it lists of the base.
    """
    if recorded(create, present, base.digest if base is not None else None, evidence):
        return _AS_DESIRED
    if evidence is not None and not comparable(evidence.fingerprint):
        evidence = None
    wanted = inputs(create)
    if evidence is not None and evidence.digest == present.digest:
        if evidence.fingerprint != fingerprint(create):
            return Standing(
                State.DIFFERS, Reason.INPUTS_CHANGED, _named(create, made, base_content, evidence, wanted, version)
            )
        return _base_moved(evidence, base, base_content)
    return _shown(create, present, made, base_content, evidence, wanted, version)


def _base_moved(evidence: Evidence, base: Present | None, content: Content | None) -> Standing:
    """Same inputs and result, another base: a digest that moved alone (4.2) is no other content."""
    if content is not None and evidence.base_content == content_hash(content):
        return Standing(State.AS_DESIRED, adopt=True)
    old = f"sha256:{evidence.base.short}" if evidence.base else None
    new = f"sha256:{base.digest.short}" if base is not None else None
    return Standing(State.DIFFERS, Reason.BASE_CHANGED, (Change("base", old, new),))


def _shown(
    create: Create,
    present: Present,
    made: Content | None,
    base: Content | None,
    evidence: Evidence | None,
    wanted: Mapping[str, str],
    version: Version,
) -> Standing:
    """What the host shows decides, where nothing was recorded or somebody else changed the model since."""
    same = evidence is not None and evidence.fingerprint == fingerprint(create)
    if made is None or (base is None and create.base is not None):
        return Standing(State.UNVERIFIED)
    weights = evidence.weights if evidence is not None and same and _same_base(create, base, evidence) else None
    found = changes(create, made, base, version, weights)
    if not found and proven(create, made, base, version, weights):
        return Standing(State.AS_DESIRED, adopt=True)
    if evidence is None:
        return Standing(State.DIFFERS, Reason.FIELDS_DIFFER, found) if found else Standing(State.UNVERIFIED)
    if not same:
        return Standing(State.DIFFERS, Reason.INPUTS_CHANGED, _named(create, made, base, evidence, wanted, version))
    digest = Change("digest", f"sha256:{present.digest.short}", f"sha256:{evidence.digest.short}")
    return Standing(State.DIFFERS, Reason.CHANGED_ELSEWHERE, found or (digest,))


def _same_base(create: Create, base: Content | None, evidence: Evidence) -> bool:
    """Whether the blobs that came of the inputs then are those that would come of them now."""
    known = base is not None and evidence.base_content == content_hash(base)
    return bool(evidence.weights) and (create.base is None or known)


def _named(
    create: Create,
    made: Content | None,
    base: Content | None,
    evidence: Evidence,
    wanted: Mapping[str, str],
    version: Version,
) -> tuple[Change, ...]:
    """The inputs that changed; those that the host shows with their texts, the others with what was recorded."""
    shown = {} if made is None else {change.field: change for change in changes(create, made, base, version)}
    return tuple(
        shown.get(change.field, change) if change.field in {"system", "template", "messages", "license"} else change
        for change in differing(evidence.inputs, wanted)
    )

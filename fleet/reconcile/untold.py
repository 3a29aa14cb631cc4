"""What registries did not tell of the models that are to be pulled, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.codes import Code
from fleet.manifest.item import Pull
from fleet.names import ModelName
from fleet.reconcile.known import Known, asked
from fleet.reconcile.step import Action, Step
from fleet.registry.served import Unpublished


def untold(steps: Iterable[Step], known: Known) -> tuple[str, ...]:
    """A sentence for each registry and kind of trouble: hosts may be answered all the same, so that they are asked."""
    found: dict[tuple[str, Code], dict[ModelName, Unpublished]] = {}
    for step in steps:
        if step.action is not Action.PULL or step.item is None or not isinstance(step.item.source, Pull):
            continue
        name = asked(step.item, step.item.source)
        served = known.served.get(name)
        if isinstance(served, Unpublished):
            found.setdefault((name.registry.lower(), served.code), {})[name] = served
    return tuple(_sentence(found[key]) for key in sorted(found, key=lambda key: (key[0], key[1].id)))


def _sentence(unpublished: Mapping[ModelName, Unpublished]) -> str:
    one = min(unpublished)
    more = f" and {len(unpublished) - 1} more" if len(unpublished) > 1 else ""
    why = unpublished[one]
    return f"its registry tells nothing of `{one}`{more}: {why.message} ({why.code.id})"

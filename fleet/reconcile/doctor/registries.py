"""Whether registries answer, and whether hosts could pull from them. Pure but for the questions, which others ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fleet.codes import Code
from fleet.manifest.item import Desired, HostDesired, Pull
from fleet.names import DEFAULT_REGISTRY, ModelName
from fleet.reconcile.doctor.finding import About, Finding, Severity
from fleet.registry.served import Blobs, Unpublished

_KNOWN_TO_REDIRECT = frozenset({DEFAULT_REGISTRY, "hf.co", "huggingface.co"})


@dataclass(frozen=True, slots=True)
class Trial:
    """One registry, and the model to try it with: the first of those that are declared."""

    registry: str
    model: ModelName
    mirrored: str | None = None
    """The registry that this one stands for."""

    @property
    def redirects(self) -> bool:
        """Whether it is to be found out if blobs are redirected, or known."""
        return self.registry not in _KNOWN_TO_REDIRECT


def trials(desired: Desired, hosts: Iterable[HostDesired]) -> tuple[Trial, ...]:
    """What to ask, by registry, for all that these hosts are to pull."""
    found: dict[str, Trial] = {}
    for item in sorted((item for host in hosts for item in host.items), key=lambda item: item.name.key):
        if isinstance(item.source, Pull):
            name = item.source.origin or item.name
            registry = name.registry.lower()
            found.setdefault(registry, Trial(registry, name, _stands_for(desired, registry)))
    return tuple(found[registry] for registry in sorted(found))


def untried(desired: Desired, tried: Iterable[Trial]) -> Iterator[Finding]:
    """Mirrors that no declared model leads to."""
    reached = {trial.registry for trial in tried}
    for registry in (desired.registries or {}).values():
        if registry.mirror is not None and registry.mirror.lower() not in reached:
            yield Finding(
                Severity.NOTE,
                About.REGISTRY,
                f"the mirror `{registry.mirror}` of `{registry.name}` was not tried: no model is declared that comes from"
                " there",
                "name manifests by `-f`",
            )


def of_trial(trial: Trial, answer: Blobs | Unpublished | None) -> Iterator[Finding]:
    """`answer` is nothing where the registry serves the model and nothing more was to be found out."""
    what = (
        f"the mirror `{trial.registry}` of `{trial.mirrored}`" if trial.mirrored else f"the registry `{trial.registry}`"
    )
    if isinstance(answer, Unpublished):
        missing = answer.code is Code.NOT_IN_REGISTRY
        yield Finding(
            Severity.PROBLEM if missing else Severity.WARNING,
            About.REGISTRY,
            f"{what} has no `{trial.model}`" if missing else f"{what} does not answer as it should: {answer.message}",
            answer.hint or answer.code.cure,
            code=answer.code,
        )
    elif isinstance(answer, Blobs) and not answer.pullable:
        yield Finding(
            Severity.PROBLEM,
            About.REGISTRY,
            f"{what} {answer.did}, tried with `{trial.model}`: Ollama cannot pull from it",
            "put a proxy before it that redirects blobs (307) to another host name of the same store",
            code=Code.REGISTRY_WITHOUT_REDIRECT,
        )


def not_asked(tried: Iterable[Trial]) -> Iterator[Finding]:
    """Where the settings keep fleet from asking."""
    names = [f"`{trial.registry}`" for trial in tried]
    if names:
        yield Finding(
            Severity.NOTE,
            About.REGISTRY,
            f"registries were not asked: {', '.join(names)}",
            "set `ask_registries` to true to have them tried",
        )


def _stands_for(desired: Desired, registry: str) -> str | None:
    for each in (desired.registries or {}).values():
        if each.mirror is not None and each.mirror.lower() == registry:
            return each.name
    return None

"""What fleet's record holds of a host, as a snapshot keeps it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from fleet.manifest.item import Check
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.rehearsing.snapshot import KeptChecked, KeptEvidence, KeptMade, KeptMemory, KeptPushed
from fleet.state.evidence import Checked, Evidence, Made, Pushed
from fleet.state.remembered import HostRemembered

Questions = Mapping[str, str]
"""What stands for the hash of a check's questions in a rehearsal, where something does."""
Hashes = Mapping[str, str]
"""What stands for the hash of a base's content, where something does."""


def kept_memory(host: HostRemembered) -> KeptMemory:
    """All of it but the address."""
    return KeptMemory(
        tuple(sorted(host.models)),
        {str(name): dict(options) for name, options in sorted(host.loaded.items())},
        tuple(sorted(map(str, host.borrowed))),
        {str(name): _kept_evidence(each) for name, each in sorted(host.evidence.items())},
        {str(name): _kept_checked(each) for name, each in sorted(host.checked.items())},
        {str(name): KeptMade(m.digest.hex, m.owned, _written(m.at)) for name, m in sorted(host.made.items())},
    )


def memory_of(kept: KeptMemory, url: str, hashes: Hashes, questions: Questions) -> HostRemembered:
    """The record of a host that is at another address now. Raises `ValueError` for what no fleet wrote."""
    return HostRemembered(
        url,
        frozenset(kept.models),
        {
            ModelName.parse(name): {key: value for key, value in options.items() if value is not None}
            for name, options in kept.loaded.items()
        },
        {ModelName.parse(name): _evidence(each, hashes) for name, each in kept.evidence.items()},
        {ModelName.parse(name): _checked(each, questions) for name, each in kept.checked.items()},
        frozenset(map(ModelName.parse, kept.borrowed)),
        {ModelName.parse(name): Made(Digest(m.digest), m.owned, _time(m.at)) for name, m in kept.made.items()},
    )


def kept_pushed(pushed: Pushed) -> KeptPushed:
    return KeptPushed(pushed.host, pushed.digest.hex, pushed.published.hex, pushed.fingerprint, _written(pushed.at))


def pushed_of(kept: KeptPushed) -> Pushed:
    """Raises `ValueError` for what no fleet wrote."""
    return Pushed(
        HostName.parse(kept.host), Digest(kept.digest), Digest(kept.published), kept.fingerprint, _time(kept.at)
    )


def without_expectations(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The same questions with any answer good enough: a simulated model cannot think."""
    return tuple(
        Check(each.prompt, each.chat, each.embed, json=each.json, options=each.options, within=each.within)
        for each in checks
    )


def _kept_evidence(evidence: Evidence) -> KeptEvidence:
    return KeptEvidence(
        dict(evidence.inputs),
        evidence.fingerprint,
        evidence.digest.hex,
        None if evidence.base is None else evidence.base.hex,
        evidence.base_content,
        tuple(sorted(digest.hex for digest in evidence.weights)),
        evidence.version,
        _written(evidence.at),
        evidence.revision,
        evidence.adopted,
    )


def _evidence(kept: KeptEvidence, hashes: Hashes) -> Evidence:
    base_content = kept.base_content
    return Evidence(
        kept.inputs,
        kept.fingerprint,
        Digest(kept.digest),
        None if kept.base is None else Digest(kept.base),
        None if base_content is None else hashes.get(base_content, base_content),
        frozenset(map(Digest, kept.weights)),
        kept.version,
        _time(kept.at),
        kept.revision,
        kept.adopted,
    )


def _kept_checked(checked: Checked) -> KeptChecked:
    return KeptChecked(checked.digest.hex, checked.questions, checked.passed, checked.told[:1000], _written(checked.at))


def _checked(kept: KeptChecked, questions: Questions) -> Checked:
    asked = questions.get(kept.questions, kept.questions)
    return Checked(Digest(kept.digest), asked, kept.passed, kept.told, _time(kept.at))


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at

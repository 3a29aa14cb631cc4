"""What the version of a host means for what is asked of it (`ollama-api.md` 13 and 14). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.manifest.item import Create, HostDesired
from fleet.ollama.versions import Capability, Version, has
from fleet.reconcile.doctor.advisories import of_version
from fleet.reconcile.doctor.finding import About, Finding, Severity

OLDEST = (0, 3, 4)
"""The oldest release whose ways are known here."""


def of_host(desired: HostDesired, version: Version) -> Iterator[Finding]:
    """Whether fleet knows the version, what it is open to, and what it does badly of what is asked for."""
    release = version.major, version.minor, version.patch
    if not version.known:
        yield Finding(
            Severity.NOTE,
            About.VERSION,
            f"its version, `{version}`, tells nothing: fleet asks what it can do and sends no newer field, and advisories"
            " cannot be told",
            "run a release of Ollama",
        )
    elif release < OLDEST:
        yield Finding(
            Severity.WARNING,
            About.VERSION,
            f"Ollama {version} is older than {'.'.join(map(str, OLDEST))}, the oldest that fleet knows",
            "upgrade Ollama",
        )
    yield from of_version(version)
    if version.known:
        yield from _hazards(desired, version)


def _hazards(desired: HostDesired, version: Version) -> Iterator[Finding]:
    release = version.major, version.minor, version.patch
    creates = [item.source for item in desired.items if isinstance(item.source, Create)]
    uploads = any(create.local_files for create in creates)
    if creates and has(version, Capability.CREATE_DESTROYS):
        yield _hazard(
            f"Ollama {version} replaces a model by one without weights, and says success, when it is created from a base"
            " that cannot be had; fleet makes sure of the base, other clients may not",
            "upgrade Ollama to 0.12.6 or later",
        )
    if release == (0, 5, 13):
        yield _hazard(
            f"Ollama {version} removes every unused and half downloaded blob at each delete: downloads begin anew",
            "upgrade Ollama",
        )
    if uploads and not has(version, Capability.PRUNE_SPARES_YOUNG):
        yield _hazard(
            f"Ollama {version} removes what was uploaded and not yet used when it starts: a restart during an apply has"
            " files sent again",
            "upgrade Ollama to 0.21.0 or later, or set OLLAMA_NOPRUNE there",
        )
    if any(create.files for create in creates) and has(version, Capability.IMPORT_REWRITTEN):
        yield _hazard(
            f"Ollama {version} writes imported GGUFs anew: for a while they take twice their size, and the upload is kept"
            " until a restart",
            "leave room on its disk, and restart it now and then",
        )
    if not has(version, Capability.UNLOAD_DIRECT):
        yield _hazard(
            f"Ollama {version} cannot unload a model without loading it first, so fleet leaves models in memory that it"
            " deletes",
            "upgrade Ollama to 0.3.11 or later",
        )
    if (0, 3, 7) <= release <= (0, 3, 14):
        yield _hazard(
            f"Ollama {version} lists nothing at all when one image manifest is damaged, as after a full disk",
            "upgrade Ollama to 0.4.0 or later",
        )


def _hazard(what: str, do: str) -> Finding:
    return Finding(Severity.NOTE, About.HAZARD, what, do)

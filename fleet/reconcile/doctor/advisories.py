"""Security advisories of Ollama by version (`ollama-api.md` 13). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fleet.ollama.versions import Version
from fleet.reconcile.doctor.finding import About, Finding, Severity

Release = tuple[int, int, int]

NO_AUTHENTICATION = "CVE-2025-63389"
"""That a server authenticates nobody is so by design: told where a server is exposed."""


class Advisory(NamedTuple):
    """One row. Where the first release without it is not told, the last one with it is."""

    id: str
    about: str
    fixed: Release | None = None
    last: Release | None = None
    since: Release = (0, 0, 0)


ADVISORIES = (
    Advisory("CVE-2024-37032", "a registry can write files of its choice and run code, by a digest that is a path", (0, 1, 34)),
    Advisory("CVE-2024-45436", "a create can write outside its folder, by the names within an archive", (0, 1, 47)),
    Advisory("CVE-2025-51471", "a pull can hand the server's token to a stranger, by the realm that a registry names", (0, 14, 3)),
    Advisory("CVE-2026-7482", "a create can show the server's memory, by a crafted GGUF", (0, 17, 1)),
    Advisory(
        "CVE-2026-7020",
        "a pull of a tensor model can write files of a registry's choice, by a digest that is a path",
        last=(0, 20, 2),
        since=(0, 14, 0),  # the first release that pulls such models (10.2)
    ),
)  # fmt: skip


def of_version(version: Version) -> Iterator[Finding]:
    """Every advisory that a server of a known version is open to."""
    release = version.major, version.minor, version.patch
    for advisory in ADVISORIES if version.known else ():
        before = release < advisory.fixed if advisory.fixed is not None else release <= (advisory.last or release)
        if before and release >= advisory.since:
            yield Finding(
                Severity.WARNING,
                About.ADVISORY,
                f"Ollama {version}: {advisory.id}, {advisory.about}",
                f"upgrade Ollama {_target(advisory)}",
                advisory=advisory.id,
            )


def _target(advisory: Advisory) -> str:
    if advisory.fixed is not None:
        return f"to {'.'.join(map(str, advisory.fixed))} or later"
    return f"beyond {'.'.join(map(str, advisory.last or ()))}"

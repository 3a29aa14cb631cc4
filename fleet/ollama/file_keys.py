"""What the files of a create are called towards a server (`ollama-api.md` 7.5). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.ollama.versions import Capability, Version, has


def file_keys(paths: Iterable[str], version: Version) -> dict[str, str]:
    """The key of each relative slash path: the path itself from 0.30 on, its last part before.

    Of several paths with one last part, older servers can be given one alone: the one closest to the top, where the
    importer looks; the others are left out. A server of unknown version gets last parts, which every version takes.
    """
    if has(version, Capability.NESTED_FILES):
        return {path: path for path in paths}
    taken: dict[str, str] = {}
    for path in sorted(paths, key=lambda each: (each.count("/"), each)):
        taken.setdefault(path.rpartition("/")[2], path)
    return {path: key for key, path in taken.items()}

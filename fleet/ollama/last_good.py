"""What was in a file of a secret when it was read last: taken for as long as the file is gone and no host refuses it.

Who replaces a secret by removing its file first, or unmounts its folder, must not shut fleet out of its hosts for that
(`reliability.md` K15). In this process alone, and hidden.
"""

from __future__ import annotations

from collections.abc import Callable

from fleet.ollama.hidden import Hidden

_LAST: dict[str, Hidden] = {}


def last_good(file: str, read: Callable[[], bytes]) -> bytes:
    """What `read` gives, or what it gave before where the file is gone. Raises what it raises."""
    try:
        found = read()
    except Exception as fault:
        last = _LAST.get(file)
        if last is None or not isinstance(fault.__cause__, FileNotFoundError):
            raise
        return last.reveal()
    _LAST[file] = Hidden(found)
    return found


def forget(file: str) -> None:
    """A host refused it: only what is in the file counts from now on."""
    _LAST.pop(file, None)

"""The hosts of an inventory that `--host` and `-l` choose, for verbs that need no manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from fleet.codes import Code
from fleet.errors import UsageError
from fleet.manifest.faults import Misread, nearest, quoted
from fleet.manifest.inventory import Host
from fleet.manifest.selector import Selector
from fleet.names import HostName


def chosen(hosts: Mapping[HostName, Host], globs: Sequence[str], selector: str | None) -> dict[HostName, Host]:
    """Those that any glob and the selector match, by name. Raises `UsageError` where nothing does."""
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in hosts):
            raise UsageError(f"`--host`: {quoted(glob)} matches no host", code=Code.USAGE, hint=nearest(glob, hosts))
    wanted = _selector(selector) if selector is not None else None
    found = {
        name: host
        for name, host in sorted(hosts.items())
        if (not globs or any(fnmatchcase(name, glob) for glob in globs)) and (wanted is None or wanted.matches(host))
    }
    if hosts and not found:
        raise UsageError("`--host` and `-l` match no host", code=Code.USAGE)
    return found


def _selector(text: str) -> Selector:
    try:
        return Selector.parse(text)
    except Misread as error:
        where = f" at character {error.offset + 1}" if error.offset else ""
        raise UsageError(f"`-l`: {error}{where}", code=Code.USAGE, hint=error.hint) from error

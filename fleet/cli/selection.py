"""What the command line says of hosts and models, checked: its grammar before anything is read, its names after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fleet.codes import Code
from fleet.errors import UsageError
from fleet.names import HostName, InvalidName

if TYPE_CHECKING:
    from fleet.manifest.item import Desired, HostDesired
    from fleet.reconcile.saved import SavedArguments

_NAMED = 10
"""Names in a hint, where none comes near."""


def check_selection(arguments: SavedArguments) -> None:
    """Raises `UsageError` for what no host or model could be called, before anything is read."""
    from fleet.manifest.faults import Misread
    from fleet.manifest.pattern import parse_pattern
    from fleet.manifest.selector import Selector

    if arguments.selector is not None:
        try:
            Selector.parse(arguments.selector)
        except Misread as error:
            where = f" at character {error.offset + 1}" if error.offset else ""
            raise UsageError(f"`-l`: {error}{where}", code=Code.USAGE, hint=error.hint) from error
    for glob in arguments.models:
        try:
            parse_pattern(glob)
        except Misread as error:
            raise UsageError(f"`--model`: {error}", code=Code.USAGE, hint=error.hint) from error
    for option, host in _accepted(arguments):
        try:
            HostName.parse(host)
        except InvalidName as error:
            raise UsageError(f"{option}{error}", code=Code.USAGE) from error


def _accepted(arguments: SavedArguments) -> Iterator[tuple[str, str]]:
    """The hosts about which a guard is told something, with the option before them."""
    for host in arguments.accept_emptied:
        yield "`--accept-emptied`: ", host
    for host in arguments.accept_foreign:
        yield "`--accept-foreign`: ", host


def check_names(arguments: SavedArguments, desired: Desired) -> None:
    """Raises `UsageError` for a model or host that the desired state does not have: a typing error would otherwise
    look like a fleet with nothing to do, or like a guard that does not listen.
    """
    from fleet.manifest.faults import quoted
    from fleet.manifest.pattern import matches, overlap

    names = {item.name for host in desired.hosts.values() for item in host.items}
    gone = {absent.pattern.text for host in desired.hosts.values() for absent in host.absent}
    for glob in arguments.models:
        if not any(matches(glob, name) for name in names) and not any(overlap(glob, pattern) for pattern in gone):
            known = [*map(str, sorted(names)), *sorted(gone)]
            raise UsageError(
                f"`--model`: {quoted(glob)} matches no entry of the desired state",
                code=Code.USAGE,
                hint=_nearest(glob, known),
            )
    for glob in arguments.hosts:
        if not any(fnmatchcase(host, glob) for host in desired.hosts):
            raise UsageError(
                f"`--host`: {quoted(glob)} matches no host", code=Code.USAGE, hint=_nearest(glob, desired.hosts)
            )
    for option, host in _accepted(arguments):
        host_of(host, desired, option=option)


def host_of(text: str, desired: Desired, *, option: str = "") -> HostDesired:
    """The host of that name. Raises `UsageError`."""
    from fleet.manifest.faults import shown

    for name, host in desired.hosts.items():
        if name == text:
            return host
    raise UsageError(
        f"{option}the inventory has no host `{shown(text)}`", code=Code.USAGE, hint=_nearest(text, desired.hosts)
    )


def _nearest(wrong: str, known: Iterable[str]) -> str:
    """What may have been meant: the name that comes nearest, one that holds it as its part, or all there are."""
    from fleet.manifest.faults import nearest
    from fleet.render.words import some

    there = sorted(known)
    part = wrong.strip("*?").lower()
    holding = next((name for name in there if len(part) > 2 and part in name.lower()), None)
    meant = f"did you mean `{holding}`?" if holding else None
    return nearest(wrong, there) or meant or (f"there are: {some(there, _NAMED)}" if there else "there is none at all")

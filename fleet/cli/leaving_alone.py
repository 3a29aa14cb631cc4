"""What `fleet suspend` and `fleet resume` share: which host is meant, and who is told."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fleet.codes import Code
from fleet.errors import FleetError, UsageError
from fleet.foreign import clean
from fleet.names import HostName, InvalidName

if TYPE_CHECKING:
    from fleet.cli.which_fleet import WhichFleet
    from fleet.settings import Settings


def meant_host(arguments: argparse.Namespace, fleet: WhichFleet) -> HostName:
    """The host on the command line. Raises `UsageError` for one that the inventory does not have, if that was read."""
    from fleet.cli.selection import host_of

    if fleet.desired is not None:
        return host_of(arguments.host, fleet.desired).host.name
    try:
        return HostName.parse(arguments.host)
    except InvalidName as error:
        raise UsageError(str(error), code=Code.USAGE) from error


def told_daemon(settings: Settings, fleet: WhichFleet, path: str, body: Mapping[str, Any]) -> bool:
    """Whether a daemon runs and did it. Raises `UsageError` for what it cannot do, `FleetError` for what failed."""
    from fleet.cli.running_daemon import ask_daemon

    answer = ask_daemon(settings, fleet.name, "POST", path, body)
    if answer is None:
        return False
    status, document = answer
    if 200 <= status < 300:
        return True
    told = document if isinstance(document, dict) else {}
    message = f"the daemon of `{fleet.name}` says: {clean(str(told.get('message', f'HTTP {status}')))}"
    hint = clean(str(told["hint"])) if told.get("hint") else None
    if status < 500:
        raise UsageError(message, code=Code.USAGE, hint=hint)
    raise FleetError(message, code=Code.STATE_UNUSABLE, hint=hint)


def must_be_known(settings: Settings, fleet: WhichFleet, host: HostName) -> None:
    """For a host whose inventory was not read: raises `UsageError` where fleet never saw it, and `StateError`."""
    from fleet.manifest.faults import nearest
    from fleet.render.words import some
    from fleet.state.known import known_hosts

    if fleet.desired is not None:
        return
    known = known_hosts(settings.state_dir, fleet.name)
    if host not in known:
        there = f"there are: {some(sorted(known), 10)}" if known else "name its inventory by `-i`"
        raise UsageError(
            f"no host `{host}` is known of the fleet `{fleet.name}`",
            code=Code.USAGE,
            hint=nearest(host, sorted(known)) or there,
        )

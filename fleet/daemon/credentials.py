"""When files of secrets last changed: old ones are to be replaced, and one that nobody could have replaced is news."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from fleet.manifest.inventory import Host
from fleet.settings import Settings

_SETTINGS = ("token_file", "hook_secret_file", "git_credentials_file", "git_ssh_key_file")


def changed(settings: Settings, hosts: Iterable[Host]) -> dict[tuple[str, str], float]:
    """Seconds since 1970 by what the file is for and by host, which is empty for the daemon's own. Files that are not
    there, or not to be looked at, are left out. Blocks for as long as the file system does.
    """
    seen: dict[str, float | None] = {}
    found: dict[tuple[str, str], float] = {}
    for credential, host, path in _files(settings, hosts):
        if path not in seen:
            seen[path] = _changed(path)
        moment = seen[path]
        if moment is not None:
            found[credential, host] = moment
    return found


def _files(settings: Settings, hosts: Iterable[Host]) -> Iterator[tuple[str, str, str]]:
    for name in _SETTINGS:
        path = getattr(settings, name)
        if path is not None:
            yield name, "", path
    for host in hosts:
        if host.auth is not None and host.auth.secret.file is not None:
            yield "auth", host.name, host.auth.secret.file
        if host.tls is not None and (host.tls.key_file or host.tls.cert_file):
            yield "tls", host.name, host.tls.key_file or host.tls.cert_file or ""


def _changed(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116  # a thousand of them a pass
    except (OSError, ValueError):
        return None

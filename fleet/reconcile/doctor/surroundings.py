"""The machine that fleet runs on: files that only fleet's user should read, the state folder, and what the environment asks for in vain.

The rules are pure; `told_of` alone looks at the disk.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.codes import Code
from fleet.manifest.inventory import Host
from fleet.reconcile.doctor.finding import About, Finding, Severity

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Told:
    """What the system says of a file or folder, links followed."""

    path: str
    mode: int
    owner: int


def told_of(path: str) -> Told | None:
    """Nothing where there is nothing that can be looked at."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return Told(path, status.st_mode, status.st_uid)


def secret_files(hosts: Iterable[Host]) -> tuple[str, ...]:
    """Files with a token, a password or a private key, sorted, each once."""
    found: set[str] = set()
    for host in hosts:
        if host.auth is not None and host.auth.secret.file is not None:
            found.add(host.auth.secret.file)
        if host.tls is not None and host.tls.cert_file is not None:
            found.add(host.tls.key_file or host.tls.cert_file)
    return tuple(sorted(found))


def of_secret(path: str, told: Told | None, user: int, handed_over: str | None = None) -> Iterator[Finding]:
    """`handed_over` is the folder that a service manager puts credentials in, whose modes are its own affair."""
    if told is None:
        yield Finding(
            Severity.PROBLEM,
            About.CREDENTIAL,
            f"the credential `{path}` is not there, or not to be looked at",
            "create it, readable by the user who runs fleet",
            code=Code.CREDENTIALS_UNREADABLE,
        )
        return
    if handed_over is not None and Path(path).parent == Path(handed_over):
        return
    shared = stat.S_IMODE(told.mode) & 0o077
    if shared:
        can = "read or replace" if shared & 0o022 else "read"
        yield Finding(
            Severity.PROBLEM,
            About.CREDENTIAL,
            f"others than its owner can {can} the credential `{path}` (mode {stat.S_IMODE(told.mode):04o}), so it is"
            " refused",
            f"chmod 600 {shlex.quote(path)}",
            code=Code.CREDENTIALS_UNREADABLE,
        )
    if told.owner not in {user, 0}:
        yield Finding(
            Severity.WARNING,
            About.CREDENTIAL,
            f"the credential `{path}` belongs to another user, who can replace it",
            f"chown it to the user who runs fleet: {path}",
        )


def variables(hosts: Iterable[Host], environment: Mapping[str, str]) -> Iterator[Finding]:
    """Credentials that are to come from the environment, and are not there."""
    wanted = {host.auth.secret.environment for host in hosts if host.auth is not None}
    for name in sorted(name for name in wanted if name is not None and not environment.get(name)):
        yield Finding(
            Severity.PROBLEM,
            About.CREDENTIAL,
            f"the variable `{name}`, which a credential is to be read from, is not set",
            f"set {name} for the process that runs fleet",
            code=Code.CREDENTIALS_UNREADABLE,
        )


def of_state(folder: Told | None, files: Iterable[Told], user: int) -> Iterator[Finding]:
    """The folder in which fleet remembers, and what is in it. One that is not there yet is made when it is needed."""
    if folder is None:
        return
    shared = stat.S_IMODE(folder.mode) & 0o077
    if not stat.S_ISDIR(folder.mode):
        yield _state(Severity.PROBLEM, f"`{folder.path}` is no folder", "name another one by `state_dir`")
    elif folder.owner != user:
        yield _state(
            Severity.PROBLEM,
            f"the state folder `{folder.path}` belongs to another user: fleet refuses it",
            "run fleet as that user, or name another folder by `state_dir`",
        )
    elif shared:
        can = "change what fleet remembers, so it refuses them" if shared & 0o022 else "read what fleet remembers"
        yield _state(
            Severity.PROBLEM if shared & 0o022 else Severity.WARNING,
            f"others can look into `{folder.path}` and {can}",
            f"chmod 700 {folder.path}",
        )
    for told in files:
        if stat.S_ISREG(told.mode) and stat.S_IMODE(told.mode) & 0o077:
            can = "change" if stat.S_IMODE(told.mode) & 0o022 else "read"
            yield _state(
                Severity.WARNING,
                f"others than its owner can {can} `{told.path}` (mode {stat.S_IMODE(told.mode):04o})",
                f"chmod 600 {told.path}",
            )


def _state(severity: Severity, what: str, do: str) -> Finding:
    return Finding(severity, About.STATE, what, do, code=Code.STATE_UNUSABLE)


def of_environment(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that other programs obey and fleet does not."""
    for name in _PROXIES:
        there = next((each for each in (name, name.lower()) if environment.get(each)), None)
        if there is not None:
            yield Finding(
                Severity.NOTE,
                About.ENVIRONMENT,
                f"`{there}` is set and not obeyed: fleet goes to hosts and registries directly, since a proxy from the"
                " environment would be handed their credentials",
                "nothing, unless there is no other way to them: then write the proxy's own address as the host's `url`",
            )
    for name in _AUTHORITIES:
        if environment.get(name):
            yield Finding(
                Severity.NOTE,
                About.ENVIRONMENT,
                f"`{name}` is set and not obeyed: an environment does not decide whom fleet trusts",
                "nothing, unless hosts have certificates of an authority of your own: name it by `tls.ca_file`",
            )


def files_in(folder: str) -> tuple[Told, ...]:
    """What lies in a folder, sorted; nothing where it cannot be read."""
    try:
        paths = sorted(entry.path for entry in os.scandir(folder))
    except OSError:
        return ()
    return tuple(told for path in paths if (told := told_of(path)) is not None)

"""How `git` is let in: its private configuration, credentials by file, and the keys of `ssh`. Never in arguments or
environment, which other processes can read.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fleet.codes import Code
from fleet.daemon.secret import UnusableSecret, private_content
from fleet.daemon.source.git_address import SCHEMES, Address
from fleet.daemon.source.source import SourceUnreachable
from fleet.foreign import clean
from fleet.masking import hide
from fleet.settings import Settings

TEMPORARY = "config-"
"""Begins the names of files with credentials, which a killed run may leave behind."""

_LARGEST = 64 << 10
_PAIR = re.compile(rb"[^:\x00-\x1f\x7f]+:[\x21-\x7e]+\Z")


def environment(home: Path, config: Path, address: Address, settings: Settings) -> dict[str, str]:
    """All variables that `git` gets: nothing of the surrounding but the search path."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GNUPGHOME": str(home / "gnupg"),
        **({"GIT_SSH_COMMAND": _ssh(settings), "GIT_SSH_VARIANT": "ssh"} if address.scheme == "ssh" else {}),
    }


def _ssh(settings: Settings) -> str:
    """Never asks, and accepts only hosts that are known."""
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ControlMaster=no",
        "ControlPath=none",
        "PermitLocalCommand=no",
    ]
    argv = ["ssh", "-F", "none"]
    if settings.git_ssh_key_file is not None:
        argv += ["-i", settings.git_ssh_key_file]
        options += ["IdentitiesOnly=yes", "IdentityAgent=none"]
    if settings.git_known_hosts_file is not None:
        # `ssh` parts several files by spaces, unless they are quoted.
        options += [f'UserKnownHostsFile="{settings.git_known_hosts_file}"', "GlobalKnownHostsFile=none"]
    return shlex.join([*argv, *(word for option in options for word in ("-o", option))])


def config_text(address: Address, more: Mapping[str, str] | None = None) -> str:
    """Everything that `git` is told by configuration; `more` are further keys with their values."""
    said = {
        "core.hooksPath": "/dev/null",
        "core.fsmonitor": "false",
        "credential.helper": "",
        "fetch.recurseSubmodules": "false",
        "fetch.unpackLimit": "1",
        "gc.auto": "0",
        "gpg.x509.program": "/bin/false",
        "http.followRedirects": "false",
        "init.defaultBranch": "main",
        "maintenance.auto": "false",
        "protocol.allow": "never",
        "submodule.recurse": "false",
        "transfer.bundleURI": "false",
        **{f"protocol.{scheme}.allow": "always" for scheme in SCHEMES},
        **(more or {}),
    }
    lines = [_line(key, value) for key, value in said.items()]
    if address.scheme == "file":
        # Whoever set the address chose this folder, whoever owns it.
        path = unquote(urlsplit(address.url).path).rstrip("/") or "/"
        lines += [_line("safe.directory", one) for one in dict.fromkeys((path, f"{path}/.git", os.path.realpath(path)))]
    return "".join(lines)


def _line(key: str, value: str) -> str:
    section, _, name = key.rpartition(".")
    head, _, within = section.partition(".")
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    where = f'{head} "{within}"' if within else head
    return f'[{where}]\n\t{name} = "{quoted}"\n'


@contextmanager
def let_in(home: Path, address: Address, settings: Settings) -> Iterator[Path]:
    """The configuration for a call over the network, with credentials where there are any: private, and gone afterwards.

    Raises `SourceUnreachable`.
    """
    more: dict[str, str] = {}
    if settings.git_credentials_file is not None and address.scheme == "https":
        pair = _pair(settings.git_credentials_file, settings.credentials_dir)
        more[f"http.{address.origin}.extraHeader"] = f"Authorization: Basic {base64.b64encode(pair).decode()}"
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=home)  # for its owner alone
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(config_text(address, more))
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _pair(path: str, credentials_dir: str | None) -> bytes:
    """`USER:TOKEN`. Raises `SourceUnreachable` for a file that others may read, or that is none."""
    try:
        found = private_content(path, credentials_dir, _LARGEST - 1)
    except UnusableSecret as fault:
        raise _unusable(path, str(fault), f"run `{fault.command}`" if fault.command else None) from fault
    if not _PAIR.match(found):
        raise _unusable(path, "it does not hold one line `USER:TOKEN`")
    hide(found.partition(b":")[2])
    return found


def _unusable(path: str, why: str, hint: str | None = None) -> SourceUnreachable:
    return SourceUnreachable(
        f"git_credentials_file: `{clean(path)}`: {why}", hint=hint, code=Code.CREDENTIALS_UNREADABLE
    )

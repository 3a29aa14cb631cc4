"""Where the listener listens: addresses of TCP, and a Unix socket that only its owner can open."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleet.codes import Code
from fleet.errors import FleetError, InputError, LockError

_ANSWERS_WITHIN = 2.0
_SENDS = 256 << 10
"""Bytes that the kernel keeps for a client, who could have it keep megabytes otherwise and be noticed late."""


def parse_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:11433`, `[::1]:11433`, `name:0` as host and port. Raises `InputError`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not (colon and host and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        raise InputError(
            f"`listen` is no address with a port: `{text[:80]}`",
            code=Code.SETTINGS_WRONG,
            hint="write `127.0.0.1:11433`, or `[::1]:11433`",
        )
    return host, int(port)


async def tcp_sockets(address: str) -> list[socket.socket]:
    """One for each address of the name, bound. Raises `FleetError` where one cannot be had."""
    host, port = parse_address(address)
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, where in dict.fromkeys(found):
            opened.append(_bound(family, where))
    except OSError as error:
        for each in opened:
            each.close()
        raise FleetError(
            f"cannot listen at `{address}`: {error.strerror or error}",
            code=Code.SETTINGS_WRONG,
            hint="another process listens there, or the address is none of this machine: see `listen`",
        ) from error
    return opened


def _bound(family: int, where: tuple[Any, ...]) -> socket.socket:
    # With the protocol named: asyncio switches Nagle off only for those.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDS)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(where)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def unix_socket(path: Path) -> socket.socket:
    """Bound with mode 0600, and in place of what a dead daemon left there. Raises `LockError` where one answers, and
    `FleetError` where it cannot be made.
    """
    if _answers(path):
        raise LockError(
            f"another daemon answers at `{path}`",
            code=Code.LOCK_HELD,
            hint="one daemon a fleet: end the other one, or give this fleet another name",
        )
    # Made under another name and then moved: at no moment is there one that others may open, or none.
    new = path.with_name(f".{path.name}.{os.getpid()}")
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            new.unlink()
        opened.bind(str(new))
        new.chmod(0o600)
        opened.listen()
        new.rename(path)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        with suppress(OSError):
            new.unlink()
        raise FleetError(
            f"cannot make the socket `{path}`: {error.strerror or error}",
            code=Code.STATE_UNUSABLE,
            hint="name a folder with a shorter path by `state_dir`" if "too long" in str(error) else None,
        ) from error
    return opened


def remover(path: Path) -> Callable[[], None]:
    """Takes the file of the socket away, if it is then still the one that it is now."""
    opened = path.lstat()

    def remove() -> None:
        with suppress(OSError):
            if os.path.samestat(path.lstat(), opened):
                path.unlink()

    return remove


def _answers(path: Path) -> bool:
    """Whether a process listens at a socket. Raises `FleetError` for a file that is none: it is not ours to replace."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FleetError(
                f"`{path}` is in the way of the daemon's socket",
                code=Code.STATE_UNUSABLE,
                hint="move it away",
            )
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(_ANSWERS_WITHIN)
        try:
            asked.connect(str(path))
        except TimeoutError:
            return True
        except OSError as error:
            return error.errno in {errno.EAGAIN, errno.EINPROGRESS, errno.EACCES, errno.EPERM}
        return True

"""Which commits are signed by somebody who may: `git verify-commit` with the operator's keys and no others."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.codes import Code
from fleet.daemon.source.repository import Repository
from fleet.daemon.source.source import SourceUnreachable
from fleet.errors import InputError
from fleet.foreign import clean
from fleet.program import Failed

_LARGEST = 4 << 20
_OPENPGP = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_ARMOUR = re.compile(_OPENPGP + rb"[ \t]*\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_CONF = "batch\nno-tty\nno-autostart\nno-auto-key-retrieve\nno-auto-key-locate\ntrust-model always\n"
"""For `gpg`: no daemon is started, no server asked, and every key of the file counts."""


class Signatures:
    """Checks commits by the keys of a file: OpenPGP public keys, armoured or not, or allowed signers of SSH."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._accepted: tuple[str, str] | None = None
        """The last commit that was, and the digest of the keys that it was by."""

    async def check(self, repository: Repository, commit: str) -> None:
        """Raises `InputError` for a commit that is not signed by these keys, and `SourceUnreachable` without keys."""
        keys = _keys(self._file)
        accepted = (commit, hashlib.sha256(keys).hexdigest())
        if accepted == self._accepted:
            return
        try:
            if keys.lstrip().startswith(_OPENPGP) or keys[:1] >= b"\x80":
                with _keyring(repository.folder, self._packets(keys)) as home:
                    await repository.verify(commit, (), {"GNUPGHOME": str(home)})
            else:
                with _empty(repository.folder) as home:
                    options = ("-c", f"gpg.ssh.allowedSignersFile={self._file}")
                    await repository.verify(commit, options, {"GNUPGHOME": str(home)})
        except Failed as error:
            told = str(error).removeprefix("it ended with code 1")
            raise InputError(
                f"commit {commit[:12]} is not signed by a key of `{clean(self._file)}`{f': {told}' if told else ''}",
                code=Code.COMMIT_NOT_SIGNED,
                hint=Code.COMMIT_NOT_SIGNED.cure,
            ) from error
        self._accepted = accepted

    def _packets(self, keys: bytes) -> bytes:
        """Without their armour. Raises `SourceUnreachable`."""
        if shutil.which("gpg") is None:
            raise _unusable(self._file, "there is no `gpg` program on the search path")
        found = b"".join(map(_bare, _ARMOUR.findall(keys))) if _OPENPGP in keys else keys
        if found[:1] < b"\x80":
            raise _unusable(self._file, "it holds no OpenPGP key")
        return found


def _keys(file: str) -> bytes:
    try:
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
            found = opened.read(_LARGEST)
    except OSError as error:
        raise _unusable(file, error.strerror or "it cannot be read") from error
    if not found.strip():
        raise _unusable(file, "it holds no key")
    return found


def _unusable(file: str, why: str) -> SourceUnreachable:
    return SourceUnreachable(f"git_verify_file: `{clean(file)}`: {why}")


def _bare(block: bytes) -> bytes:
    """The packets of one armoured block, without headers and checksum; nothing where it is none."""
    lines = [line.strip() for line in block.splitlines()]
    body = lines[lines.index(b"") + 1 :] if b"" in lines else lines
    try:
        return base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")), validate=True)
    except ValueError:
        return b""


@contextmanager
def _keyring(folder: Path, packets: bytes) -> Iterator[Path]:
    """A home for `gpg` with these keys: exported keys one after the other are what it calls a key ring. To import them
    would start its agent.
    """
    with _empty(folder) as home:
        (home / "gpg.conf").write_text(_CONF, encoding="ascii")
        (home / "pubring.gpg").write_bytes(packets)
        yield home


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A private folder for the time of a block."""
    name = tempfile.mkdtemp(prefix="keys-", dir=folder)
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)

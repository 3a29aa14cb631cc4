"""Fuzz targets of what fleet reads besides weights: texts of people, replies of servers, files of its own.

Each takes any bytes. A reader may raise what it declares, and what it tells of the fault is safe to show.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from fleet.daemon.hooks import pushed_ref, verify
from fleet.endpoint import Endpoint
from fleet.errors import FleetError
from fleet.foreign import LIMIT, clean
from fleet.manifest.faults import ManifestErrors, Misread
from fleet.manifest.inventory import Host, Place
from fleet.manifest.load import load
from fleet.manifest.selector import Selector
from fleet.names import Digest, HostName, InvalidName, ModelName
from fleet.ollama import shown, wire
from fleet.ollama.answer import error_text, retry_after
from fleet.ollama.lines import Lines, LineTooLongError
from fleet.ollama.reply import read_reply
from fleet.reconcile import saved
from fleet.reconcile.rehearsing.snapshot_file import read_snapshot
from fleet.registry import image
from fleet.registry.lock import read_lock
from fleet.state.folder import StateError
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from tests.state.examples import FULL

HOST = Host(
    HostName("gpu-a"), "http://gpu-a", Place("hosts.yaml", 1, 1), group="tokyo", labels={"tier": "prod", "site": "a"}
)
_LONGEST_LINE = 64
_ON_DISK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""In memory where there is such a folder: some targets write a file for each input."""


@contextmanager
def _file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=_ON_DISK) as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        yield path


def _safe(text: str) -> None:
    """On a terminal, whatever it was made of; a message may have several lines."""
    assert all(line.isprintable() for line in text.split("\n")), ascii(text)
    text.encode()


def manifest(content: bytes) -> None:
    """An inventory and manifest in one file."""
    with tempfile.TemporaryDirectory(dir=_ON_DISK) as folder:
        try:
            load(["-"], folder=folder, stdin=io.BytesIO(content))
        except ManifestErrors as error:
            _safe(str(error))


def lines(content: bytes) -> None:
    """A stream, cut in two ways: the first byte says how long the pieces of the second are."""
    size, stream = (content[0] % 19 + 1 if content else 1), content[1:]
    whole = _fed([stream])
    assert _fed([stream[at : at + size] for at in range(0, len(stream), size)]) == whole
    if whole is not None:
        assert whole == [line for line in (piece.strip() for piece in stream.split(b"\n")) if line]


def _fed(chunks: list[bytes]) -> list[bytes] | None:
    """All lines, or nothing where one was too long."""
    splitter = Lines(_LONGEST_LINE)
    try:
        found = [line for chunk in chunks for line in splitter.feed(chunk)]
    except LineTooLongError:
        return None
    rest = splitter.finish()
    return [*found, rest] if rest else found


def names(content: bytes) -> None:
    """Models, digests, hosts: what is taken is spelled so that reading it again gives the same."""
    text = content.decode(errors="surrogateescape")
    with suppress(InvalidName):
        model = ModelName.parse(text)
        assert ModelName.parse(str(model)) == model
        assert ModelName.parse(str(model)).key == model.key
        _safe(str(model))
        assert ".." not in str(model).split("/")
    with suppress(InvalidName):
        assert str(Digest.parse(text)).removeprefix("sha256:") == text.removeprefix("sha256:")
    with suppress(InvalidName):
        assert HostName.parse(text) == text
        _safe(text)


def selector(content: bytes) -> None:
    """Is parsed or refused with a place inside it, and what is parsed decides."""
    text = content.decode(errors="replace")
    try:
        parsed = Selector.parse(text)
    except Misread as fault:
        _safe(str(fault))
        _within(fault.offset, text)
    else:
        assert parsed.matches(HOST) in {True, False}


def _within(offset: int, text: str) -> None:
    assert 0 <= offset <= len(text)


def plan(content: bytes) -> None:
    """A plan file, and one whose body is this, with the checksum that it then has."""
    tries = [content]
    with suppress(ValueError, RecursionError):
        tries.append(saved._written(json.loads(content)).encode(errors="surrogatepass"))
    for each in tries:
        with _file(each) as path:
            try:
                saved.read(str(path))
            except FleetError as error:
                _safe(str(error))


def state(content: bytes) -> None:
    """A database of which bytes were changed: four each of the input say where, and to what; the rest cuts it."""
    whole = bytearray(_database())
    for at in range(0, len(content) - 3, 4):
        whole[int.from_bytes(content[at : at + 3], "big") % len(whole)] = content[at + 3]
    left = content[len(content) & ~3 :]
    if left:
        del whole[int.from_bytes(left, "big") * len(whole) // 256 ** len(left) :]
    with tempfile.TemporaryDirectory(dir=_ON_DISK) as folder:
        path = Path(folder) / "fleet.db"
        path.touch(0o600)
        path.write_bytes(whole)
        with Memory(folder, "fleet") as memory:
            try:
                found = memory.remembered()
            except StateError as error:
                _safe(str(error))
            else:
                assert found == (Remembered() if memory.notes else FULL) or not content
                for note in memory.notes:
                    _safe(note)


@lru_cache(maxsize=1)
def _database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Memory(folder, "fleet") as memory:
            memory.record(FULL)
        return (Path(folder) / "fleet.db").read_bytes()


def text(content: bytes) -> None:
    """Whatever a server says comes out safe, in one line, and not longer than allowed."""
    for said in (content.decode(errors="surrogateescape"), content.decode("utf-16", errors="replace")):
        cleaned = clean(said)
        assert len(cleaned) <= LIMIT
        assert not {letter for letter in cleaned if ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0}
        assert not set(cleaned) & set("\u2028\u2029\u202e\u2066\ufeff")
        cleaned.encode()


def endpoint(content: bytes) -> None:
    """What is taken for an address has one spelling, and nothing of what was refused is told."""
    said = content.decode(errors="surrogateescape")
    try:
        found = Endpoint.parse(said)
    except InvalidName as fault:
        _safe(f"{fault} {fault.hint}")
    else:
        assert Endpoint.parse(found.url) == found
        assert "@" not in found.authority
        _safe(found.url)


def reply(content: bytes) -> None:
    """Replies of a host, each read as if it were meant to be that."""
    readers: list[Callable[[bytes], object]] = [
        wire.version,
        wire.models,
        wire.runners,
        wire.vector,
        lambda raw: wire.read(wire.Progress, raw),
        lambda raw: shown.read(wire.read(wire.Show, raw)),
    ]
    for read in readers:
        try:
            read(content)
        except wire.ReplyError as fault:
            clean(str(fault)).encode()
    error_text(content)


class _Said:
    """A connection on which this is said, and nothing more."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def recv_into(self, buffer: memoryview) -> int:
        return self._content.readinto(buffer)


def head(content: bytes) -> None:
    """A whole reply to an upload, from its first byte."""
    from http.client import HTTPException

    from fleet.ollama.wire import moment

    with suppress(OSError, HTTPException, ValueError):
        answer = read_reply(_Said(content), content[:7], most=1000, wordless=frozenset({204}))  # type: ignore[arg-type]
        assert len(answer.body) <= 1000
        now = moment("2026-11-01T00:00:00Z")
        assert now is not None
        retry_after(answer, now)


def registry(content: bytes) -> None:
    """A manifest of a registry, a lock file, a snapshot."""
    try:
        image.read(content)
    except FleetError as error:
        clean(str(error)).encode()
    with _file(content) as path:
        for read in (read_lock, read_snapshot):
            try:
                read(path)
            except FleetError as error:
                _safe(str(error))


def hook(content: bytes) -> None:
    """The body of a webhook in any of its forms."""
    for event in ("X-GitHub-Event", "X-Gitlab-Event", "X-Gitea-Event"):
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            headers = {event: "push", "Content-Type": kind}
            assert isinstance(pushed_ref(headers, content), str | None)
            assert verify(headers, content, b"a secret") is None


TARGETS: dict[str, Callable[[bytes], None]] = {
    "manifest": manifest,
    "lines": lines,
    "names": names,
    "selector": selector,
    "plan": plan,
    "state": state,
    "text": text,
    "endpoint": endpoint,
    "reply": reply,
    "head": head,
    "registry": registry,
    "hook": hook,
}

"""Manifests in files and folders: read whole or not at all, however somebody writes them meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from fleet.daemon.source.directory import Directory
from fleet.daemon.source.reading import Told, read
from fleet.daemon.source.source import SourceUnreachable
from fleet.daemon.source.steady import Clock, Steady
from fleet.manifest.faults import ManifestErrors
from fleet.names import HostName
from fleet.settings import Settings
from tests.daemon.source.repositories import BROKEN, HOSTS, ONE, TWO, look, models
from tests.weights import making


class Hands:
    """A clock by which everything in `folder` changed so many seconds ago. Sleeping takes no time but is counted;
    `asleep` is done during each sleep.
    """

    def __init__(self, folder: Path, ago: float, asleep: Callable[[int], object] = lambda _: None) -> None:
        newest = max(path.stat().st_ctime_ns for path in (folder, *folder.rglob("*")))
        self.slept: list[float] = []
        self._asleep = asleep
        self._ahead = newest + int(ago * 1e9) - time.time_ns()

    def clock(self) -> Clock:
        return Clock(lambda: time.time_ns() + self._ahead, lambda: sum(self.slept), self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep(len(self.slept))


def fleet(folder: Path, hands: Hands | None = None, settle: float = 2.0, **more: Any) -> Directory:
    settings = Settings(state_dir=str(folder / "state"), settle=settle, **more)
    return Directory(
        settings, (str(folder / "m"),), (str(folder / "hosts.yaml"),), clock=hands.clock() if hands else None
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m").mkdir()
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    (tmp_path / "m" / "a.yaml").write_text(ONE)
    return tmp_path


def test_what_was_quiet_is_read_at_once(folder: Path) -> None:
    hands = Hands(folder, 60)
    found = look(fleet(folder, hands))
    assert models(found) == ["one:latest"]
    assert (found.revision, hands.slept) == (found.fingerprint, [])
    assert found.sources == (str(folder / "m"), str(folder / "hosts.yaml"))


@pytest.mark.fault("D7")
def test_what_changed_a_moment_ago_is_waited_for(folder: Path) -> None:
    def second_half(sleeps: int) -> None:
        if sleeps == 1:
            (folder / "m" / "a.yaml").write_text(TWO)

    hands = Hands(folder, 0.5, second_half)
    assert models(look(fleet(folder, hands))) == ["one:latest", "two:latest"]
    assert len(hands.slept) >= 2


@pytest.mark.fault("T6")
def test_a_clock_that_was_set_back_silences_nothing(folder: Path) -> None:
    hands = Hands(folder, -3600)
    assert models(look(fleet(folder, hands))) == ["one:latest"]
    assert hands.slept == [2.0]


@pytest.mark.fault("T6")
def test_what_stands_as_at_the_last_look_is_not_waited_for_again(folder: Path) -> None:
    hands = Hands(folder, -3600)
    source = fleet(folder, hands)
    look(source)
    look(source)
    assert hands.slept == [2.0]


def test_what_never_stands_still_is_read_in_the_end(folder: Path) -> None:
    hands = Hands(folder, 0.5, lambda number: (folder / "m" / "a.yaml").write_text(f"{TWO}# {number}\n"))
    assert models(look(fleet(folder, hands))) == ["one:latest", "two:latest"]
    assert sum(hands.slept) == 30.0


@pytest.mark.fault("T6", "D7")
def test_what_changes_while_it_is_read_does_not_count(folder: Path) -> None:
    """Thirty files of one generation, replaced one after the other: every reading is of one generation alone."""
    names = [f"f{number:02}" for number in range(30)]

    def write(generation: int) -> None:
        for name in names:
            part = folder / f"{name}.part"
            part.write_text(f"version: 1\nmodels: {{{name}: {{create: {{from: x, system: 'of {generation}'}}}}}}\n")
            part.replace(folder / "m" / f"{name}.yaml")

    async def generation_of(source: Directory) -> int:
        found = await source.look()
        texts = {
            item.source.system  # type: ignore[union-attr]
            for item in found.desired.hosts[HostName("a")].items
            if item.name.model != "one"
        }
        assert len(texts) == 1, texts
        return int(str(texts.pop()).removeprefix("of "))

    async def run() -> None:
        stop = threading.Event()
        source = Directory(
            Settings(state_dir=str(folder / "state"), settle=0.02), (str(folder / "m"),), (str(folder / "hosts.yaml"),)
        )
        last = 0

        def writer() -> None:
            nonlocal last
            while not stop.is_set():
                last += 1
                write(last)
                stop.wait(0.08)

        thread = threading.Thread(target=writer)
        write(0)
        thread.start()
        try:
            for _ in range(3):
                # On a machine that is slower than the writer it is given up, which is no reading of two generations.
                with suppress(SourceUnreachable):
                    await generation_of(source)
        finally:
            stop.set()
            thread.join()
        assert await generation_of(source) == last

    asyncio.run(run())


@pytest.mark.fault("D7")
def test_files_that_change_again_and_again_are_given_up(folder: Path) -> None:
    """Each reading finds them changed when it is over."""
    text = folder / "m" / "p.txt"
    text.write_text("0")
    (folder / "m" / "a.yaml").write_text("version: 1\nmodels: {one: {create: {from: x, system: {file: p.txt}}}}\n")

    class Changing(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            text.write_text(text.read_text() + "x")
            return default

    settings = Settings(state_dir=str(folder / "state"))
    steady = Steady([str(folder / "m"), str(folder / "hosts.yaml")], 0, Clock(), named=[str(text)])
    told = Told((str(folder / "m"),), (str(folder / "hosts.yaml"),))
    with pytest.raises(SourceUnreachable, match="changed again and again"):
        asyncio.run(steady.read(lambda: read(settings, told, environ=Changing(OLLAMA_HOST=""))))


@pytest.mark.fault("D1")
def test_faults_are_told_all_together_and_a_mended_file_heals(folder: Path) -> None:
    source = fleet(folder, settle=0)
    (folder / "m" / "b.yaml").write_text(BROKEN)
    (folder / "hosts.yaml").write_text("version: 1\nhosts: {a: {}}\n")
    with pytest.raises(ManifestErrors) as caught:
        look(source)
    assert [fault.place.file for fault in caught.value.faults] == [
        str(folder / "hosts.yaml"),
        str(folder / "m" / "b.yaml"),
    ]
    (folder / "hosts.yaml").write_text(HOSTS)
    (folder / "m" / "b.yaml").unlink()
    assert models(look(source)) == ["one:latest"]


def test_a_folder_that_is_gone_or_empty_is_a_fault_not_an_empty_fleet(folder: Path) -> None:
    source = fleet(folder, settle=0)
    (folder / "m" / "a.yaml").unlink()
    with pytest.raises(ManifestErrors, match=r"no `\*\.yaml`"):
        look(source)
    (folder / "m").rmdir()
    with pytest.raises(ManifestErrors, match="No such file"):
        look(source)


def test_local_files_are_hashed(folder: Path) -> None:
    (folder / "m" / "w.gguf").write_bytes(making.model())
    (folder / "m" / "a.yaml").write_text("version: 1\nmodels: {one: {create: {files: w.gguf}}}\n")
    found = look(fleet(folder, settle=0))
    (item,) = found.desired.hosts[HostName("a")].items
    assert item.source.files[0].digest is not None  # type: ignore[union-attr]
    assert str(folder / "m" / "w.gguf") in found.files


def test_only_this_machine_is_asked_for_where_it_is_named(folder: Path) -> None:
    (folder / "hosts.yaml").write_text("version: 1\nhosts: {a: a.lan, b: b.lan}\n")
    assert list(look(fleet(folder, settle=0, self_name="b")).desired.hosts) == [HostName("b")]


def noticed(
    folder: Path, change: Callable[[int], object], paths: tuple[str, ...] | None = None, within: float = 10.0
) -> str | None:
    """What `changes` gives after a change, which is made again until it is noticed; nothing where it never is."""

    async def run() -> str | None:
        settings = Settings(state_dir=str(folder / "state"), settle=0.05)
        source = Directory(settings, paths or (str(folder / "m"),), (str(folder / "hosts.yaml"),))
        await source.look()
        async with aclosing(source.changes()) as changes:
            coming = asyncio.ensure_future(anext(changes))
            waited, number = 0.0, 0
            while not coming.done() and waited < within:
                change(number)
                number += 1
                await asyncio.wait([coming], timeout=0.4)
                waited += 0.4
            if coming.done():
                return coming.result()
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            return None

    return asyncio.run(run())


def test_a_change_of_a_manifest_is_noticed(folder: Path) -> None:
    assert noticed(folder, lambda number: (folder / "m" / "a.yaml").write_text(f"{TWO}# {number}\n")) == "files"


def test_a_change_of_a_single_file_by_renaming_is_noticed(folder: Path) -> None:
    def replaced(number: int) -> None:
        (folder / ".new").write_text(f"{HOSTS}# {number}\n")
        (folder / ".new").replace(folder / "hosts.yaml")

    assert noticed(folder, replaced) == "files"


@pytest.mark.fault("D14")
def test_what_is_nobodys_manifest_is_not_noticed(folder: Path) -> None:
    (folder / "m" / ".git").mkdir()

    def noise(number: int) -> None:
        for name in (".a.yaml.swp", ".hidden.yaml", "a.yaml~", "README.md", ".git/index", "#a.yaml#"):
            (folder / "m" / name).write_text(str(number))
        (folder / "other.yaml").write_text(str(number))

    assert noticed(folder, noise, within=1.2) is None


def test_a_folder_that_replaced_another_one_is_watched_like_the_first(folder: Path) -> None:
    async def run() -> None:
        source = Directory(
            Settings(state_dir=str(folder / "state"), settle=0.05), (str(folder / "m"),), (str(folder / "hosts.yaml"),)
        )
        await source.look()
        async with aclosing(source.changes()) as changes:
            # What is left of the first change may still tell of the second one, but not of the third.
            for number, change in enumerate((_replace, _rewrite, _rewrite)):
                coming = asyncio.ensure_future(anext(changes))
                while not coming.done():
                    change(folder, number)
                    await asyncio.wait([coming], timeout=0.4 if change is _rewrite else 2.0)
                await source.look()

    asyncio.run(asyncio.wait_for(run(), 15))


def _replace(folder: Path, number: int) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "a.yaml").write_text(f"{TWO}# {number}\n")
    (folder / "m").rename(folder / f"old-{time.monotonic_ns()}")
    (folder / "new").rename(folder / "m")


def _rewrite(folder: Path, _: int) -> None:
    (folder / "m" / "a.yaml").write_text(f"{ONE}# {time.monotonic_ns()}\n")


def test_the_swap_of_a_mounted_volume_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes does it: `..data` leads to a dated folder, and is renamed over."""
    mount = tmp_path / "m"

    def swap(number: int) -> None:
        (mount / f"..{number}").mkdir(parents=True)
        (mount / f"..{number}" / "a.yaml").write_text(f"{ONE}# {number}\n")
        (mount / "..data_tmp").symlink_to(f"..{number}")
        (mount / "..data_tmp").replace(mount / "..data")

    (tmp_path / "hosts.yaml").write_text(HOSTS)
    swap(100)
    (mount / "a.yaml").symlink_to("..data/a.yaml")
    assert noticed(tmp_path, swap) == "files"


@pytest.mark.fault("D14")
def test_a_storm_of_changes_is_few_words(folder: Path) -> None:
    async def run() -> int:
        settings = Settings(state_dir=str(folder / "state"), settle=0.1)
        source = Directory(settings, (str(folder / "m"),), (str(folder / "hosts.yaml"),))
        await source.look()
        came = 0

        async def count() -> None:
            nonlocal came
            async with aclosing(source.changes()) as changes:
                async for _ in changes:
                    came += 1

        counting = asyncio.ensure_future(count())
        until = asyncio.get_running_loop().time() + 1.2
        number = 0
        while asyncio.get_running_loop().time() < until:
            for _ in range(50):
                number += 1
                (folder / "m" / "a.yaml").write_text(f"{ONE}# {number}\n")
            await asyncio.sleep(0.01)
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        return came

    assert asyncio.run(run()) <= 2


@pytest.mark.fault("D14")
def test_watching_that_is_not_possible_is_said_once_it_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import watchfiles

    def none_left(*_: object, **__: object) -> Coroutine[Any, Any, None]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watchfiles, "awatch", none_left)

    async def run() -> tuple[str, ...]:
        source = Directory(
            Settings(state_dir=str(folder / "state"), settle=0), (str(folder / "m"),), (str(folder / "hosts.yaml"),)
        )
        async with aclosing(source.changes()) as changes:
            coming = asyncio.ensure_future(anext(changes))
            await asyncio.wait([coming], timeout=0.1)
            assert not coming.done()
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            return (await source.look()).notes

    assert asyncio.run(run()) == (
        "Changes of files are not noticed at once, only by the next pass: No space left on device.",
    )

"""SHA-256 of files: each version of a file once, as many files at a time as there are cores."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Protocol

from fleet.names import Digest
from fleet.weights.faults import ChangedWeights, InvalidFiles, InvalidWeights
from fleet.weights.local import LocalFile, Stamp
from fleet.weights.reading import ahead, in_turn
from fleet.weights.unchanged import ensure_unchanged, unchanged

BLOCK = 256 << 10
"""What fits into a core's own cache: less costs calls, more costs misses."""
AHEAD_BLOCK = 1 << 20
"""Where a thread reads ahead: less costs more in handing blocks over than in misses."""
_LARGE = 64 << 20
SETTLED = 2_000_000_000
"""Nanoseconds. A file that was written to more recently could be written to again without its times showing it."""

_TOLD_EVERY = 16 << 20


class DigestCache(Protocol):
    """Remembers the digest of each version of a file. Called from the event loop's thread only."""

    def get(self, stamp: Stamp) -> Digest | None: ...

    def put(self, stamp: Stamp, digest: Digest) -> None: ...


class Stopped(Exception):
    """Hashing was given up, because nobody waits for it any more."""


Progress = Callable[[LocalFile, int], None]
"""Is told of bytes of a file that were hashed since it was told last, or were known already."""


def settled(stamp: Stamp, now: int) -> bool:
    """Whether a digest may be remembered for, or taken from, this stamp at `now` (nanoseconds; `reliability.md` U14)."""
    return now - max(stamp.mtime_ns, stamp.ctime_ns) >= SETTLED


def digest_of(
    file: LocalFile, *, told: Callable[[int], None] | None = None, stop: Event | None = None, spare: bool = False
) -> Digest:
    """Reads the whole file. `told` is called with bytes hashed since the last call, in this thread. `spare`: a core has
    nothing else to do, and may read ahead.

    Raises `ChangedWeights` where it is not what was looked into, or another one at the end; `InvalidWeights` where it
    cannot be read; `Stopped` soon after `stop` is set.
    """
    hashed = hashlib.sha256()
    done = untold = 0
    with unchanged(file) as descriptor, closing(_blocks(file, descriptor, spare=spare)) as blocks:
        for block in blocks:
            hashed.update(block)
            done += len(block)
            untold += len(block)
            if told is not None and (untold >= _TOLD_EVERY or done >= file.stamp.size):
                told(untold)
                untold = 0
            if done > file.stamp.size:
                break
            if stop is not None and stop.is_set():
                raise Stopped
        ensure_unchanged(file, descriptor)
    if done != file.stamp.size:
        raise ChangedWeights
    return Digest(hashed.hexdigest())


def _blocks(file: LocalFile, descriptor: int, *, spare: bool) -> Generator[memoryview, None, None]:
    return ahead(descriptor, AHEAD_BLOCK) if spare and file.stamp.size >= _LARGE else in_turn(descriptor, BLOCK)


async def hash_files(
    files: Iterable[LocalFile],
    cache: DigestCache | None,
    *,
    rehash: bool = False,
    progress: Progress | None = None,
    now: Callable[[], int] = time.time_ns,
) -> Mapping[str, Digest]:
    """The digest of each file, by its path; equal files, under however many paths, are read once.

    `rehash` reads even what the cache knows. Raises `InvalidFiles` with all that is wrong: files that cannot be read,
    that changed since they were looked into, or that are not what the manifest says. Cancelling it stops the reading.
    """
    by_stamp: dict[Stamp, list[LocalFile]] = {}
    for file in files:
        by_stamp.setdefault(file.stamp, []).append(file)
    known: dict[Stamp, Digest | InvalidWeights] = {}
    if cache is not None and not rehash:
        for stamp, same in by_stamp.items():
            digest = cache.get(stamp) if settled(stamp, now()) else None
            if digest is not None:
                known[stamp] = digest
                if progress is not None:
                    progress(same[0], stamp.size)
    began = now()
    wanted = [same[0] for stamp, same in by_stamp.items() if stamp not in known]
    for file, result in zip(wanted, await _in_threads(wanted, progress), strict=True):
        known[file.stamp] = result
        if cache is not None and isinstance(result, Digest) and settled(file.stamp, began):
            cache.put(file.stamp, result)
    judged = [(file, _judged(file, known[stamp])) for stamp, same in by_stamp.items() for file in same]
    faults = [(file, result) for file, result in judged if isinstance(result, InvalidWeights)]
    if faults:
        raise InvalidFiles(faults)
    return {file.path: result for file, result in judged if isinstance(result, Digest)}


async def _in_threads(files: list[LocalFile], progress: Progress | None) -> list[Digest | InvalidWeights]:
    """Digests or faults, in the order of `files`."""
    if not files:
        return []
    loop, stop = asyncio.get_running_loop(), Event()

    def told(file: LocalFile, size: int) -> None:
        if progress is not None and not stop.is_set():
            loop.call_soon_threadsafe(progress, file, size)

    def work(file: LocalFile) -> Digest | InvalidWeights:
        try:
            return digest_of(file, told=lambda size: told(file, size), stop=stop, spare=spare)
        except InvalidWeights as fault:
            return fault
        except Stopped:
            return InvalidWeights("not hashed: it was given up")  # nobody sees this

    spare = 2 * len(files) <= _cores()
    pool = ThreadPoolExecutor(min(len(files), _cores()), thread_name_prefix="hash")
    try:
        return await asyncio.gather(*(loop.run_in_executor(pool, work, file) for file in files))
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _judged(file: LocalFile, result: Digest | InvalidWeights) -> Digest | InvalidWeights:
    if isinstance(result, Digest) and file.sha256 is not None and result != file.sha256:
        return InvalidWeights(
            f"not what the manifest says: its SHA-256 is `{result}`, declared is `{file.sha256}`",
            hint="fetch the right file, or declare the digest of this one",
        )
    return result

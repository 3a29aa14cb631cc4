"""The command `fleet` with its modules loaded once: each run is a fork of that process, which takes a tenth of a start.

What a fork leaves untested is the start itself. `COMMAND=installed` has every test start the installed command, as CI does
once; tests of starts always do.
"""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_LOADED = (
    "anyio._backends._asyncio",
    "httpcore2",
    "fleet.cli.apply",
    "fleet.cli.command",
    "fleet.cli.applying",
    "fleet.cli.configuration",
    "fleet.cli.hashing",
    "fleet.cli.daemon",
    "fleet.cli.suspended",
    "fleet.cli.work",
    "fleet.cli.show_result",
    "fleet.daemon.service",
    "fleet.manifest.desired",
    "fleet.manifest.load",
    "fleet.manifest.local",
    "fleet.reconcile.accepted",
    "fleet.reconcile.run",
    "fleet.reconcile.registries",
    "fleet.render.board",
    "fleet.render.document",
    "fleet.render.plain",
    "fleet.render.status",
    "fleet.render.markdown",
    "fleet.state.database",
)
"""What most verbs load when they run."""


class Preloaded:
    """One process that forks, any number of runs beside each other; to be closed."""

    def __init__(self, module: str = "tests.preloaded") -> None:
        """`module` is run as a program that ends in `serve`."""
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", module, str(theirs.fileno())]
        # Nothing of the surrounding leaks in: each run brings its own environment.
        surrounding = {"PATH": os.environ.get("PATH", "")}
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=surrounding, cwd=root, stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._turn = threading.Lock()

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdin: bytes,
        timeout: float,
        begun: Callable[[int], None] = lambda _: None,
    ) -> tuple[int, bytes, bytes]:
        """Exit code, stdout and stderr; `begun` is given the process's id. Raises `TimeoutExpired`; the run is killed then."""
        # Files, since nobody has to read them meanwhile.
        with (
            os.fdopen(os.memfd_create("in"), "w+b") as given,
            os.fdopen(os.memfd_create("out"), "w+b") as out,
            os.fdopen(os.memfd_create("err"), "w+b") as err,
        ):
            given.write(stdin)
            given.flush()
            given.seek(0)
            with self.forked(arguments, folder, environment, (given.fileno(), out.fileno(), err.fileno())) as run:
                begun(run.pid)
                code = run.wait(timeout)
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()

    def start(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Forked:
        """Begins a run with pipes to read."""
        (out, told_out), (err, told_err) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        run = self.forked(arguments, folder, environment, (nothing, told_out, told_err))
        for each in (nothing, told_out, told_err):
            os.close(each)
        run.stdout, run.stderr = (open(each, encoding="utf-8") for each in (out, err))  # noqa: SIM115  # closed by its block
        return run

    def forked(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], files: tuple[int, int, int]
    ) -> Forked:
        """Begins a run with these files as stdin, stdout and stderr."""
        asked = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
        told, telling = os.pipe()
        passed = array.array("i", [*files, telling])
        with self._turn:
            self._ours.sendmsg([len(asked).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
            for start in range(0, len(asked), _PART):
                self._ours.send(asked[start : start + _PART])
        os.close(telling)
        return Forked(told)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


class Forked:
    """A run that began, used like a `Popen` of text. The end of its block ends it, by its own process id."""

    def __init__(self, told: int) -> None:
        """`told` gives the process's id and, at its end, its exit code, a line each."""
        self._told = open(told, "rb", buffering=0)  # noqa: SIM115  # for all its life
        self.pid = int(self._told.readline())
        self.returncode: Any = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.poll() is None:
            self.kill()
            self.wait()
        self._close()

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises `TimeoutExpired`."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("fleet", timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of both streams, which are closed then, after its end. Raises `TimeoutExpired`."""
        read = ["", ""]

        def reads(number: int, stream: IO[str] | None) -> None:
            read[number] = "" if stream is None or stream.closed else stream.read()

        readers = [
            threading.Thread(target=reads, args=each, daemon=True) for each in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        self._close()
        return read[0], read[1]

    def send_signal(self, number: int) -> None:
        # Its parent takes note of its end at once, so an id may be gone, and is hardly anybody else's so soon.
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _close(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def _ended(self, timeout: float | None) -> int | Any:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            with self._told:
                self.returncode = int(self._told.readline())
        return self.returncode


_PART = 32768


def serve(asked: socket.socket, prepare: Callable[[dict[str, str]], None] = lambda _: None) -> None:
    """Forks for each request until the other end closes. In the fork `prepare` is given the environment beforehand."""
    running: dict[int, tuple[int, int]] = {}
    """By the descriptor that tells of its end: its id, and where to tell of it."""
    awaited = select.poll()
    awaited.register(asked, select.POLLIN)
    while True:
        for ready, _ in awaited.poll():
            if ready in running:
                awaited.unregister(ready)
                _tells(ready, *running.pop(ready))
                continue
            length, ancillary, _, _ = asked.recvmsg(8, socket.CMSG_SPACE(4 * 4))
            if not length:
                for child, _ in running.values():
                    os.kill(child, signal.SIGKILL)
                return
            *files, telling = array.array("i", ancillary[0][2])
            told = b""
            while len(told) < int.from_bytes(length, "big"):
                told += asked.recv(_PART)
            arguments, folder, environment = json.loads(told)
            child = os.fork()
            if child == 0:
                asked.close()
                for each in (telling, *(each for pair in running.items() for each in (pair[0], pair[1][1]))):
                    os.close(each)
                prepare(environment)
                _run(arguments, folder, environment, files)
            for each in files:
                os.close(each)
            os.write(telling, b"%d\n" % child)
            end = os.pidfd_open(child)
            awaited.register(end, select.POLLIN)
            running[end] = (child, telling)


def _tells(end: int, child: int, telling: int) -> None:
    """The exit code, to who began it, unless nobody is there any more."""
    _, status = os.waitpid(child, 0)
    os.close(end)
    with suppress(BrokenPipeError):
        os.write(telling, b"%d\n" % os.waitstatus_to_exitcode(status))
    os.close(telling)


def _run(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> None:
    """As the installed command is run: its exit code is this process'."""
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["fleet", *arguments]
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115  # for all its life
            if name == "stderr":
                stream.reconfigure(errors="backslashreplace", line_buffering=True)
            setattr(sys, name, stream)
        from fleet.cli.main import main

        code = main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def main(prepare: Callable[[dict[str, str]], None] = lambda _: None) -> None:
    """Loads everything, then serves the socket that the command line names."""
    for module in _LOADED:
        import_module(module)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as end:
        serve(end, prepare)


if __name__ == "__main__":
    main()

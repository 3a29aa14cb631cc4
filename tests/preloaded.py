"""The command `fleet` with its modules loaded once: each run is a fork of that process, which takes a tenth of a start.

What a fork leaves untested is the start itself. `COMMAND=installed` has every test start the installed command, as CI does
once; tests of starts, signals and terminals always do.
"""

from __future__ import annotations

import array
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

_WAITED = 4096
_LOADED = (
    "anyio._backends._asyncio",
    "httpcore2",
    "fleet.cli.apply",
    "fleet.cli.command",
    "fleet.cli.applying",
    "fleet.cli.configuration",
    "fleet.cli.hashing",
    "fleet.cli.suspended",
    "fleet.cli.work",
    "fleet.cli.show_result",
    "fleet.manifest.desired",
    "fleet.manifest.load",
    "fleet.manifest.local",
    "fleet.reconcile.accepted",
    "fleet.reconcile.run",
    "fleet.reconcile.registries",
    "fleet.render.document",
    "fleet.render.plain",
    "fleet.render.status",
    "fleet.render.markdown",
    "fleet.state.database",
)
"""What most verbs load when they run."""


class Preloaded:
    """One process that forks; to be used by one thread at a time, and closed."""

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
        """Exit code, stdout and stderr; `begun` is given the process's id. Raises `TimeoutError`; the run is killed then."""
        asked = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
        # Files, since nobody has to read them meanwhile.
        with (
            os.fdopen(os.memfd_create("in"), "w+b") as given,
            os.fdopen(os.memfd_create("out"), "w+b") as out,
            os.fdopen(os.memfd_create("err"), "w+b") as err,
            self._turn,
        ):
            given.write(stdin)
            given.flush()
            given.seek(0)
            files = array.array("i", [given.fileno(), out.fileno(), err.fileno()])
            length = len(asked).to_bytes(8, "big")
            self._ours.sendmsg([length], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            for start in range(0, len(asked), _PART):
                self._ours.send(asked[start : start + _PART])
            pid = int(self._ours.recv(_WAITED))
            begun(pid)
            self._ours.settimeout(timeout)
            try:
                code = int(self._ours.recv(_WAITED))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._ours.settimeout(None)
                self._ours.recv(_WAITED)
                raise
            finally:
                self._ours.settimeout(None)
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


_PART = 32768


def serve(asked: socket.socket, prepare: Callable[[dict[str, str]], None] = lambda _: None) -> None:
    """Forks for each request until the other end closes. In the fork `prepare` is given the environment beforehand."""
    while True:
        length, ancillary, _, _ = asked.recvmsg(8, socket.CMSG_SPACE(3 * 4))
        if not length:
            return
        files = array.array("i", ancillary[0][2])
        told = b""
        while len(told) < int.from_bytes(length, "big"):
            told += asked.recv(_PART)
        arguments, folder, environment = json.loads(told)
        child = os.fork()
        if child == 0:
            asked.close()
            prepare(environment)
            _run(arguments, folder, environment, list(files))
        for each in files:
            os.close(each)
        asked.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        asked.send(str(os.waitstatus_to_exitcode(status)).encode())


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
        for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
            mode = "r" if number == 0 else "w"
            setattr(sys, stream.name.strip("<>"), open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for all its life
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

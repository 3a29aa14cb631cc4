"""The installed command `fleet`, run as its users run it, with nothing of the surrounding leaking in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.preloaded import Forked, Preloaded

COMMAND = Path(sys.executable).with_name("fleet")
_KEPT = ("PATH", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Coverage measures subprocesses by its variables."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Running(subprocess.Popen[str]):
    """A command that runs beside the test. The end of its block ends it, by its own process id, whatever happened."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(kind, value, trace)


Started = Running | Forked
"""A command that is at work."""


class FleetCommand:
    """Works in `folder`, which is home, state and configuration too."""

    def __init__(self, folder: Path, preloaded: Preloaded | None = None) -> None:
        """With `preloaded` runs are forks of it."""
        self.folder = folder
        self._preloaded = preloaded

    def __call__(
        self,
        *arguments: str,
        manifest: str | None = None,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Ran:
        """Runs to the end. `manifest` is written to the file that is read by default."""
        if manifest is not None:
            self.write("ollama-fleet.yaml", manifest)
        if self._preloaded is not None:
            code, stdout, stderr = self._preloaded.run(
                arguments, self.folder, self.environment(environment), stdin.encode(), timeout
            )
            return Ran(code, stdout.decode(), stderr.decode())
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(environment),
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, command: Sequence[str | Path] = (COMMAND,)
    ) -> Started:
        """Begins a command that is to be talked to, interrupted or read while it runs; a block of it ends it."""
        if self._preloaded is not None and command[0] == COMMAND:
            told = [*map(str, command[1:]), *arguments]
            return self._preloaded.start(told, self.folder, self.environment(environment))
        return Running(
            [*command, *arguments],
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(
        self, *arguments: str, prompt: str = "", answer: str = "", environment: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Runs on a terminal of its own, which is stdin, stdout and stderr at once; gives exit code and all it showed.

        `answer` is typed as soon as `prompt` is shown.
        """
        ours, theirs = os.openpty()
        with self._on(theirs, arguments, self.environment({"TERM": "xterm", **(environment or {})})) as process:
            os.close(theirs)
            shown = b""
            try:
                while chunk := _read(ours):
                    shown += chunk
                    if prompt and prompt.encode() in shown:
                        os.write(ours, f"{answer}\n".encode())
                        prompt = ""
                return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")
            finally:
                os.close(ours)

    def _on(self, file: int, arguments: Sequence[str], environment: Mapping[str, str]) -> Started:
        """Begins a command with one file for all three streams."""
        if self._preloaded is not None:
            return self._preloaded.forked(arguments, self.folder, environment, (file, file, file))
        return Running(
            [COMMAND, *arguments], cwd=self.folder, env=environment, stdin=file, stdout=file, stderr=file, text=True
        )

    def installed(self) -> FleetCommand:
        """The same with a real start for each run, where what the system knows of the process counts."""
        return FleetCommand(self.folder)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Fixed width, no colour, no variable of the surrounding but the path."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        home = str(self.folder)
        return {
            **kept,
            "HOME": home,
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_CONFIG_HOME": f"{home}/config",
            # A test that wants the registry asked has the simulator's inventory, where that is on loopback.
            "OLLAMA_FLEET_ASK_REGISTRIES": "false",
            "COLUMNS": "100",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            **(more or {}),
        }


def _read(terminal: int) -> bytes:
    """What came; nothing once the other end is closed, which Linux calls an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""

"""A real daemon that lives for as long as it is let, killed and begun again, with its log in a file."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.daemon_process import ByUnix
from tests.fleet_command import COMMAND

_WITHIN = 30.0


class Daemon:
    """One after the other with the same record. `environment` is all that it is given."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._arguments = arguments
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.log = Path("build/soak.log").absolute()
        self.log.parent.mkdir(exist_ok=True)
        self.log.unlink(missing_ok=True)
        self.begun = 0.0

    def begin(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [COMMAND, "daemon", *self._arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.begun = time.monotonic()
        end = self.begun + _WITHIN
        while self.status() is None:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the daemon did not begin: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=_WITHIN)

    def died(self) -> int | None:
        """The exit code of one that ended by itself; another one is begun then."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            self.begin()
        return code

    def status(self) -> dict[str, Any] | None:
        """Nothing while none answers."""
        return self._ask("GET", "/api/status")

    def reconcile(self) -> None:
        self._ask("POST", "/api/reconcile", {})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        for socket in (self._folder / "s").glob("*.sock"):
            connection = ByUnix(socket)
            try:
                headers = {} if body is None else {"Content-Type": "application/json"}
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                found: dict[str, Any] = json.loads(connection.getresponse().read())
            except OSError:
                continue
            else:
                return found
            finally:
                connection.close()
        return None

    def memory(self) -> float:
        """MiB resident."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def descriptors(self) -> int:
        assert self._process is not None
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def threads(self) -> int:
        assert self._process is not None
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/task").iterdir())

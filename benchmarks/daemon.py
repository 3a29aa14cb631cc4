"""The daemon as its users run it: 1,000 idle hosts of 40 models, looked at every 60 s, and asked for its page meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from statistics import quantiles

from figures import Figure
from replies import NAMES
from sides import canned_hosts

FLEET = str(Path(sys.executable).with_name("fleet"))
HOSTS = 1000
INTERVAL = 60
MINUTES = 2
"""For how long an idle daemon is looked at."""
VIRTUAL = 60
"""Passes of an hour, one after the other."""
ASKED = 100
"""How often each page is asked for."""


class Daemon:
    """A real one, with what it logs."""

    def __init__(self, folder: Path, ports: list[int], interval: str) -> None:
        inventory, manifest = folder / "hosts.yaml", folder / "models.yaml"
        hosts = {f"host-{number:04}": f"http://127.0.0.1:{port}" for number, port in enumerate(ports)}
        inventory.write_text(json.dumps({"version": 1, "hosts": hosts}))
        manifest.write_text(json.dumps({"version": 1, "models": dict.fromkeys(NAMES)}))
        # They lie there for a while when a daemon starts; fresh ones would be waited for until they are quiet.
        time.sleep(2.5)
        self.state = folder / "s"
        environment = {
            **os.environ,
            "OLLAMA_FLEET_STATE_DIR": str(self.state),
            "OLLAMA_FLEET_ASK_REGISTRIES": "false",
            "OLLAMA_FLEET_JITTER": "0%",
        }
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [
                FLEET,
                "daemon",
                "-i",
                str(inventory),
                "-f",
                str(manifest),
                "--interval",
                interval,
                "--listen",
                "127.0.0.1:0",
            ],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._passes: SimpleQueue[float] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if json.loads(line)["event"] == "pass.finished":
                self._passes.put(time.perf_counter())

    def next_pass(self) -> float:
        """When it ended."""
        return self._passes.get(timeout=300)

    def cpu(self) -> float:
        """Seconds so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, which: str = "VmRSS") -> float:
        """MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(which)).split()[1]) / 1024

    def ask(self, path: str) -> float:
        """Seconds until the last byte of the answer."""
        connection = UnixConnection(next(self.state.glob("*.sock")))
        began = time.perf_counter()
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200, (path, reply.status)
        taken = time.perf_counter() - began
        connection.close()
        return taken

    def lag(self) -> float:
        """The p99 of the last minute, in seconds, as its own metrics have it."""
        connection = UnixConnection(next(self.state.glob("*.sock")))
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        (line,) = (line for line in text.splitlines() if line.startswith("ollama_fleet_event_loop_lag_tail_seconds"))
        return float(line.split()[-1])

    def end(self) -> float:
        """Seconds from SIGTERM to the end."""
        began = time.perf_counter()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)
        return time.perf_counter() - began

    def kill(self) -> None:
        """Whatever it does."""
        self._process.kill()
        self._process.wait()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


@contextmanager
def daemon(ports: list[int], interval: str) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="fleet") as folder:
        running = Daemon(Path(folder), ports, interval)
        try:
            yield running
        finally:
            running.kill()


def p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]


def daemons() -> Iterator[Figure]:
    with canned_hosts(HOSTS) as ports:
        with daemon(ports, f"{INTERVAL}s") as idle:
            first = idle.next_pass()
            yield Figure(
                "the daemon from its start to the end of its first pass, 1,000 hosts", first - idle.began, 10, "s", ""
            )
            idle.next_pass()
            began, cpu = time.perf_counter(), idle.cpu()
            for _ in range(MINUTES):
                idle.next_pass()
            share = 100 * (idle.cpu() - cpu) / (time.perf_counter() - began)
            yield Figure(
                f"the idle daemon, 1,000 hosts of 40 models every {INTERVAL} s, CPU", share, 10, "% of a core", ""
            )
            yield Figure("how late timers of its loop are, p99 of a minute", 1000 * idle.lag(), 50, "ms", "")
            for path, about in (("/", "its page"), ("/api/status", "its /api/status"), ("/metrics", "its /metrics")):
                asked = [idle.ask(path) for _ in range(ASKED)]
                yield Figure(f"{about}, p99 of {ASKED}", 1000 * p99(asked), 100, "ms", "")
            yield Figure("its highest memory", idle.memory("VmHWM"), 200, "MiB", "")
            yield Figure("SIGTERM to its end, idle", idle.end(), 1, "s", "")
        with daemon(ports, "50ms") as hurried:
            for _ in range(VIRTUAL // 6):
                hurried.next_pass()
            before = hurried.memory()
            for _ in range(VIRTUAL):
                hurried.next_pass()
            yield Figure(
                f"growth of its memory over {VIRTUAL} passes, an hour's", hurried.memory() - before, 8, "MiB", ""
            )

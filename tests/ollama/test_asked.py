"""Secrets that a command of the settings tells, and what keeps it from being misused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import HostUnreachable
from fleet.ollama import asked
from fleet.ollama.credentials import Credentials
from fleet.settings import Settings, resolve
from tests.ollama.sockets import Request, Script, reply, serving

SECRET = "t0k3n-of-the-vault"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def command(folder: Path, script: str) -> str:
    """A program that writes down how it was called and then does what `script` says."""
    program = folder / "a vault"
    log = 'for word; do echo "$word" >> "$0.calls"; done; env >> "$0.env"; '
    program.write_text(f"#!/bin/sh\n{log}{script}\n")
    program.chmod(0o700)
    return f"'{program}' --quiet"


def calls(folder: Path) -> list[str]:
    return (folder / "a vault.calls").read_text().splitlines()


def told(line: str, name: str, clock: Clock | None = None, within: float = asked.WITHIN) -> bytes:
    asyncio.run(asked.ask(line, name, within=within, clock=clock or Clock()))
    secret = asked.known(line, name)
    assert secret is not None
    return secret.reveal().strip()


def refused(line: str, name: str, within: float = asked.WITHIN) -> HostUnreachable:
    with pytest.raises(HostUnreachable) as failed:
        told(line, name, within=within)
    assert failed.value.code is Code.CREDENTIALS_UNREADABLE
    return failed.value


def test_it_is_called_without_a_shell_and_with_little_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "of-another-host")
    assert told(command(tmp_path, f"echo {SECRET}"), "GPU_A; touch x") == SECRET.encode()
    assert calls(tmp_path) == ["--quiet", "GPU_A; touch x"]
    assert "of-another-host" not in (tmp_path / "a vault.env").read_text()


def test_what_it_told_is_kept_for_a_while_and_for_each_name(tmp_path: Path) -> None:
    clock = Clock()
    line = command(tmp_path, f"echo {SECRET}-$2")
    assert told(line, "GPU_A", clock) == told(line, "GPU_A", clock) == f"{SECRET}-GPU_A".encode()
    told(line, "GPU_B", clock)
    assert len(calls(tmp_path)) == 4
    clock.now += asked.KEPT
    told(line, "GPU_A", clock)
    assert len(calls(tmp_path)) == 6


def test_a_refused_secret_is_asked_for_again_but_not_for_each_host(tmp_path: Path) -> None:
    clock = Clock()
    line = command(tmp_path, f"echo {SECRET}")
    told(line, "GPU_A", clock)
    asked.refused(line, "GPU_A", clock=clock)
    told(line, "GPU_A", clock)
    assert len(calls(tmp_path)) == 2
    clock.now += asked.AGAIN
    asked.refused(line, "GPU_A", clock=clock)
    told(line, "GPU_A", clock)
    assert len(calls(tmp_path)) == 4


def test_while_it_fails_the_last_secret_stays_in_use(tmp_path: Path) -> None:
    clock = Clock()
    line = command(tmp_path, f"echo {SECRET}")
    told(line, "GPU_A", clock)
    command(tmp_path, "exit 1")
    clock.now += asked.KEPT
    assert told(line, "GPU_A", clock) == SECRET.encode()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "it ended with code 3"),
        (f"echo {SECRET} >&2", "it wrote nothing"),
        (f"yes {SECRET}", "it wrote more than 64KiB"),
    ],
)
def test_what_it_writes_is_not_shown_when_it_fails(tmp_path: Path, script: str, why: str) -> None:
    error = refused(command(tmp_path, script), "GPU_A")
    assert why in str(error)
    assert "GPU_A" in str(error.hint)
    assert SECRET not in f"{error!r} {error.hint} {error.__cause__!r}"


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "cannot be run" in str(refused(str(tmp_path / "nothing"), "GPU_A"))


def test_one_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    error = refused(command(tmp_path, 'sleep 600 & echo $! > "$0.pid"; wait'), "GPU_A", within=0.2)
    assert "took longer than 200ms" in str(error)
    pid = int((tmp_path / "a vault.pid").read_text())
    # Ended, or left as a zombie where nobody waits for it.
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_host_gets_it_and_a_variable_that_is_set_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = command(tmp_path, f"echo {SECRET}")

    async def version() -> list[str]:
        async with serving(taking(f"Bearer {SECRET}")) as served:
            credentials = Credentials("bearer", environment="GPU_A", command=line)
            async with served.client(credentials=credentials) as client:
                await client.version()
            return [request.headers["authorization"] for request in served.asked]

    assert asyncio.run(version()) == [f"Bearer {SECRET}"]
    monkeypatch.setenv("GPU_A", SECRET)
    (tmp_path / "a vault").unlink()
    assert asyncio.run(version()) == [f"Bearer {SECRET}"]


def taking(wanted: str) -> Script:
    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        proven = request.headers.get("authorization") == wanted
        writer.write(reply({"version": "0.32.15"}) if proven else reply("", status=401))
        await writer.drain()
        return True

    return script


@pytest.mark.parametrize("line", ["vault read", "", "'/bin/vault", "/bin/vault \x1b[m"])
def test_what_is_no_command(line: str) -> None:
    with pytest.raises(Exception, match="credential_command"):
        resolve(environment={"HOME": "/home/me", "OLLAMA_FLEET_CREDENTIAL_COMMAND": line})


def test_there_is_none_by_default() -> None:
    assert Settings().credential_command is None

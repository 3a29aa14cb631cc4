"""What fleet sends, and to whom: only what it has to, only to hosts of the inventory, and never without an end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from tests.fleet_command import FleetCommand
from tests.private_file import private
from tests.security.hostile import empty_until_changed, moved, nothing, origin

HEADERS = {"host", "user-agent", "accept", "accept-encoding", "content-type", "content-length", "connection"}
MODELS = "version: 1\nmodels: {qwen3:8b: , acme/made: {create: {from: 'qwen3:8b', system: x}}}\n"
HASTY = {"OLLAMA_FLEET_RETRY_TRIES": "1", "OLLAMA_FLEET_RETRY_WAIT": "1ms", "OLLAMA_FLEET_PULL_TRIES": "1"}


@pytest.mark.invariant("E22")
def test_only_known_headers_are_sent_and_only_to_hosts_of_the_inventory(run_fleet: FleetCommand) -> None:
    private(run_fleet.folder / "token", "a-token-of-its-own")
    with origin(nothing) as elsewhere, origin(moved(elsewhere.url)) as leads, origin(empty_until_changed) as host:
        plain = host.answer
        host.answer = lambda heard: replace(plain(heard), headers={"Set-Cookie": "id=1", "Link": "</x>"})
        run_fleet.write(
            "hosts.yaml",
            f"version: 1\nhosts:\n  a: {{url: '{host.url}/prefix', auth: {{bearer_file: token}}}}\n"
            f"  b: {{url: '{host.url}', auth: {{header: {{name: X-Api-Key, value_file: token}}}}}}\n  c: '{leads.url}'\n",
        )
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), elsewhere.url)
        ran = run_fleet("apply", "--yes", "-i", "hosts.yaml", manifest=MODELS, environment={**HASTY, **proxies})
        assert ran.code in {3, 7}, ran.stderr
        assert elsewhere.heard == []
        assert len(leads.heard) > 0
        for heard in (*host.heard, *leads.heard):
            names = [name.lower() for name, _ in heard.headers]
            assert set(names) <= {*HEADERS, "authorization", "x-api-key"}
            assert len(names) == len(set(names))
            assert ("authorization" in names) == heard.target.startswith("/prefix/")
            assert heard.target.removeprefix("/prefix").startswith("/api/")
            assert {name.lower(): value for name, value in heard.headers}["accept-encoding"] == "identity"


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """A host that says something, and goes on for ever, a drop at a time."""
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(first)
            while not stop.wait(0.02):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=(server.accept()[0],)).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            stop.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.invariant("E22")
@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
)
def test_whatever_drips_has_an_end(first: bytes, drop: bytes, run_fleet: FleetCommand) -> None:
    with dripping(first, drop) as url:
        began = time.monotonic()
        environment = {**HASTY, "OLLAMA_HOST": url, "OLLAMA_FLEET_ANSWER_DEADLINE": "200ms"}
        ran = run_fleet("status", manifest=MODELS, environment=environment)
        assert ran.code in {3, 7}, ran.stderr
        assert time.monotonic() - began < 30
    assert "FLT-1" in ran.stdout + ran.stderr

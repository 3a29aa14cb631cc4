"""What makes the daemon act, and what must be shown for it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.daemon.listener.access import Access
from fleet.errors import FleetError
from tests.daemon.listener.boards import NOW, a_few
from tests.daemon.listener.served import TOKEN, Served, served


def _signed(headers: Mapping[str, str], body: bytes) -> bool:
    return hmac.compare_digest(headers.get("x-signature", ""), str(len(body)))


@pytest.fixture(name="few")
def _few(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, a_few(), access=Access(TOKEN, _signed, ("fleet.example",))) as listener:
        yield listener


PATHS = [("/api/reconcile", {}), ("/api/suspend", {"host": "gpu-01"}), ("/api/resume", {"host": "gpu-01"})]


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_by_tcp_the_token_is_needed(few: Served, path: str, body: object) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN.decode()}"}):
        answer = few.ask(path, "POST", body=body, headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert few.actions.calls == []
    assert few.ask(path, "POST", body=body, token=TOKEN).status in {200, 202}
    assert len(few.actions.calls) == 1


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_without_a_token_nobody_may_by_tcp(tmp_path: Path, path: str, body: object) -> None:
    with served(tmp_path, a_few(), access=Access()) as listener:
        for token in (None, b"", b"None"):
            assert listener.ask(path, "POST", body=body, token=token).status == 403
        assert listener.actions.calls == []
        assert listener.ask(path, "POST", body=body, unix=True).status in {200, 202}


def test_reconcile_takes_names(few: Served) -> None:
    assert few.ask("/api/reconcile", "POST", body={"hosts": ["gpu-02"]}, token=TOKEN).status == 202
    assert few.ask("/api/reconcile", "POST", body={}, token=TOKEN).status == 202
    assert few.ask("/api/reconcile", "POST", body={"hosts": ["gpu-02", "x"]}, token=TOKEN).status == 404
    assert few.actions.calls == [("reconcile", "request", "gpu-02"), ("reconcile", "request")]


def test_suspend_counts_from_now(few: Served) -> None:
    body = {"host": "gpu-01", "for_seconds": 7200, "reason": "new \x1b[31mfan"}
    answer = few.ask("/api/suspend", "POST", body=body, token=TOKEN)
    assert answer.json() == {"host": "gpu-01", "until": "2026-03-01T14:00:00Z"}
    few.ask("/api/suspend", "POST", body={"host": "gpu-01"}, token=TOKEN)
    few.ask("/api/resume", "POST", body={"host": "gpu-01"}, token=TOKEN)
    assert few.actions.calls == [
        ("suspend", "gpu-01", NOW + timedelta(hours=2), "new \\x1b[31mfan"),
        ("suspend", "gpu-01", None, ""),
        ("resume", "gpu-01"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 30_000,
        b'{"host": 1}',
        b'{"host": "gpu-01", "for_seconds": "1h"}',
        b'{"host": "gpu-01", "for_seconds": true}',
        b'{"host": "gpu-01", "for_seconds": -1}',
        b'{"host": "gpu-01", "for_seconds": NaN}',
        b'{"host": "gpu-01", "for_seconds": 1e300}',
        b'{"host": "gpu-01", "reason": {}}',
        b'{"host": "gpu-01", "force": true}',
    ],
)
def test_a_wrong_body_does_nothing(few: Served, body: bytes) -> None:
    answer = few.ask("/api/suspend", "POST", body=body, token=TOKEN, headers={"content-type": "application/json"})
    assert (answer.status, answer.json()["code"]) == (400, "wrong-body")
    assert few.actions.calls == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_acts(few: Served, kind: str) -> None:
    """These are what a form of another site can send without being asked for leave."""
    answer = few.ask("/api/reconcile", "POST", body=b"{}", token=TOKEN, headers={"content-type": kind})
    assert answer.status == 415
    assert few.actions.calls == []


def test_what_cannot_be_done_is_told(few: Served) -> None:
    body = {"host": "gpu-01"}
    for error, status, code in (
        (KeyError("gpu-01"), 404, "no-such-host"),
        (ValueError("the inventory suspends it"), 409, "not-possible"),
        (FleetError("the disk is full", code=Code.STATE_UNUSABLE), 503, "FLT-602"),
    ):
        few.actions.fails = error
        answer = few.ask("/api/resume", "POST", body=body, token=TOKEN)
        assert (answer.status, answer.json()["code"]) == (status, code)


def test_a_fault_of_fleet_is_an_answer_too(few: Served) -> None:
    few.actions.fails = RuntimeError("a secret of the inside")
    answer = few.ask("/api/resume", "POST", body={"host": "gpu-01"}, token=TOKEN)
    assert (answer.status, answer.json()["code"]) == (500, "FLT-603")
    assert "secret" not in answer.text
    assert few.ask("/healthz").status == 200


def test_a_webhook_needs_its_proof(few: Served) -> None:
    body = b'{"ref": "refs/heads/main"}'
    assert few.ask("/hooks/git", "POST", body=body).status == 401
    assert few.ask("/hooks/git", "POST", body=body, token=TOKEN).status == 401
    assert few.actions.calls == []
    answer = few.ask("/hooks/git", "POST", body=body, headers={"X-Signature": str(len(body))})
    assert answer.status == 202
    assert few.actions.calls == [("moved", None)]


def test_a_webhook_may_be_longer_than_other_requests(few: Served) -> None:
    long = b" " * (900 << 10)
    assert few.ask("/hooks/git", "POST", body=long, headers={"x-signature": str(len(long))}).status == 202
    too_long = b" " * ((1 << 20) + 1)
    assert few.ask("/hooks/git", "POST", body=too_long, headers={"x-signature": str(len(too_long))}).status == 413
    answer = few.ask(
        "/api/reconcile", "POST", body=b" " * 70_000, token=TOKEN, headers={"content-type": "application/json"}
    )
    assert answer.status == 413


def test_without_a_secret_there_are_no_webhooks(tmp_path: Path) -> None:
    with served(tmp_path, a_few(), access=Access(TOKEN)) as listener:
        assert listener.ask("/hooks/git", "POST", body=b"{}", token=TOKEN).status == 403


def test_reading_does_not_act(few: Served) -> None:
    for path, _ in PATHS:
        answer = few.ask(path, token=TOKEN)
        assert (answer.status, answer.json()["code"]) == (405, "not-allowed")
    assert few.actions.calls == []


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "[evil]", "", "a b"]
)
def test_another_name_is_another_machine(few: Served, host: str) -> None:
    """A page of a stranger whose name points here: the browser still says the name."""
    for path in ("/", "/api/status", "/healthz"):
        answer = few.ask(path, headers={"Host": host})
        assert (answer.status, answer.json()["code"]) == (403, "host-refused")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:{port}", "[::1]:{port}", "10.0.0.7", "Fleet.Example:80"])
def test_addresses_and_given_names_are_this_machine(few: Served, host: str) -> None:
    assert few.ask("/api/status", headers={"Host": host.format(port=few.port)}).status == 200


def test_the_unix_socket_has_no_names(few: Served) -> None:
    assert few.ask("/api/status", headers={"Host": "whatever"}, unix=True).status == 200


def test_a_page_of_another_origin_may_not_act(few: Served) -> None:
    here = f"127.0.0.1:{few.port}"
    for origin, status in ((f"http://{here}", 202), ("http://evil.example", 403), ("null", 403)):
        headers = {"Host": here, "Origin": origin}
        assert few.ask("/api/reconcile", "POST", body={}, token=TOKEN, headers=headers).status == status


def test_no_answer_lets_another_origin_read(few: Served) -> None:
    for path, method in (("/api/status", "GET"), ("/api/reconcile", "OPTIONS"), ("/nothing", "GET")):
        answer = few.ask(path, method, headers={"Origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "set-cookie" not in answer.headers

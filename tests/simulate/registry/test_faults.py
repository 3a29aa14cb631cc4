"""Faults of the registry: each breaks a pull in a way that real registries have been seen to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from fleet.simulate import virtual
from fleet.simulate.calls import registry_call
from fleet.simulate.clock import Clock
from fleet.simulate.fault_layer import FaultLayer
from fleet.simulate.faults import Fault, FaultSet
from fleet.simulate.journal import Journal
from fleet.simulate.memory import MemoryTransport
from fleet.simulate.registry_pace import Line, Pace
from fleet.simulate.registry_server import RegistryServer

Desk = Callable[..., Any]


def ask(here: Any, fault: dict[str, Any], method: str, path: str) -> httpx2.Response:
    async def case() -> httpx2.Response:
        clock = Clock()
        app = RegistryServer(here.registry, Pace(Line(None), None, 0, clock.sleep, clock.now)).application()
        faults = FaultSet([Fault.model_validate(fault)], "0")
        layer = FaultLayer("registry", app, registry_call, faults, Journal(), clock)
        transport = MemoryTransport({"localhost:5000": layer})
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:5000") as client:
            return await client.request(method, path)

    return virtual.run(case())


def blob(here: Any) -> str:
    return f"/v2/library/tiny/blobs/sha256:{hashlib.sha256(here.weights).hexdigest()}"


def test_no_redirect_serves_the_blob_itself(desk: Desk) -> None:
    here = desk()
    reply = ask(here, {"fault": "no-redirect"}, "GET", blob(here))
    assert (reply.status_code, reply.content, "location" in reply.headers) == (200, here.weights, False)


def test_no_length_hides_the_size(desk: Desk) -> None:
    here = desk()
    reply = ask(here, {"fault": "no-length", "endpoint": "blob_head"}, "HEAD", blob(here))
    assert (reply.status_code, "content-length" in reply.headers) == (200, False)


def test_damaged_bytes_hash_to_something_else(desk: Desk) -> None:
    here = desk()
    path = f"/content/sha256:{hashlib.sha256(here.weights).hexdigest()}"
    content = ask(here, {"fault": "damaged"}, "GET", path).content
    assert (len(content), content[1:]) == (7000, here.weights[1:])
    assert content[0] != here.weights[0]


def test_status_for_one_model_leaves_the_others(desk: Desk) -> None:
    here = desk()
    fault = {"fault": "status", "status": 429, "model": "tiny", "endpoint": "manifest"}
    assert ask(here, fault, "GET", "/v2/library/tiny/manifests/1").status_code == 429
    assert ask(here, {**fault, "model": "other"}, "GET", "/v2/library/tiny/manifests/1").status_code == 200


@pytest.mark.parametrize("size", [0, 100])
def test_cut_breaks_a_download_off(desk: Desk, size: int) -> None:
    here = desk()
    path = f"/content/sha256:{hashlib.sha256(here.weights).hexdigest()}"
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(here, {"fault": "cut", "bytes": size}, "GET", path)

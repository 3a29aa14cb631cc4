"""What Ollama's client sends when it pushes: pieces with ranges, then a PUT that names the digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.simulate import virtual
from fleet.simulate.clock import Clock
from fleet.simulate.memory import MemoryTransport
from fleet.simulate.registry import Registry
from fleet.simulate.registry_pace import Line, Pace
from fleet.simulate.registry_server import RegistryServer

Desk = Callable[..., Any]
UPLOADS = "/v2/team/made/blobs/uploads/"


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


async def patch(client: httpx2.AsyncClient, place: str, content: bytes, start: int, stop: int) -> httpx2.Response:
    headers = {"Content-Range": f"{start}-{stop - 1}"}
    return await client.patch(place, content=content[start:stop], headers=headers)


async def push(client: httpx2.AsyncClient, content: bytes, step: int) -> httpx2.Response:
    opened = await client.post(UPLOADS)
    assert opened.status_code == 202
    place = opened.headers["location"]
    for start in range(0, len(content), step):
        reply = await patch(client, place, content, start, min(start + step, len(content)))
        assert reply.status_code == 202
        place = reply.headers["location"]
    return await client.put(place, params={"digest": digest(content), "etag": "ignored-1"})


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=300), step=st.integers(1, 100))
def test_a_blob_in_pieces_of_any_size_comes_back_as_it_was_sent(content: bytes, step: int) -> None:
    async def case() -> None:
        clock = Clock()
        server = RegistryServer(Registry(), Pace(Line(None), None, 0, clock.sleep, clock.now))
        transport = MemoryTransport({"localhost:5000": server.application()})
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:5000") as client:
            assert (await push(client, content, step)).status_code == 201
            assert (await client.get(f"/content/{digest(content)}")).content == content
            assert len(server.uploads) == 0

    virtual.run(case())


def test_a_piece_sent_again_after_a_broken_connection_replaces_the_first(desk: Desk) -> None:
    async def case() -> None:
        async with desk().client() as client:
            place = (await client.post(UPLOADS)).headers["location"]
            await patch(client, place, b"abcdefgh", 0, 4)
            await patch(client, place, b"abcdefgh", 0, 4)
            await patch(client, place, b"abcdefgh", 4, 8)
            reply = await client.put(place, params={"digest": digest(b"abcdefgh")})
            assert reply.status_code == 201

    virtual.run(case())


@pytest.mark.parametrize("said", ["4-7", "0-9", "nonsense"])
def test_a_piece_that_does_not_fit_its_range_is_416(desk: Desk, said: str) -> None:
    async def case() -> None:
        async with desk().client() as client:
            place = (await client.post(UPLOADS)).headers["location"]
            reply = await client.patch(place, content=b"abcd", headers={"Content-Range": said})
            assert (reply.status_code, reply.json()["errors"][0]["code"]) == (416, "BLOB_UPLOAD_INVALID")
            closing = await client.put(
                place, content=b"abcd", headers={"Content-Range": said}, params={"digest": digest(b"abcd")}
            )
            assert closing.status_code == 416

    virtual.run(case())


def test_bytes_that_hash_to_something_else_are_refused_and_forgotten(desk: Desk) -> None:
    async def case() -> None:
        async with desk().client() as client:
            place = (await client.post(UPLOADS)).headers["location"]
            reply = await client.put(place, content=b"abcd", params={"digest": digest(b"other")})
            assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
            assert (await client.put(place, params={"digest": digest(b"abcd")})).status_code == 404
            assert (await client.patch(place, content=b"x")).status_code == 404

    virtual.run(case())


@pytest.mark.parametrize("asked", [{}, {"digest": "md5:1"}])
def test_an_upload_is_closed_only_with_a_digest(desk: Desk, asked: dict[str, str]) -> None:
    async def case() -> None:
        async with desk().client() as client:
            place = (await client.post(UPLOADS)).headers["location"]
            assert (await client.put(place, params=asked)).status_code == 400

    virtual.run(case())


def test_a_blob_that_another_repository_has_is_mounted(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        async with here.client() as client:
            known = {"mount": digest(here.weights), "from": "library/tiny"}
            assert (await client.post(UPLOADS, params=known)).status_code == 201
            assert (await client.head(f"/v2/team/made/blobs/{digest(here.weights)}")).status_code == 200
            unknown = {"mount": digest(b"none"), "from": "library/tiny"}
            assert (await client.post(UPLOADS, params=unknown)).status_code == 202

    virtual.run(case())


def test_a_whole_blob_may_come_in_one_request(desk: Desk) -> None:
    async def case() -> None:
        async with desk().client() as client:
            reply = await client.post(UPLOADS, content=b"whole", params={"digest": digest(b"whole")})
            assert (reply.status_code, reply.headers["docker-content-digest"]) == (201, digest(b"whole"))

    virtual.run(case())


def test_a_large_upload_is_kept_on_disk_and_served_again(desk: Desk) -> None:
    content = bytes(range(256)) * 20_000

    async def case() -> None:
        async with desk().client() as client:
            assert (await push(client, content, 2_000_000)).status_code == 201
            part = await client.get(f"/content/{digest(content)}", headers={"Range": "bytes=5000000-5000009"})
            assert part.content == content[5_000_000:5_000_010]

    virtual.run(case())


def test_a_manifest_is_taken_once_all_its_blobs_are_there(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        config = b'{"model_format":"gguf"}'
        body = {"schemaVersion": 2, "config": {"digest": digest(config), "size": len(config)}, "layers": []}
        manifest = json.dumps(body).encode()
        async with here.client() as client:
            early = await client.put("/v2/team/made/manifests/v1", content=manifest)
            assert (early.status_code, early.json()["errors"][0]["code"]) == (404, "MANIFEST_BLOB_UNKNOWN")
            await push(client, config, 100)
            taken = await client.put("/v2/team/made/manifests/v1", content=manifest)
            assert (taken.status_code, taken.headers["docker-content-digest"]) == (201, digest(manifest))
            assert (await client.get("/v2/team/made/manifests/v1")).content == manifest
            state = await here.registry.state()
            assert state["models"]["team/made:v1"]["size"] == len(config)

    virtual.run(case())


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no json", b'{"config":{},"layers":[]}'])
def test_what_is_no_manifest_is_refused(desk: Desk, body: bytes) -> None:
    async def case() -> None:
        async with desk().client() as client:
            reply = await client.put("/v2/team/made/manifests/v1", content=body)
            assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "MANIFEST_INVALID")

    virtual.run(case())


def test_a_manifest_under_a_foreign_digest_is_refused(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        async with here.client() as client:
            place = "/v2/library/tiny/manifests/"
            assert (await client.put(place + digest(b"x"), content=here.manifest)).status_code == 400
            assert (await client.put(place + digest(here.manifest), content=here.manifest)).status_code == 201

    virtual.run(case())


def test_a_mirror_takes_nothing(desk: Desk) -> None:
    async def case() -> None:
        async with desk(options={"mirror": True}).client() as client:
            reply = await client.post(UPLOADS)
            assert (reply.status_code, reply.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")

    virtual.run(case())


def test_the_public_face_takes_no_pushes_to_library_but_to_other_namespaces(desk: Desk) -> None:
    async def case() -> None:
        async with desk(options={"public": "registry.test"}).client() as client:
            reply = await client.post("/v2/library/tiny/blobs/uploads/")
            assert reply.status_code == 401
            assert reply.headers["www-authenticate"].startswith('Bearer realm="https://registry.test/token"')
            assert (await client.post(UPLOADS)).status_code == 202

    virtual.run(case())


def test_root_answers_as_a_registry(desk: Desk) -> None:
    async def case() -> None:
        async with desk().client() as client:
            reply = await client.get("/v2/")
            assert (reply.status_code, reply.json()) == (200, {})

    virtual.run(case())

"""What Ollama's client asks when it pulls, and what it needs to hear."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from fleet.names import ModelName
from fleet.simulate import virtual

Desk = Callable[..., Any]


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_manifest_is_served_byte_for_byte_with_its_digest(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        async with here.client() as client:
            reply = await client.get("/v2/library/tiny/manifests/1")
            assert reply.content == here.manifest
            assert reply.headers["docker-content-digest"] == digest(here.manifest)
            assert reply.headers["content-type"] == "application/vnd.docker.distribution.manifest.v2+json"
            by_digest = await client.get(f"/v2/library/tiny/manifests/{digest(here.manifest)}")
            assert by_digest.content == here.manifest
            head = await client.head("/v2/library/tiny/manifests/1")
            assert (head.content, head.headers["content-length"]) == (b"", str(len(here.manifest)))

    virtual.run(case())


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v2/library/tiny/manifests/2", "MANIFEST_UNKNOWN"),
        ("/v2/library/none/manifests/1", "MANIFEST_UNKNOWN"),
        (f"/v2/library/tiny/manifests/sha256:{'0' * 64}", "MANIFEST_UNKNOWN"),
        (f"/v2/library/tiny/blobs/sha256:{'0' * 64}", "BLOB_UNKNOWN"),
        (f"/content/sha256:{'0' * 64}", "BLOB_UNKNOWN"),
    ],
)
def test_what_is_not_there_is_404_in_the_words_of_oci(desk: Desk, path: str, code: str) -> None:
    async def case() -> None:
        async with desk().client() as client:
            reply = await client.get(path)
            assert (reply.status_code, reply.json()["errors"][0]["code"]) == (404, code)

    virtual.run(case())


def test_blob_of_another_repository_is_not_there(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        here.registry.repository("acme/other")
        async with here.client() as client:
            reply = await client.head(f"/v2/acme/other/blobs/{digest(here.weights)}")
            assert reply.status_code == 404

    virtual.run(case())


@pytest.mark.parametrize(
    ("asked", "sent_to"), [("localhost", "127.0.0.1"), ("127.0.0.1", "localhost"), ("registry.test", "127.0.0.1")]
)
def test_blobs_are_redirected_to_another_host_name(desk: Desk, asked: str, sent_to: str) -> None:
    async def case() -> None:
        here = desk()
        async with here.client() as client:
            reply = await client.get(f"http://{asked}:5000/v2/library/tiny/blobs/{digest(here.weights)}")
            place = httpx2.URL(reply.headers["location"])
            assert (reply.status_code, place.host, place.port) == (307, sent_to, 5000)
            assert (await client.get(place)).content == here.weights

    virtual.run(case())


def test_without_redirects_a_blob_comes_at_once_and_without_a_location(desk: Desk) -> None:
    async def case() -> None:
        here = desk(options={"redirect": False})
        async with here.client() as client:
            reply = await client.get(f"/v2/library/tiny/blobs/{digest(here.weights)}")
            assert (reply.status_code, reply.content, "location" in reply.headers) == (200, here.weights, False)

    virtual.run(case())


def test_head_of_a_blob_tells_its_size(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        async with here.client() as client:
            reply = await client.head(f"/v2/library/tiny/blobs/{digest(here.weights)}")
            assert (reply.status_code, reply.headers["content-length"]) == (200, str(len(here.weights)))

    virtual.run(case())


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        ("bytes=0-99", 206, 0, 100),
        ("bytes=100-", 206, 100, 7000),
        ("bytes=6900-9999", 206, 6900, 7000),
        ("bytes=7000-", 416, 0, 0),
        ("lines=1-2", 200, 0, 7000),
    ],
)
def test_ranges_resume_a_download(desk: Desk, asked: str, status: int, start: int, stop: int) -> None:
    async def case() -> None:
        here = desk()
        async with here.client() as client:
            reply = await client.get(f"/content/{digest(here.weights)}", headers={"Range": asked})
            assert (reply.status_code, reply.content) == (status, here.weights[start:stop])
            if status == 206:
                assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/7000"
                assert reply.headers["content-length"] == str(stop - start)

    virtual.run(case())


def test_private_repository_sends_to_the_token_endpoint_on_the_same_host_and_stays_closed(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        here.registry.repository("library/tiny").private = True
        async with here.client() as client:
            reply = await client.get("/v2/library/tiny/manifests/1")
            challenge = reply.headers["www-authenticate"]
            assert (reply.status_code, challenge.startswith('Bearer realm="http://localhost:5000/token"')) == (
                401,
                True,
            )
            assert 'scope="repository:library/tiny:pull"' in challenge
            token = (await client.get("/token")).json()["token"]
            again = await client.get("/v2/library/tiny/manifests/1", headers={"Authorization": f"Bearer {token}"})
            assert again.status_code == 401

    virtual.run(case())


def test_public_face_serves_manifests_as_text_without_length_and_not_by_digest(desk: Desk) -> None:
    async def case() -> None:
        here = desk(options={"public": "registry.test"})
        async with here.client() as client:
            reply = await client.get("/v2/library/tiny/manifests/1")
            assert reply.content == here.manifest
            assert reply.headers["content-type"].startswith("text/plain")
            assert "content-length" not in reply.headers
            assert (await client.get(f"/v2/library/tiny/manifests/{digest(here.manifest)}")).status_code == 404

    virtual.run(case())


def test_a_tag_moves_and_the_old_content_stays_to_be_had_by_digest(desk: Desk) -> None:
    async def case() -> None:
        here = desk()
        other = desk(weights=b"newer" * 100)
        body = other.manifest
        here.registry.add(ModelName.parse("tiny:2"), _image(other))
        assert await here.registry.move(ModelName.parse("tiny:1"), "2") == digest(body).removeprefix("sha256:")
        async with here.client() as client:
            assert (await client.get("/v2/library/tiny/manifests/1")).content == body
            by_digest = await client.get(f"/v2/library/tiny/manifests/{digest(here.manifest)}")
            assert by_digest.content == here.manifest
            here.registry.withdraw(ModelName.parse("tiny:1"))
            assert (await client.get("/v2/library/tiny/manifests/1")).status_code == 404

    virtual.run(case())


def _image(other: Any) -> Any:
    from fleet.simulate.registry import Image

    return Image(other.manifest, other.registry.blobs)


def test_bandwidth_is_shared_by_all_requests(desk: Desk) -> None:
    async def case() -> float:
        here = desk(bandwidth=1000.0)
        async with here.client() as client:
            loop = asyncio.get_running_loop()
            before = loop.time()
            place = f"/content/{digest(here.weights)}"
            await asyncio.gather(client.get(place), client.get(place))
            return loop.time() - before

    assert virtual.run(case()) == pytest.approx(14.0, rel=0.01)


def test_each_request_has_a_bandwidth_of_its_own(desk: Desk) -> None:
    async def case() -> float:
        here = desk(request_bandwidth=1000.0)
        async with here.client() as client:
            loop = asyncio.get_running_loop()
            before = loop.time()
            place = f"/content/{digest(here.weights)}"
            await asyncio.gather(client.get(place), client.get(place))
            return loop.time() - before

    assert virtual.run(case()) == pytest.approx(7.0, rel=0.01)


def test_latency_passes_before_each_answer(desk: Desk) -> None:
    async def case() -> float:
        here = desk(latency=2.5)
        async with here.client() as client:
            loop = asyncio.get_running_loop()
            before = loop.time()
            await client.get("/v2/library/tiny/manifests/1")
            return loop.time() - before

    assert virtual.run(case()) == pytest.approx(2.5)


def test_an_offer_is_built_once_and_only_when_it_is_asked_for(desk: Desk) -> None:
    built = []

    async def case() -> None:
        here = desk()

        def build() -> Any:
            built.append(1)
            return _image(here)

        here.registry.offer(ModelName.parse("lazy:1"), build)
        assert built == []
        async with here.client() as client:
            replies = await asyncio.gather(*(client.get("/v2/library/lazy/manifests/1") for _ in range(3)))
            assert [reply.content for reply in replies] == [here.manifest] * 3

    asyncio.run(case())
    assert built == [1]

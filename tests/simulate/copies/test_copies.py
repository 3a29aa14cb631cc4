"""Copies of hosts that exist elsewhere: their digests and sizes are the real ones, and no bytes are moved for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from fleet.names import ModelName
from fleet.simulate.blobs import Hollow
from fleet.simulate.copies import Copies, HostCopy, ListedCopy, RunnerCopy
from fleet.simulate.elsewhere import Elsewhere
from fleet.simulate.image import Layer, media_type
from fleet.simulate.recorded import RecordedImage, RecordedModel, RecordedText

HUGE = 40 * 10**9
WEIGHTS, CONFIG, TEXT = (f"sha256:{letter * 64}" for letter in "abc")
MODEL = RecordedModel(
    "d" * 64,
    HUGE,
    weights=(WEIGHTS,),
    weights_size=HUGE - 5000,
    architecture="qwen3",
    context_length=4096,
    family="qwen3",
    parameter_size="70.6B",
    quantization="Q4_K_M",
    system=RecordedText("[a text]", TEXT, 300),
    parameters={"temperature": 0.5, "stop": ["a", "b"]},
)
IMAGE = RecordedImage(
    "1" * 64,
    "2" * 64,
    Layer("application/vnd.docker.container.image.v1+json", CONFIG, 400),
    (Layer(media_type("model"), WEIGHTS, HUGE),),
)
PULLED = RecordedModel("1" * 64, HUGE + 400, IMAGE)
BASE = ModelName.parse("base")

Ask = Callable[[str, str, Any], Awaitable[list[dict[str, Any]]]]


def on_copy(host: HostCopy, then: Callable[[Copies, Ask], Awaitable[None]], elsewhere: Elsewhere | None = None) -> None:
    """Runs `then` with one copy, and with what asks it."""

    async def run() -> None:
        async with (
            Copies({"alpha": host}, ["registry.ollama.ai"], elsewhere or Elsewhere()) as copies,
            httpx2.AsyncClient() as client,
        ):

            async def ask(method: str, path: str, body: Any = None) -> list[dict[str, Any]]:
                answer = await client.request(method, f"{copies.url('alpha')}/api/{path}", json=body)
                assert answer.status_code == 200, answer.text
                return [json.loads(line) for line in answer.text.splitlines()]

            await then(copies, ask)

    asyncio.run(run())


def test_a_model_is_listed_and_shown_as_it_was_recorded() -> None:
    async def then(_: Copies, ask: Ask) -> None:
        (listed,) = (await ask("GET", "tags", None))[0]["models"]
        assert (listed["name"], listed["digest"], listed["size"]) == ("acme/made:1", "d" * 64, HUGE)
        assert listed["modified_at"].startswith("1970-01-01T00:00:05")
        (shown,) = await ask("POST", "show", {"model": "acme/made:1"})
        assert shown["system"] == "[a text]"
        assert f"FROM /var/lib/ollama/models/blobs/{WEIGHTS.replace(':', '-')}" in shown["modelfile"]
        assert shown["model_info"]["qwen3.context_length"] == 4096

    on_copy(HostCopy("0.9.6", models=(ListedCopy("acme/made:1", MODEL, 5 * 10**9),)), then)


@pytest.mark.parametrize(("version", "digest"), [("0.24.0", "1" * 64), ("0.18.3", "2" * 64)])
def test_a_pull_moves_no_bytes_and_is_listed_by_the_digest_of_that_version(version: str, digest: str) -> None:
    async def then(copies: Copies, ask: Ask) -> None:
        copies.offer(BASE, PULLED)
        lines = await ask("POST", "pull", {"model": "base"})
        assert lines[-1] == {"status": "success"}
        moved = [(line.get("completed", 0), line["total"]) for line in lines if line.get("digest") == WEIGHTS]
        assert moved == [(0, HUGE), (HUGE, HUGE)]
        (listed,) = (await ask("GET", "tags", None))[0]["models"]
        assert (listed["digest"], listed["size"]) == (digest, HUGE + 400)
        assert copies.hosts["alpha"].store.blobs.used == HUGE + 400

    on_copy(HostCopy(version), then)


def test_an_upload_of_what_is_elsewhere_is_taken_for_what_it_says_it_is() -> None:
    async def then(copies: Copies, _: Ask) -> None:
        blob = f"{copies.url('alpha')}/api/blobs/{WEIGHTS}"
        async with httpx2.AsyncClient() as client:
            assert (await client.head(blob)).status_code == 404
            assert (await client.post(blob, content=b"\0")).status_code == 201
            assert (await client.head(blob)).status_code == 200
        assert copies.hosts["alpha"].store.blobs.used == HUGE

    on_copy(HostCopy("0.24.0"), then, Elsewhere({WEIGHTS: Hollow(b"GGUF", HUGE)}))


def test_a_copied_model_keeps_the_digest_and_a_created_one_has_its_own() -> None:
    async def then(_: Copies, ask: Ask) -> None:
        await ask("POST", "copy", {"source": "acme/made:1", "destination": "same"})
        await ask("POST", "create", {"model": "other", "from": "acme/made:1", "system": "Else."})
        listed = {model["name"]: model["digest"] for model in (await ask("GET", "tags", None))[0]["models"]}
        assert listed["same:latest"] == "d" * 64
        assert listed["other:latest"] != listed["same:latest"]
        (shown,) = await ask("POST", "show", {"model": "other"})
        assert f"FROM /var/lib/ollama/models/blobs/{WEIGHTS.replace(':', '-')}" in shown["modelfile"]

    on_copy(HostCopy("0.24.0", models=(ListedCopy("acme/made:1", MODEL),)), then)


def test_what_is_pushed_is_known_and_its_weights_are_not_sent() -> None:
    async def then(copies: Copies, ask: Ask) -> None:
        name = ModelName.parse("acme/made:1")
        assert await copies.pushed(name) is None
        lines = await ask("POST", "push", {"model": "acme/made:1"})
        assert lines[-1] == {"status": "success"}
        body = await copies.pushed(name)
        assert body is not None
        assert WEIGHTS.encode() in body

    on_copy(HostCopy("0.24.0", models=(ListedCopy("acme/made:1", MODEL),)), then)


def test_a_disk_that_is_fuller_than_it_may_be_takes_nothing_more() -> None:
    async def then(copies: Copies, ask: Ask) -> None:
        copies.offer(BASE, PULLED)
        lines = await ask("POST", "pull", {"model": "base"})
        assert "no space left on device" in lines[-1]["error"]
        assert len((await ask("GET", "tags", None))[0]["models"]) == 1

    held = RecordedModel("e" * 64, HUGE, weights=(f"sha256:{'9' * 64}",), weights_size=HUGE - 5000)
    on_copy(HostCopy("0.24.0", models=(ListedCopy("held", held),), disk=10**9), then)


def test_what_is_not_whole_is_listed_and_cannot_be_shown() -> None:
    async def then(copies: Copies, ask: Ask) -> None:
        assert len((await ask("GET", "tags", None))[0]["models"]) == 1
        async with httpx2.AsyncClient() as client:
            answer = await client.post(f"{copies.url('alpha')}/api/show", json={"model": "acme/made:1"})
        assert answer.status_code == 404

    on_copy(HostCopy("0.24.0", models=(ListedCopy("acme/made:1", MODEL, whole=False),)), then)


def test_runners_are_in_memory_from_the_start() -> None:
    async def then(_: Copies, ask: Ask) -> None:
        running = {each["name"]: each for each in (await ask("GET", "ps", None))[0]["models"]}
        made = running["acme/made:1"]
        assert (made["digest"], made["size"], made["size_vram"], made["context_length"]) == ("d" * 64, 700, 600, 2048)
        assert made["expires_at"] > "2300"
        assert running["replaced:latest"]["digest"] == "f" * 64

    runners = (
        RunnerCopy("acme/made:1", "d" * 64, 700, 600, None, 2048),
        RunnerCopy("replaced:latest", "f" * 64, 5, 5, 60.0),
    )
    on_copy(HostCopy("0.24.0", models=(ListedCopy("acme/made:1", MODEL),), running=runners), then)


@pytest.mark.parametrize(("version", "behaves_as", "old"), [("0.0.0", "0.5.4", True), ("dev", "999.0.0", False)])
def test_a_version_that_tells_nothing_is_told_and_behaves_as_it_was_found_to(
    version: str, behaves_as: str, *, old: bool
) -> None:
    async def then(copies: Copies, ask: Ask) -> None:
        assert (await ask("GET", "version", None))[0] == {"version": version}
        async with httpx2.AsyncClient() as client:
            answer = await client.get(f"{copies.url('alpha')}/api/pull")
        assert answer.status_code == (404 if old else 405)

    on_copy(HostCopy(version, behaves_as), then)

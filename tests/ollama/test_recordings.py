"""What real servers answered, answered again over a socket: every reply is read, every error is understood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError
from fleet.names import Digest
from fleet.ollama import quantize, shown
from fleet.ollama.client import Client, ModelMissing
from fleet.ollama.request import ChatRequest, CreateRequest, EmbedRequest, GenerateRequest, OldCreateRequest
from fleet.ollama.versions import Capability, Version, has
from tests.ollama.sockets import Request, reply, serving

RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("*.json"))
Exchange = dict[str, Any]


def recorded(path: Path) -> list[Exchange]:
    exchanges: list[Exchange] = json.loads(path.read_text())["exchanges"]
    return exchanges


def answered(exchange: Exchange) -> bytes:
    """The recorded response as bytes on the wire."""
    told = exchange["response"]
    body = told.get("json", told.get("text", ""))
    raw = body if isinstance(body, str) else json.dumps(body)
    if "lines" in told:
        raw = "".join(json.dumps({k: v for k, v in line.items() if k != "_repeated"}) + "\n" for line in told["lines"])
    extra = [f"{name}: {value}" for name, value in (told.get("headers") or {}).items() if name == "location"]
    return reply(raw, status=told["status"], kind=told.get("content_type") or "text/plain", headers=extra)


async def drained(client: Client, exchange: Exchange) -> object:
    """The same request, made by the client's own method; its result or its error. None where it has no method."""
    asked = exchange["request"]
    body = asked.get("json") if isinstance(asked.get("json"), dict) else {}
    try:
        return await _ask(client, asked["method"], asked["path"], body)
    except HostError as error:
        return error


async def _ask(client: Client, method: str, path: str, body: dict[str, Any]) -> object:
    name = str(body.get("model", body.get("name", "")))
    simple: dict[str, Callable[[], Awaitable[object]]] = {
        "GET /api/version": client.version,
        "GET /api/tags": client.tags,
        "GET /api/ps": client.ps,
        "POST /api/show": lambda: client.show(name),
        "POST /api/copy": lambda: client.copy(str(body.get("source", "")), str(body.get("destination", ""))),
        "DELETE /api/delete": lambda: client.delete(name),
        "POST /api/embed": lambda: client.embed(EmbedRequest(name, body.get("input", ()))),
        "POST /api/embeddings": lambda: client.embeddings(name, body.get("prompt", "")),
    }
    if f"{method} {path}" in simple:
        return await simple[f"{method} {path}"]()
    if path == "/api/generate":
        request = GenerateRequest(name, body.get("prompt", ""), options=body.get("options", {}))
        if "prompt" in body and body.get("stream", True):
            return [each async for each in client.generate(request)]
        return await client.generate_once(request)
    if path == "/api/chat":
        return await client.chat_once(ChatRequest(name, body.get("messages", ())))
    if method == "POST" and path in {"/api/pull", "/api/push"}:
        return [each async for each in (client.pull if path == "/api/pull" else client.push)(name)]
    if path == "/api/create":
        old = OldCreateRequest(name, body.get("modelfile", ""))
        return [each async for each in client.create(old if "modelfile" in body else CreateRequest(name))]
    if method == "HEAD" and len(path) == len("/api/blobs/sha256:") + 64 and path.islower():
        return await client.blob_exists(Digest.parse(path[-64:]))
    return None


@cache
def played(path: Path) -> list[tuple[Exchange, object]]:
    """Every exchange of a recording with what the client made of it."""
    exchanges = recorded(path)

    async def run() -> list[object]:
        current: list[bytes] = [b""]

        async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(current[0])
            await writer.drain()
            return False

        results = []
        async with serving(script) as served, served.client() as client:
            for exchange in exchanges:
                current[0] = answered(exchange).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
                results.append(await drained(client, exchange))
        return results

    return list(zip(exchanges, asyncio.run(run()), strict=True))


@pytest.mark.fault("S14")
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: str(path.stem))
def test_every_recorded_reply_is_read(path: Path) -> None:
    assert len(RECORDINGS) == 5
    for exchange, result in played(path):
        told = exchange["response"]
        lines = told.get("lines") or [told.get("json")]
        failed = told["status"] >= 300 or any(isinstance(line, dict) and "error" in line for line in lines)
        if result is None and told["status"] != 200:
            continue
        if exchange["request"]["method"] == "HEAD":
            assert result in {None, told["status"] == 200}, exchange["step"]
        elif exchange["request"]["path"] == "/api/delete" and told["status"] == 404 and "json" in told:
            assert result is False, exchange["step"]
        elif failed:
            assert isinstance(result, HostAnswered), exchange["step"]
            assert result.status == told["status"], exchange["step"]
        else:
            assert not isinstance(result, HostError), (exchange["step"], result)


EXPECTED = {
    "create-wrong-dialect": "SERVER_REFUSED",
    "create-bad-name": "SERVER_REFUSED",
    "create-bad-template": "SERVER_REFUSED",
    "create-quantize-f32": "SERVER_REFUSED",
    "create-quantize-unknown": "SERVER_REFUSED",
    "create-junk-file": "SERVER_REFUSED",
    "create-gguf-missing-blob": "BLOB_VANISHED",
    "create-missing-base-over-existing": "SOURCE_NOT_THERE",
    "create-from-case": "SOURCE_NOT_THERE",
    "copy-missing": "SUPERSEDED",
    "copy-bad-source": "SERVER_REFUSED",
    "show-missing": "SERVER_REFUSED",
    "show-bad-name": "SERVER_REFUSED",
    "pull-missing": "NOT_IN_REGISTRY",
    "pull-missing-sf": "NOT_IN_REGISTRY",
    "pull-unreachable": "REGISTRY_TROUBLE",
    "pull-http-without-insecure": "REGISTRY_TROUBLE",
    "pull-bad-name": "SERVER_REFUSED",
    "push-no-namespace": "REGISTRY_TROUBLE",
    "load-wrong-option": "LOAD_FAILED",
    "load-bad-keepalive": "SERVER_REFUSED",
    "load-missing": "SUPERSEDED",
}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: str(path.stem))
def test_recorded_errors_mean_the_same_in_every_version(path: Path) -> None:
    seen = {exchange["step"]: result for exchange, result in played(path) if isinstance(result, HostAnswered)}
    wrong = {
        step: seen[step].code.name
        for step, code in EXPECTED.items()
        if step in seen and seen[step].code is not Code[code]
    }
    assert wrong == {}
    assert len(EXPECTED.keys() & seen.keys()) >= 18


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: str(path.stem))
def test_what_a_server_quantized_or_would_not_is_known_beforehand(path: Path) -> None:
    version = Version.parse(path.stem)
    results = {exchange["step"]: result for exchange, result in played(path)}
    for step, wanted, source in (
        ("create-quantize-file", "q8_0", "F16"),
        ("create-quantize-from", "q8_0", "F16"),
        ("create-quantize-f32", "q8_0", "F32"),
        ("create-quantize-unknown", "q9_9", "F16"),
        ("create-quantize-quantized", "q4_K_M", "Q8_0"),
    ):
        failed = isinstance(results[step], HostError)
        assert (quantize.why_not(wanted, source, version) is not None) is failed, step


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: str(path.stem))
def test_a_missing_model_is_known_as_such_in_every_version(path: Path) -> None:
    results = {exchange["step"]: result for exchange, result in played(path)}
    for step in (
        "show-missing",
        "copy-missing",
        "load-missing",
        "chat-missing",
        "embed-missing",
        "unload-after-delete",
    ):
        assert isinstance(results[step], ModelMissing), step


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: str(path.stem))
def test_the_shapes_hold_what_was_recorded(path: Path) -> None:
    results: dict[str, Any] = {exchange["step"]: result for exchange, result in played(path)}
    version = results["version"]
    assert isinstance(version, Version)
    assert str(version) == path.stem
    (listed,) = results["tags-one"]
    assert listed.name == "tiny:latest"
    Digest.parse(listed.digest)
    assert listed.details.families == ("llama",)
    assert (listed.capabilities is not None) is has(version, Capability.TAGS_DETAILED)
    (running,) = results["ps-forever"]
    assert running.expires_at.year == 2319
    assert (running.context_length is not None) is has(version, Capability.PS_CONTEXT)
    model = shown.read(results["show-derived"])
    assert model.system == "You are Mario."
    assert model.template == model.template_block == "{{ .System }} {{ .Prompt }}"
    assert model.parameters == {"num_ctx": (1048576.0,), "stop": ("<a>", "<b>"), "temperature": (0.25,)}
    assert [(message.role, message.content) for message in model.messages] == [("user", "hi"), ("assistant", "hello")]
    assert model.licenses == ("MIT one",)
    assert shown.read(results["show-self"]).licenses == ("MIT one", "MIT two")
    assert model.parent_model == "tiny:latest"
    assert (model.quantization, shown.read(results["show-quantize"]).quantization) == ("", "Q8_0")
    assert model.context_length == 2048
    assert model.weights == shown.weights(results["show-gguf"])
    assert len(model.weights) == 1
    assert (model.capabilities is not None) is has(version, Capability.SHOW_CAPABILITIES)
    assert results["load"].done_reason == "load"
    assert results["generate-stream"][-1].done
    if has(version, Capability.RENDERER):
        rendered = shown.read(results["show-renderer"])
        assert (rendered.renderer, rendered.parser) == ("qwen3-coder", "qwen3-coder")
        assert (rendered.requires is not None) is has(version, Capability.REQUIRES)

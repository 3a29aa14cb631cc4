"""Names, blobs and runners: what the remaining requests send, and how each kind of answer is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, HostError
from fleet.names import Digest
from fleet.ollama.client import Client, ModelMissing
from fleet.ollama.limits import Limits
from fleet.ollama.request import ChatRequest, EmbedRequest, GenerateRequest
from tests.ollama.sockets import (
    STREAM_END,
    STREAM_HEAD,
    Request,
    Script,
    Served,
    always,
    in_turn,
    line,
    reply,
    serving,
)

T = TypeVar("T")
DIGEST = Digest("a" * 64)
GONE = reply({"error": "model 'x' not found"}, status=404)
LOADED = reply({"model": "m", "response": "", "done": True, "done_reason": "load"})
DONE = reply("", kind="text/plain")


def asking(script: Script, ask: Callable[[Client], Awaitable[T]], limits: Limits | None = None) -> tuple[T, Served]:
    async def run() -> tuple[T, Served]:
        async with serving(script) as served, served.client(limits=limits) as client:
            return await ask(client), served

    return asyncio.run(run())


def failing(script: Script, ask: Callable[[Client], Awaitable[object]], limits: Limits | None = None) -> HostError:
    async def caught(client: Client) -> HostError:
        with pytest.raises(HostError) as failed:
            await ask(client)
        return failed.value

    return asking(script, caught, limits)[0]


def test_copy_says_from_where_to_where() -> None:
    _, served = asking(always(DONE), lambda client: client.copy("a:latest", "b"))
    assert (served.asked[0].method, served.asked[0].path) == ("POST", "/api/copy")
    assert served.asked[0].json() == {"source": "a:latest", "destination": "b"}


def test_copy_of_nothing_tells_what_is_missing() -> None:
    assert isinstance(failing(always(GONE), lambda client: client.copy("a", "b")), ModelMissing)


@pytest.mark.parametrize("body", ["<html>sign in</html>", '{"error":"late"}', "[]"])
def test_a_success_with_words_is_suspicious(body: str) -> None:
    assert failing(always(reply(body)), lambda client: client.copy("a", "b")).code is Code.NOT_OLLAMA


def test_a_later_server_may_say_more_of_a_success() -> None:
    asking(always(reply({"status": "success"})), lambda client: client.copy("a", "b"))


@pytest.mark.parametrize(
    ("answer", "removed"),
    [
        (DONE, True),
        (GONE, False),
        (reply({"error": "open /m/manifests/r/library/x/latest: no such file or directory"}, status=500), False),
    ],
)
def test_delete_of_what_is_gone_is_done(answer: bytes, removed: bool) -> None:
    result, served = asking(always(answer), lambda client: client.delete("x"))
    assert result is removed
    assert (served.asked[0].method, served.asked[0].json()) == ("DELETE", {"model": "x"})


@pytest.mark.parametrize(
    "answer", [reply({"error": "EOF"}, status=500), reply("404 page not found", status=404, kind="text/plain")]
)
def test_delete_that_fails_otherwise_is_a_failure(answer: bytes) -> None:
    assert isinstance(failing(always(answer), lambda client: client.delete("x")), HostAnswered)


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, False)])
def test_a_blob_is_there_or_not(status: int, there: bool) -> None:
    head = always(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    result, served = asking(head, lambda client: client.blob_exists(DIGEST))
    assert result is there
    assert (served.asked[0].method, served.asked[0].path) == ("HEAD", f"/api/blobs/{DIGEST}")


def test_a_blob_that_cannot_be_asked_for_is_an_error() -> None:
    head = always(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n")
    assert failing(head, lambda client: client.blob_exists(DIGEST)).code is Code.ORIGIN_REFUSED


def test_a_load_says_how_long_and_with_what() -> None:
    _, served = asking(always(LOADED), lambda client: client.load("m", keep_alive=-1, options={"num_ctx": 512}))
    assert served.asked[0].path == "/api/generate"
    assert served.asked[0].json() == {"model": "m", "keep_alive": -1, "options": {"num_ctx": 512}, "stream": False}


def test_a_model_that_does_not_generate_is_loaded_for_embedding() -> None:
    refused = reply({"error": '"m" does not support generate'}, status=400)
    _, served = asking(
        in_turn(refused, reply({"model": "m", "embeddings": []})), lambda client: client.load("m", keep_alive=300)
    )
    assert [request.path for request in served.asked] == ["/api/generate", "/api/embed"]
    assert served.asked[1].json() == {"model": "m", "keep_alive": 300}


def test_an_old_server_loads_for_embedding_by_the_older_request() -> None:
    refused = reply({"error": "invalid input type"}, status=400)
    _, served = asking(
        in_turn(refused, reply({"embedding": []})),
        lambda client: client.load("m", embedding=True, keep_alive=300, options={"num_ctx": 1}),
    )
    assert [request.path for request in served.asked] == ["/api/embed", "/api/embeddings"]
    assert served.asked[1].json() == {"model": "m", "keep_alive": 300, "options": {"num_ctx": 1}, "prompt": ""}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({"error": "model requires more system memory (9 GiB) than is available"}, status=500), "OUT_OF_MEMORY"),
        (reply({"error": "llama runner process has terminated: exit status 2"}, status=500), "LOAD_FAILED"),
        (reply({"error": "server busy, please try again."}, status=503), "BUSY"),
        (reply({"error": "something else"}, status=400), "SERVER_REFUSED"),
        (reply({"done": False}), "NOT_OLLAMA"),
        (reply({"error": "late"}), "ERROR_LINE"),
    ],
)
@pytest.mark.parametrize("embedding", [False, True])
def test_a_load_that_fails_says_why(answer: bytes, code: str, embedding: bool) -> None:
    if embedding and b"200 X" in answer:
        return
    assert failing(always(answer), lambda client: client.load("m", embedding=embedding)).code is Code[code]


def test_unloading_what_is_not_there_is_done() -> None:
    gone, _ = asking(always(GONE), lambda client: client.unload("m"))
    done, served = asking(always(LOADED), lambda client: client.unload("m"))
    assert (gone, done) == (False, True)
    assert served.asked[0].json() == {"model": "m", "keep_alive": 0, "stream": False}


def test_embed_and_embeddings_give_vectors() -> None:
    request = EmbedRequest("m", ["a", "b"], truncate=False, dimensions=2)
    two, served = asking(always(reply({"embeddings": [[0.5, 1], [0, 0]]})), lambda client: client.embed(request))
    assert two.embeddings == ((0.5, 1.0), (0.0, 0.0))
    assert served.asked[0].json() == {"model": "m", "input": ["a", "b"], "truncate": False, "dimensions": 2}
    one, _ = asking(always(reply({"embedding": [0.5]})), lambda client: client.embeddings("m", "a"))
    assert one.embeddings == ((0.5,),)


def test_a_whole_generation_and_a_whole_chat() -> None:
    request = GenerateRequest(
        "m", "Hi", suffix=".", images=["aGk="], format={"type": "object"}, raw=True, context=[1, 2], keep_alive=0.5
    )
    said, served = asking(
        always(reply({"response": "ok", "done": True, "eval_count": 3})), lambda client: client.generate_once(request)
    )
    assert (said.response, said.eval_count) == ("ok", 3)
    assert served.asked[0].json() == {
        "model": "m",
        "prompt": "Hi",
        "suffix": ".",
        "images": ["aGk="],
        "format": {"type": "object"},
        "raw": True,
        "context": [1, 2],
        "keep_alive": 0.5,
        "stream": False,
    }
    turn = ChatRequest("m", [{"role": "user", "content": "2+2?"}], tools=[{"type": "function"}], format="json")
    called = {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 2}}}]}
    chat, served = asking(always(reply({"message": called, "done": True})), lambda client: client.chat_once(turn))
    assert chat.message.tool_calls[0].function.arguments == {"a": 2}
    assert served.asked[0].json() == {
        "model": "m",
        "messages": [{"role": "user", "content": "2+2?"}],
        "tools": [{"type": "function"}],
        "format": "json",
        "stream": False,
    }


async def said(client: Client) -> str:
    return "".join([each.response async for each in client.generate(GenerateRequest("m", "Hi"))])


def test_a_generation_streams_until_it_is_done() -> None:
    words = STREAM_HEAD + line(response="a") + line(response="b") + line(response="", done=True) + STREAM_END
    text, served = asking(always(words), said)
    assert text == "ab"
    assert served.asked[0].json() == {"model": "m", "prompt": "Hi", "stream": True}


def test_a_chat_streams_too() -> None:
    async def ask(client: Client) -> list[str]:
        return [each.message.content async for each in client.chat(ChatRequest("m"))]

    words = STREAM_HEAD + line(message={"role": "assistant", "content": "a"}) + line(done=True) + STREAM_END
    assert asking(always(words), ask)[0] == ["a", ""]


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (STREAM_END, Code.STREAM_CUT),
        (b"", Code.STREAM_CUT),
        (line(error="an error was encountered while running the model"), Code.ERROR_LINE),
        (line(response=5), Code.NOT_OLLAMA),
    ],
)
def test_a_generation_that_breaks_off_is_no_answer(rest: bytes, code: Code) -> None:
    error = failing(always(STREAM_HEAD + line(response="a") + rest, keep=False), said)
    assert error.code is code


def test_a_generation_that_falls_silent_is_left() -> None:
    async def silent(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + line(response="a"))
        await asyncio.sleep(30)
        return False

    assert failing(silent, said, Limits(generate=0.1)).code is Code.SILENT


def test_a_generation_left_open_after_its_end_is_done() -> None:
    async def open_end(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + line(response="a", done=True))
        await asyncio.sleep(30)
        return False

    assert asking(open_end, said, Limits(after_success=0.05))[0] == "a"

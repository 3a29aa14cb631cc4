"""Asking a model: what is sent, what the verdict is, and what is no verdict at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from fleet.errors import HostAnswered, HostError
from fleet.manifest.inventory import Place
from fleet.manifest.item import Check, Item, Message, Pull, Warm
from fleet.names import Digest, ModelName
from fleet.ollama.limits import Limits
from fleet.reconcile.checks.checking import Answered, ask
from fleet.reconcile.checks.judging import LONGEST, Searched
from fleet.reconcile.checks.searching import search
from fleet.reconcile.observed import Present
from tests.ollama.sockets import STREAM_END, STREAM_HEAD, Request, Script, always, line, reply, serving

PLACE = Place("fleet.yaml", 1, 1)
NAME = ModelName.parse("m")
PRESENT = Present(NAME, "M:latest", Digest("a" * 64), 1)
LOADED = reply({"model": "m", "response": "", "done": True, "done_reason": "load"})


def item(*checks: Check, warm: Warm | None = None) -> Item:
    return Item(NAME, Pull(), PLACE, warm=warm, check=checks)


def streamed(*lines: bytes) -> bytes:
    return STREAM_HEAD + b"".join(lines) + STREAM_END


def said(*words: str, reason: str = "stop") -> bytes:
    """An answer of generate."""
    return streamed(
        *(line(response=word, done=False) for word in words), line(response="", done=True, done_reason=reason)
    )


def answering(*replies: bytes) -> Script:
    """Loads whenever that is asked for; else gives one reply after the other."""
    left = list(replies)

    async def script(request: Request, writer: Any) -> bool:
        body = request.json()
        assert isinstance(body, dict)
        loads = request.path == "/api/generate" and "prompt" not in body
        writer.write(LOADED if loads else left.pop(0))
        await writer.drain()
        return True

    return script


def asked(script: Script, model: Item, **more: Any) -> tuple[Answered, list[tuple[str, dict[str, Any]]]]:
    """The verdict, and every request with its body."""

    async def run() -> tuple[Answered, list[tuple[str, dict[str, Any]]]]:
        async with serving(script) as served, served.client(limits=Limits(answer=2)) as client:
            answered = await ask(client, PRESENT, model, load_timeout=10, **more)
            return answered, [(each.path, json.loads(each.body)) for each in served.asked]

    return asyncio.run(run())


def test_it_loads_first_and_asks_under_the_listed_name_with_the_options_of_both() -> None:
    check = Check(prompt="Say OK.", expect="OK", options={"temperature": 0, "stop": ("x",)})
    warm = Warm(options={"num_ctx": 8192, "temperature": 0.5})
    answered, sent = asked(answering(said("All ", "OK")), item(check, warm=warm))
    assert answered == Answered(passed=True)
    options = {"num_ctx": 8192, "temperature": 0, "stop": ["x"]}
    assert sent == [
        ("/api/generate", {"model": "M:latest", "options": options, "keep_alive": -1, "stream": False}),
        ("/api/generate", {"model": "M:latest", "prompt": "Say OK.", "options": options, "keep_alive": -1, "stream": True}),
    ]  # fmt: skip


def test_a_model_that_is_not_warm_keeps_the_servers_own_time() -> None:
    _, sent = asked(answering(said("OK")), item(Check(prompt="Hi")))
    assert all("keep_alive" not in body for _, body in sent)


def test_questions_with_the_same_options_load_once() -> None:
    questions = (Check(prompt="a"), Check(prompt="b"), Check(prompt="c", options={"num_ctx": 2048}))
    _, sent = asked(answering(said("1"), said("2"), said("3")), item(*questions))
    assert [body.get("prompt") for _, body in sent] == [None, "a", "b", None, "c"]


def test_the_first_bad_answer_ends_it_and_is_named() -> None:
    questions = (Check(prompt="a"), Check(prompt="b", expect="B"), Check(prompt="c"))
    answered, sent = asked(answering(said("fine"), said("wrong"), said("never asked")), item(*questions))
    assert answered.told == "question 2 of 3, prompt `b`: answered `wrong`, in which `B` matches nothing"
    assert [body.get("prompt") for _, body in sent] == [None, "a", "b"]


def test_chat_asks_for_json() -> None:
    check = Check(chat=(Message("system", "s"), Message("user", "2+2?")), json=True)
    turn = streamed(
        line(message={"role": "assistant", "content": '{"sum"'}, done=False),
        line(message={"role": "assistant", "content": ": 4}"}, done=True, done_reason="stop"),
    )
    answered, sent = asked(answering(turn), item(check))
    assert answered.passed
    path, body = sent[1]
    assert (path, body["format"]) == ("/api/chat", "json")
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "2+2?"}]


@pytest.mark.parametrize(
    ("replies", "paths"),
    [
        ([reply({"embeddings": [[0.1, 0.2, 0.3]]})], ["/api/embed"]),
        ([reply("404 page not found", status=404, kind="text/plain"), reply({"embedding": [1, 2, 3]})], ["/api/embed", "/api/embeddings"]),
    ],
    ids=["new", "old"],
)  # fmt: skip
def test_embed_measures_the_vector_on_either_path(replies: Sequence[bytes], paths: list[str]) -> None:
    answered, sent = asked(answering(*replies), item(Check(embed="words", dimensions=3)))
    assert answered.passed
    assert [path for path, _ in sent[1:]] == paths


@pytest.mark.parametrize("status", [400, 501])
def test_a_model_of_another_kind_has_failed(status: int) -> None:
    words = "This server does not support embeddings. Start it with `--embeddings`"
    answered, _ = asked(answering(reply({"error": words}, status=status)), item(Check(embed="words")))
    assert not answered.passed
    assert answered.told == f"embed `words`: the server says `{words}`"


@pytest.mark.parametrize(
    "trouble",
    [reply({"error": "model 'm' not found"}, status=404), reply({"error": "boom"}, status=500), STREAM_HEAD],
    ids=["gone", "broken", "cut"],
)
def test_trouble_with_the_host_is_no_verdict(trouble: bytes) -> None:
    with pytest.raises(HostError):
        asked(always(trouble, keep=False), item(Check(prompt="Hi")))


def test_an_answer_that_does_not_end_in_time_has_failed() -> None:
    async def script(request: Request, writer: Any) -> bool:
        if "prompt" not in json.loads(request.body):
            writer.write(LOADED)
            return True
        writer.write(STREAM_HEAD + line(response="Let me think", done=False))
        await writer.drain()
        await asyncio.Event().wait()
        return False

    answered, _ = asked(script, item(Check(prompt="Hi", within=0.05)))
    assert answered.told == "prompt `Hi`: no whole answer within 50ms"


def test_a_model_that_goes_on_and_on_is_left_and_judged_by_its_beginning() -> None:
    endless = streamed(line(response="x" * LONGEST, done=False), line(response="y", done=False))
    answered, _ = asked(answering(endless), item(Check(prompt="Hi", expect="y")))
    assert answered.told.endswith("`y` matches nothing (read as far as 64 KiB)")


def test_a_server_that_cannot_load_it_is_no_verdict() -> None:
    words = "model requires more system memory (9.9 GiB) than is available (1 GiB)"
    with pytest.raises(HostAnswered):
        asked(always(reply({"error": words}, status=500)), item(Check(prompt="Hi")))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(?i)ok", "It is OK.", Searched.FOUND),
        ("^ok", "It is ok.", Searched.MISSING),
        ("(?s)\\A.*\\u20ac\\Z", "5 €", Searched.FOUND),
    ],
)
def test_a_pattern_is_searched_for_anywhere(pattern: str, text: str, found: Searched) -> None:
    assert asyncio.run(search(pattern, text)) is found


def test_a_pattern_that_would_take_for_ever_is_ended() -> None:
    assert asyncio.run(search("(a+)+$", "a" * 60 + "!", within=0.5)) is Searched.TOO_SLOW

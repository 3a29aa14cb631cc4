"""What simulated models say: marked texts in the shapes of real answers (`ollama-api.md` 12)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate import answers
from tests.simulate.host.talking import Talk

ANSWER = "[simulated] OK, this host does not think."
HI = [{"role": "user", "content": "hi there"}]


@pytest.fixture
def held(host: Callable[..., Talk]) -> Callable[..., Talk]:
    """Makes a host that holds `m` with a template, and `e` that embeds."""

    def make(version: str = "0.32.15", **settings: Any) -> Talk:
        here = host(version, **settings)
        here.seed("m", capabilities=["completion", "tools"])
        here.seed("e", capabilities=["embedding"], seed="e")
        return here

    return make


def test_a_stream_of_words(held: Callable[..., Talk]) -> None:
    answer = held().post("generate", model="m", prompt="hi there")
    assert answer.content_type == "application/x-ndjson"
    assert "".join(line["response"] for line in answer.lines) == ANSWER
    end = answer.lines[-1]
    assert [line["done"] for line in answer.lines] == [False] * 9 + [True]
    assert (end["done_reason"], end["prompt_eval_count"], end["eval_count"]) == ("stop", 2, 9)
    assert len(end["context"]) == len(f"hi there {ANSWER}".split())


def test_a_whole_answer(held: Callable[..., Talk]) -> None:
    here = held()
    answer = here.post("generate", model="m", prompt="hi", stream=False)
    assert (answer.json["response"], answer.json["done"]) == (ANSWER, True)
    chat = here.post("chat", model="m", messages=HI, stream=False)
    assert chat.json["message"] == {"role": "assistant", "content": ANSWER}


@pytest.mark.parametrize(
    ("limit", "words", "reason"), [(2, 2, "length"), (0, 0, "length"), (-1, 9, "stop"), (99, 9, "stop")]
)
def test_answers_may_be_cut(held: Callable[..., Talk], limit: int, words: int, reason: str) -> None:
    answer = held().post("chat", model="m", messages=HI, options={"num_predict": limit})
    assert (len(answer.lines) - 1, answer.lines[-1]["done_reason"]) == (words, reason)


def test_raw_prompts_leave_no_context(held: Callable[..., Talk]) -> None:
    here = held()
    assert "context" not in here.post("generate", model="m", prompt="hi", raw=True, stream=False).json
    answer = here.post("generate", model="m", prompt="hi", raw=True, system="x")
    assert (answer.status, answer.error) == (400, "raw mode does not support template, system, or context")


def test_a_template_may_be_tried(held: Callable[..., Talk]) -> None:
    answer = held().post("generate", model="m", prompt="hi", template="{{ .X")
    assert (answer.status, answer.error) == (500, "template: :1: unclosed action")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '{"simulated":true}'),
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}}, '{"a":0,"b":"x"}'),
        ({"type": "array"}, "[]"),
        ({"const": 5}, "5"),
        ({"type": "object", "properties": 5}, "{}"),
        ({"type": ["odd"]}, "null"),
        ({"properties": {"a": 5}}, '{"a":null}'),
        ("", ANSWER),
    ],
)
def test_answers_in_a_form(held: Callable[..., Talk], form: Any, text: str) -> None:
    assert held().post("generate", model="m", prompt="hi", format=form, stream=False).json["response"] == text


def test_a_model_without_template_is_short_in_chat(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("m")
    assert here.post("chat", model="m", messages=HI, stream=False).json["message"]["content"] == "[simulated]"


@pytest.mark.parametrize(
    ("version", "path", "body", "status", "error"),
    [
        ("0.32.15", "generate", {"model": "e", "prompt": "hi"}, 400, '"e" does not support generate'),
        ("0.32.15", "generate", {"model": "m", "prompt": "hi", "suffix": "x"}, 400, "registry.ollama.ai/library/m:latest does not support insert"),
        ("0.5.1", "generate", {"model": "m", "prompt": "hi", "suffix": "x"}, 400, "m does not support insert"),
        ("0.5.4", "generate", {"model": "e", "prompt": "hi"}, 400, '"e" does not support generate'),
        ("0.32.15", "chat", {"model": "e", "messages": HI}, 400, '"e" does not support chat'),
        ("0.9.6", "chat", {"model": "m", "messages": HI, "think": True}, 400, "registry.ollama.ai/library/m:latest does not support thinking"),
        ("0.32.15", "generate", {"model": "m:cloud"}, 502, "remote inference is unavailable"),
        ("0.32.15", "chat", {"model": ""}, 400, "model is required"),
        ("0.32.15", "generate", {"model": ""}, 404, "model '' not found"),
        ("0.32.15", "generate", {"model": "a//b"}, 400, "invalid model name"),
        ("0.32.15", "embed", {"model": "", "input": "x"}, 404, "model '' not found"),
        ("0.32.15", "embed", {"model": "a//b", "input": "x"}, 400, "invalid model name"),
        ("0.32.15", "embeddings", {"model": "", "prompt": "x"}, 400, "model is required"),
        ("0.5.1", "embeddings", {"model": ""}, 400, "model is required"),
        ("0.32.15", "embed", {"model": "m:local:cloud", "input": "x"}, 400, 'use either :local or :cloud, not both: "m:local:cloud"'),
        ("0.32.15", "embed", {"model": "ghost", "input": "x"}, 404, 'model "ghost" not found, try pulling it first'),
        ("0.9.6", "embeddings", {"model": "M", "prompt": "x"}, 404, 'model "M" not found, try pulling it first'),
        ("0.32.15", "embed", {"model": "e", "input": 5}, 400, "invalid input type"),
        ("0.32.15", "embed", {"model": "e", "input": ["a", 5]}, 400, "invalid input type"),
        ("0.3.5", "embed", {"model": "e"}, 400, "invalid input type"),
        ("0.32.15", "embed", {"model": "m", "input": "x"}, 501, "This server does not support embeddings. Start it with `--embeddings`"),
        ("0.32.15", "generate", {"model": "m", "options": {"top_k": "x"}}, 500, 'option "top_k" must be of type integer'),
        ("0.32.15", "generate", {"model": "m", "options": {"top_p": "x"}}, 500, 'option "top_p" must be of type float32'),
        ("0.32.15", "generate", {"model": "m", "options": {"use_mmap": 1}}, 500, 'option "use_mmap" must be of type boolean'),
        ("0.32.15", "generate", {"model": "m", "options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
        ("0.32.15", "generate", {"model": "m", "options": {"stop": [1]}}, 500, 'option "stop" must be of an array of strings'),
    ],
)  # fmt: skip
def test_refusals(
    held: Callable[..., Talk], version: str, path: str, body: dict[str, Any], status: int, error: str
) -> None:
    answer = held(version).post(path, **body)
    assert (answer.status, answer.error) == (status, error)


@pytest.mark.parametrize("version", ["0.3.4", "0.3.14", "0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15"])
def test_loading_and_unloading_in_every_way(held: Callable[..., Talk], version: str) -> None:
    here = held(version)
    for path in ("generate", "chat"):
        assert here.post(path, model="m").json["done_reason"] == "load"
        assert len(here.running()) == 1
        assert here.post(path, model="m", keep_alive=0).status == 200
        here.wait(1)
        assert here.running() == []


def test_wrong_options_of_the_model_itself(held: Callable[..., Talk]) -> None:
    here = held()
    here.create("bad", from_="m", parameters={"top_k": "x"})
    answer = here.post("generate", model="bad")
    assert (answer.status, answer.error) == (500, 'option "top_k" must be of type integer')
    assert here.post("generate", model="m", options={"unknown": "x", "top_k": None}).status == 200


def test_embeddings(held: Callable[..., Talk]) -> None:
    here = held()
    first, second = here.post("embed", model="e", input=["a", "b"]).json["embeddings"]
    assert (len(first), first == second) == (64, False)
    again = here.post("embed", model="e", input="a").json
    assert (again["embeddings"], again["prompt_eval_count"]) == ([first], 1)
    old = here.post("embeddings", model="e", prompt="a").json["embedding"]
    assert old == pytest.approx(first, abs=1e-6)
    assert here.post("embeddings", model="e").json == {"embedding": []}
    assert here.post("embed", model="e", input="").json == {"model": "e", "embeddings": []}
    assert held("0.3.5").post("embed", model="e", input=[]).json == {"model": "e", "embeddings": []}


@given(st.text(), st.integers(0, 300))
def test_vectors_have_a_length_of_one(text: str, width: int) -> None:
    vector = answers.vector(text, width)
    assert len(vector) == (width or 8)
    assert math.isclose(math.fsum(number * number for number in vector), 1)
    assert answers.vector(text, width) == vector


def test_requests_are_counted_by_what_they_do(held: Callable[..., Talk]) -> None:
    here = held()
    for body in ({}, {"prompt": "hi"}, {"keep_alive": 0}):
        here.post("generate", model="m", **body)
    here.post("embed", model="e")
    here.post("embed", model="e", input="x")
    here.get("tags")
    here.get("nope")
    here.ask("HEAD", f"/api/blobs/sha256:{'0' * 64}")
    assert here.engine.counters == {
        "load": 2, "generate": 1, "unload": 1, "embed": 1, "tags": 1, "other": 1, "blob_head": 1,
        "runners_started": 2, "runners_ended": 1,
    }  # fmt: skip


SAYS = [
    answers.Answer(says='{"n": 4}', prompt="*two and*TWO*", model="m*"),
    answers.Answer(says="one two\nthree ", model="acme/*", takes=7),
    answers.Answer(says="anything", prompt="hi?"),
]


@pytest.mark.parametrize(
    ("model", "prompt", "says"),
    [
        ("m", "What is\nTwo and two?", '{"n": 4}'),
        ("m", "hi!", "anything"),
        ("m", "hi there", ANSWER),
        ("acme/m", "hi!", "one two\nthree "),
    ],
)
def test_models_may_be_told_what_to_say(held: Callable[..., Talk], model: str, prompt: str, says: str) -> None:
    here = held(answers=SAYS)
    here.post("copy", source="m", destination="acme/m")
    assert here.post("generate", model=model, prompt=prompt, stream=False).json["response"] == says
    turns = [{"role": "system", "content": "hi!"}, {"role": "user", "content": prompt}]
    assert here.post("chat", model=model, messages=turns, stream=False).json["message"]["content"] == says
    streamed = here.post("generate", model=model, prompt=prompt).lines
    assert "".join(line["response"] for line in streamed) == says


def test_an_answer_may_take_its_time_be_cut_and_keep_to_no_form(held: Callable[..., Talk]) -> None:
    here = held(answers=SAYS)
    here.post("copy", source="m", destination="acme/m")
    before = here.now
    said = here.post("generate", model="acme/m", prompt="hi", options={"num_predict": 2}, format="json", stream=False)
    assert (said.json["response"], said.json["done_reason"]) == ("one two", "length")
    assert here.now - before == pytest.approx(7, abs=0.1)
    here.engine.answers = ()
    assert here.post("generate", model="acme/m", prompt="hi", format="json", stream=False).json["response"] == (
        '{"simulated":true}'
    )


@pytest.mark.parametrize(
    ("version", "dimensions", "width"),
    [("0.11.11", 16, 16), ("0.11.10", 16, 64), ("0.32.15", 0, 64), ("0.32.15", 99, 64)],
)
def test_vectors_are_cut_where_servers_do(held: Callable[..., Talk], version: str, dimensions: int, width: int) -> None:
    here = held(version)
    (vector,) = here.post("embed", model="e", input="x", dimensions=dimensions).json["embeddings"]
    (whole,) = here.post("embed", model="e", input="x").json["embeddings"]
    assert (len(vector), len(whole)) == (width, 64)
    length = math.sqrt(sum(number * number for number in whole[:width]))
    assert vector == pytest.approx([number / length for number in whole[:width]], abs=1e-6)

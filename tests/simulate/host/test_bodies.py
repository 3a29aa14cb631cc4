"""Bodies of requests as a server reads them, and what it says of those that it cannot read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.simulate import gojson
from fleet.simulate.gotext import FOREVER
from fleet.simulate.requests import fields
from fleet.simulate.versions import Behaviour
from tests.simulate.host.talking import Talk

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_is_json_is_read(value: Any) -> None:
    assert gojson.plain(gojson.read(json.dumps(value).encode())) == value


@given(JSON, st.integers(min_value=1, max_value=5))
def test_what_is_cut_short_has_an_unexpected_end(value: Any, cut: int) -> None:
    body = json.dumps([value]).encode()[:-cut]
    with pytest.raises(gojson.JsonError) as caught:
        gojson.read(body)
    assert str(caught.value) in {"unexpected EOF", "EOF"}


@given(st.binary(max_size=40))
def test_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        gojson.plain(gojson.read(body))
    except gojson.JsonError as fault:
        assert str(fault)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("  ", "EOF"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{a", "invalid character 'a' looking for beginning of object key string"),
        ("{'a", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a" 1', "invalid character '1' after object key"),
        ('{"a":1 "b"', "invalid character '\"' after object key:value pair"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("[1 2", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        ("trve", "invalid character 'v' in literal true (expecting 'u')"),
        ("nul", "unexpected EOF"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("1e+", "unexpected EOF"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("[" * 100_000, "exceeded max depth"),
    ],
)
def test_faults_of_json(body: str, fault: str) -> None:
    with pytest.raises(gojson.JsonError) as caught:
        gojson.read(body.encode())
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("{} trailing", {}),
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),
        ("[1.50, {}, []]", [1.5, {}, []]),
        ('{"a": null, "a": true}', {"a": True}),
    ],
)
def test_the_first_value_counts(body: str, value: Any) -> None:
    assert gojson.plain(gojson.read(body.encode())) == value


def test_a_number_may_be_too_large() -> None:
    with pytest.raises(gojson.JsonError, match="cannot unmarshal number 1e999 into Go value of type float64"):
        gojson.plain(gojson.read(b"1e999"))


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("show", "[]", "json: cannot unmarshal array into Go value of type api.ShowRequest"),
        ("show", '{"model": 5}', "json: cannot unmarshal number into Go struct field ShowRequest.model of type string"),
        ("show", '{"Verbose": "x"}', "json: cannot unmarshal string into Go struct field ShowRequest.verbose of type bool"),
        ("pull", '{"insecure": {}}', "json: cannot unmarshal object into Go struct field PullRequest.insecure of type bool"),
        ("create", '{"files": []}', "json: cannot unmarshal array into Go struct field CreateRequest.files of type map[string]string"),
        ("create", '{"files": {"a": 1}}', "json: cannot unmarshal number into Go struct field CreateRequest.files of type string"),
        ("create", '{"parameters": 1}', "json: cannot unmarshal number into Go struct field CreateRequest.parameters of type map[string]interface {}"),
        ("create", '{"messages": {}}', "json: cannot unmarshal object into Go struct field CreateRequest.messages of type []api.Message"),
        ("generate", '{"context": [1.5]}', "json: cannot unmarshal number 1.5 into Go struct field GenerateRequest.context of type int"),
        ("generate", '{"context": ["a"]}', "json: cannot unmarshal string into Go struct field GenerateRequest.context of type int"),
        ("embed", '{"dimensions": true}', "json: cannot unmarshal bool into Go struct field EmbedRequest.dimensions of type int"),
        ("chat", '{"messages": [{"role": 1}]}', "json: cannot unmarshal number into Go struct field ChatRequest.messages.role of type string"),
        ("generate", '{"keep_alive": "x"}', 'time: invalid duration "x"'),
        ("generate", '{"keep_alive": true}', "Unsupported type: 'bool'"),
        ("generate", '{"keep_alive": []}', "Unsupported type: '[]interface {}'"),
        ("generate", '{"think": 5}', 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'),
        ("generate", '{"think": "x"}', 'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)'),
    ],
)  # fmt: skip
def test_wrong_types_are_told_in_gos_words(host: Callable[..., Talk], path: str, body: str, fault: str) -> None:
    answer = host().ask("POST", f"/api/{path}", body.encode())
    assert (answer.status, answer.error) == (400, fault)


@pytest.mark.parametrize("path", ["show", "pull", "push", "create", "copy", "generate", "chat", "embed", "embeddings"])
def test_a_body_is_needed(host: Callable[..., Talk], path: str) -> None:
    answer = host().ask("POST", f"/api/{path}")
    assert (answer.status, answer.error) == (400, "missing request body")


def test_keys_count_in_any_case_and_null_is_nothing(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("tiny")
    assert here.ask("POST", "/api/show", b'{"MODEL": "tiny", "system": null, "unknown": 1}').status == 200
    assert here.ask("POST", "/api/show", b"null").error == "model is required"


@pytest.mark.parametrize(
    ("version", "given", "nanoseconds"),
    [
        ("0.11.7", "2.9", 2 * 10**9),
        ("0.11.8", "2.9", 2_900_000_000),
        ("0.32.15", "-1", FOREVER),
        ("0.32.15", '"-1h"', FOREVER),
        ("0.32.15", '"1m"', 60 * 10**9),
        ("0.32.15", "1e30", -FOREVER - 1),
        ("0.32.15", "1e400", -FOREVER - 1),
        ("0.11.7", "9223372037", 9223372037 * 10**9 - 2 * (FOREVER + 1)),
    ],
)
def test_keep_alive_in_nanoseconds(version: str, given: str, nanoseconds: int) -> None:
    body = gojson.read(f'{{"keep_alive": {given}}}'.encode())
    assert fields(Behaviour.of(version))["generate"].bind(body) == {"keep_alive": nanoseconds}

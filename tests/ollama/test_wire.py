from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.ollama import wire
from fleet.ollama.wire import Progress, ReplyError, Running, Show

HEX = "a" * 64


def raw(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.fault("S14")
def test_what_a_listing_need_not_say_has_a_default() -> None:
    (listed,) = wire.models(raw({"models": [{"name": "m:latest", "digest": HEX}]}))
    assert (listed.size, listed.details.parent_model, listed.details.families, listed.remote_model) == (0, "", (), None)


def test_nulls_count_as_not_sent() -> None:
    entry = {
        "name": "m",
        "digest": HEX,
        "size": None,
        "details": {"families": None, "family": None},
        "modified_at": None,
    }
    (listed,) = wire.models(raw({"models": [entry]}))
    assert listed.details.families == ()
    assert listed.details.family == ""
    assert wire.models(b'{"models":null}') == ()
    assert wire.runners(b'{"models":null}') == ()
    assert wire.read(Show, raw({"details": None, "model_info": None, "messages": None})) == Show()


@pytest.mark.fault("S14", "S16")
def test_unknown_keys_are_ignored_and_doubles_stay() -> None:
    entry = {"name": "m", "digest": HEX, "new": {"deep": [1]}}
    assert [listed.name for listed in wire.models(raw({"models": [entry, entry], "more": 1}))] == ["m", "m"]


@pytest.mark.fault("S14", "S11")
@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"", "no JSON"),
        (b"<html>login</html>", "no JSON"),
        (b'{"models":[{"name":"m"}]}', "`models.0.digest`: field required"),
        (b'{"models":[{"digest":"x"}]}', "`models.0.name`: field required"),
        (b'{"models":"none"}', "`models`: "),
        (b'{"models":[{"name":"m","digest":"x","size":"big"}]}', "`models.0.size`: "),
        (b'{"models":[{"name":["m"],"digest":"x"}]}', "`models.0.name`: "),
        (b'{"models":[{"name":"m","digest":"x"},null]}', "`models.1`: "),
        (b'{"models":[null]}', "`models.0`: "),
        (b'{"models":[{"name":"m","digest":"x","size":-1}]}', "`models.0.size`: "),
        (b'{"models":[{"name":"m","digest":"x","size":9223372036854775808}]}', "`models.0.size`: "),
        (b'{"models":[{"name":"m","digest":"x","size":' + b"9" * 4000 + b"}]}", "`models.0.size`: "),
        (b"{}", "`models`: field required"),
        (b"[]", "`the reply`: "),
        (b'{"models":[]}{"models":[]}', "no JSON"),
        (b'{"models":[{"name":"m","digest":"x","size":' + b"9" * 5000 + b"}]}", "no JSON"),
        (b'{"models":[{"name":"m","digest":"x","size":NaN}]}', "no JSON"),
        (b'{"models":' + b"[" * 100_000, "nested too deeply"),
        (b'{"models":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_what_is_no_listing_is_an_error_that_says_why(reply: bytes, fault: str) -> None:
    with pytest.raises(ReplyError) as refused:
        wire.models(reply)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("null", "`models.0`: "),
        ('{"name":"m","digest":"x","size":-1}', "`models.0.size`: "),
        ('{"name":"m","digest":"x","size_vram":-1}', "`models.0.size_vram`: "),
        ('{"name":"m","digest":"x","size_vram":1e30}', "`models.0.size_vram`: "),
    ],
)
def test_a_runner_that_cannot_be_is_an_error_and_not_dropped(entry: str, fault: str) -> None:
    with pytest.raises(ReplyError) as refused:
        wire.runners(f'{{"models":[{entry}]}}'.encode())
    assert fault in str(refused.value)


def test_the_largest_size_that_go_can_count_is_read() -> None:
    entry = {"name": "m", "digest": HEX, "size": 2**63 - 1, "size_vram": 0}
    (listed,) = wire.models(raw({"models": [entry]}))
    (running,) = wire.runners(raw({"models": [entry]}))
    assert (listed.size, running.size, running.size_vram) == (2**63 - 1, 2**63 - 1, 0)


def test_depth_in_a_key_that_nobody_reads_is_an_error_too_and_no_crash() -> None:
    with pytest.raises(ReplyError):
        wire.models(b'{"models":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.fault("S10")
def test_broken_utf8_and_halves_of_pairs_are_replaced_visibly() -> None:
    reply = b'{"models":[{"name":"a\xff","digest":"x"},{"name":"b\\ud800","digest":"\\ud83d\\ude00"}]}'
    first, second = wire.models(reply)
    assert first.name == "a\ufffd"
    assert second.name == "b\ufffd"
    assert second.digest == "\U0001f600"


def test_the_last_of_two_equal_keys_counts() -> None:
    assert wire.version(b'{"version":"1.0.0","version":"0.5.4"}') == "0.5.4"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-11-23T11:29:44.831625492Z", datetime(2026, 11, 23, 11, 29, 44, 831625, tzinfo=UTC)),
        ("2026-11-23T20:29:44+09:00", datetime(2026, 11, 23, 11, 29, 44, tzinfo=UTC)),
        ("2319-03-05T11:17:06.459028871Z", datetime(2319, 3, 5, 11, 17, 6, 459028, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+09:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-09:00", datetime(9999, 12, 31, tzinfo=UTC)),
        ("2026-11-23T11:29:44", datetime(2026, 11, 23, 11, 29, 44, tzinfo=UTC)),
        ("10000-01-01T00:00:00Z", None),
        ("soon", None),
        (12, None),
        (None, None),
    ],
)
@pytest.mark.fault("T4")
def test_times_of_servers_are_kept_in_utc_whatever_the_year(text: object, read: datetime | None) -> None:
    (running,) = wire.runners(raw({"models": [{"name": "m", "digest": HEX, "expires_at": text}]}))
    assert running.expires_at == read


@pytest.mark.fault("T4")
def test_far_ahead_means_for_ever() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert Running("m", HEX, expires_at=now + timedelta(minutes=5)).remaining(now) == 300
    assert Running("m", HEX, expires_at=now - timedelta(seconds=9)).remaining(now) == -9
    assert Running("m", HEX, expires_at=datetime(2318, 1, 1, tzinfo=UTC)).remaining(now) is None
    assert Running("m", HEX).remaining(now) is None


@pytest.mark.fault("S12")
@pytest.mark.parametrize(
    ("line", "read"),
    [
        (b'{"status":"success"}', Progress("success")),
        (b'{"status":"p","digest":"sha256:model","total":5,"completed":7}', Progress("p", "sha256:model", 5, 7)),
        (b'{"status":"p","digest":"d","total":0,"completed":-1}', Progress("p", "d", 0, -1)),
        (b'{"status":"p","digest":"d","total":"5","completed":true}', Progress("p", "d")),
        (b'{"status":"p","digest":"d","total":1e999,"completed":1.5}', Progress("p", "d", None, 1)),
        (b'{"status":"p","digest":null,"total":null}', Progress("p")),
        (b'{"error":"template error","status":400}', Progress("400", error="template error")),
        (b'{"error":"x","status":{}}', Progress(error="x")),
        (b'{"error":"x","status":-3}', Progress(error="x")),
        (b'{"error":{"code":5}}', Progress(error='{"code": 5}')),
        (b'{"error":""}', Progress(error="")),
        (b"{}", Progress()),
    ],
)
def test_a_line_of_progress_may_say_anything(line: bytes, read: Progress) -> None:
    assert wire.read(Progress, line) == read


def test_a_vector_of_a_mere_load_is_empty() -> None:
    assert wire.vector(b'{"embedding":[]}') == ()
    assert wire.vector(b'{"embedding":null}') == ()
    assert wire.vector(b'{"embedding":[0.5,1]}') == (0.5, 1.0)
    with pytest.raises(ReplyError):
        wire.vector(b'{"embeddings":[]}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.fault("S11")
@given(st.one_of(st.binary(max_size=60), JSON.map(raw), st.fixed_dictionaries({"models": JSON}).map(raw)))
def test_no_bytes_do_more_than_be_refused(reply: bytes) -> None:
    for read in (wire.models, wire.runners, wire.version, wire.vector, lambda each: wire.read(Progress, each)):
        try:
            read(reply)
        except ReplyError as fault:
            str(fault).encode()

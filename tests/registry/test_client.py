"""Questions to registries: what is asked, how often, and what the answers come to."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fleet.codes import Code
from fleet.names import Digest, ModelName
from fleet.registry.client import Registries
from fleet.registry.served import Published, Served, Unpublished
from tests.ollama.sockets import Request, always, in_turn, reply, serving
from tests.ollama.sockets import Served as Server
from tests.registry.asking import MANIFEST, RAW, TINY, Time, ask, registries, url


async def tiny(asking: Registries, _server: Server) -> Served:
    return await asking.served(TINY)


def unpublished(found: Served) -> Unpublished:
    assert isinstance(found, Unpublished)
    return found


def test_one_small_request_tells_digests_and_sizes() -> None:
    found, server = ask(always(reply(MANIFEST)), tiny)
    assert isinstance(found, Published)
    assert (found.image.raw, found.image.size) == (Digest(RAW), 5340)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/v2/team/tiny/manifests/1")
    assert asked.headers["accept"].split(", ") == [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    ]
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
    assert not {"authorization", "cookie"} & asked.headers.keys()


def test_a_path_before_the_registry_is_kept() -> None:
    async def run() -> str:
        async with (
            serving(always(reply(MANIFEST))) as server,
            registries({"reg.test": f"{url(server)}/deep"}) as asking,
        ):
            await asking.served(TINY)
            return server.asked[0].path

    assert asyncio.run(run()) == "/deep/v2/team/tiny/manifests/1"


def test_a_tag_is_asked_about_once_however_many_want_to_know() -> None:
    async def many(asking: Registries, _server: Server) -> list[Served]:
        return [*await asyncio.gather(*(asking.served(TINY) for _ in range(50))), await asking.served(TINY)]

    found, server = ask(always(reply(MANIFEST)), many)
    assert len(server.asked) == 1
    assert len({id(one) for one in found}) == 1


def test_a_failure_is_remembered_as_well() -> None:
    async def twice(asking: Registries, _server: Server) -> list[Served]:
        return [await asking.served(TINY), await asking.served(TINY)]

    found, server = ask(always(reply("no", status=404)), twice)
    assert len(server.asked) == 1
    assert unpublished(found[1]).code is Code.NOT_IN_REGISTRY


def test_other_letter_cases_are_other_questions() -> None:
    async def both(asking: Registries, _server: Server) -> None:
        await asking.served(TINY)
        await asking.served(ModelName.parse("REG.test/team/Tiny:1"))
        await asking.served(ModelName.parse("REG.test/team/tiny:1"))

    _, server = ask(always(reply(MANIFEST)), both)
    assert [one.path for one in server.asked] == ["/v2/team/tiny/manifests/1", "/v2/team/Tiny/manifests/1"]


def test_who_leaves_does_not_take_the_answer_from_others() -> None:
    async def one_leaves(asking: Registries, _server: Server) -> Served:
        leaving = asyncio.create_task(asking.served(TINY))
        staying = asyncio.create_task(asking.served(TINY))
        await begun.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        released.set()
        return await staying

    begun, released = asyncio.Event(), asyncio.Event()

    async def held(_request: Request, writer: asyncio.StreamWriter) -> bool:
        begun.set()
        await released.wait()
        writer.write(reply(MANIFEST))
        return True

    found, server = ask(held, one_leaves)
    assert isinstance(found, Published)
    assert len(server.asked) == 1


def test_leaving_the_context_ends_what_is_under_way() -> None:
    async def run() -> None:
        async with serving(held) as server:
            async with registries({"reg.test": url(server)}) as asking:
                task = asyncio.create_task(asking.served(TINY))
                await begun.wait()
            with pytest.raises(asyncio.CancelledError):
                await task

    begun = asyncio.Event()

    async def held(_request: Request, _writer: asyncio.StreamWriter) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return False

    asyncio.run(run())


def test_no_more_than_so_many_at_once() -> None:
    under_way, most = 0, 0

    async def counting(_request: Request, writer: asyncio.StreamWriter) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        writer.write(reply(MANIFEST))
        return True

    async def forty(asking: Registries, _server: Server) -> None:
        names = [ModelName.parse(f"reg.test/team/m{number}") for number in range(40)]
        await asyncio.gather(*(asking.served(name) for name in names))

    _, server = ask(counting, forty, at_once=3)
    assert len(server.asked) == 40
    assert most == 3


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (
            404,
            {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]},
            Code.NOT_IN_REGISTRY,
            "manifest unknown",
        ),
        (404, "404 page not found", Code.NOT_IN_REGISTRY, "`reg.test` has no `reg.test/team/tiny:1`"),
        (403, {"error": "gated: ask \x1b[31mfirst"}, Code.REGISTRY_UNAUTHORIZED, r"gated: ask \x1b[31mfirst"),
        (401, "", Code.REGISTRY_UNAUTHORIZED, "not serve `reg.test/team/tiny:1` to everybody"),
        (412, {"error": "newer version"}, Code.REGISTRY_TROUBLE, "answered 412: `newer version`"),
        (406, "[[", Code.REGISTRY_TROUBLE, "answered 406"),
    ],
)
def test_a_refusal_says_what_and_where(status: int, body: Any, code: Code, words: str) -> None:
    found, server = ask(always(reply(body, status=status)), tiny)
    assert unpublished(found).code is code
    assert words in unpublished(found).message
    assert f"{url(server)}/v2/team/tiny/manifests/1" in unpublished(found).message
    assert len(server.asked) == 1


@pytest.mark.fault("R10")
def test_signatures_in_its_words_are_not_repeated() -> None:
    body: dict[str, object] = {"error": "see https://user:secret@cdn.test/blob?X-Amz-Signature=abc"}
    found, _ = ask(always(reply(body, status=403)), tiny)
    assert "https://cdn.test/blob?…" in unpublished(found).message


def test_what_is_no_model_is_told_as_such() -> None:
    found, server = ask(always(reply({"schemaVersion": 2, "manifests": []})), tiny)
    assert unpublished(found).code is Code.NO_MODEL_SERVED
    assert unpublished(found).message.startswith(f"{url(server)}/v2/team/tiny/manifests/1: no image manifest")


def test_a_broken_connection_is_tried_again() -> None:
    left = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", reply(MANIFEST)]

    async def script(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(left.pop(0))
        await writer.drain()
        return not left

    found, server = ask(script, tiny)
    assert isinstance(found, Published)
    assert len(server.asked) == 3


@pytest.mark.fault("R3, R4")
def test_an_overloaded_registry_is_tried_again_with_growing_pauses_and_then_left() -> None:
    time = Time()
    found, server = ask(always(reply("busy", status=503)), tiny, time=time, first=0.5)
    assert unpublished(found).code is Code.REGISTRY_TROUBLE
    assert len(server.asked) == 3
    assert [0 <= pause <= most for pause, most in zip(time.paused, (0.5, 1.0), strict=True)] == [True, True]


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_asked_to(status: int) -> None:
    time = Time()
    busy = reply("", status=status, headers=["Retry-After: 7"])
    found, _ = ask(in_turn(busy, busy, busy, busy, reply(MANIFEST)), tiny, time=time)
    assert isinstance(found, Published)
    assert time.paused == [7, 7, 7, 7]


def test_a_date_to_wait_for_is_understood() -> None:
    from datetime import UTC, datetime, timedelta
    from email.utils import format_datetime

    time = Time()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    found, _ = ask(in_turn(reply("", status=429, headers=[f"Retry-After: {date}"]), reply(MANIFEST)), tiny, time=time)
    assert isinstance(found, Published)
    assert len(time.paused) == 1
    assert 15 < time.paused[0] <= 20


@pytest.mark.parametrize("told", ["61", "999999999", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_nobody_waits_longer_than_a_minute_for_one_registry(told: str) -> None:
    time = Time()

    async def several(asking: Registries, _server: Server) -> list[Served]:
        return [await asking.served(ModelName.parse(f"reg.test/team/m{number}")) for number in range(20)]

    found, server = ask(always(reply("", status=429, headers=[f"Retry-After: {told}"])), several, time=time)
    assert time.paused == []
    assert len(server.asked) == 1
    assert {unpublished(one).code for one in found} == {Code.REGISTRY_TROUBLE}
    assert "asked no more in this run: it answered 429 and asks to wait" in unpublished(found[-1]).message


def test_a_minute_is_counted_over_all_waits_and_once_for_all_who_wait() -> None:
    time = Time()

    async def several(asking: Registries, _server: Server) -> list[Served]:
        names = [ModelName.parse(f"reg.test/team/m{number}") for number in range(5)]
        return await asyncio.gather(*(asking.served(name) for name in names))

    found, server = ask(always(reply("", status=429, headers=["Retry-After: 25"])), several, time=time)
    assert time.now - 1000.0 <= 5 * 60
    assert len(server.asked) <= 15
    assert {unpublished(one).code for one in found} == {Code.REGISTRY_TROUBLE}


@pytest.mark.parametrize("told", ["0", "-5", "soon", "Fri, 01 Jan 1999 00:00:00 GMT"])
def test_nonsense_to_wait_for_is_an_ordinary_overload(told: str) -> None:
    found, server = ask(always(reply("", status=429, headers=[f"Retry-After: {told}"])), tiny)
    assert unpublished(found).code is Code.REGISTRY_TROUBLE
    assert len(server.asked) == 3


def test_a_registry_that_nobody_serves_is_asked_a_few_times_for_all_models() -> None:
    async def run() -> tuple[list[Served], Time]:
        async with serving(always(b"")) as server:
            gone = url(server)
        time = Time()
        async with registries({"reg.test": gone}, time=time, at_once=4) as asking:
            names = [ModelName.parse(f"reg.test/team/m{number}") for number in range(200)]
            return await asyncio.gather(*(asking.served(name) for name in names)), time

    found, time = asyncio.run(run())
    assert time.now - 1000.0 < 5
    assert "no connection (Connection refused)" in unpublished(found[0]).message
    assert "is asked no more in this run: no connection" in unpublished(found[-1]).message


@pytest.mark.fault("R3, R4")
def test_a_registry_that_keeps_failing_is_left_alone_and_others_are_not() -> None:
    async def run() -> tuple[int, Served]:
        broken, sound = always(reply("", status=500)), always(reply(MANIFEST))
        async with (
            serving(broken) as bad,
            serving(sound) as good,
            registries({"bad.test": url(bad), "reg.test": url(good)}, tries=2, failures=5) as asking,
        ):
            for number in range(30):
                await asking.served(ModelName.parse(f"bad.test/team/m{number}"))
            return len(bad.asked), await asking.served(TINY)

    asked, found = asyncio.run(run())
    assert asked == 5
    assert isinstance(found, Published)


@pytest.mark.fault("R3, R4")
def test_an_outage_is_not_met_with_a_request_for_each_model() -> None:
    async def many(asking: Registries, _server: Server) -> list[Served]:
        names = [ModelName.parse(f"reg.test/team/m{number}") for number in range(200)]
        return await asyncio.gather(*(asking.served(name) for name in names))

    found, server = ask(always(reply("", status=503)), many, at_once=4)
    assert len(server.asked) <= 15 + 4
    assert "asked no more in this run: it answered 503" in unpublished(found[-1]).message


def test_a_missing_model_is_no_failure_of_the_registry() -> None:
    async def several(asking: Registries, _server: Server) -> None:
        for number in range(10):
            await asking.served(ModelName.parse(f"reg.test/team/m{number}"))

    _, server = ask(in_turn(reply("", status=404)), several, failures=3)
    assert len(server.asked) == 10


def test_a_question_has_an_end_whatever_its_parts_take() -> None:
    async def held(_request: Request, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    found, _ = ask(held, tiny, question=0.1)
    assert unpublished(found).code is Code.REGISTRY_TROUBLE
    assert "no answer within 0.1s in all" in unpublished(found).message


@pytest.mark.fault("R8")
def test_only_registries_of_the_inventory_are_asked_where_it_names_any() -> None:
    async def stranger(asking: Registries, _server: Server) -> Served:
        return await asking.served(ModelName.parse("other.test/team/tiny"))

    found, server = ask(always(reply(MANIFEST)), stranger, closed=True)
    assert "`other.test` is not among `registries`" in unpublished(found).message
    assert server.asked == []


def test_addresses_that_hold_secrets_of_clouds_are_not_asked() -> None:
    async def metadata(asking: Registries, _server: Server) -> Served:
        return await asking.served(ModelName.parse("169.254.169.254/team/tiny"))

    found, _ = ask(always(reply(MANIFEST)), metadata)
    assert "no registry that can be asked" in unpublished(found).message


def test_answers_are_json_whatever_their_type() -> None:
    """Ollama's registry calls its manifests plain text and tells no length (`ollama-api.md` 10.8)."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (MANIFEST[:50], MANIFEST[50:]))
    found, _ = ask(always(head + chunks + b"0\r\n\r\n"), tiny)
    assert isinstance(found, Published)
    assert found.image.raw == Digest(RAW)
    assert json.loads(MANIFEST)["schemaVersion"] == 2

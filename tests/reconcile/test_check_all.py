"""Checks on demand: what is not asked, and what is not to be remembered."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from fleet.codes import Code
from fleet.manifest.inventory import Host, Place
from fleet.manifest.item import Check, HostDesired, Item, Pull
from fleet.names import HostName, ModelName
from fleet.reconcile.checks.check_all import Asked, Verdict, check_all
from fleet.settings import Settings
from tests.ollama.sockets import STREAM_END, STREAM_HEAD, Request, Script, line, reply, serving

PLACE = Place("fleet.yaml", 1, 1)
ALPHA = Host(HostName("alpha"), "http://127.0.0.1:9", PLACE)
SETTINGS = Settings(retry_tries=1)


def item(name: str, *checks: Check) -> Item:
    return Item(ModelName.parse(name), Pull(), PLACE, check=checks)


def listing(digest: str) -> bytes:
    return reply({"models": [{"name": "m:1", "digest": digest * 64, "size": 1}]})


def serving_lists(*digests: str) -> Script:
    """Lists the model with one digest after the other, and answers every question."""
    left = list(digests)

    async def script(request: Request, writer: Any) -> bool:
        if request.path == "/api/tags":
            writer.write(listing(left.pop(0) if len(left) > 1 else left[0]))
        elif "prompt" in json.loads(request.body):
            writer.write(STREAM_HEAD + line(response="OK", done=True, done_reason="stop") + STREAM_END)
        else:
            writer.write(reply({"response": "", "done": True, "done_reason": "load"}))
        await writer.drain()
        return True

    return script


def checked(script: Script, *items: Item, host: Host = ALPHA) -> tuple[tuple[Asked, ...], list[Asked]]:
    """The verdicts, and what was told meanwhile."""
    heard: list[Asked] = []

    async def run() -> tuple[Asked, ...]:
        async with serving(script) as served:
            there = HostDesired(replace(host, url=f"http://127.0.0.1:{served.port}"), items)
            asked, unobserved = await check_all([there], lambda _: True, SETTINGS, lambda _, each: heard.append(each))
            assert unobserved == ()
            return asked

    return asyncio.run(run()), heard


def test_a_verdict_is_told_at_once_with_what_is_to_be_remembered() -> None:
    asked, heard = checked(serving_lists("a"), item("m:1", Check(prompt="Hi")), item("unchecked:1"))
    assert tuple(heard) == asked
    (only,) = asked
    assert only.verdict is Verdict.PASSED
    assert only.record is not None
    assert (only.record.passed, only.record.digest.hex) == (True, "a" * 64)


def test_a_model_that_changed_meanwhile_has_no_verdict() -> None:
    ((only,), _) = checked(serving_lists("a", "b"), item("m:1", Check(prompt="Hi")))
    assert (only.verdict, only.code, only.record) == (Verdict.NOT_ASKED, Code.SUPERSEDED, None)


def test_what_the_host_does_not_list_is_not_asked() -> None:
    ((only,), _) = checked(serving_lists("a"), item("other:1", Check(prompt="Hi")))
    assert (only.verdict, only.why) == (Verdict.NOT_ASKED, "the host does not list it")


def test_a_suspended_host_is_left_alone() -> None:
    ((only,), heard) = checked(
        serving_lists("a"), item("m:1", Check(prompt="Hi")), host=replace(ALPHA, suspended="in repair")
    )
    assert (only.verdict, only.why) == (Verdict.SUSPENDED, "in repair")
    assert heard == []

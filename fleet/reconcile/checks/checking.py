"""Asks one model the questions of its entry, and tells whether it answered well (`check` in `design.md` 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fleet.errors import HostAnswered
from fleet.foreign import clean
from fleet.manifest.item import Check, Item
from fleet.ollama.client import Client, ModelMissing
from fleet.ollama.request import ChatRequest, EmbedRequest, GenerateRequest
from fleet.quantities import show_duration
from fleet.reconcile.checks.judging import LONGEST, Answer, Searched, judge
from fleet.reconcile.checks.searching import search
from fleet.reconcile.observed import Present

_FOREVER = -1.0
_ASKED = 60

Search = Callable[[str, str], Awaitable[Searched]]


@dataclass(frozen=True, slots=True)
class Answered:
    """The verdict on one model."""

    passed: bool
    told: str = ""
    """Which question was answered badly, and how, cleaned and in one line; empty where all were answered well."""


async def ask(
    client: Client, present: Present, item: Item, *, load_timeout: float, search: Search = search
) -> Answered:
    """Asks the questions one after the other, up to the first that is answered badly.

    Each has `within` seconds for its whole answer, or `load_timeout`; loading comes before and does not count. The
    options of a warm entry lie under those of the question, so that a model in memory is not loaded anew. Raises
    `HostError` for trouble with the host, which is no verdict on the model.
    """
    warm = item.warm
    keep_alive = None if warm is None else _FOREVER if warm.keep_alive is None else warm.keep_alive
    loaded: Mapping[str, Any] | None = None
    for number, check in enumerate(item.check, 1):
        options = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in {**(warm.options if warm else {}), **check.options}.items()
        }
        if options != loaded:
            await client.load(present.listed, keep_alive=keep_alive, options=options)
            loaded = options
        within = load_timeout if check.within is None else check.within
        wrong = await _wrong(_Question(client, present.listed, check, options, keep_alive), within, search)
        if wrong is not None:
            which = f"question {number} of {len(item.check)}, " if len(item.check) > 1 else ""
            return Answered(passed=False, told=f"{which}{_asked(check)}: {wrong}")
    return Answered(passed=True)


async def _wrong(question: _Question, within: float, search: Search) -> str | None:
    """What is wrong with the answer to one question, or nothing."""
    check = question.check
    try:
        async with asyncio.timeout(within):
            answer = await question.answer()
    except TimeoutError:
        return f"no whole answer within {show_duration(within)}"
    except HostAnswered as error:
        told = error.told or ""
        # Said with 400, 500 or 501, by version: the model is not of the kind that is asked for.
        if "does not support" not in told:
            raise
        return f"the server says `{clean(told, limit=120)}`"
    searched = None if check.expect is None or not answer.text else await search(check.expect, answer.text)
    return judge(check, answer, searched)


@dataclass(frozen=True, slots=True)
class _Question:
    """One question to one model."""

    client: Client
    listed: str
    check: Check
    options: Mapping[str, Any]
    keep_alive: float | None

    async def answer(self) -> Answer:
        if self.check.embed is not None:
            return Answer(dimensions=await self._embedded(self.check.embed))
        pieces: list[str] = []
        length = 0
        reason = ""
        async with aclosing(self._said()) as said:
            async for piece, why in said:
                reason = why
                pieces.append(piece)
                length += len(piece)
                if length > LONGEST:
                    break
        return Answer("".join(pieces)[:LONGEST], cut=length > LONGEST, limited=reason == "length")

    async def _said(self) -> AsyncGenerator[tuple[str, str], None]:
        """Each piece of the answer, and why it ended where it did."""
        form = "json" if self.check.json else None
        if self.check.prompt is not None:
            asked = GenerateRequest(
                self.listed, self.check.prompt, format=form, options=self.options, keep_alive=self.keep_alive
            )
            async with aclosing(self.client.generate(asked)) as replies:
                async for reply in replies:
                    yield reply.response, reply.done_reason
        else:
            messages = [{"role": message.role, "content": message.content} for message in self.check.chat]
            turn = ChatRequest(self.listed, messages, format=form, options=self.options, keep_alive=self.keep_alive)
            async with aclosing(self.client.chat(turn)) as turns:
                async for said in turns:
                    yield said.message.content, said.done_reason

    async def _embedded(self, text: str) -> int | None:
        """How long the vector is; nothing where none came."""
        request = EmbedRequest(self.listed, text, options=self.options, keep_alive=self.keep_alive)
        try:
            reply = await self.client.embed(request)
        except HostAnswered as error:
            if error.status != 404 or isinstance(error, ModelMissing):
                raise
            # Servers and proxies that do not know the newer path.
            reply = await self.client.embeddings(self.listed, text, keep_alive=self.keep_alive, options=self.options)
        return len(reply.embeddings[0]) if reply.embeddings else None


def _asked(check: Check) -> str:
    """The question for people."""
    if check.embed is not None:
        kind, text = "embed", check.embed
    elif check.prompt is not None:
        kind, text = "prompt", check.prompt
    else:
        kind, text = "chat", check.chat[-1].content if check.chat else ""
    return f"{kind} `{clean(text, limit=_ASKED)}`"

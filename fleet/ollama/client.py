"""One host, spoken to: every endpoint of the API, typed, within limits.

Callers see values of `wire` and the three kinds of `fleet.errors.HostError`; what tells success is `ollama-api.md` 1.3.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from fleet.codes import Code
from fleet.endpoint import Endpoint
from fleet.errors import HostAnswered, HostError, HostUnreachable, OutcomeUnknown
from fleet.names import Digest
from fleet.ollama import wire
from fleet.ollama.answer import Answer, error_line, error_text, not_ollama, refusal, retry_after
from fleet.ollama.credentials import Credentials, Trust
from fleet.ollama.failure import Doing, ModelMissing
from fleet.ollama.limits import Limits, Retries
from fleet.ollama.link import Link, SilentError, Transport
from fleet.ollama.request import ChatRequest, CreateRequest, EmbedRequest, GenerateRequest, OldCreateRequest
from fleet.ollama.sending import Block
from fleet.ollama.stream import ChatterError, Phase, StalledError, Watch
from fleet.ollama.upload import Uploaded
from fleet.ollama.versions import Version
from fleet.ollama.wire import ChatReply, EmbedReply, GenerateReply, Listed, Progress, Running, Show

__all__ = ["Client", "ModelMissing", "Uploaded"]

T = TypeVar("T")
R = TypeVar("R", GenerateReply, ChatReply)

_TRY_AGAIN = frozenset({Code.UNREACHABLE, Code.NAME_NOT_RESOLVED, Code.SERVER_ERROR, Code.BUSY})
"""Time-outs are not among them: they have used up the time that the host was given."""
_GONE = re.compile(r"open .*: no such file or directory\Z", re.DOTALL)


def _utc() -> datetime:
    return datetime.now(UTC)


def _unheard(_sent: int) -> None:
    """For who does not watch."""


class Client:
    """One host. Use as `async with`; many requests may run at once.

    Streams are asynchronous generators: a caller that leaves one early closes it (`contextlib.aclosing`), which
    cancels the work on the server as far as that can be cancelled (`ollama-api.md` 1.4).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        credentials: Credentials | None = None,
        tls: Trust | None = None,
        limits: Limits | None = None,
        retries: Retries | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        """`clock` (seconds) judges the rate of transfers, `pause` waits between tries, `now` is what time it is here;
        `transport` replaces sockets.
        """
        self.endpoint = endpoint
        self.now = now
        self._limits = limits or Limits()
        self._retries = retries or Retries()
        self._clock = clock
        self.pause = pause
        self._asked_for = 0.0
        self._link = Link(endpoint, credentials, tls, self._limits, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.aclose()

    async def version(self) -> Version:
        answer = await self._look("GET", "/api/version", most=self._limits.version_bytes)
        return Version.parse(self._read("/api/version", wire.version, answer))

    async def place(self, version: Version) -> Version:
        """An unknown version with what probes prove of it (`ollama-api.md` 2), a known one as it is; changes nothing."""
        if version.known:
            return version
        probe = json.dumps({"model": "probe", "stream": False}).encode()
        answer = await self._exchange("POST", "/api/create", body=probe)
        if "neither 'from' or 'files'" in (error_text(answer.body) or ""):
            version = version.proven(0, 5, 5)
            wrong_method = await self._exchange("GET", "/api/pull")
            if wrong_method.status == 405:
                version = version.proven(0, 7, 0)
        return version

    async def tags(self) -> tuple[Listed, ...]:
        """What is on disk, in the server's order, which means nothing; doubles and impossible names included."""
        answer = await self._look("GET", "/api/tags", most=self._limits.tags_bytes)
        listed = self._read("/api/tags", wire.models, answer)
        if len(listed) > self._limits.tags_models:
            raise HostAnswered(
                f"{self._link.where('/api/tags')} lists {len(listed)} models, more than {self._limits.tags_models}",
                code=Code.ANSWER_TOO_LARGE,
                status=200,
                hint=Code.ANSWER_TOO_LARGE.value.cure,
            )
        return listed

    async def ps(self) -> tuple[Running, ...]:
        """What is in memory: one for each runner, not for each name."""
        answer = await self._look("GET", "/api/ps", most=self._limits.ps_bytes)
        return self._read("/api/ps", wire.runners, answer)

    async def show(self, name: str, *, verbose: bool = False) -> Show:
        """Raises `ModelMissing` where the host has no such model, or not all of its blobs."""
        body = {"model": name, "verbose": True} if verbose else {"model": name}
        answer = await self._look("POST", "/api/show", body, doing=Doing.SHOW, most=self._limits.show_bytes)
        return self._read("/api/show", lambda raw: wire.read(Show, raw), answer)

    def pull(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """Ends normally only after a last `success` without any error; then look: it may still not be there."""
        return self._progress("/api/pull", _named(name, insecure=insecure), Doing.PULL)

    def push(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """As `pull`, to the registry that the name tells."""
        return self._progress("/api/push", _named(name, insecure=insecure), Doing.PUSH)

    def create(self, request: CreateRequest | OldCreateRequest) -> AsyncGenerator[Progress, None]:
        """As `pull`. The base must be there and whole before (`ollama-api.md` 7.7)."""
        return self._progress("/api/create", request.body(), Doing.CREATE)

    async def copy(self, source: str, destination: str) -> None:
        """Replaces `destination` without asking. Raises `ModelMissing` where there is no source."""
        await self._change("POST", "/api/copy", {"source": source, "destination": destination}, Doing.COPY)

    async def delete(self, name: str) -> bool:
        """Removes the name; false where it was already gone. Does not unload it (`ollama-api.md` 9.2)."""
        try:
            await self._change("DELETE", "/api/delete", {"model": name}, Doing.DELETE)
        except ModelMissing:
            return False
        except HostAnswered as error:
            # Up to 0.3.12.
            if error.status == 500 and _GONE.match(error.told or ""):
                return False
            raise
        return True

    async def blob_exists(self, digest: Digest) -> bool:
        """Whether a blob of that name is there; it says nothing of its content."""
        path = f"/api/blobs/{digest}"
        answer = await self._look("HEAD", path, doing=Doing.UPLOAD, allowed=frozenset({200, 404}))
        return answer.status == 200

    async def upload_blob(
        self, digest: Digest, blocks: Iterable[Block], size: int, moved: Callable[[int], None] = _unheard
    ) -> Uploaded:
        """Sends `size` bytes, whose digest the server checks. `blocks` is gone through once, in a thread of its own.

        What `blocks` raises comes through as it is. `moved` is called in this loop, a few times a second at most, with
        the bytes sent so far. A blob that is there already is answered without being read, which may look like a broken
        connection: ask `blob_exists` straight before. It is asked here after whatever leaves the outcome open. Asking
        also proves the credentials, so a 401 is an end here: the content cannot be sent twice.
        """
        path = f"/api/blobs/{digest}"
        try:
            answer = await self._link.upload(path, blocks, size, silence=self._limits.upload_silence, moved=moved)
            if answer.status not in {200, 201}:
                raise refusal(answer, doing=Doing.UPLOAD, where=self._link.where(path), changing=True)
        except OutcomeUnknown as error:
            if error.code is not Code.DIGEST_MISMATCH and await self._there_after_all(digest):
                return Uploaded.THERE
            raise
        return Uploaded.SENT if answer.status == 201 else Uploaded.THERE

    async def _there_after_all(self, digest: Digest) -> bool:
        try:
            return await self.blob_exists(digest)
        except HostError:
            return False

    def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateReply, None]:
        """Ends normally only after a reply with `done`."""
        return self._speech("/api/generate", request.body(), GenerateReply)

    async def generate_once(self, request: GenerateRequest) -> GenerateReply:
        """The whole answer in one; no byte comes before its end."""
        return await self._said("/api/generate", request.body(), GenerateReply, self._limits.generate)

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatReply, None]:
        """Ends normally only after a reply with `done`."""
        return self._speech("/api/chat", request.body(), ChatReply)

    async def chat_once(self, request: ChatRequest) -> ChatReply:
        """The whole answer in one; no byte comes before its end."""
        return await self._said("/api/chat", request.body(), ChatReply, self._limits.generate)

    async def embed(self, request: EmbedRequest) -> EmbedReply:
        """One vector for each input. Without input it loads, from 0.3.6 on."""
        answer = await self._run("/api/embed", request.body(), self._limits.load)
        return self._read("/api/embed", lambda raw: wire.read(EmbedReply, raw), answer)

    async def embeddings(
        self,
        model: str,
        prompt: str = "",
        *,
        keep_alive: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> EmbedReply:
        """The older form of `embed`: one text, one vector; without text it loads on every version."""
        body = EmbedRequest(model, options=options or {}, keep_alive=keep_alive).body() | {"prompt": prompt}
        answer = await self._run("/api/embeddings", body, self._limits.load)
        found = self._read("/api/embeddings", wire.vector, answer)
        return EmbedReply(embeddings=(found,) if found else (), model=model)

    async def load(
        self,
        name: str,
        *,
        keep_alive: float | None = None,
        options: Mapping[str, Any] | None = None,
        embedding: bool = False,
    ) -> None:
        """Loads the model, or lets it be if it runs with these options, and returns when that is done.

        `keep_alive`: seconds, negative for ever, nothing to leave it. A model that does not generate is loaded for
        embedding, told so or not (`ollama-api.md` 12.1).
        """
        if not embedding:
            request = GenerateRequest(name, keep_alive=keep_alive, options=options or {})
            try:
                await self._said("/api/generate", request.body(), GenerateReply, self._limits.load)
            except HostAnswered as error:
                if error.status != 400 or "does not support generate" not in (error.told or ""):
                    raise
            else:
                return
        try:
            await self.embed(EmbedRequest(name, options=options or {}, keep_alive=keep_alive))
        except HostAnswered as error:
            # Before 0.3.6 an empty input is an error there.
            if error.status != 400 or "invalid input type" not in (error.told or ""):
                raise
            await self.embeddings(name, keep_alive=keep_alive, options=options)

    async def unload(self, name: str) -> bool:
        """Asks to unload, also for all names with the same weights; false where the host has no such model.

        Whether it is gone, `ps` tells, a while later. Before 0.3.11 this would load the model first: do not ask.
        """
        request = GenerateRequest(name, keep_alive=0)
        try:
            await self._said("/api/generate", request.body(), GenerateReply, self._limits.change)
        except ModelMissing:
            return False
        return True

    async def _look(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        doing: Doing = Doing.OBSERVE,
        most: int = 0,
        allowed: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """A request that changes nothing, tried again where that may help."""
        raw = None if body is None else json.dumps(body).encode()
        tried = 0
        while True:
            tried += 1
            asked: float | None = None
            try:
                answer = await self._link.exchange(method, path, body=raw, most=most, within=self._limits.answer)
                if answer.status in allowed:
                    return answer
                asked = retry_after(answer, self.now()) if answer.status in {429, 503} else None
                raise refusal(answer, doing=doing, where=self._link.where(path), changing=False)
            except (HostUnreachable, HostAnswered) as error:
                if error.code not in _TRY_AGAIN or tried >= self._retries.tries:
                    raise
            await self.pause(self._wait(tried, asked))

    def _wait(self, tried: int, asked: float | None) -> float:
        if asked is not None and self._asked_for + asked <= self._retries.asked:
            self._asked_for += asked
            return asked
        most = min(self._retries.cap, self._retries.first * 2.0 ** (tried - 1))
        return random.uniform(0, most)  # noqa: S311  # jitter, no secret

    async def _exchange(self, method: str, path: str, *, body: bytes | None = None) -> Answer:
        limits = self._limits
        return await self._link.exchange(method, path, body=body, most=limits.error_bytes, within=limits.answer)

    async def _change(self, method: str, path: str, body: Mapping[str, Any], doing: Doing) -> None:
        raw = json.dumps(body).encode()
        limits = self._limits
        answer = await self._link.exchange(
            method, path, body=raw, most=limits.error_bytes, within=limits.change, changing=True
        )
        if answer.status != 200:
            raise refusal(answer, doing=doing, where=self._link.where(path), changing=True)
        if answer.body.strip() and (error_text(answer.body) is not None or not answer.body.lstrip().startswith(b"{")):
            raise not_ollama(self._link.where(path), "a success without words was expected")

    async def _run(self, path: str, body: Mapping[str, Any], within: float) -> Answer:
        raw = json.dumps(body).encode()
        answer = await self._link.exchange(
            "POST", path, body=raw, most=self._limits.answer_bytes, within=within, changing=True
        )
        if answer.status != 200:
            raise refusal(answer, doing=Doing.RUN, where=self._link.where(path), changing=True)
        return answer

    async def _said(self, path: str, body: Mapping[str, Any], shape: type[R], within: float) -> R:
        answer = await self._run(path, {**body, "stream": False}, within)
        reply = self._read(path, lambda raw: wire.read(shape, raw), answer)
        if reply.error is not None:
            raise error_line(reply.error, "", doing=Doing.RUN, where=self._link.where(path))
        if not reply.done:
            raise not_ollama(self._link.where(path), "its answer is not `done`")
        return reply

    def _read(self, path: str, how: Callable[[bytes], T], answer: Answer) -> T:
        try:
            return how(answer.body)
        except wire.ReplyError as fault:
            raise not_ollama(self._link.where(path), str(fault), status=answer.status) from None

    async def _speech(self, path: str, body: Mapping[str, Any], shape: type[R]) -> AsyncGenerator[R, None]:
        done = False
        lines = self._link.lines(
            path,
            json.dumps({**body, "stream": True}).encode(),
            doing=Doing.RUN,
            opening=self._limits.load,
            patience=lambda: self._limits.after_success if done else self._limits.generate,
        )
        async with aclosing(lines):
            try:
                async for line in lines:
                    reply = self._line(path, line, shape, first=False)
                    if reply.error is not None:
                        raise error_line(reply.error, "", doing=Doing.RUN, where=self._link.where(path))
                    done = reply.done
                    yield reply
            except SilentError as error:
                if not done:
                    raise self._unknown(Code.SILENT, f"nothing more within {error.seconds:g}s", path) from None
        if not done:
            raise self._unknown(Code.STREAM_CUT, "the answer ended before it was done", path)

    async def _progress(self, path: str, body: Mapping[str, Any], doing: Doing) -> AsyncGenerator[Progress, None]:
        watch = Watch(doing, self._limits, self._clock)
        where = self._link.where(path)
        raw = json.dumps(body).encode()
        lines = self._link.lines(path, raw, doing=doing, opening=watch.patience, patience=lambda: watch.patience)
        heard = 0
        async with aclosing(lines):
            try:
                async for line in lines:
                    progress = self._line(path, line, Progress, first=heard == 0)
                    heard += 1
                    if progress.error is not None:
                        # Whatever follows does not count, and leaving may still stop it (`ollama-api.md` 7.7).
                        raise error_line(progress.error, progress.status, doing=doing, where=where)
                    watch.hear(progress)
                    yield progress
            except SilentError as error:
                if watch.phase is not Phase.ENDED:
                    raise self._unknown(Code.SILENT, f"nothing more within {error.seconds:g}s", path) from None
            except StalledError as stall:
                raise self._unknown(Code.STALLED, f"nothing moves ({stall})", path) from None
            except ChatterError:
                raise self._unknown(Code.NOT_OLLAMA, "more different lines than any operation has", path) from None
        if watch.phase is not Phase.ENDED:
            raise self._unknown(Code.STREAM_CUT, "the stream ended without `success`", path)

    def _line(self, path: str, line: bytes, shape: type[T], *, first: bool) -> T:
        try:
            return wire.read(shape, line)
        except wire.ReplyError as fault:
            if first:
                raise not_ollama(self._link.where(path), str(fault)) from None
            raise self._unknown(Code.NOT_OLLAMA, f"a line cannot be read ({fault})", path) from None

    def _unknown(self, code: Code, what: str, path: str) -> HostError:
        return OutcomeUnknown(f"{what}: {self._link.where(path)}", code=code, hint=code.value.cure)


def _named(name: str, *, insecure: bool) -> dict[str, Any]:
    return {"model": name, "insecure": True} if insecure else {"model": name}

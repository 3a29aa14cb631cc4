"""Generate, chat, embed and embeddings: loading, unloading, and answers without a thought (`ollama-api.md` 12)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from fleet.simulate import answers, gotemplate
from fleet.simulate.events import Line
from fleet.simulate.finding import Finder
from fleet.simulate.gotext import moment, quoted
from fleet.simulate.hosttime import Time
from fleet.simulate.installed import Installed, capabilities, missing_capabilities, renders_itself
from fleet.simulate.modelname import Name
from fleet.simulate.options import OptionError, checked, runner_options
from fleet.simulate.runners import BusyError, MemoryShortError, Runner, Runners
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability
from fleet.simulate.wire import Refusal, Reply, Streamed, json_reply

_GIBI = 1 << 30
_NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
_LOAD_NS, _TOKEN_NS = 1_000_000, 100_000
Request = Mapping[str, Any]
Spoken = Callable[[], Sequence[answers.Answer]]


class Inference:
    """The running side of a host. `context_length` is the host's setting, none for the version's default.

    `spoken` gives what models are to say, in order of preference.
    """

    def __init__(
        self, store: Store, runners: Runners, time: Time, context_length: int | None, spoken: Spoken = tuple
    ) -> None:
        self._store = store
        self._behaviour = store.behaviour
        self._finder = Finder(store)
        self._runners = runners
        self._time = time
        self._context_length = context_length
        self._spoken = spoken

    async def generate(self, request: Request) -> Reply | Streamed:
        called = request.get("model", "")
        prompt = request.get("prompt", "")
        if not self._behaviour.has(Capability.GENERATE_PARSES_NAME) and not prompt and self._unloads(request):
            # Before 0.5.2 unloading looked for the model by the name as it was given.
            self._runners.expire(self._finder.read(Name.parse(called), f"model '{called}' not found"))
            return json_reply(200, self._generated(called, "", done_reason="unload"))
        if self._behaviour.has(Capability.GENERATE_PARSES_NAME):
            model = self._finder.at_once(called, f"model '{called}' not found", invalid=404)
        else:
            model = self._finder.scheduled(called)
        self._finder.refuse_remote(model, called)
        if not prompt and self._unloads(request):
            self._runners.expire(model)
            return json_reply(200, self._generated(called, "", done_reason="unload"))
        if request.get("raw") and (request.get("template") or request.get("system") or request.get("context")):
            raise Refusal(400, "raw mode does not support template, system, or context")
        wanted = ["completion", *(["insert"] if request.get("suffix") else [])]
        self._refuse_level(request, model)
        wanted += self._thinking(request, model, called)
        async with self._runner(request, model, called, wanted, "generate"):
            if not prompt:
                return json_reply(200, self._generated(called, "", done_reason="load"))
            if request.get("template") and not request.get("raw"):
                try:
                    gotemplate.parsed(request["template"])
                except gotemplate.TemplateError as fault:
                    raise Refusal(500, str(fault)) from None
            pieces, reason = await self._answer(request, model, prompt, terse=False)
        lines = [self._generated(called, piece) for piece in pieces]
        end = self._generated(called, "", done_reason=reason)
        if not request.get("raw"):
            end["context"] = answers.tokens(prompt + " " + "".join(pieces))
        end |= _metrics(len(answers.tokens(prompt)), len(pieces))
        if request.get("stream") is False:
            return json_reply(200, {**end, "response": "".join(pieces)})
        return Streamed(_streamed([*lines, end]))

    async def chat(self, request: Request) -> Reply | Streamed:
        called = request.get("model", "")
        messages = request.get("messages") or []
        if not messages and self._unloads(request) and not self._behaviour.has(Capability.CHAT_LOOKS_FIRST):
            # Before 0.12 unloading looked for the model by the name as it was given.
            model = self._finder.read(Name.parse(called), f"model '{called}' not found")
            self._runners.expire(model)
            return json_reply(200, self._chatted(called, "", done_reason="unload"))
        if self._behaviour.has(Capability.CHAT_LOOKS_FIRST):
            missing = f"model '{called}' not found"
            model = self._finder.at_once(called, missing, invalid=400, invalid_text="model is required")
            if self._behaviour.has(Capability.CHAT_MINDS_CASE):
                model = self._finder.read(Name.parse(called), missing)
        elif self._behaviour.has(Capability.CHAT_PARSES_NAME):
            model = self._finder.scheduled(called, invalid="model is required")
        else:
            model = self._finder.scheduled(called)
        self._finder.refuse_remote(model, called)
        if not messages and self._unloads(request):
            self._runners.expire(model)
            return json_reply(200, self._chatted(called, "", done_reason="unload"))
        wanted = ["completion", *(["tools"] if request.get("tools") else [])]
        wanted += self._thinking(request, model, called)
        async with self._runner(request, model, called, wanted, "chat"):
            if not messages:
                return json_reply(200, self._chatted(called, "", done_reason="load"))
            self._refuse_level(request, model)
            # Without any template of its own a model is given a stranger's, and has little to say (≥0.30).
            native = self._behaviour.has(Capability.TAGS_TELL_MORE) and not renders_itself(model)
            asked = str(messages[-1]["content"])
            pieces, reason = await self._answer(request, model, asked, terse=native and not model.chat_template)
        prompt = " ".join(str(message["content"]) for message in messages)
        lines = [self._chatted(called, piece) for piece in pieces]
        end = self._chatted(called, "", done_reason=reason) | _metrics(len(answers.tokens(prompt)), len(pieces))
        if request.get("stream") is False:
            return json_reply(200, {**end, "message": {"role": "assistant", "content": "".join(pieces)}})
        return Streamed(_streamed([*lines, end]))

    async def embed(self, request: Request) -> Reply:
        called = request.get("model", "")
        given = request.get("input")
        if self._behaviour.has(Capability.SOURCE_MARKERS) and not self._finder.name(called)[0].valid:
            self._finder.scheduled(called)
        if isinstance(given, list) and not all(isinstance(item, str) for item in given):
            raise Refusal(400, "invalid input type")
        loads = self._behaviour.has(Capability.EMBED_LOADS)
        if not isinstance(given, str | list) and not (given is None and loads):
            raise Refusal(400, "invalid input type")
        texts = [given] if isinstance(given, str) and given else given if isinstance(given, list) else []
        if not texts and not loads:
            return json_reply(200, {"model": called, "embeddings": []})
        model = self._finder.scheduled(called)
        async with self._runner(request, model, called, [], "embed") as runner:
            if not texts:
                return json_reply(200, {"model": called, "embeddings": []})
            self._must_embed(model, 501)
            width = _width(runner.model)
            if self._behaviour.has(Capability.EMBED_DIMENSIONS) and 0 < request.get("dimensions", 0) < width:
                width = request["dimensions"]
        vectors = [answers.as_float32(answers.vector(text, width)) for text in texts]
        body: Line = {
            "model": called,
            "embeddings": vectors,
            "total_duration": _LOAD_NS,
            "load_duration": _LOAD_NS // 2,
        }
        counted = sum(len(answers.tokens(text)) for text in texts)
        return json_reply(200, body | ({"prompt_eval_count": counted} if counted else {}))

    async def embeddings(self, request: Request) -> Reply:
        called = request.get("model", "")
        parses = self._behaviour.has(Capability.CHAT_PARSES_NAME)
        # This endpoint alone never takes over the case of installed names.
        model = self._finder.scheduled(called, invalid="model is required" if parses else "", folded=False)
        async with self._runner(request, model, called, [], "embed") as runner:
            if not request.get("prompt"):
                return json_reply(200, {"embedding": []})
            self._must_embed(model, 500)
            return json_reply(200, {"embedding": answers.vector(request["prompt"], _width(runner.model))})

    def _unloads(self, request: Request) -> bool:
        """Whether a request without a prompt asks for unloading (`ollama-api.md` 12.2)."""
        wanted = request.get("keep_alive")
        if wanted is None or not self._behaviour.has(Capability.UNLOAD_WITHOUT_LOAD):
            return False
        limit = 10**9 if self._behaviour.has(Capability.UNDER_A_SECOND_IS_ZERO) else 1
        return bool(-limit < wanted < limit)

    def _refuse_level(self, request: Request, model: Installed) -> None:
        """Raises `Refusal` for a level of thinking that only one parser knew."""
        level = request.get("think")
        only_harmony = self._behaviour.has(Capability.THINK_LEVELS_OF_HARMONY)
        if isinstance(level, str) and only_harmony and model.config.parser != "harmony":
            raise Refusal(400, f"think value {quoted(level)} is not supported for this model")

    def _thinking(self, request: Request, model: Installed, called: str) -> list[str]:
        """The capability that `think` asks for."""
        if not request.get("think"):
            return []
        if self._behaviour.has(Capability.THINK_REFUSED_BY_NAME):
            if "thinking" not in capabilities(model, self._behaviour):
                raise Refusal(400, f"{quoted(called)} does not support thinking")
            return []
        return ["thinking"]

    def _runner(
        self, request: Request, model: Installed, called: str, wanted: list[str], verb: str
    ) -> AbstractAsyncContextManager[Runner]:
        """The runner that serves a request. Raises `Refusal`, also on entering."""
        missing = missing_capabilities(model, wanted, self._behaviour)
        if "completion" in missing:
            raise Refusal(400, f"{quoted(called)} does not support {verb}")
        if missing:
            shown = model.name.full if self._behaviour.has(Capability.GENERATE_PARSES_NAME) else called
            raise Refusal(400, shown + " does not support " + "\n".join(missing))
        try:
            given = {**model.options, **request.get("options", {})}
            checked(model.options, self._behaviour)
            options = checked(given, self._behaviour)
        except OptionError as fault:
            raise Refusal(500, str(fault)) from None
        content = self._store.blobs.find(model.model) if model.model else None
        if content is None or model.header is None:
            gone = content is None
            text = f"model {quoted(called)} not found, try pulling it first" if gone else "invalid file magic"
            raise Refusal(404 if gone else 500, text)
        if "general.architecture" not in model.header.metadata:
            # One file of a split model, among others: the program that would run it gives up.
            raise Refusal(500, "llama runner process has terminated: exit status 2")
        return _Answered(
            self._runners.use(
                model,
                runner_options(options, self._default_context(), self._behaviour),
                size=content.size,
                session=request.get("keep_alive"),
                shift=request.get("shift", True),
            )
        )

    def _default_context(self) -> int:
        behaviour = self._behaviour
        if self._context_length and behaviour.has(Capability.CONTEXT_SETTING):
            return self._context_length
        memory = self._runners.limits.memory or 0
        if behaviour.has(Capability.CONTEXT_BY_MEMORY) and memory >= 23 * _GIBI:
            return 262144 if memory >= 47 * _GIBI else 32768
        return 4096 if behaviour.has(Capability.CONTEXT_4096) else 2048

    def _must_embed(self, model: Installed, status: int) -> None:
        if self._behaviour.has(Capability.NO_EMBEDDINGS_OF_COMPLETION) and "embedding" not in capabilities(
            model, self._behaviour
        ):
            raise Refusal(status, _NO_EMBEDDINGS)

    async def _answer(self, request: Request, model: Installed, prompt: str, *, terse: bool) -> tuple[list[str], str]:
        form = request.get("format", b"")
        options = checked({**model.options, **request.get("options", {})}, self._behaviour)
        said = next((answer for answer in self._spoken() if answer.fits(str(model.name), prompt)), None)
        if said and said.takes:
            await self._time.sleep(said.takes)
        says = said.says if said else None
        return answers.answer(options, form if isinstance(form, bytes) else form.encode(), terse=terse, says=says)

    def _now(self) -> str:
        return moment(self._time.wall())

    def _generated(self, called: str, piece: str, *, done_reason: str = "") -> Line:
        line: Line = {"model": called, "created_at": self._now(), "response": piece, "done": bool(done_reason)}
        return line | ({"done_reason": done_reason} if done_reason else {})

    def _chatted(self, called: str, piece: str, *, done_reason: str = "") -> Line:
        head: Line = {"model": called, "created_at": self._now(), "message": {"role": "assistant", "content": piece}}
        end: Line = {"done": bool(done_reason)} | ({"done_reason": done_reason} if done_reason else {})
        if not self._behaviour.has(Capability.DONE_REASON_LAST):
            end = {key: end[key] for key in ("done_reason", "done") if key in end}
        return head | end


class _Answered:
    """A use of a runner whose faults are answers."""

    def __init__(self, use: AbstractAsyncContextManager[Runner]) -> None:
        self._use = use

    async def __aenter__(self) -> Runner:
        try:
            return await self._use.__aenter__()
        except BusyError as fault:
            raise Refusal(503, str(fault)) from None
        except MemoryShortError as fault:
            raise Refusal(500, str(fault)) from None

    async def __aexit__(self, *exception: object) -> bool | None:
        return await self._use.__aexit__(*cast("Any", exception))


def _width(model: Installed) -> int:
    found = model.header.get("embedding_length") if model.header else 0
    return found if isinstance(found, int) else 0


def _metrics(prompt: int, answered: int) -> Line:
    """Counts and durations; zeros are left out."""
    numbers = {
        "total_duration": _LOAD_NS + (prompt + answered) * _TOKEN_NS,
        "load_duration": _LOAD_NS,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": prompt * _TOKEN_NS,
        "eval_count": answered,
        "eval_duration": answered * _TOKEN_NS,
    }
    return {key: number for key, number in numbers.items() if number}


async def _streamed(lines: list[Line]) -> AsyncIterator[Line]:
    for line in lines:
        yield line

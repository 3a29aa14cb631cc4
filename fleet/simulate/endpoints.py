"""The endpoints of a host but for those that run models: each takes a body and gives an answer."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timezone
from typing import Any

from fleet.simulate import gojson, modelfile, replies
from fleet.simulate.create import Creation, refusal
from fleet.simulate.create_modelfile import ModelfileCreation
from fleet.simulate.events import Worker
from fleet.simulate.gotext import quoted
from fleet.simulate.inference import Inference
from fleet.simulate.modelname import ConflictingMarkersError, Name, Reference
from fleet.simulate.pull import Puller
from fleet.simulate.push import Pusher
from fleet.simulate.requests import fields
from fleet.simulate.routes import Route
from fleet.simulate.runners import Runners
from fleet.simulate.store import Store
from fleet.simulate.uploads import Uploads
from fleet.simulate.versions import Capability
from fleet.simulate.wire import PLAIN_JSON, Refusal, Reply, Streamed, json_reply

Request = Mapping[str, Any]
_INVALID = "invalid model name"
_EXISTS = "a model with that name already exists"


class Endpoints:
    """Answers by kind of call."""

    def __init__(
        self,
        store: Store,
        uploads: Uploads,
        runners: Runners,
        inference: Inference,
        puller: Puller,
        pusher: Pusher,
        zone: timezone,
        chance: random.Random,
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._behaviour = store.behaviour
        self._runners = runners
        self._inference = inference
        self._puller = puller
        self._pusher = pusher
        self._zone = zone
        self._chance = chance

    async def answer(self, route: Route, body: bytes) -> Reply | Streamed:
        """Raises `Refusal`."""
        match route.kind:
            case "root":
                return Reply(200, b"Ollama is running", "text/plain; charset=utf-8")
            case "version":
                return json_reply(200, {"version": self._behaviour.text})
            case "tags":
                return json_reply(200, {"models": self._listed()})
            case "ps":
                return json_reply(200, {"models": replies.ps(self._runners, self._behaviour, self._zone)})
            case "blob_head":
                return self._uploads.head(route.argument)
            case "status":
                return json_reply(200, {"cloud": {"disabled": False, "source": "none"}})
            case "recommendations":
                return json_reply(200, {"recommendations": []})
            case "me":
                raise Refusal(500, "the simulated host has no account")
            case "v1_models":
                return self._openai_models()
            case _:
                return await self._asked(route.kind, body)

    async def _asked(self, kind: str, body: bytes) -> Reply | Streamed:
        """The endpoints that read a JSON body."""
        try:
            request = fields(self._behaviour)[kind].bind(gojson.read(body))
        except gojson.EmptyBodyError:
            raise Refusal(400, "missing request body") from None
        except gojson.JsonError as fault:
            raise Refusal(400, str(fault)) from None
        match kind:
            case "show":
                return self._show(request)
            case "copy":
                return self._copy(request)
            case "delete":
                return self._delete(request)
            case "pull":
                return self._pull(request)
            case "push":
                return self._push(request)
            case "create":
                return self._create(request)
            case "generate":
                return await self._inference.generate(request)
            case "chat":
                return await self._inference.chat(request)
            case "embed":
                return await self._inference.embed(request)
            case _:
                return await self._inference.embeddings(request)

    def _listed(self) -> list[dict[str, Any]]:
        try:
            return replies.tags(self._store, self._zone)
        except replies.UnlistableError as fault:
            raise Refusal(500, str(fault)) from None

    def _openai_models(self) -> Reply:
        listed = sorted(self._store.listed(), key=lambda item: -(item[1].modified // 10**9))
        models = [
            {"id": str(name), "object": "model", "created": stored.modified // 10**9, "owned_by": name.namespace}
            for name, stored, _ in listed
        ]
        return json_reply(200, {"object": "list", "data": models or None}, PLAIN_JSON)

    def _show(self, request: Request) -> Reply:
        called = request.get("model") or request.get("name") or ""
        if not called:
            raise Refusal(400, "model is required")
        name, source, shown = self._shown_name(called)
        if source == "cloud":
            raise Refusal(502, "remote model details are unavailable")
        missing = f"model '{shown}' not found"
        try:
            body = replies.show(
                self._store,
                name,
                verbose=request.get("verbose", False),
                system=request.get("system", ""),
                zone=self._zone,
            )
            reply = json_reply(200, body)
        except FileNotFoundError:
            raise Refusal(404, missing) from None
        except (OSError, ValueError) as fault:
            raise Refusal(500, str(fault)) from None
        if source == "local" and body.get("remote_host"):
            raise Refusal(404, f"model '{called}' not found")
        return reply

    def _shown_name(self, called: str) -> tuple[Name, str, str]:
        """The name to show, its source marker, and how it is called if it is missing."""
        behaviour = self._behaviour
        if not behaviour.has(Capability.SOURCE_MARKERS):
            name = Name.parse(called)
            if not name.valid:
                if behaviour.has(Capability.SHOW_PARSES_NAME):
                    raise Refusal(500, "invalid model path")
                raise Refusal(404, f"model '{called}' not found")
            return self._store.canonical(name, Capability.CASE_FOLDED_ON_READ), "", called
        reference = self._reference(called)
        name = Name.parse(reference.base)
        if not name.valid:
            raise Refusal(400, _INVALID)
        name = self._store.canonical(name, Capability.CASE_FOLDED_ON_READ)
        return name, reference.source, str(name) if behaviour.has(Capability.SHOW_WRITES_TAG) else reference.base

    @staticmethod
    def _reference(called: str) -> Reference:
        try:
            return Reference.parse(called)
        except ConflictingMarkersError as fault:
            raise Refusal(400, str(fault)) from None

    def _copy(self, request: Request) -> Reply:
        names = []
        for which in ("source", "destination"):
            called = request.get(which, "")
            name = Name.parse(called)
            if not name.valid:
                raise Refusal(400, f"{which} {quoted(called)} is invalid")
            names.append(self._store.canonical(name, Capability.CASE_FOLDED_ON_WRITE))
        if self._store.conflict(names[1]):
            raise Refusal(400, _EXISTS)
        try:
            self._store.copy(names[0], names[1])
        except FileNotFoundError:
            raise Refusal(404, f"model {quoted(request['source'])} not found") from None
        return Reply(200)

    def _delete(self, request: Request) -> Reply:
        called = request.get("model") or request.get("name") or ""
        if self._behaviour.has(Capability.SOURCE_MARKERS):
            if not called.strip():
                raise Refusal(400, "model is required")
            name = Name.parse(self._reference(called).pulled)
        else:
            name = Name.parse(called)
        if self._behaviour.has(Capability.DELETE_CLEANS_UP):
            return self._unlink(called, name)
        if not name.valid:
            raise Refusal(400, f"name {quoted(called)} is invalid")
        try:
            self._store.delete(self._store.canonical(name, Capability.CASE_FOLDED_ON_READ))
        except FileNotFoundError as fault:
            if self._behaviour.has(Capability.DELETE_MISSING_IS_404):
                raise Refusal(404, f"model '{called}' not found") from None
            raise Refusal(500, str(fault)) from None
        except ValueError as fault:
            raise Refusal(500, str(fault)) from None
        return Reply(200)

    def _unlink(self, called: str, name: Name) -> Reply:
        """What one release did in place of deleting (`ollama-api.md` 6.1)."""
        if not name.valid:
            told = {"code": "bad_request", "error": f"invalid or missing name: {quoted(called)}"}
            return json_reply(400, told, PLAIN_JSON)
        if not self._store.unlink(self._store.canonical(name, Capability.CASE_FOLDED_ON_READ)):
            return json_reply(404, {"code": "not_found", "error": "model not found"}, PLAIN_JSON)
        self._store.prune()
        return Reply(200)

    def _streamed(self, request: Request, worker: Worker) -> Streamed:
        return Streamed(worker, single=request.get("stream") is False)

    def _target(self, called: str) -> Name:
        """A valid name to write under. Raises `Refusal`."""
        name = Name.parse(called)
        if not name.valid:
            raise Refusal(400, _INVALID)
        if self._store.conflict(name):
            raise Refusal(400, _EXISTS)
        return self._store.canonical(name, Capability.CASE_FOLDED_ON_WRITE)

    def _pull(self, request: Request) -> Streamed:
        called = request.get("model") or request.get("name") or ""
        if self._behaviour.has(Capability.SOURCE_MARKERS):
            if not called.strip():
                raise Refusal(400, _INVALID)
            called = self._reference(called).pulled
        name = self._target(called)
        return self._streamed(request, self._puller.pull(name, insecure=request.get("insecure", False)))

    def _push(self, request: Request) -> Streamed:
        called = request.get("model") or request.get("name") or ""
        if not called:
            raise Refusal(400, "model is required")
        name = self._store.canonical(Name.parse(called), Capability.CASE_FOLDED_ON_WRITE)
        return self._streamed(request, self._pusher.push(name, insecure=request.get("insecure", False)))

    def _create(self, request: Request) -> Streamed:
        if not self._behaviour.has(Capability.MODELFILE):
            fault = refusal(request, self._behaviour)
            if fault:
                raise Refusal(400, fault)
        name = self._target(request.get("model") or request.get("name") or "")
        if not self._behaviour.has(Capability.MODELFILE):
            creation = Creation(self._store, self._puller.pull, request, name, self._chance.shuffle)
            return self._streamed(request, creation.work())
        text, path = request.get("modelfile", ""), request.get("path", "")
        if not text:
            if path:
                raise Refusal(400, f"error reading modelfile: open {path}: no such file or directory")
            word = "modelfile" if self._behaviour.has(Capability.MODELFILE_LOWER) else "Modelfile"
            raise Refusal(400, f"path or {word} are required")
        try:
            commands = modelfile.parse(text, lines=self._behaviour.has(Capability.MODELFILE_LINES))
        except modelfile.ModelfileError as fault:
            raise Refusal(400, str(fault)) from None
        quantization = request.get("quantize") or request.get("quantization") or ""
        return self._streamed(
            request, ModelfileCreation(self._store, self._puller.pull, commands, name, quantization).work()
        )

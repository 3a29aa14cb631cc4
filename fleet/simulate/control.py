"""The control port: state, counters, faults and mishaps of a running simulation, as JSON over HTTP.

Host ports answer as Ollama does and nothing else; everything about the simulation itself is here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fleet.names import InvalidName, ModelName
from fleet.simulate.answers import Answer
from fleet.simulate.faults import HOST_FAULTS, REGISTRY_FAULTS, Fault, FaultKind
from fleet.simulate.journal import REGISTRY, Journal
from fleet.simulate.registry import UnknownInRegistryError
from fleet.simulate.registry_running import RunningRegistry
from fleet.simulate.running import RunningHost
from fleet.simulate.scenario import ModelSpec, OfferedModel
from fleet.simulate.units import Seconds

_FAULTS = TypeAdapter(list[Fault])
_ANSWERS = TypeAdapter(list[Answer])


class Restart(BaseModel):
    """How a host is restarted."""

    model_config = ConfigDict(extra="forbid")

    idle: Seconds = 0.0
    """For how long it was down."""


class Controlled(Protocol):
    """What the control port steers."""

    hosts: dict[str, RunningHost]
    registries: dict[str, RunningRegistry]
    journal: Journal

    def addresses(self) -> dict[str, Any]: ...

    def seed(self, host: str, model: str, spec: ModelSpec | None) -> None: ...

    async def remove(self, host: str, model: str) -> None: ...

    def offer(self, model: str, spec: OfferedModel, registry: str) -> None: ...


class _RefusedError(Exception):
    """A control request that cannot be carried out: status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


Handler = Callable[[Request], Awaitable[Any]]


class _Control:
    """One handler for each call; each returns what is sent as JSON, None for `{}`."""

    def __init__(self, fleet: Controlled) -> None:
        self._fleet = fleet

    async def addresses(self, _request: Request) -> Any:
        return self._fleet.addresses()

    async def states(self, _request: Request) -> Any:
        hosts = {name: host.state() for name, host in self._fleet.hosts.items()}
        registries = {name: await running.store.state() for name, running in self._fleet.registries.items()}
        return {"hosts": hosts, "registry": registries.pop(REGISTRY), "registries": registries}

    async def state(self, request: Request) -> Any:
        return self._host(request).state()

    async def counters(self, _request: Request) -> Any:
        journal = self._fleet.journal
        registries = {name: journal.registry_counters(name) for name in self._fleet.registries}
        return {**journal.counters(list(self._fleet.hosts)), "registries": registries}

    async def reset_counters(self, _request: Request) -> Any:
        self._fleet.journal.reset()

    async def requests(self, _request: Request) -> Any:
        return {"requests": self._fleet.journal.requests()}

    async def faults(self, request: Request) -> Any:
        return {"faults": self._host(request).faults.state()}

    async def set_faults(self, request: Request) -> Any:
        faults = self._host(request).faults
        faults.replace(await _read_faults(request, HOST_FAULTS))
        return {"faults": faults.state()}

    async def clear_faults(self, request: Request) -> Any:
        self._host(request).faults.replace([])

    async def restart(self, request: Request) -> Any:
        described = Restart.model_validate(await _read(request))
        self._host(request).restart(idle=described.idle)

    async def lose(self, request: Request) -> Any:
        digest = (await _read(request)).get("digest")
        if not isinstance(digest, str):
            raise _RefusedError(400, "`digest` names the blob")
        self._host(request).lose(digest)

    async def down(self, request: Request) -> Any:
        await self._host(request).down()

    async def up(self, request: Request) -> Any:
        await self._host(request).up()

    async def seed(self, request: Request) -> Any:
        body = await _read(request)
        model = _model(body)
        spec = ModelSpec.model_validate(body) if body else None
        self._fleet.seed(self._host(request).name, model, spec)

    async def remove(self, request: Request) -> Any:
        await self._fleet.remove(self._host(request).name, _model(await _read(request)))

    async def break_model(self, request: Request) -> Any:
        self._host(request).break_model(_model(await _read(request)))

    async def set_answers(self, request: Request) -> Any:
        spoken = _ANSWERS.validate_python((await _read(request)).get("answers", []))
        self._host(request).engine.answers = tuple(spoken)

    async def evict(self, request: Request) -> Any:
        self._host(request).evict(_model(await _read(request)))

    async def registry_state(self, request: Request) -> Any:
        return await self._registry(request).store.state()

    async def offer(self, request: Request) -> Any:
        body = await _read(request)
        model = _model(body)
        self._fleet.offer(model, OfferedModel.model_validate(body), self._registry(request).name)

    async def withdraw(self, request: Request) -> Any:
        self._registry(request).store.withdraw(ModelName.parse(_model(await _read(request))))

    async def move(self, request: Request) -> Any:
        body = await _read(request)
        target = body.get("to")
        if not isinstance(target, str):
            raise _RefusedError(400, "`to` names the tag, or the `sha256:…`, that the model is moved to")
        return {"digest": await self._registry(request).store.move(ModelName.parse(_model(body)), target)}

    async def registry_faults(self, request: Request) -> Any:
        return {"faults": self._registry(request).faults.state()}

    async def set_registry_faults(self, request: Request) -> Any:
        faults = self._registry(request).faults
        faults.replace(await _read_faults(request, REGISTRY_FAULTS))
        return {"faults": faults.state()}

    async def clear_registry_faults(self, request: Request) -> Any:
        self._registry(request).faults.replace([])

    def _registry(self, request: Request) -> RunningRegistry:
        """The further registry that the path names, or the one that it does not."""
        name = request.path_params.get("registry", REGISTRY)
        if name not in self._fleet.registries:
            raise _RefusedError(404, f"no registry `{name}` in this simulation")
        return self._fleet.registries[name]

    def _host(self, request: Request) -> RunningHost:
        name = request.path_params["name"]
        if name not in self._fleet.hosts:
            raise _RefusedError(404, f"no host `{name}` in this simulation")
        return self._fleet.hosts[name]


def control_application(fleet: Controlled) -> Starlette:
    """The application of the control port."""
    control = _Control(fleet)
    routes: Mapping[tuple[str, str], Handler] = {
        ("GET", "/"): control.addresses,
        ("GET", "/state"): control.states,
        ("GET", "/counters"): control.counters,
        ("POST", "/counters/reset"): control.reset_counters,
        ("GET", "/requests"): control.requests,
        ("GET", "/hosts/{name}/state"): control.state,
        ("GET", "/hosts/{name}/faults"): control.faults,
        ("POST", "/hosts/{name}/faults"): control.set_faults,
        ("DELETE", "/hosts/{name}/faults"): control.clear_faults,
        ("POST", "/hosts/{name}/restart"): control.restart,
        ("POST", "/hosts/{name}/lose"): control.lose,
        ("POST", "/hosts/{name}/answers"): control.set_answers,
        ("POST", "/hosts/{name}/down"): control.down,
        ("POST", "/hosts/{name}/up"): control.up,
        ("POST", "/hosts/{name}/seed"): control.seed,
        ("POST", "/hosts/{name}/remove"): control.remove,
        ("POST", "/hosts/{name}/break"): control.break_model,
        ("POST", "/hosts/{name}/evict"): control.evict,
        ("GET", "/registry/state"): control.registry_state,
        ("POST", "/registry/add"): control.offer,
        ("POST", "/registry/remove"): control.withdraw,
        ("POST", "/registry/move"): control.move,
        ("GET", "/registry/faults"): control.registry_faults,
        ("POST", "/registry/faults"): control.set_registry_faults,
        ("DELETE", "/registry/faults"): control.clear_registry_faults,
    }
    further = {
        (method, path.replace("/registry/", "/registries/{registry}/")): handler
        for (method, path), handler in routes.items()
        if path.startswith("/registry/")
    }
    return Starlette(
        routes=[
            Route(path, _answering(handler), methods=[method])
            for (method, path), handler in {**routes, **further}.items()
        ]
    )


def _answering(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            found = await handler(request)
        except _RefusedError as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status)
        except UnknownInRegistryError as fault:
            return JSONResponse({"error": str(fault)}, 404)
        except InvalidName as fault:
            return JSONResponse({"error": str(fault)}, 400)
        except ValidationError as faults:
            told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults.errors())
            return JSONResponse({"error": told}, 400)
        return JSONResponse({} if found is None else found)

    return answer


async def _read(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as fault:
        raise _RefusedError(400, f"no JSON: {fault}") from fault
    if not isinstance(body, dict):
        raise _RefusedError(400, "the body is a JSON object")
    return body


def _model(body: dict[str, Any]) -> str:
    """Takes the model's name out of a body, so that the rest describes it."""
    model = body.pop("model", None)
    if not isinstance(model, str):
        raise _RefusedError(400, "`model` names the model")
    return str(ModelName.parse(model))


async def _read_faults(request: Request, allowed: frozenset[FaultKind]) -> list[Fault]:
    """`{"faults": […]}` in the form of the scenario."""
    faults = _FAULTS.validate_python((await _read(request)).get("faults", []))
    for fault in faults:
        if fault.fault not in allowed:
            raise _RefusedError(400, f"`{fault.fault}` is no fault that can happen here")
    return faults

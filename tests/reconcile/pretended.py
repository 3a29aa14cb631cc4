"""A host in the head: carries steps out on the notation of an observation, as servers do (`ollama-api.md` 7, 9, 11).

Independent of the planner: it knows what a server does with a request, and nothing of why it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.manifest.item import Create
from fleet.reconcile.step import Action, Step

About = dict[str, Any]

DEFAULT_CONTEXT = 4096


def registry(model: str) -> About:
    """What a pull brings: weights of its own, which nobody can know beforehand."""
    return {"is": f"pulled {model}", "weights": [f"of {model}"], "parameters": {"top_k": 5}}


def carried_out(about: Mapping[str, Any], steps: Iterable[Step]) -> About:
    """The host afterwards. Fails for a step that no server could do."""
    host = _Host(about)
    for step in steps:
        host.act(step)
    return {"version": host.version, "models": host.models, "runners": host.runners}


class _Host:
    def __init__(self, about: Mapping[str, Any]) -> None:
        self.version: str = about["version"]
        self.numbers = tuple(int(part) for part in self.version.split("."))
        self.models: dict[str, About] = dict(about["models"])
        self.runners: list[About] = list(about["runners"])

    def act(self, step: Step) -> None:
        match step.action:
            case Action.PULL:
                self.models[step.listed] = registry(str(step.model))
            case Action.CREATE:
                assert step.item is not None
                assert isinstance(step.item.source, Create)
                self.models[step.listed] = self.made(step.item.source)
            case Action.COPY:
                self.models[step.listed] = self.models[str(step.source)]
            case Action.DELETE:
                del self.models[step.listed]
            case Action.UNLOAD:
                mine = self.weights(self.models[step.listed])
                self.runners = [runner for runner in self.runners if runner["weights"] != mine]
            case Action.LOAD:
                assert step.item is not None
                assert step.item.warm is not None
                self.load(step.listed, step.item.warm.keep_alive, dict(step.item.warm.options))

    def made(self, create: Create) -> About:
        base = self.models[str(create.base)]
        assert not base.get("broken")
        clears = self.numbers < (0, 5, 5)
        system = create.system if create.system or (clears and create.system is not None) else base.get("system", "")
        template = (
            create.template if create.template or (clears and create.template is not None) else base.get("template")
        )
        parameters = {**base.get("parameters", {}), **create.parameters}
        fields = {
            "weights": self.weights(base),
            "system": system,
            "template": template or "{{ .Prompt }}",
            "parameters": {k: v for k, v in sorted(parameters.items()) if v != ()},
            "license": "\n".join(text for text in (base.get("license", ""), *create.license) if text),
            "messages": [(m.role, m.content) for m in create.messages] or base.get("messages", []),
        }
        return {**fields, "is": f"made {fields!r}"}

    def load(self, listed: str, keep_alive: float | None, options: About) -> None:
        model = self.models[listed]
        assert not model.get("broken")
        context = options.get("num_ctx", model.get("parameters", {}).get("num_ctx", DEFAULT_CONTEXT))
        digests = {each["is"] for each in self.models.values()}
        same = [runner for runner in self.runners if runner["weights"] == self.weights(model)]
        reused = [r for r in same if r["num_ctx"] == context and r["is"] in digests]
        self.runners = [runner for runner in self.runners if runner not in same]
        shown = {"name": reused[0]["name"], "is": reused[0]["is"]} if reused else {"name": listed, "is": model["is"]}
        self.runners.append(
            {
                **shown,
                "weights": self.weights(model),
                "num_ctx": context,
                "context": context if self.numbers >= (0, 10, 0) else None,
                "left": "for ever" if keep_alive is None else keep_alive,
            }
        )

    def weights(self, about: Mapping[str, Any]) -> list[str]:
        found: list[str] = about.get("weights", [about["is"]])
        return found

"""Options of models and requests: which a version knows, of what types, and which of them belong to the runner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fleet.simulate.gotext import single
from fleet.simulate.versions import Behaviour, Capability

_INTS = ("num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_ctx", "num_batch", "num_gpu", "main_gpu")
_FLOATS = ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty")
_RUNNER = {
    "num_ctx": None,
    "num_batch": 512,
    "num_gpu": -1,
    "main_gpu": 0,
    "num_thread": 0,
    "use_mmap": None,
    "low_vram": False,
    "f16_kv": False,
    "logits_all": False,
    "vocab_only": False,
    "use_mlock": False,
    "draft_num_predict": 4,
}
"""Options that make a runner another one, with their defaults."""
_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_INT64 = 1 << 63
_INT = re.compile(r"[+-]?\d+\Z", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)


class OptionError(ValueError):
    """An option of a wrong type, or an unknown parameter in a Modelfile. The text is the server's."""


@lru_cache(maxsize=64)
def types(behaviour: Behaviour) -> Mapping[str, str]:
    """Every option the version knows, with `int`, `float`, `bool` or `strings`."""
    known = dict.fromkeys(_INTS, "int") | {"num_thread": "int"} | dict.fromkeys(_FLOATS, "float")
    known |= {"use_mmap": "bool", "stop": "strings"}
    if behaviour.has(Capability.TFS_Z):
        known["tfs_z"] = "float"
    if behaviour.has(Capability.PENALIZE_NEWLINE):
        known["penalize_newline"] = "bool"
    if behaviour.has(Capability.MIROSTAT):
        known |= {"mirostat": "int", "mirostat_tau": "float", "mirostat_eta": "float"}
        known |= dict.fromkeys(("low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"), "bool")
    if behaviour.has(Capability.DRAFT_NUM_PREDICT):
        known["draft_num_predict"] = "int"
    return known


def checked(values: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    """The known options as the server takes them; nulls and unknown ones are passed over. Raises `OptionError`."""
    taken = {}
    for key, value in values.items():
        wanted = types(behaviour).get(key)
        if wanted and value is not None:
            taken[key] = _checked(key, wanted, value)
    return taken


def _checked(key: str, wanted: str, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted == "int":
        if not number:
            raise OptionError(f'option "{key}" must be of type integer')
        return int(value)
    if wanted == "float":
        if not number:
            raise OptionError(f'option "{key}" must be of type float32')
        return float(value)
    if wanted == "bool":
        if not isinstance(value, bool):
            raise OptionError(f'option "{key}" must be of type boolean')
        return value
    if not isinstance(value, list):
        raise OptionError(f'option "{key}" must be of type array')
    if not all(isinstance(item, str) for item in value):
        raise OptionError(f'option "{key}" must be of an array of strings')
    return value


def parameter(name: str, text: str, behaviour: Behaviour) -> Any:
    """The value of a Modelfile's PARAMETER; a list for `stop`. Raises `OptionError`."""
    wanted = types(behaviour).get(name)
    if wanted is None:
        raise OptionError(f"unknown parameter '{name}'")
    if wanted == "strings":
        return [text]
    if wanted == "bool":
        if text not in _TRUE | _FALSE:
            raise OptionError(f"invalid bool value [{text}]")
        return text in _TRUE
    if wanted == "int":
        if not _INT.match(text) or not -_INT64 <= int(text) < _INT64:
            raise OptionError(f"invalid int value [{text}]")
        return int(text)
    if not _FLOAT.match(text) or abs(single(float(text))) == float("inf"):
        raise OptionError(f"invalid float value [{text}]")
    return single(float(text))


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """What a runner is started with. `automatic` are those of context and batch that nobody set."""

    values: Mapping[str, Any]
    automatic: frozenset[str]

    @property
    def context(self) -> int:
        return int(self.values["num_ctx"])


def runner_options(options: Mapping[str, Any], default_context: int, behaviour: Behaviour) -> RunnerOptions:
    """The runner's share of a request's options, which are laid over the model's already."""
    known = types(behaviour)
    values = {key: options.get(key, default) for key, default in _RUNNER.items() if key in known}
    values["num_ctx"] = max(4, int(options.get("num_ctx", default_context)))
    return RunnerOptions(values, frozenset({"num_ctx", "num_batch"} - options.keys()))

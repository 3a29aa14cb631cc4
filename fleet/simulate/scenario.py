"""The scenario file of the simulator: which hosts there are, what they hold, what the registry offers, what goes wrong.

`docs/simulator.md` is its reference. Unknown keys are faults, and all faults are reported together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from fleet.names import HostName, InvalidName, ModelName
from fleet.simulate.answers import Answer
from fleet.simulate.faults import HOST_FAULTS, REGISTRY_FAULTS, Fault
from fleet.simulate.journal import REGISTRY
from fleet.simulate.scenario_yaml import ScenarioError, read_yaml
from fleet.simulate.units import KeepAlive, Seconds, Size
from fleet.simulate.versions import Behaviour

NEWEST = "0.32.15"
DEFAULT_SIZE = 4_000_000
_RANGE = re.compile(r"(.*)\[(\d+):(\d+)\](.*)")
_MOST_HOSTS = 1000
_VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
_REGISTRY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}(?::\d{1,5})?")
_HEX = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"`{text}` is no version; write 0.32.15")
    Behaviour.of(text)
    return text


Version = Annotated[str, AfterValidator(_version)]


def _registry_name(text: str) -> str:
    if not _REGISTRY_NAME.fullmatch(text):
        raise ValueError(f"`{text}` is no registry; write HOST or HOST:PORT")
    return text.lower()


def _model_name(text: str) -> str:
    try:
        return str(ModelName.parse(text))
    except InvalidName as fault:
        raise ValueError(str(fault)) from fault


class Message(_Strict):
    role: str
    content: str


class ModelSpec(_Strict):
    """What one model is made of. Equal `seed`, family and size give equal weights, whatever the name."""

    size: Size = DEFAULT_SIZE
    """Bytes of the weights."""
    family: str = "llama"
    parameter_size: str = "8.0B"
    quantization: str = "Q4_K_M"
    context_length: int = Field(default=8192, ge=1)
    embedding_length: int = Field(default=4096, ge=1)
    capabilities: list[str] = Field(default_factory=lambda: ["completion"])
    template: str | None = None
    system: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    messages: list[Message] = Field(default_factory=list)
    license: list[str] = Field(default_factory=list)
    seed: str | None = None
    """What the weights follow from; the model's own name if left out."""
    digest: str | None = None
    """Of the weights, for a model that is given by digest and size alone."""
    indented: bool = False
    """Whether its image manifest is not in Go's form: older servers then list it by another digest than newer ones."""

    @field_validator("license", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("digest")
    @classmethod
    def _hex(cls, value: str | None) -> str | None:
        if value is not None and not _HEX.fullmatch(value):
            raise ValueError(f"`{value}` is no digest; write sha256: and 64 lower-case hex digits")
        return value.removeprefix("sha256:") if value else None


class OfferedModel(ModelSpec):
    """A model in the registry's catalogue."""

    private: bool = False
    """Whether every token is refused, as for a repository of somebody else."""


ModelKey = Annotated[str, AfterValidator(_model_name)]


ListOfNames = BeforeValidator(lambda value: dict.fromkeys(value) if isinstance(value, list) else value)
"""Models may be given by their names alone."""


class HostSpec(_Strict):
    """One simulated host."""

    version: Version | None = None
    models: Annotated[dict[ModelKey, ModelSpec | None], ListOfNames] = Field(default_factory=dict)
    """What it holds from the start; a name alone is the registry's model of that name."""
    labels: dict[str, str] = Field(default_factory=dict)
    disk: Size | None = None
    memory: Size | None = None
    max_loaded: int = Field(default=3, ge=1)
    keep_alive: KeepAlive = 300.0
    context_length: int | None = Field(default=None, ge=1)
    noprune: bool = False
    load_time: Seconds = 0.0
    answers: list[Answer] = Field(default_factory=list)
    """What its models are to say; the first that fits counts."""
    down: bool = False
    """Whether its port is closed at first."""
    faults: list[Fault] = Field(default_factory=list)

    @field_validator("faults")
    @classmethod
    def _a_hosts(cls, faults: list[Fault]) -> list[Fault]:
        return _only(HOST_FAULTS, faults, "a host")


class _Registry(_Strict):
    """What any registry offers, and how it answers."""

    models: Annotated[dict[ModelKey, OfferedModel | None] | None, ListOfNames] = None
    """The catalogue; a small one of well-known names if left out."""
    redirect: bool = True
    mirror: bool = False
    token: bool = False
    """Whether manifests and blobs are served for a token alone, which everybody gets who asks for one."""
    realm: str | None = None
    """Where it sends for a token; to itself if left out."""
    faults: list[Fault] = Field(default_factory=list)

    @field_validator("faults")
    @classmethod
    def _a_registrys(cls, faults: list[Fault]) -> list[Fault]:
        return _only(REGISTRY_FAULTS, faults, "the registry")


class RegistrySpec(_Registry):
    """The registry: what it offers and how well it does."""

    names: list[str] = Field(default_factory=lambda: ["registry.ollama.ai", "hf.co", "huggingface.co"])
    """Registries that a model's name may give and that this one stands for."""
    bandwidth: Size | None = Field(default=None, gt=0)
    request_bandwidth: Size | None = Field(default=None, gt=0)
    latency: Seconds = 0.0


class FurtherRegistrySpec(_Registry):
    """A registry besides, with contents of its own, known by one name."""

    models: Annotated[dict[ModelKey, OfferedModel | None], ListOfNames] = Field(default_factory=dict)
    hidden: bool = False
    """Whether hosts find no such name; who knows its port is served all the same."""


RegistryName = Annotated[str, AfterValidator(_registry_name)]


class Scenario(_Strict):
    """A whole scenario. `hosts` has no ranges any more: each name stands for one host."""

    ollama: Version = NEWEST
    hosts: dict[str, HostSpec] = Field(default_factory=dict)
    registry: RegistrySpec = Field(default_factory=RegistrySpec)
    registries: dict[RegistryName, FurtherRegistrySpec] = Field(default_factory=dict)
    """Further ones, by the name that models' names give."""
    seed: int | str = 0

    @field_validator("hosts", mode="before")
    @classmethod
    def _expanded(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        found: dict[str, Any] = {}
        for key, host in value.items():
            for name in expand(str(key)):
                if name in found:
                    raise ValueError(f"`{name}` is there twice")
                found[name] = {} if host is None else host
        return found

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if len(self.hosts) > _MOST_HOSTS:
            raise ValueError(f"at most {_MOST_HOSTS} hosts, not {len(self.hosts)}")
        for name in self.hosts:
            HostName.parse(name)
            if name == REGISTRY:
                raise ValueError(f"no host can be called `{REGISTRY}`: the registry is")
        for name in {*self.registries} & {each.lower() for each in self.registry.names}:
            raise ValueError(f"`{name}` is among the `names` of the registry and among `registries`")
        for name in self.registries.keys() & {REGISTRY, *self.hosts}:
            raise ValueError(f"`{name}` is a registry and something else: counters could not tell them apart")
        return self

    def with_hosts(self, count: int) -> Scenario:
        """The same with hosts `host-1`, `host-2`, …; numbers are padded to one width."""
        width = len(str(count))
        return self.model_copy(update={"hosts": {f"host-{n:0{width}}": HostSpec() for n in range(1, count + 1)}})

    def with_version(self, version: str) -> Scenario:
        """The same with another version for the hosts that name none. Raises `ScenarioError`."""
        try:
            return self.model_copy(update={"ollama": _version(version)})
        except ValueError as fault:
            raise ScenarioError([str(fault)]) from fault


def expand(name: str) -> list[str]:
    """`tyo-[01:16]` stands for sixteen names. Raises `ValueError` for a range that ends before its start."""
    match = _RANGE.fullmatch(name)
    if match is None:
        return [name]
    first, last = int(match[2]), int(match[3])
    if last < first or last - first >= _MOST_HOSTS:
        raise ValueError(f"`{name}`: a range goes upwards and makes at most {_MOST_HOSTS} hosts")
    return [f"{match[1]}{number:0{len(match[2])}}{match[4]}" for number in range(first, last + 1)]


def load_scenario(path: Path) -> Scenario:
    """Reads a scenario file. Raises `ScenarioError` with every fault found."""
    try:
        text = path.read_bytes()
    except OSError as fault:
        raise ScenarioError([f"{path}: {fault.strerror}"]) from fault
    return parse_scenario(text, str(path))


def parse_scenario(text: bytes | str, place: str = "scenario") -> Scenario:
    """Reads a scenario; `place` stands before each fault. Raises `ScenarioError` with every fault found."""
    read = read_yaml(text, place)
    try:
        return Scenario.model_validate({} if read is None else read)
    except ValidationError as faults:
        told = [
            f"{place}: {'.'.join(str(part) for part in fault['loc']) or 'document'}: "
            + fault["msg"].removeprefix("Value error, ")
            for fault in faults.errors()
        ]
        raise ScenarioError(told) from faults


def _only(allowed: frozenset[Any], faults: list[Fault], owner: str) -> list[Fault]:
    for fault in faults:
        if fault.fault not in allowed:
            raise ValueError(f"`{fault.fault}` is no fault of {owner}")
    return faults

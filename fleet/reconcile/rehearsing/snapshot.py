"""What a snapshot file holds: everything that hosts, registries and fleet's own record say that a plan can hang on.

Values of JSON, as they are written; `snapshot_file` reads and writes them. No address and no credential is among them, and
texts are hash and size, unless somebody asked for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field

from fleet.names import HostName, ModelName

FORMAT: Final = 1
TYPE: Final = "fleet-snapshot"
FOR_EVER: Final = "for ever"
MOST_MODELS = 20_000
"""Of one host; the client refuses a listing of more."""

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Small = Annotated[int, Field(ge=0, lt=2**32)]
Word = Annotated[str, Field(max_length=1000)]
HostKey = Annotated[str, AfterValidator(lambda text: str(HostName.parse(text)))]
ModelKey = Annotated[str, AfterValidator(lambda text: str(ModelName.parse(text)))]
Value = str | bool | int | float | None
"""One value of a parameter or an option."""


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text of a model."""

    __pydantic_config__ = _STRICT
    sha256: Hex
    size: Bytes
    text: str | None = None
    """Only where it was asked for."""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    __pydantic_config__ = _STRICT
    role: Word
    content: KeptText


@dataclass(frozen=True, slots=True)
class KeptContent:
    """What `/api/show` told of a model; the fields are those of `fleet.reconcile.observed.Content`."""

    __pydantic_config__ = _STRICT
    hash: Hex
    """`fleet.reconcile.content.content_hash` of it, by which evidence knows it."""
    weights: tuple[Hex, ...] = ()
    """The model, then projectors, in the server's order."""
    adapters: tuple[Hex, ...] = ()
    drafts: tuple[Hex, ...] = ()
    template: KeptText | None = None
    system: KeptText | None = None
    licenses: tuple[KeptText, ...] = ()
    messages: tuple[KeptMessage, ...] = ()
    parameters: Mapping[Word, tuple[Value, ...]] = field(default_factory=dict)
    renderer: Word | None = None
    parser: Word | None = None
    requires: Word | None = None
    parent: Word = ""
    architecture: Word = ""
    context_length: Small | None = None
    dimensions: Mapping[Word, Small] = field(default_factory=dict)
    """What of the weights' metadata decides how much memory a context takes."""
    embeds_only: bool = False
    quantization: Word = ""
    capabilities: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptModel:
    """One line of a listing."""

    __pydantic_config__ = _STRICT
    listed: Word
    """In the server's spelling, whatever it is."""
    digest: Word
    size: Bytes = 0
    modified: Word = ""
    family: Word = ""
    parameter_size: Word = ""
    quantization: Word = ""
    model_format: Word = ""
    remote: Word = ""
    """Of a cloud stub, the model that it stands for."""
    shown: Word | None = None
    """The key of its content; nothing where it was not asked for."""
    broken: bool = False
    """It was asked for, and is listed but not whole."""


@dataclass(frozen=True, slots=True)
class KeptRunner:
    """One model in memory."""

    __pydantic_config__ = _STRICT
    listed: Word
    digest: Word
    size: Bytes = 0
    size_vram: Bytes = 0
    expires_in: float | Literal["for ever"] | None = None
    """Seconds from the moment of the look, negative when past; nothing where the server did not tell."""
    context_length: Number | None = None


@dataclass(frozen=True, slots=True)
class KeptEvidence:
    """`fleet.state.evidence.Evidence`."""

    __pydantic_config__ = _STRICT
    inputs: Mapping[str, str]
    fingerprint: Word
    digest: Hex
    base: Hex | None
    base_content: Word | None
    weights: tuple[Hex, ...]
    version: Word
    at: Word
    revision: Word
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class KeptChecked:
    """`fleet.state.evidence.Checked`."""

    __pydantic_config__ = _STRICT
    digest: Hex
    questions: Word
    passed: bool
    told: Word
    at: Word


@dataclass(frozen=True, slots=True)
class KeptMade:
    """`fleet.state.evidence.Made`."""

    __pydantic_config__ = _STRICT
    digest: Hex
    owned: bool
    at: Word


@dataclass(frozen=True, slots=True)
class KeptMemory:
    """What fleet's record had of a host: of the machine where the snapshot was taken."""

    __pydantic_config__ = _STRICT
    models: tuple[Word, ...] = ()
    loaded: Mapping[ModelKey, Mapping[Word, Value | tuple[str, ...]]] = field(default_factory=dict)
    borrowed: tuple[ModelKey, ...] = ()
    evidence: Mapping[ModelKey, KeptEvidence] = field(default_factory=dict)
    checked: Mapping[ModelKey, KeptChecked] = field(default_factory=dict)
    made: Mapping[ModelKey, KeptMade] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptHost:
    """One host that answered."""

    __pydantic_config__ = _STRICT
    version: Word
    proven: Word | None = None
    """Of a version that tells nothing: what probes proved it to be at least, `0.0.0` for nothing."""
    models: Annotated[tuple[KeptModel, ...], Field(max_length=MOST_MODELS)] = ()
    running: Annotated[tuple[KeptRunner, ...], Field(max_length=MOST_MODELS)] = ()
    remembered: KeptMemory | None = None


@dataclass(frozen=True, slots=True)
class KeptUnobserved:
    """Why a host was not seen."""

    __pydantic_config__ = _STRICT
    code: Word
    message: str


@dataclass(frozen=True, slots=True)
class KeptLayer:
    __pydantic_config__ = _STRICT
    digest: Hex
    size: Bytes
    media_type: Word = ""


@dataclass(frozen=True, slots=True)
class KeptImage:
    """`fleet.registry.image.Image`."""

    __pydantic_config__ = _STRICT
    raw: Hex
    normalised: Hex
    created: Hex
    config: KeptLayer
    layers: Annotated[tuple[KeptLayer, ...], Field(max_length=20_000)]


@dataclass(frozen=True, slots=True)
class KeptServed:
    """What a registry told of a name: an image, or why not."""

    __pydantic_config__ = _STRICT
    image: KeptImage | None = None
    code: Word = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class KeptPushed:
    """`fleet.state.evidence.Pushed`."""

    __pydantic_config__ = _STRICT
    host: HostKey
    digest: Hex
    published: Hex
    fingerprint: Word
    at: Word


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole file."""

    __pydantic_config__ = _STRICT
    type: Literal["fleet-snapshot"]
    format: Literal[1]
    taken_at: Word
    """ISO 8601 in UTC."""
    fleet: Word
    """The `name` of the inventory."""
    hosts: Mapping[HostKey, KeptHost] = field(default_factory=dict)
    unobserved: Mapping[HostKey, KeptUnobserved] = field(default_factory=dict)
    suspended: Mapping[HostKey, Word] = field(default_factory=dict)
    """Hosts that somebody suspended by `fleet suspend`, and why."""
    contents: Mapping[Word, KeptContent] = field(default_factory=dict)
    """What models showed, each once; keys follow from the content."""
    served: Mapping[ModelKey, KeptServed] = field(default_factory=dict)
    """What registries had, by the name that they were asked for."""
    forms: Mapping[Hex, tuple[Hex, ...]] = field(default_factory=dict)
    """Further digests of images that are pinned or listed, as far as fleet's record had them."""
    pushed: Mapping[ModelKey, KeptPushed] = field(default_factory=dict)
    asked: Number | None = None
    """How much the last pass asked for, which guards compare with."""
    others: bool = False
    """Whether other manifests speak for the same fleet."""

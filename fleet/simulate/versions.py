"""What a server of a version does differently: capabilities by name, each with the first and the last release that has it.

Bounds are those of `ollama-api.md` 14 and its sections, and of the releases' sources where the document gives none.
Nothing else in the simulator compares version numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

Release = tuple[int, int, int]

OLDEST: Release = (0, 3, 4)
_LEADING = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


class Capability(StrEnum):
    """A behaviour that some versions have. The value says it in words; the bounds are in `BOUNDS`."""

    CASE_CONFLICTS_REFUSED = "a name that differs from another only in case is refused"
    CASE_FOLDED_ON_WRITE = "pull, push, create and copy take over the case of installed names"
    CASE_FOLDED_ON_READ = "show, delete, generate, chat and embed do so too"
    SOURCE_MARKERS = "`:local` and `:cloud` are markers, not tags"
    SHOW_WRITES_TAG = "show names a missing model with its tag"
    GENERATE_PARSES_NAME = "generate looks at the name before it schedules"
    CHAT_PARSES_NAME = "chat and embeddings look at the name before they schedule"
    CHAT_MINDS_CASE = "…under the name exactly as it was given"
    CHAT_LOOKS_FIRST = "chat looks for the model before it schedules"
    SHOW_PARSES_NAME = "show looks at the name before it reads"
    PUSH_NAMES_INVALID = "push tells an invalid name"
    METHODS_TOLD_APART = "405 for a wrong method"
    STREAM_ERRORS_HAVE_STATUS = "an error at the start of a stream has a status, one within ends it"
    LAST_STATUS_IS_REPLY = "stream:false replies with the last status"
    CLOUD_STATUS = "GET /api/status"
    CLOUD_ACCOUNT = "POST /api/me"
    RECOMMENDATIONS = "GET /api/experimental/model-recommendations"
    VSCODE_ORIGIN = "vscode-webview:// is an allowed origin"
    VSCODE_FILE_ORIGIN = "vscode-file:// is an allowed origin"
    HOST_CASE_IGNORED = "the Host header is compared without case"
    DELETE_MISSING_IS_404 = "deleting a missing model is 404"
    DELETE_CLEANS_UP = "deleting a model removes every blob that no model uses, and is answered by other words"
    CORRUPT_MANIFEST_SKIPPED = "a manifest that cannot be read is skipped in listings"
    CORRUPT_MANIFEST_FAILS_LIST = "a manifest that cannot be read fails the whole listing"
    PRUNE_SPARES_YOUNG = "blobs younger than an hour survive a start"
    PULL_KEEPS_BYTES = "a pulled manifest is kept as it came"
    STALL_FIVE_SECONDS = "a download without progress is begun anew after 5 seconds, later 30"
    TENSOR_MODELS = "models of tensors are pulled in one"
    TENSOR_MODELS_REFUSED = "…but not without MLX"
    LAYER_NAMES = "layers may have names"
    REALM_CHECKED = "a token is asked for at the registry's own host only"
    PULL_ALWAYS_TELLS_PRUNE = "pull always says that it removes unused layers"
    CONFIG_WITH_ROOTFS = "the config lists the layers"
    MODELFILE = "create takes a Modelfile"
    MODELFILE_LOWER = "create asks for a modelfile, in small letters"
    MODELFILE_LINES = "a Modelfile's faults have their line"
    ADAPTER_MAY_BE_NAME = "ADAPTER may name a model"
    ADAPTERS_BY_TYPE = "a GGUF says itself that it is an adapter"
    PROJECTORS_BY_CLIP = "projectors are known by their architecture alone"
    MMPROJ = "projectors are known by the types and encoders that llama.cpp gives them"
    IMPORT_NAMES_BLOB = "an imported GGUF's layer says which blob it was"
    FILE_KEYS_RELATIVE = "file names must be relative paths"
    FILES_BY_MAGIC = "GGUF files are known by their first bytes"
    FILES_BY_BIN = "*.bin files count as GGUF"
    ANY_SAFETENSORS = "safetensors may be called anything"
    ARCHITECTURE_NAMED = "an architecture that cannot be converted is told by its name"
    CONFIG_NAMED = "faults in a config.json say so"
    FP8 = "safetensors of eight-bit floats become Q8_0"
    EMPTY_DIGEST_REFUSED = "a file without digest is refused at once"
    SEVERAL_IN_ONE_GGUF = "one file may hold several models"
    RENDERER = "renderer and parser in create"
    RENDERER_INHERITED = "renderer and parser come from the base"
    REQUIRES = "requires in create and show"
    CAPABILITIES_INHERITED = "listed capabilities come from the base"
    FORMAT_INHERITED = "the model's format comes from the base"
    ARCHITECTURE_DEFAULTS = "gemma4 has a renderer, a parser and a stop of its own"
    MORE_ARCHITECTURE_DEFAULTS = "laguna and nemotron_h too"
    INFO = "create's info sets config values"
    INFO_CHECKED = "…whose numbers must be whole"
    REMOTE = "cloud stubs: remote_host, remote_model"
    DRAFT = "draft models"
    SPLIT_MERGED = "split GGUFs are merged"
    IMPORT_REWRITTEN = "an imported text-only GGUF is rewritten"
    QUANTIZE_FEW = "few quantizations are offered"
    QUANTIZE_PROGRESS = "quantizing tells its progress"
    QUANTIZE_BF16 = "BF16 can be quantized"
    TENSOR_BOUNDS_CHECKED = "a GGUF cut short is refused"
    FILE_TYPES_FEW = "the rare file types have no name"
    TENSORS = "tensors in show"
    CAPABILITIES_IN_SHOW = "capabilities in show"
    THINKING = "the capability thinking"
    ARRAYS_SHOWN = "model_info holds arrays of up to 1024 items"
    MODEL_INFO_ALWAYS = "model_info is there even when empty"
    TAGS_TELL_MORE = "tags tell capabilities, context and parent"
    UNLOAD_WITHOUT_LOAD = "keep_alive 0 unloads at once"
    EMBED_LOADS = "an empty embed loads the model"
    WHOLE_SECONDS = "keep_alive numbers lose their fraction"
    UNDER_A_SECOND_IS_ZERO = "a keep_alive under a second unloads"
    CONTEXT_IN_PS = "context_length in ps"
    CONTEXT_IS_EFFECTIVE = "…after clamping to what the model has"
    CONTEXT_SETTING = "the default context can be set"
    CONTEXT_4096 = "the default context is 4096"
    CONTEXT_BY_MEMORY = "the default context depends on memory"
    VISION_CONTEXT = "vision models have a context of at least 2048"
    PS_WAITS = "ps waits for an unload that is going on"
    PS_HIDES_LOADING = "a runner is listed only once it is loaded"
    AUTOMATIC_OPTIONS_FLOAT = "an unset num_ctx does not reload a runner that had none set"
    NO_EMBEDDINGS_OF_COMPLETION = "completion models give no embeddings"
    DONE_REASON_LAST = "in chat, done comes before done_reason"
    FORMAT_ANY_JSON = "format takes a schema"
    THINK_LEVELS = "think takes levels"
    THINK_LEVELS_OF_HARMONY = "…which only the harmony parser knows"
    THINK_MAX = "…of which `max` is one"
    THINK_REFUSED_BY_NAME = "a model that cannot think is refused by the name it was called"
    CONTEXT_SHIFT = "a runner is told whether to shift its context"
    EMBED_DIMENSIONS = "embed takes a number of dimensions"
    QUANTIZER_LIBRARY = "quantizing is llama.cpp's library's work"
    QUANTIZER_EARLY = "quantizing is the first of the server's own quantizers' work"
    TFS_Z = "the option tfs_z"
    PENALIZE_NEWLINE = "the option penalize_newline"
    MIROSTAT = "mirostat and the old memory options"
    DRAFT_NUM_PREDICT = "the option draft_num_predict"


BOUNDS: dict[Capability, tuple[Release | None, Release | None]] = {
    Capability.CASE_CONFLICTS_REFUSED: (None, (0, 4, 2)),
    Capability.CASE_FOLDED_ON_WRITE: ((0, 4, 3), None),
    Capability.CASE_FOLDED_ON_READ: ((0, 5, 2), None),
    Capability.SOURCE_MARKERS: ((0, 18, 0), None),
    Capability.SHOW_WRITES_TAG: ((0, 30, 0), None),
    Capability.GENERATE_PARSES_NAME: ((0, 5, 2), None),
    Capability.CHAT_PARSES_NAME: ((0, 5, 2), None),
    Capability.CHAT_MINDS_CASE: ((0, 12, 0), (0, 15, 4)),
    Capability.CHAT_LOOKS_FIRST: ((0, 12, 0), None),
    Capability.SHOW_PARSES_NAME: ((0, 5, 2), None),
    Capability.PUSH_NAMES_INVALID: ((0, 15, 0), None),
    Capability.METHODS_TOLD_APART: ((0, 7, 0), None),
    Capability.STREAM_ERRORS_HAVE_STATUS: ((0, 12, 6), None),
    Capability.LAST_STATUS_IS_REPLY: ((0, 7, 0), None),
    Capability.CLOUD_STATUS: ((0, 16, 2), None),
    Capability.CLOUD_ACCOUNT: ((0, 12, 0), None),
    Capability.RECOMMENDATIONS: ((0, 22, 1), None),
    Capability.VSCODE_ORIGIN: ((0, 4, 0), None),
    Capability.VSCODE_FILE_ORIGIN: ((0, 5, 13), None),
    Capability.HOST_CASE_IGNORED: ((0, 5, 2), None),
    Capability.DELETE_MISSING_IS_404: ((0, 3, 13), None),
    Capability.DELETE_CLEANS_UP: ((0, 5, 13), (0, 5, 13)),
    Capability.CORRUPT_MANIFEST_SKIPPED: ((0, 4, 0), None),
    Capability.CORRUPT_MANIFEST_FAILS_LIST: ((0, 3, 7), (0, 3, 14)),
    Capability.PRUNE_SPARES_YOUNG: ((0, 21, 0), None),
    Capability.PULL_KEEPS_BYTES: ((0, 19, 0), None),
    Capability.STALL_FIVE_SECONDS: (None, (0, 5, 7)),
    Capability.TENSOR_MODELS: ((0, 14, 0), None),
    Capability.TENSOR_MODELS_REFUSED: ((0, 32, 10), None),
    Capability.LAYER_NAMES: ((0, 14, 0), None),
    Capability.REALM_CHECKED: ((0, 14, 3), None),
    Capability.PULL_ALWAYS_TELLS_PRUNE: (None, (0, 3, 6)),
    Capability.CONFIG_WITH_ROOTFS: (None, (0, 32, 6)),
    Capability.MODELFILE: (None, (0, 5, 4)),
    Capability.MODELFILE_LOWER: (None, (0, 5, 1)),
    Capability.MODELFILE_LINES: ((0, 4, 2), None),
    Capability.ADAPTER_MAY_BE_NAME: (None, (0, 3, 6)),
    Capability.ADAPTERS_BY_TYPE: ((0, 3, 7), None),
    Capability.PROJECTORS_BY_CLIP: (None, (0, 3, 14)),
    Capability.MMPROJ: ((0, 30, 4), None),
    Capability.IMPORT_NAMES_BLOB: ((0, 3, 6), None),
    Capability.FILE_KEYS_RELATIVE: ((0, 5, 13), None),
    Capability.FILES_BY_MAGIC: ((0, 5, 6), None),
    Capability.FILES_BY_BIN: ((0, 5, 5), (0, 5, 5)),
    Capability.ANY_SAFETENSORS: ((0, 6, 5), None),
    Capability.ARCHITECTURE_NAMED: ((0, 6, 3), None),
    Capability.CONFIG_NAMED: ((0, 17, 1), None),
    Capability.FP8: ((0, 22, 0), None),
    Capability.EMPTY_DIGEST_REFUSED: ((0, 17, 6), None),
    Capability.SEVERAL_IN_ONE_GGUF: (None, (0, 7, 0)),
    Capability.RENDERER: ((0, 12, 0), None),
    Capability.RENDERER_INHERITED: ((0, 12, 7), None),
    Capability.REQUIRES: ((0, 14, 0), None),
    Capability.CAPABILITIES_INHERITED: ((0, 20, 0), None),
    Capability.FORMAT_INHERITED: ((0, 20, 4), None),
    Capability.ARCHITECTURE_DEFAULTS: ((0, 20, 0), None),
    Capability.MORE_ARCHITECTURE_DEFAULTS: ((0, 22, 0), None),
    Capability.INFO: ((0, 12, 0), None),
    Capability.INFO_CHECKED: ((0, 31, 2), None),
    Capability.REMOTE: ((0, 12, 0), None),
    Capability.DRAFT: ((0, 30, 0), None),
    Capability.SPLIT_MERGED: ((0, 30, 0), None),
    Capability.IMPORT_REWRITTEN: ((0, 30, 0), None),
    Capability.QUANTIZE_FEW: ((0, 7, 0), None),
    Capability.QUANTIZE_PROGRESS: ((0, 7, 0), None),
    Capability.QUANTIZE_BF16: ((0, 22, 0), None),
    Capability.TENSOR_BOUNDS_CHECKED: ((0, 17, 1), None),
    Capability.FILE_TYPES_FEW: ((0, 7, 0), (0, 29, 999)),
    Capability.TENSORS: ((0, 6, 1), None),
    Capability.CAPABILITIES_IN_SHOW: ((0, 6, 4), None),
    Capability.THINKING: ((0, 9, 0), None),
    Capability.ARRAYS_SHOWN: (None, (0, 6, 6)),
    Capability.MODEL_INFO_ALWAYS: ((0, 14, 3), None),
    Capability.TAGS_TELL_MORE: ((0, 30, 0), None),
    Capability.UNLOAD_WITHOUT_LOAD: ((0, 3, 11), None),
    Capability.EMBED_LOADS: ((0, 3, 6), None),
    Capability.WHOLE_SECONDS: (None, (0, 11, 7)),
    Capability.UNDER_A_SECOND_IS_ZERO: ((0, 3, 11), (0, 11, 7)),
    Capability.CONTEXT_IN_PS: ((0, 10, 0), None),
    Capability.CONTEXT_IS_EFFECTIVE: ((0, 15, 5), None),
    Capability.CONTEXT_SETTING: ((0, 5, 13), None),
    Capability.CONTEXT_4096: ((0, 6, 7), None),
    Capability.CONTEXT_BY_MEMORY: ((0, 15, 5), None),
    Capability.VISION_CONTEXT: ((0, 11, 5), None),
    Capability.PS_WAITS: ((0, 32, 4), None),
    Capability.PS_HIDES_LOADING: ((0, 30, 0), None),
    Capability.AUTOMATIC_OPTIONS_FLOAT: ((0, 30, 0), None),
    Capability.NO_EMBEDDINGS_OF_COMPLETION: ((0, 30, 0), None),
    Capability.DONE_REASON_LAST: ((0, 12, 0), None),
    Capability.FORMAT_ANY_JSON: ((0, 5, 0), None),
    Capability.THINK_LEVELS: ((0, 11, 0), None),
    Capability.THINK_LEVELS_OF_HARMONY: ((0, 11, 0), (0, 17, 6)),
    Capability.THINK_MAX: ((0, 22, 0), None),
    Capability.THINK_REFUSED_BY_NAME: ((0, 12, 5), None),
    Capability.CONTEXT_SHIFT: ((0, 30, 9), None),
    Capability.EMBED_DIMENSIONS: ((0, 11, 11), None),
    Capability.QUANTIZER_LIBRARY: (None, (0, 6, 8)),
    Capability.QUANTIZER_EARLY: ((0, 7, 0), (0, 12, 4)),
    Capability.TFS_Z: (None, (0, 5, 1)),
    Capability.PENALIZE_NEWLINE: (None, (0, 5, 4)),
    Capability.MIROSTAT: (None, (0, 6, 8)),
    Capability.DRAFT_NUM_PREDICT: ((0, 30, 0), None),
}

PARSERS: dict[str, tuple[Release, bool, bool]] = {
    "passthrough": ((0, 12, 0), False, False),
    "qwen3-coder": ((0, 12, 0), True, False),
    "harmony": ((0, 12, 1), True, True),
    "qwen3-vl-instruct": ((0, 12, 6), True, False),
    "qwen3-vl-thinking": ((0, 12, 7), True, True),
    "cogito": ((0, 13, 1), True, True),
    "ministral": ((0, 13, 1), True, False),
    "olmo3": ((0, 13, 3), True, False),
    "olmo3-think": ((0, 13, 3), False, True),
    "nemotron-3-nano": ((0, 13, 4), True, True),
    "deepseek3": ((0, 13, 5), True, True),
    "functiongemma": ((0, 13, 5), True, False),
    "glm-4.7": ((0, 14, 3), True, True),
    "lfm2": ((0, 14, 3), True, False),
    "lfm2-thinking": ((0, 14, 3), True, True),
    "glm-ocr": ((0, 15, 5), True, False),
    "qwen3": ((0, 16, 3), True, False),
    "qwen3-thinking": ((0, 16, 3), True, True),
    "qwen3.5": ((0, 17, 1), True, True),
    "gemma4": ((0, 20, 0), True, True),
    "gemma4-no-thinking": ((0, 20, 0), True, False),
    "laguna": ((0, 22, 0), True, True),
    "cohere": ((0, 30, 10), True, True),
    "ornith": ((0, 30, 11), True, True),
    "poolside-v1": ((0, 32, 3), True, True),
    "glimmer": ((0, 32, 7), True, True),
    "nemotron-3.5-nano": ((0, 32, 9), True, True),
}
"""Built-in parsers: the release that brought them, and whether they bring tools and thinking to a model."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour of one version. `text` is what `/api/version` says; `release` what it is compared by."""

    text: str
    release: Release

    @classmethod
    def of(cls, version: str) -> Behaviour:
        """Reads a version (`ollama-api.md` 2): a candidate counts as its release, one without numbers as the newest.

        Raises `ValueError` for a release older than 0.3.4, which nothing here describes.
        """
        match = _LEADING.match(version)
        release = (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)
        if release == (0, 0, 0):
            release = (999, 0, 0)
        if release < OLDEST:
            raise ValueError(f"`{version}` is older than 0.3.4, the oldest version that can be simulated")
        return cls(version, release)

    def has(self, capability: Capability) -> bool:
        since, until = BOUNDS[capability]
        return (since is None or self.release >= since) and (until is None or self.release <= until)

    def parser(self, name: str) -> tuple[bool, bool]:
        """Whether the built-in parser of this name brings tools and thinking; neither if this version has none."""
        since, tools, thinking = PARSERS.get(name, ((999, 999, 0), False, False))
        return (tools, thinking) if self.release >= since else (False, False)

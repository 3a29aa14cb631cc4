"""The part of the format that anybody may propose: which models, made how, on which hosts."""

from __future__ import annotations

from typing import Any, Final

from fleet.manifest.check_format import QUESTIONS_SHAPE
from fleet.manifest.create_format import CREATE, PARAMETER_KEYS
from fleet.manifest.inventory import Update
from fleet.manifest.record import Key, ListOf, MapOf, OrEmpty, Record, ScalarOr
from fleet.manifest.shape import Choice, Flag, JsonSchema
from fleet.manifest.words import DIGEST, KEEP_ALIVE, MODEL, SELECTOR, model_key

MOST_ENTRIES: Final = 10_000
"""In all documents together."""
SOURCES: Final = ("pull", "create", "alias", "absent")
"""The keys of which an entry has one; none means `pull`."""


_WARM: Final = Record(
    Key("keep_alive", KEEP_ALIVE, "How long the model stays in memory, as `30m`; -1, the default, for ever."),
    Key("options", PARAMETER_KEYS, "Options to load the model with, as `num_ctx`."),
    title="warm",
)

_WARM_OR_NOT: Final = "`true`, `false` or a map"

WHERE: Final = Key("where", SELECTOR, "The hosts this is for, as `env=prod,site in (tokyo,osaka),vram>=80GB`.")
ALLOW_EMPTY: Final = Key("allow_empty", Flag(), "It is no mistake that `where` matches no host.")

_SETTABLE: Final[tuple[Key[Any], ...]] = (
    Key(
        "pull",
        Record(
            Key("update", Choice(*Update), "When a model that is there counts as current."),
            Key("pin", DIGEST, "The only content that may be installed, as `sha256:…`."),
            Key("from", MODEL, "What is pulled in its place, and copied to this name."),
            elsewhere={"digest": "a digest is pinned by `pin`"},
        ),
        "Have the model on disk, pulled from its registry.",
    ),
    Key("create", CREATE, "Make the model, from another one or from files."),
    Key("alias", MODEL, "A copy that follows this model: the same content, no disk."),
    Key("absent", Flag(only=True), "The model must be gone; the key may be a glob."),
    Key(
        "warm",
        ScalarOr(Flag(wants=_WARM_OR_NOT), _WARM, wants=_WARM_OR_NOT),
        "Keep the model in memory: `true` for ever, or a map.",
    ),
    Key("check", QUESTIONS_SHAPE, "Questions that the model has to answer well."),
    Key("push", Flag(), "Publish what was made."),
    Key("replace", Choice("in-place"), "`in-place`: keep no former content while it is replaced, to save disk."),
    Key("protect", Flag(), "Never delete the model."),
    Key("freeze", Flag(), "Never change the model at all."),
)
_RESERVED: Final = ("rollout", "limits")
_ELSEWHERE: Final = {
    "pin": "`pin` belongs under `pull`",
    "digest": "a digest is pinned by `pin` under `pull`",
    "update": "`update` belongs under `pull`",
    "prune": "`prune` belongs under `policy`",
    "lock": "a pull follows the lock file by `pull: {update: locked}`",
    **{name: f"`{name}` belongs under `create`" for name in CREATE.keys},
    **{name: f"`{name}` belongs under `warm`" for name in _WARM.keys},
}
_ONE_SOURCE: Final[JsonSchema] = {
    "allOf": [
        {"not": {"required": [one, other]}} for number, one in enumerate(SOURCES) for other in SOURCES[number + 1 :]
    ]
}

OVERRIDE_WHERE: Final = Key("where", SELECTOR, "The hosts for which this holds instead.", needed=True)
OVERRIDES: Final = Key(
    "overrides",
    ListOf(Record(OVERRIDE_WHERE, *_SETTABLE, reserved=_RESERVED, elsewhere=_ELSEWHERE), least=1, most=100),
    "What holds for some hosts instead: maps merge, lists replace; no key may be set twice for one host.",
)
ENTRY: Final = Record(
    *_SETTABLE,
    WHERE,
    ALLOW_EMPTY,
    OVERRIDES,
    reserved=_RESERVED,
    elsewhere=_ELSEWHERE,
    together=_ONE_SOURCE,
)
MODELS: Final[Key[dict[str, Any]]] = Key(
    "models",
    MapOf(OrEmpty(ENTRY), model_key, most=MOST_ENTRIES, salvage=True),
    "What is asked for, by model name; nothing behind the name means: have it on disk, pulled.",
)
SETTABLE_NAMES: Final = tuple(key.name for key in _SETTABLE)

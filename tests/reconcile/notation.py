"""The short notation of `tests/cases/plan`: desired, observed and remembered values out of a few words.

Contents get a letter: `a` stands for one digest of an image manifest, and for one blob of weights. An image that a
registry serves as `a` has the layers `a-weights` (1,000 bytes) and `a-config` (10 bytes), is `a-go` on older servers and
`a-made` on the host that pushed it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.codes import Code
from fleet.manifest.inventory import Capacity, Host, NamePattern, Place, Policy, Prune, Update
from fleet.manifest.item import AbsentItem, Alias, Check, Create, Desired, HostDesired, Item, Message, Pull, Warm
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Version
from fleet.reconcile.backup import pending_of
from fleet.reconcile.checks.verdict import questions_of
from fleet.reconcile.content import content_hash
from fleet.reconcile.inputs import fingerprint, inputs
from fleet.reconcile.known import Known
from fleet.reconcile.observed import Content, Observation, Observed, Present, Runner, Unobserved
from fleet.reconcile.questions import to_show
from fleet.reconcile.reading import Listing
from fleet.registry.image import Image, Layer
from fleet.registry.locked import Locked
from fleet.registry.served import Published, Unpublished
from fleet.state.evidence import Begun, Checked, Evidence, Made, Pushed
from fleet.state.remembered import HostRemembered, Remembered
from fleet.weights.local import Format, LocalFile, Part, Stamp

PLACE = Place("fleet.yaml", 1, 1)
NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
NEWEST = "0.32.15"
FOREVER = timedelta(days=365 * 292)


def digest(letter: str) -> Digest:
    return Digest(hashlib.sha256(letter.encode()).hexdigest())


def name(text: str) -> ModelName:
    return ModelName.parse(text)


def host(called: str, about: Mapping[str, Any]) -> Host:
    return Host(
        HostName(called),
        about.get("url", f"http://{called}:11434"),
        PLACE,
        capacity=Capacity(**about.get("capacity", {})),
        suspended=about.get("suspended"),
        ephemeral=about.get("ephemeral", False),
    )


def create(about: Mapping[str, Any]) -> Create:
    apart = {"from", "files", "adapters", "drafts", "messages", "license", "parameters"}
    fields = {key: value for key, value in about.items() if key not in apart}
    return Create(
        name(about["from"]) if "from" in about else None,
        files=files(about.get("files", {})),
        adapters=files(about.get("adapters", {})),
        drafts=files(about.get("drafts", {})),
        parameters={
            key: tuple(value) if isinstance(value, list) else value
            for key, value in sorted(about.get("parameters", {}).items())
        },
        messages=tuple(Message(role, text) for role, text in about.get("messages", ())),
        license=tuple(about.get("license", ())),
        **fields,
    )


def files(about: Mapping[str, Any]) -> tuple[LocalFile, ...]:
    """By key: a letter, or a map with `is`, `size`, `format`, `part`, `split`, `level`, `kept`."""
    found = []
    for key, each in sorted(about.items()):
        told = each if isinstance(each, Mapping) else {"is": each}
        gguf = told.get("format", "gguf") == "gguf"
        found.append(
            LocalFile(
                key,
                f"/weights/{key}",
                key,
                Stamp(1, 1, told.get("size", 100), 1, 1),
                Format(told.get("format", "gguf")),
                part=Part(told.get("part", "model")) if gguf else None,
                split=tuple(told["split"]) if "split" in told else None,
                tensors_kept=told.get("kept", False),
                file_type=told.get("level"),
                digest=digest(told["is"]),
            )
        )
    return tuple(found)


def pull(about: Mapping[str, Any]) -> Pull:
    return Pull(
        Update(about.get("update", "missing")),
        pin=digest(about["pin"]) if "pin" in about else None,
        origin=name(about["from"]) if "from" in about else None,
    )


def item(called: str, about: Mapping[str, Any]) -> Item:
    """`{}` is a pull; `pull`, `create`, `alias`, `warm`, `freeze` and `protect` as in a manifest; `check` is a prompt."""
    source: Pull | Create | Alias = pull(about.get("pull", {}))
    if "create" in about:
        source = create(about["create"])
    elif "alias" in about:
        source = Alias(name(about["alias"]))
    warm = about.get("warm")
    return Item(
        name(called),
        source,
        PLACE,
        warm=None if warm is None else Warm() if warm is True else Warm(warm.get("keep"), warm.get("options", {})),
        freeze=about.get("freeze", False),
        protect=about.get("protect", False),
        check=(Check(prompt=about["check"]),) if "check" in about else (),
        push=about.get("push", False),
    )


def host_desired(called: str, entries: Mapping[str, Any] | Iterable[str], about: Mapping[str, Any]) -> HostDesired:
    if not isinstance(entries, Mapping):
        entries = {entry: {} for entry in entries}
    present: dict[str, Any] = {key: value or {} for key, value in entries.items() if value != "absent"}
    absent = sorted(key for key, value in entries.items() if value == "absent")
    return HostDesired(
        host(called, about),
        tuple(sorted((item(key, value) for key, value in present.items()), key=lambda each: each.name.key)),
        tuple(AbsentItem(NamePattern(text), PLACE, None if set("*?") & set(text) else name(text)) for text in absent),
    )


def desired(case: Mapping[str, Any]) -> Desired:
    about = case.get("hosts", {})
    hosts = {HostName(h): host_desired(h, entries, about.get(h, {})) for h, entries in case["desired"].items()}
    prune = Prune(case.get("prune", "never"))
    policy = Policy(
        tuple(NamePattern(text) for text in case.get("protect", ())), case.get("max_deletes", 5), prune=prune
    )
    return Desired("test", {name: replace(wanted, prune=prune) for name, wanted in hosts.items()}, policy)


def content(about: Mapping[str, Any]) -> Content:
    """What a show of the model tells. Weights are letters; without any, the model's own is taken."""
    return Content(
        frozenset(digest(letter) for letter in about.get("weights", about["is"])),
        about.get("template", "{{ .Prompt }}"),
        about.get("system", ""),
        {
            key: tuple(value) if isinstance(value, list) else (value,)
            for key, value in about.get("parameters", {}).items()
        },
        tuple((role, text) for role, text in about.get("messages", ())),
        about.get("license", ""),
        about.get("renderer"),
        about.get("parser"),
        about.get("requires"),
        architecture=about.get("architecture", "llama"),
        context_length=about.get("longest"),
        quantization=about.get("level", ""),
    )


def image(letter: str) -> Image:
    return Image(
        digest(letter),
        digest(f"{letter}-go"),
        digest(f"{letter}-made"),
        Layer(digest(f"{letter}-config"), 10),
        (Layer(digest(f"{letter}-weights"), 1000),),
    )


def known(case: Mapping[str, Any]) -> Known:
    """`served`: by name a letter, or the name of a code; `locked`: by name a letter; `rebuild`;
    `theirs`: by host what the fleet `other` put there.
    """
    return Known(
        served={
            name(called): Unpublished(Code[each], "not served") if each.isupper() else Published(image(each))
            for called, each in case.get("served", {}).items()
        },
        locked={
            name(called): Locked(name(called), digest(each), digest(f"{each}-go"), 1010, NOW.date())
            for called, each in case.get("locked", {}).items()
        },
        rebuild_unverified=case.get("rebuild", False),
        theirs={
            f"http://{called}:11434": {name(each): "other" for each in models}
            for called, models in case.get("theirs", {}).items()
        },
    )


def present(listed: str, about: Mapping[str, Any]) -> Present:
    return Present(
        name(listed),
        listed,
        digest(about["is"]),
        about.get("size", 1),
        about.get("remote", False),
        tuple(about["kind"]) if "kind" in about else ("llama", "8B", "Q4_0"),
    )


def runner(about: Mapping[str, Any]) -> Runner:
    """`left` is in seconds or `for ever`; without it, for ever."""
    left = about.get("left", "for ever")
    expires = None if left == "unknown" else NOW + (FOREVER if left == "for ever" else timedelta(seconds=left))
    return Runner(
        about["name"],
        digest(about["is"]) if "is" in about else None,
        about.get("size", 1),
        about.get("vram", about.get("size", 1)),
        expires,
        about.get("context"),
    )


def observation(
    called: str, about: Any, wanted: HostDesired, recorded: Mapping[ModelName, Evidence] | None = None
) -> Observation:
    """A mapping with `version`, `models` and `runners`; a list of names; or the name of a code: why it said nothing."""
    if isinstance(about, str):
        return Unobserved(HostName(called), Code[about], "no answer")
    if not isinstance(about, Mapping):
        about = {"models": {listed: listed[:1] for listed in about}}
    models = {
        listed: each if isinstance(each, Mapping) else {"is": each} for listed, each in about.get("models", {}).items()
    }
    found = _listing({listed: present(listed, each) for listed, each in models.items()})
    runners = tuple(sorted((runner(each) for each in about.get("runners", ())), key=lambda each: each.listed))
    asked = to_show(wanted, found.models, runners, recorded)
    contents = {
        each: None if models[found.models[each].listed].get("broken") else content(models[found.models[each].listed])
        for each in asked
    }
    return Observed(
        HostName(called),
        Version.parse(about.get("version", NEWEST)),
        found.models,
        runners,
        contents,
        found.collisions,
        at=NOW,
        blobs={digest(called): there for called, there in about.get("blobs", {}).items()},
    )


def _listing(models: Mapping[str, Present]) -> Listing:
    seen: dict[ModelName, list[Present]] = {}
    for listed in sorted(models):
        seen.setdefault(models[listed].name, []).append(models[listed])
    alone = {called: each[0] for called, each in seen.items() if len(each) == 1}
    pairs = tuple((each[0], other) for each in seen.values() for other in each[1:])
    return Listing(alone, pairs)


def remembered(about: Mapping[str, Any]) -> Remembered:
    return Remembered(
        {about.get("scope", ""): about["items"]} if "items" in about else {},
        {
            HostName(called): HostRemembered(
                each.get("url", f"http://{called}:11434"),
                frozenset(name(model).key for model in each.get("models", ())),
                {name(model): options for model, options in each.get("loaded", {}).items()},
                {name(model): evidence(told) for model, told in each.get("evidence", {}).items()},
                {name(model): checked(told) for model, told in each.get("checked", {}).items()},
                frozenset(name(model) for model in each.get("borrowed", ()))
                | {
                    pending_of(name(model), frozenset(map(digest, accepted)))
                    for model, accepted in each.get("pending", {}).items()
                },
                {name(model): made(told) for model, told in each.get("made", {}).items()},
                {
                    name(model.split()[-1]): Begun((model.split()[:-1] or ["pull"])[0], None, NOW)
                    for model in each.get("begun", ())
                },
            )
            for called, each in about.get("hosts", {}).items()
        },
        {name(model): pushed(told) for model, told in about.get("pushed", {}).items()},
        {about.get("scope", ""): about["sources"]} if "sources" in about else {},
    )


def made(about: Any) -> Made:
    """A letter: fleet's own in that content; `{is: a, owned: false}`: put there by fleet where something was before."""
    told = about if isinstance(about, Mapping) else {"is": about}
    return Made(digest(told["is"]), told.get("owned", True), NOW)


def evidence(about: Mapping[str, Any]) -> Evidence:
    """`made` as in a manifest, `is` the result, `base` the digest of the base and `shown` what it showed then."""
    made = create(about["made"])
    return Evidence(
        inputs(made),
        about.get("fingerprint", fingerprint(made)),
        digest(about["is"]),
        digest(about["base"]) if "base" in about else None,
        content_hash(content(about["shown"])) if "shown" in about else None,
        frozenset(digest(letter) for letter in about.get("weights", ())),
        NEWEST,
        NOW,
        "r",
    )


def checked(about: Mapping[str, Any]) -> Checked:
    """`is` the content that was asked `prompt`; `failed` says why it did not pass."""
    questions = questions_of((Check(prompt=about["prompt"]),))
    return Checked(digest(about["is"]), questions, "failed" not in about, about.get("failed", ""), NOW)


def pushed(about: Mapping[str, Any]) -> Pushed:
    return Pushed(
        HostName(about["host"]),
        digest(about["is"]),
        digest(about["published"]),
        fingerprint(create(about["made"])),
        NOW,
    )

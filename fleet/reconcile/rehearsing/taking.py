"""Takes a snapshot: asks hosts and registries what a plan could hang on, and changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fleet.errors import HostError
from fleet.foreign import clean
from fleet.manifest.item import Alias, Create, Desired, HostDesired, Pull
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.client import Client, ModelMissing
from fleet.ollama.shown import read as read_shown
from fleet.ollama.wire import Listed, Running, Show
from fleet.reconcile.connection import connect
from fleet.reconcile.content import content_hash
from fleet.reconcile.known import asked
from fleet.reconcile.learning import forms_of
from fleet.reconcile.observe import unobserved
from fleet.reconcile.observed import Unobserved
from fleet.reconcile.publishers import publishers
from fleet.reconcile.questions import to_show
from fleet.reconcile.reading import Listing, content, listing, runners
from fleet.reconcile.rehearsing.kept_memory import kept_memory, kept_pushed
from fleet.reconcile.rehearsing.snapshot import (
    FOR_EVER,
    FORMAT,
    TYPE,
    KeptContent,
    KeptHost,
    KeptImage,
    KeptLayer,
    KeptMessage,
    KeptModel,
    KeptRunner,
    KeptServed,
    KeptUnobserved,
    Snapshot,
)
from fleet.reconcile.rehearsing.texts import kept_text
from fleet.reconcile.suspending import suspended_words
from fleet.registry.image import Image, Layer
from fleet.registry.served import Published, Served
from fleet.settings import Settings
from fleet.state.digests import Digests
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from fleet.state.suspensions import Suspensions

_BETWEEN_TRIES = 1.0
"""Seconds between two looks at a host that is waited for."""
_WORD = 1000
"""Characters of what a server says of itself and its models."""

_DIMENSIONS = ("block_count", "embedding_length", "attention.head_count", "attention.head_count_kv")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_URL = re.compile(r":? ?(?:at )?\w+://\S+")

Seen = Callable[[HostName, Unobserved | None], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the hosts is to be in the snapshot."""

    desired: Desired
    hosts: tuple[HostDesired, ...]
    scope: str
    """Of the passes that guards compare with, as `fleet.reconcile.run.Pass.scope`."""
    everything: bool = True
    """Whether every listed model is shown; else those alone that the entries are about."""
    texts: bool = False
    """Whether texts are kept whole."""


async def take_snapshot(wanted: Wanted, settings: Settings, seen: Seen = lambda *_: None) -> Snapshot:
    """Never raises for what hosts and registries do. Raises `fleet.state.memory.StateError`."""
    with Memory(settings.state_dir, wanted.desired.name) as memory:
        remembered = memory.remembered()
    taken_at = datetime.now(UTC)
    with Suspensions(settings.state_dir, wanted.desired.name) as suspensions:
        suspended = suspensions.all(taken_at)
    contents: dict[str, KeptContent] = {}
    places = asyncio.Semaphore(settings.parallelism)
    now = asyncio.get_running_loop().time
    until = now() + settings.wait
    hosts: dict[HostName, KeptHost] = {}
    missed: dict[HostName, KeptUnobserved] = {}

    async def one(host: HostDesired) -> None:
        name = host.host.name
        while True:
            async with places:
                found = await _seen(host, wanted, settings, contents)
            left = until - now()
            if isinstance(found, KeptHost) or found.code.retry != "later" or left <= 0:
                break
            await asyncio.sleep(min(_BETWEEN_TRIES, left))
        if isinstance(found, Unobserved):
            missed[name] = KeptUnobserved(found.code.id, without_addresses(found.message))
        else:
            known = remembered.hosts.get(name)
            own = known if known is not None and known.url == host.host.url else None
            hosts[name] = replace(found, remembered=None if own is None else kept_memory(own))
        seen(name, found if isinstance(found, Unobserved) else None)

    async with asyncio.TaskGroup() as group:
        for host in wanted.hosts:
            group.create_task(one(host))
    served = await _served(_to_ask(wanted, hosts, contents), wanted.desired, settings)
    return Snapshot(
        TYPE,
        FORMAT,
        taken_at.isoformat(timespec="seconds"),
        wanted.desired.name,
        {str(name): host for name, host in sorted(hosts.items())},
        {str(name): why for name, why in sorted(missed.items())},
        {str(name): suspended_words(each)[:_WORD] for name, each in sorted(suspended.items())},
        contents,
        {str(name): _kept_served(found) for name, found in sorted(served.items())},
        _forms(wanted.desired, hosts.values(), settings),
        {str(name): kept_pushed(each) for name, each in sorted(remembered.pushed.items())},
        _asked(remembered, wanted.scope),
        bool(remembered.items.keys() - {wanted.scope}) and len(remembered.items) > 1,
    )


async def _seen(
    host: HostDesired, wanted: Wanted, settings: Settings, contents: dict[str, KeptContent]
) -> KeptHost | Unobserved:
    try:
        async with connect(host.host, settings) as client:
            return await _look(client, host, wanted, contents)
    except HostError as error:
        return unobserved(host.host.name, error)


async def _look(client: Client, host: HostDesired, wanted: Wanted, contents: dict[str, KeptContent]) -> KeptHost:
    version = await client.place(await client.version())
    tags = await client.tags()
    if tags and any(item.name not in listing(tags).models for item in host.items):
        # A listing can miss a model for an instant (`ollama-api.md` 4); the fuller one of two counts.
        tags = max(await client.tags(), tags, key=len)
    found, running = listing(tags), await client.ps()
    now = datetime.now(UTC)
    shown: dict[str, str | None] = {}
    for name in _to_show(host, found, running, wanted):
        listed = found.models[name].listed
        try:
            kept = _kept_content(await client.show(listed), whole=wanted.texts)
        except ModelMissing:
            shown[listed] = None
            continue
        shown[listed] = _key(kept)
        contents.setdefault(_key(kept), kept)
    models = sorted((_kept_model(each, shown) for each in tags), key=lambda model: (model.listed, model.digest))
    numbers = f"{version.major}.{version.minor}.{version.patch}"
    return KeptHost(
        version.text[:_WORD],
        None if version.known else numbers,
        tuple(models),
        tuple(sorted((_kept_runner(each, now) for each in running), key=lambda runner: (runner.listed, runner.digest))),
    )


def _to_show(host: HostDesired, found: Listing, running: Iterable[Running], wanted: Wanted) -> tuple[ModelName, ...]:
    """More than a plan shows: what is recorded of a model now may be of no use for the manifests that are rehearsed."""
    if wanted.everything:
        names = set(found.models)
    else:
        names = set(to_show(host, found.models, runners(running)))
        for item in host.items:
            source = item.source
            needed = source.base if isinstance(source, Create) else source.source if isinstance(source, Alias) else None
            names |= {item.name} if needed is None else {item.name, needed}
    return tuple(sorted(name for name in names if name in found.models and not found.models[name].remote))


def _to_ask(
    wanted: Wanted, hosts: Mapping[HostName, KeptHost], contents: Mapping[str, KeptContent]
) -> tuple[ModelName, ...]:
    """What entries pull or push; without manifests, what hosts list and did not make themselves."""
    names: set[ModelName] = set()
    for host in wanted.hosts:
        for item in host.items:
            if isinstance(item.source, Pull):
                names.add(asked(item, item.source))
            if item.push:
                names.add(item.name)
    if not wanted.everything:
        return tuple(sorted(names))
    for kept in hosts.values():
        made = kept.remembered.evidence if kept.remembered is not None else {}
        for model in kept.models:
            found = listing([Listed(model.listed, model.digest)]).models
            content = contents.get(model.shown or "")
            derived = content is not None and content.parent != ""
            names.update(name for name in found if not (model.remote or derived or str(name) in made or name.reserved))
    return tuple(sorted(names))


async def _served(names: Iterable[ModelName], desired: Desired, settings: Settings) -> dict[ModelName, Served]:
    """As a plan asks; nothing of any where the settings have none asked."""
    wanted = tuple(names)
    async with publishers(desired, settings) as ask:
        found = await asyncio.gather(*(ask(name) for name in wanted))
    return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}


def _forms(desired: Desired, hosts: Iterable[KeptHost], settings: Settings) -> dict[str, tuple[str, ...]]:
    found = forms_of(desired, settings)
    listed = {model.digest for host in hosts for model in host.models if _DIGEST.match(model.digest)}
    with Digests(settings.state_dir) as digests:
        found.update((Digest(each), digests.forms_of(Digest(each))) for each in listed)
    return {
        digest.hex: tuple(sorted(form.hex for form in forms - {digest}))
        for digest, forms in sorted(found.items())
        if len(forms) > 1
    }


def _asked(remembered: Remembered, scope: str) -> int | None:
    """How much the last pass of these manifests asked for; of the only ones there are, where they are named otherwise."""
    found = remembered.items.get(scope)
    return next(iter(remembered.items.values())) if found is None and len(remembered.items) == 1 else found


def _kept_model(listed: Listed, shown: Mapping[str, str | None]) -> KeptModel:
    details = listed.details
    return KeptModel(
        listed.name[:_WORD],
        listed.digest[:_WORD],
        listed.size,
        listed.modified_at[:_WORD],
        details.family[:_WORD],
        details.parameter_size[:_WORD],
        details.quantization_level[:_WORD],
        details.format[:_WORD],
        (listed.remote_model or "")[:_WORD],
        shown.get(listed.name),
        listed.name in shown and shown[listed.name] is None,
    )


def _kept_runner(running: Running, now: datetime) -> KeptRunner:
    left = running.remaining(now)
    return KeptRunner(
        running.name[:_WORD],
        running.digest[:_WORD],
        running.size,
        running.size_vram,
        None if running.expires_at is None else FOR_EVER if left is None else round(left, 3),
        running.context_length,
    )


def _kept_content(show: Show, *, whole: bool) -> KeptContent:
    model, told = read_shown(show), content(show)
    licenses = model.licenses if "\n".join(model.licenses) == show.license else tuple(filter(None, (show.license,)))

    def word(text: str | None) -> str | None:
        return None if text is None else text[:_WORD]

    return KeptContent(
        content_hash(told),
        tuple(digest.hex for digest in model.from_digests),
        _hexes(model.adapter_digests),
        _hexes(model.draft_digests),
        kept_text(told.template, whole=whole) if told.template else None,
        kept_text(told.system, whole=whole) if told.system else None,
        tuple(kept_text(text, whole=whole) for text in licenses),
        tuple(KeptMessage(role[:_WORD], kept_text(said, whole=whole)) for role, said in told.messages),
        {name[:_WORD]: tuple(map(_value, values)) for name, values in told.parameters.items()},
        word(told.renderer),
        word(told.parser),
        word(told.requires),
        told.parent[:_WORD],
        told.architecture[:_WORD],
        _small(told.context_length),
        _dimensions(show.model_info, told.architecture),
        told.embeds_only,
        told.quantization[:_WORD],
        tuple(each[:_WORD] for each in model.capabilities or ()),
    )


def _dimensions(model_info: Mapping[str, Any], architecture: str) -> dict[str, int]:
    found = ((key, _small(model_info.get(f"{architecture}.{key}"))) for key in _DIMENSIONS)
    return {key: value for key, value in found if value is not None}


def _small(value: object) -> int | None:
    """A number that a GGUF's header could hold, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32 else None


def _hexes(digests: Iterable[Digest]) -> tuple[str, ...]:
    return tuple(digest.hex for digest in digests)


def _value(value: str | float | bool | None) -> str | float | bool | None:
    """What JSON has no number for is kept as its text."""
    if isinstance(value, float) and not -1e308 < value < 1e308:
        return str(value)
    return value


def _key(kept: KeptContent) -> str:
    """The same for the same content, wherever it is shown."""
    return hashlib.sha256(json.dumps(asdict(kept), sort_keys=True).encode()).hexdigest()[:16]


def _kept_served(served: Served) -> KeptServed:
    if isinstance(served, Published):
        return KeptServed(kept_image(served.image))
    return KeptServed(None, served.code.id, without_addresses(served.message))


def without_addresses(message: str) -> str:
    """What went wrong, without the URL at which it did."""
    return clean(_URL.sub("", message), limit=_WORD)


def kept_image(image: Image) -> KeptImage:
    return KeptImage(
        image.raw.hex,
        image.normalised.hex,
        image.created.hex,
        _kept_layer(image.config),
        tuple(map(_kept_layer, image.layers)),
    )


def _kept_layer(layer: Layer) -> KeptLayer:
    return KeptLayer(layer.digest.hex, layer.size, layer.media_type)

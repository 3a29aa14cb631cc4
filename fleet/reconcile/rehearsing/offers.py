"""What the registries of a rehearsal serve: as the snapshot or the lock file says, else as registries say now, else made
up, and said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from fleet.codes import Code
from fleet.manifest.inventory import Update
from fleet.manifest.item import Item, Pull
from fleet.names import Digest, InvalidName, ModelName
from fleet.quantities import show_size
from fleet.reconcile.known import asked
from fleet.reconcile.rehearsing.snapshot import KeptImage, KeptLayer, KeptModel, KeptServed, Snapshot
from fleet.reconcile.steps.shared import Ask
from fleet.registry.image import Image, Layer
from fleet.registry.locked import Locked
from fleet.registry.served import Published, Served, Unpublished

MADE_SIZE = 5_000_000_000
"""Bytes of a model of which nobody tells how large it is."""
_NOTHING_THERE = frozenset({Code.NOT_IN_REGISTRY, Code.NO_MODEL_SERVED})
_MODEL = "application/vnd.ollama.image.model"


@dataclass(frozen=True, slots=True)
class Offer:
    """One name in its registry."""

    name: ModelName
    served: Served | None
    """What fleet is told when it asks; nothing where that is not known."""
    image: Image | None
    """What hosts get; nothing where the registry has no such name."""
    held: KeptModel | None = None
    """The copy of it on a host, where that is all that is known of it."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Offering:
    """Where offers are taken from."""

    snapshot: Snapshot
    locked: Mapping[ModelName, Locked]
    ask: Ask
    """Asks registries now, or tells nothing of any."""

    async def offers(self, items: Iterable[Item]) -> tuple[Offer, ...]:
        """One for each name that these items pull, sorted."""
        by_name: dict[ModelName, list[Item]] = {}
        for item in items:
            if isinstance(item.source, Pull):
                by_name.setdefault(asked(item, item.source), []).append(item)
        return tuple([await self._offer(name, by_name[name]) for name in sorted(by_name)])

    async def _offer(self, name: ModelName, items: list[Item]) -> Offer:
        recorded = served_of(self.snapshot.served.get(str(name)))
        locked = _one_locked(items, self.locked)
        if isinstance(recorded, Published) and locked is not None and not locked.digests & recorded.image.digests:
            return await self._after_the_snapshot(name, recorded, locked)
        if recorded is None and locked is not None:
            return Offer(name, Published(_image_of(locked)), _image_of(locked))
        if recorded is None:
            recorded = await self.ask(name)
        if isinstance(recorded, Published):
            return Offer(name, recorded, recorded.image)
        if recorded is not None and recorded.code in _NOTHING_THERE:
            return Offer(name, recorded, None)
        return self._made_up(name, recorded, items)

    async def _after_the_snapshot(self, name: ModelName, recorded: Published, locked: Locked) -> Offer:
        """The lock file has another content than the registry had: which of the two is newer decides."""
        taken = day_of(self.snapshot)
        if locked.date < taken:
            return Offer(name, recorded, recorded.image)
        now = await self.ask(name)
        if isinstance(now, Published):
            return Offer(name, now, now.image)
        if locked.date > taken:
            return Offer(name, Published(_image_of(locked)), _image_of(locked))
        note = (
            f"`{name}` was locked on the day of the snapshot, with another content than its registry had when that was"
            " taken, which is what counts here: take a new snapshot"
        )
        return Offer(name, recorded, recorded.image, note=note)

    def _made_up(self, name: ModelName, told: Unpublished | None, items: list[Item]) -> Offer:
        """Hosts get something in any case: that fleet was not told of it does not say that they are not."""
        pins = {item.source.pin for item in items if isinstance(item.source, Pull) and item.source.pin is not None}
        held = next(
            (model for model in self._held(name) if not pins or model.digest in {pin.hex for pin in pins}), None
        )
        if held is not None:
            image = made_up_image(Digest(held.digest), held.size)
            return Offer(name, told, image, held)
        image = made_up_image(min(pins, default=_made_up_digest(f"image of {name}")), MADE_SIZE)
        note = (
            f"nothing tells what the registry serves as `{name}`: it counts as {show_size(MADE_SIZE)}, a made-up size;"
            " `fleet snapshot -f` asks for it"
        )
        return Offer(name, told, image, note=note)

    def _held(self, name: ModelName) -> Iterator[KeptModel]:
        """What hosts list under the name."""
        for host in self.snapshot.hosts.values():
            for model in host.models:
                try:
                    if ModelName.parse(model.listed) == name and not model.remote:
                        Digest.parse(model.digest)
                        yield model
                except InvalidName:
                    continue


def day_of(snapshot: Snapshot) -> date:
    """On which day it was taken; long ago, where it does not tell."""
    try:
        return datetime.fromisoformat(snapshot.taken_at).date()
    except ValueError:
        return date.min


def made_up_image(digest: Digest, size: int) -> Image:
    """Of a content of which nobody knows the layers: one has all its bytes."""
    weights = Layer(_made_up_digest(f"weights of {digest}"), size, _MODEL)
    return Image(digest, digest, digest, Layer(_made_up_digest(f"config of {digest}"), 0), (weights,))


def image_of(kept: KeptImage) -> Image:
    """As a registry told it."""
    return Image(
        Digest(kept.raw),
        Digest(kept.normalised),
        Digest(kept.created),
        _layer(kept.config),
        tuple(map(_layer, kept.layers)),
    )


def _layer(kept: KeptLayer) -> Layer:
    return Layer(Digest(kept.digest), kept.size, kept.media_type)


def _made_up_digest(of: str) -> Digest:
    return Digest(sha256(of.encode()).hexdigest())


def served_of(kept: KeptServed | None) -> Served | None:
    """What a registry told, back from the snapshot."""
    if kept is None:
        return None
    if kept.image is not None:
        return Published(image_of(kept.image))
    code = next((code for code in Code if code.id == kept.code), Code.REGISTRY_TROUBLE)
    return Unpublished(code, kept.message, code.cure)


def _one_locked(items: Iterable[Item], locked: Mapping[ModelName, Locked]) -> Locked | None:
    """What the lock file says of the entries that follow it."""
    following = (
        item
        for item in items
        if isinstance(item.source, Pull) and item.source.update is Update.LOCKED and item.source.pin is None
    )
    return next((locked[item.name] for item in following if item.name in locked), None)


def _image_of(locked: Locked) -> Image:
    made = made_up_image(locked.raw, locked.size)
    return Image(locked.raw, locked.normalised, locked.normalised, made.config, made.layers)

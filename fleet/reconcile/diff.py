"""Desired beside observed, for one host: every item's state with a reason from a closed set (`design.md` 6). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fleet.codes import Code
from fleet.manifest.inventory import NamePattern, Update
from fleet.manifest.item import AbsentItem, Alias, Create, HostDesired, Item, Pull
from fleet.manifest.pattern import matches
from fleet.names import Digest, ModelName
from fleet.ollama.versions import Capability, has
from fleet.reconcile.backup import backup_of, is_backup
from fleet.reconcile.checks.verdict import check_failed, unchecked
from fleet.reconcile.compare import cannot_clear, uncleared
from fleet.reconcile.created import standing
from fleet.reconcile.difference import (
    Blocked,
    Change,
    Difference,
    Fetch,
    HostDifference,
    Leftover,
    Reason,
    Removal,
    State,
)
from fleet.reconcile.disk import Disk
from fleet.reconcile.expressible import inexpressible
from fleet.reconcile.known import Known, asked, fixed
from fleet.reconcile.leftovers import leftovers
from fleet.reconcile.making import blobs
from fleet.reconcile.observed import Observed, Present
from fleet.reconcile.prune import undeclared, waits
from fleet.reconcile.questions import removals
from fleet.reconcile.release import releases
from fleet.reconcile.warm import goes_in_memory, warmths
from fleet.registry.image import Image
from fleet.registry.served import Unpublished
from fleet.state.remembered import HostRemembered

_NOTHING = HostRemembered("")


def difference(
    desired: HostDesired,
    observed: Observed,
    remembered: HostRemembered | None = None,
    known: Known = Known(),
    publishing: Mapping[ModelName, Reason | None] | None = None,
    *,
    alone: bool = True,
    protect: Iterable[NamePattern] = (),
) -> HostDifference:
    """All differences of one host. `remembered` is what fleet recorded of this host; `publishing` are the models that
    this host publishes for all, and why what it holds now is to be pushed, if it is. `alone`: whether no other manifests
    speak for this fleet. `protect` are names that stay although nobody declares them.
    """
    remembered = remembered or _NOTHING
    gone = removals(desired, observed.models)
    items = {item.name: item for item in desired.items}
    found: dict[ModelName, Difference] = {}
    disk = Disk(desired, observed)
    host = _Host(observed, items, gone, found, remembered, known)
    for item in in_order(items):
        stands = disk.held(host.stands(item))
        found[item.name] = _published(stands, publishing) if publishing else stands
    absent = [one.exact for one in desired.absent if one.exact is not None]
    left = leftovers(found, observed, remembered.borrowed, absent)
    # A runner can still be known by what is left over, and no longer once that has gone.
    leaving = gone | {each.present.name for each in left}
    left = tuple(_unloaded(each, observed, leaving, found) for each in left)
    theirs = known.theirs.get(desired.host.url, {})
    pruned = undeclared(desired, observed, remembered, found, leaving, protect, theirs)
    if pruned:
        gone, leaving = gone | pruned.keys(), leaving | pruned.keys()
    warm = warmths(found, observed, desired.host.capacity, remembered.loaded, leaving)
    return HostDifference(
        desired.host.name,
        tuple(replace(found[name], warmth=warm[name]) if name in warm else found[name] for name in sorted(found)),
        _removals(desired, observed, gone, pruned, found) + _colliding(desired, observed),
        left,
        releases(found, observed, remembered.loaded, gone, known.release_to, undeclared=alone),
    )


def _published(item: Difference, publishing: Mapping[ModelName, Reason | None]) -> Difference:
    """With the push, unless there is nothing verified to be pushed."""
    if item.item.name not in publishing or item.state in {State.BLOCKED, State.UNVERIFIED} or item.trouble is not None:
        return item
    reason = publishing[item.item.name]
    return replace(item, publish=reason or (Reason.PUBLISHED_DIFFERS if item.state is State.DIFFERS else None))


def in_order(items: Mapping[ModelName, Item]) -> tuple[Item, ...]:
    """Items with what they need before them, else by name. Cycles were refused when the manifests were read."""
    ordered: dict[ModelName, Item] = {}
    for name in sorted(items):
        chain: list[Item] = []
        item: Item | None = items[name]
        while item is not None and item.name not in ordered:
            chain.append(item)
            needed = needs(item)
            item = items.get(needed) if needed is not None else None
        for each in reversed(chain):
            ordered[each.name] = each
    return tuple(ordered.values())


def needs(item: Item) -> ModelName | None:
    """The base of a create, the source of an alias."""
    source = item.source
    if isinstance(source, Pull):
        return None
    return source.source if isinstance(source, Alias) else source.base


class _Host:
    """One host while its items are gone through, what they need first."""

    def __init__(
        self,
        observed: Observed,
        items: Mapping[ModelName, Item],
        gone: frozenset[ModelName],
        found: Mapping[ModelName, Difference],
        remembered: HostRemembered,
        known: Known,
    ) -> None:
        self.observed = observed
        self.items = items
        self.gone = gone
        self.found = found
        self.remembered = remembered
        self.known = known

    def stands(self, item: Item) -> Difference:
        present = self.observed.models.get(item.name)
        blocked = self._named_apart(item, present) or self._needed(item)
        if blocked is not None:
            return Difference(item, present, State.BLOCKED, blocked=blocked, needs=needs(item))
        source = item.source
        if isinstance(source, Pull):
            stands = self._pulled(item, source, present)
        elif isinstance(source, Alias):
            stands = self._copied(item, source, present)
        else:
            stands = self._created(item, source, present)
        return self._checked(stands)

    def _checked(self, stands: Difference) -> Difference:
        """With what is known of the answers to its questions."""
        if not stands.item.check or stands.state is State.BLOCKED:
            return stands
        checked = self.remembered.checked.get(stands.item.name)
        if stands.state is State.DIFFERS or unchecked(stands, checked):
            return replace(stands, unchecked=True)
        return replace(stands, trouble=stands.trouble or check_failed(stands, checked))

    def _named_apart(self, item: Item, present: Present | None) -> Blocked | None:
        for one, other in self.observed.collisions:
            if one.name == item.name:
                return Blocked(Code.NAMES_COLLIDE, f"the host lists both `{one.listed}` and `{other.listed}`")
        if item.name in self.observed.unreadable:
            return Blocked(Code.NOT_OLLAMA, f"the host lists `{item.name}` with something that is no digest")
        if present is not None and present.remote:
            return Blocked(Code.REMOTE_MODEL, f"`{present.listed}` is a cloud stub on this host")
        return None

    def _needed(self, item: Item) -> Blocked | None:
        """Why what the item is made from cannot be had, if it cannot."""
        needed = needs(item)
        if needed is None:
            return None
        if needed in self.found:
            if self.found[needed].state is State.BLOCKED:
                return Blocked(Code.SOURCE_BLOCKED, f"it needs `{needed}`, which is blocked itself")
            return None
        present = self.observed.models.get(needed)
        if needed in self.observed.unreadable:
            why = "listed with something that is no digest"
        elif present is None or present.remote:
            why = "neither declared for this host nor present on it"
        elif needed in self.gone:
            why = "declared absent"
        elif self._broken(needed):
            why = "listed but not whole, and not declared, so fleet does not mend it"
        else:
            return None
        return Blocked(
            Code.SOURCE_NOT_THERE, f"it needs `{needed}`, which is {why}", hint=f"declare `{needed}` for the same hosts"
        )

    def _broken(self, name: ModelName) -> bool:
        """Asked about, and not whole."""
        return name in self.observed.contents and self.observed.contents[name] is None

    def _changes(self, name: ModelName) -> bool:
        return name in self.found and self.found[name].state is State.DIFFERS

    def _pulled(self, item: Item, pull: Pull, present: Present | None) -> Difference:
        accepted = self.known.accepted(item, pull)
        if present is None:
            reason = Reason.MISSING
        elif self._broken(item.name):
            reason = Reason.BROKEN
        elif accepted is not None and present.digest not in accepted:
            reason = Reason.DIGEST_DIFFERS
        else:
            trouble = self._not_compared(item, pull)
            return Difference(item, present, State.AS_DESIRED, trouble=trouble, accepts=accepted)
        image = self.known.image(asked(item, pull))
        as_served = has(self.observed.version, Capability.PULL_KEEPS_BYTES)
        wants = self.known.expected(item, image, accepted, as_served=as_served)
        differing: tuple[Change, ...] = ()
        if reason is Reason.DIGEST_DIFFERS and present is not None and accepted is not None:
            to = wants or _one(pull, accepted)
            differing = (Change("digest", f"sha256:{present.digest.short}", f"sha256:{to.short}"),)
        held = self._under_other_name(item, pull, accepted)
        if held is not None:
            wants, fetch = held, Fetch(frozenset({held}), {})
        elif image is None:
            fetch = None
        elif accepted is not None and fixed(pull) and not accepted & image.digests:
            moved = self._moved(item, pull, accepted, image)
            return Difference(item, present, State.BLOCKED, blocked=moved, accepts=accepted)
        else:
            fetch = Fetch(image.digests, self._missing(image))
        return Difference(item, present, State.DIFFERS, reason, differing, wants=wants, fetch=fetch, accepts=accepted)

    def _under_other_name(self, item: Item, pull: Pull, accepted: frozenset[Digest] | None) -> Digest | None:
        """The accepted content, where the host lists it under the name that is pulled in place of the declared one, or
        as the backup: a killed run may have left it, and its tag may have moved since.
        """
        if accepted is None:
            return None
        name = backup_of(item.name) if pull.origin is None else pull.origin
        found = self.observed.models.get(name)
        if found is None or found.remote or found.digest not in accepted:
            return None
        return found.digest

    def _moved(self, item: Item, pull: Pull, accepted: frozenset[Digest], image: Image) -> Blocked:
        """Why nothing is pulled: the tag stands for something else than was accepted."""
        locked = self.known.locked.get(item.name)
        if pull.pin is not None:
            one, what, cure = pull.pin, "pinned", "another `pin`"
        else:
            # The form that `fleet lock` and `fleet outdated` show.
            one = _one(pull, accepted) if locked is None else locked.raw
            what, cure = "in the lock file", f"`fleet lock --upgrade {item.name}`"
        return Blocked(
            Code.PIN_NOT_SERVED,
            f"sha256:{one.short} is {what}, and `{asked(item, pull)}` is sha256:{image.raw.short} in its registry now",
            hint=f"accept the new content by {cure}, or name a registry that keeps the old one",
        )

    def _missing(self, image: Image) -> Mapping[Digest, int] | None:
        """An image's layers that the host has not, with their bytes; nothing where it was not asked of all."""
        there = self.observed.blobs
        if any(layer.digest not in there for layer in image.blobs):
            return None
        return {layer.digest: layer.size for layer in image.blobs if not there[layer.digest]}

    def _not_compared(self, item: Item, pull: Pull) -> Blocked | None:
        """Why a name that follows its registry could not be compared with it, if so."""
        if pull.update is not Update.ALWAYS or pull.pin is not None:
            return None
        served = self.known.served.get(asked(item, pull))
        if served is None:
            return Blocked(
                Code.REGISTRY_TROUBLE,
                f"`{item.name}` follows its registry, and registries are not asked",
                hint="`ask_registries` is a setting",
            )
        if isinstance(served, Unpublished):
            return Blocked(served.code, f"`{item.name}` could not be compared: {served.message}", hint=served.hint)
        return None

    def _copied(self, item: Item, alias: Alias, present: Present | None) -> Difference:
        source = self.observed.models.get(alias.source)
        moving = self._changes(alias.source)
        failed = self.found[alias.source].trouble if alias.source in self.found else None
        if failed is not None and failed.code is not Code.CHECK_FAILED:
            failed = None
        wants = source.digest if source is not None and not moving else None
        if present is None:
            reason: Reason | None = Reason.MISSING
        elif moving:
            reason = Reason.SOURCE_CHANGES
        elif wants is not None and present.digest != wants:
            reason = Reason.SOURCE_DIFFERS
        else:
            reason = None
        if failed is not None and reason is not None:
            why = f"its source `{alias.source}` failed its check"
            return Difference(
                item, present, State.BLOCKED, blocked=Blocked(Code.SOURCE_BLOCKED, why), needs=alias.source
            )
        state = State.AS_DESIRED if reason is None else State.DIFFERS
        differing: tuple[Change, ...] = ()
        if reason is Reason.SOURCE_DIFFERS and present is not None and wants is not None:
            differing = (Change("digest", f"sha256:{present.digest.short}", f"sha256:{wants.short}"),)
        return Difference(item, present, state, reason, differing, wants=wants, needs=alias.source)

    def _created(self, item: Item, create: Create, present: Present | None) -> Difference:
        blocked = inexpressible(item, create, self.observed.version) or self._clearable(create)
        if blocked is not None:
            return Difference(item, present, State.BLOCKED, blocked=blocked, needs=create.base)
        if present is None:
            return self._made(item, create, None, Reason.MISSING)
        if self._broken(item.name):
            return self._made(item, create, present, Reason.BROKEN)
        if create.base is not None and self._changes(create.base):
            return self._made(item, create, present, Reason.BASE_CHANGES)
        contents, models = self.observed.contents, self.observed.models
        found = standing(
            create,
            present,
            contents.get(item.name),
            models.get(create.base) if create.base is not None else None,
            contents.get(create.base) if create.base is not None else None,
            self.remembered.evidence.get(item.name),
            self.observed.version,
        )
        if found.state is State.UNVERIFIED and self.known.rebuild_unverified:
            return self._made(item, create, present, Reason.REBUILD_ASKED)
        begun = self.remembered.begun.get(item.name)
        if found.state is State.UNVERIFIED and begun is not None and begun.former != present.digest:
            # Of what it was made nobody can tell any more; made again, it is known.
            return self._made(item, create, present, Reason.UNFINISHED)
        if found.state is State.DIFFERS and found.reason is not None:
            return self._made(item, create, present, found.reason, found.changes)
        return Difference(item, present, found.state, needs=create.base, adopt=found.adopt)

    def _made(
        self,
        item: Item,
        create: Create,
        present: Present | None,
        reason: Reason,
        differing: tuple[Change, ...] = (),
    ) -> Difference:
        needed = blobs(create, self.observed.version)
        wanted = tuple(blob for blob in needed if blob.digest is None or not self.observed.blobs.get(blob.digest))
        return Difference(item, present, State.DIFFERS, reason, differing, needs=create.base, blobs=wanted)

    def _clearable(self, create: Create) -> Blocked | None:
        if create.base is None or self._changes(create.base):
            return None
        field = uncleared(create, self.observed.contents.get(create.base), self.observed.version)
        return None if field is None else Blocked(Code.CANNOT_CLEAR, cannot_clear(field, create))


def _one(pull: Pull, accepted: frozenset[Digest]) -> Digest:
    """The form to show: what a person wrote, else the same one each time."""
    return pull.pin if pull.pin is not None else min(accepted)


def _removals(
    desired: HostDesired,
    observed: Observed,
    gone: frozenset[ModelName],
    pruned: Mapping[ModelName, Reason],
    found: Mapping[ModelName, Difference],
) -> tuple[Removal, ...]:
    """Of the names that go, by name: those that an entry wants gone, and those that nobody declares."""
    waiting = waits(found.values()) if pruned else None
    return tuple(
        _removal(desired, observed, gone, found, name)
        if name not in pruned
        else Removal(
            None,
            observed.models[name],
            waiting,
            unload=waiting is None and _must_unload(observed, gone, found, observed.models[name]),
            reason=pruned[name],
        )
        for name in sorted(gone)
    )


def _removal(
    desired: HostDesired,
    observed: Observed,
    gone: frozenset[ModelName],
    found: Mapping[ModelName, Difference],
    name: ModelName,
) -> Removal:
    present = observed.models[name]
    asking = [absent for absent in desired.absent if _asks(absent, name)]
    exact = next((absent for absent in asking if absent.exact is not None), asking[0])
    return Removal(exact, present, unload=_must_unload(observed, gone, found, present))


def _unloaded(
    left: Leftover, observed: Observed, leaving: frozenset[ModelName], found: Mapping[ModelName, Difference]
) -> Leftover:
    """What stood under a name that others know may have been loaded by them."""
    loaded = not is_backup(left.present.name) and _must_unload(observed, leaving, found, left.present)
    return replace(left, unload=loaded)


def _asks(absent: AbsentItem, name: ModelName) -> bool:
    return absent.exact == name if absent.exact is not None else matches(absent.pattern.text, name)


def _must_unload(
    observed: Observed, gone: frozenset[ModelName], found: Mapping[ModelName, Difference], present: Present
) -> bool:
    """Whether a name that changes still runs on the same weights, shows once it has changed."""
    changing = {name for name, difference in found.items() if difference.state is State.DIFFERS}
    return goes_in_memory(present, observed, gone | changing)


def _colliding(desired: HostDesired, observed: Observed) -> tuple[Removal, ...]:
    """Names that must be gone but stand twice: neither is touched."""
    declared = {item.name for item in desired.items}
    found = []
    for one, other in observed.collisions:
        asking = next((absent for absent in desired.absent if _asks(absent, one.name)), None)
        if asking is not None and one.name not in declared:
            why = f"the host lists both `{one.listed}` and `{other.listed}`"
            found.append(Removal(asking, one, Blocked(Code.NAMES_COLLIDE, why)))
    return tuple(found)

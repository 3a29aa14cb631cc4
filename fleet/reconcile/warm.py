"""The warm set of one host: is each declared model in memory as wanted, and can the host hold them all?

A runner belongs to weights, not to a name (`ollama-api.md` 11), so models are grouped by what they run on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.codes import Code
from fleet.manifest.inventory import Capacity
from fleet.manifest.item import Alias, Create, Item, ParameterValue, Pull, Warm
from fleet.names import Digest, ModelName
from fleet.ollama.parameters import runner_options
from fleet.ollama.versions import Capability, Version, has
from fleet.reconcile.difference import Blocked, Change, Difference, Reason, State, Warmth
from fleet.reconcile.observed import Content, Observed, Present, Runner

FOREVER = timedelta(days=3650)
"""Servers write `for ever` as a moment some 292 years ahead (11); anything beyond ten years is that."""

_VISION_CONTEXT = 2048


def warmths(
    differences: Mapping[ModelName, Difference],
    observed: Observed,
    capacity: Capacity,
    remembered: Mapping[ModelName, Mapping[str, ParameterValue]],
    gone: frozenset[ModelName] = frozenset(),
) -> dict[ModelName, Warmth]:
    """How the warm part of each declared item stands, by name.

    `remembered` are the options with which fleet loaded a model last, where it knows: of all options a server shows
    the context alone. `gone` are the names that must be gone. What does not fit beside the entries before it, by
    name, is blocked.
    """
    changing = {name for name, difference in differences.items() if difference.state is State.DIFFERS}
    leaving = gone | changing
    result: dict[ModelName, Warmth] = {}
    groups: dict[object, list[ModelName]] = {}
    taken: dict[object, tuple[Item, dict[str, object]]] = {}
    memory = 0
    for name in sorted(differences):
        item = differences[name].item
        if item.warm is None:
            continue
        if differences[name].state is State.BLOCKED:
            result[name] = _blocked(Code.SOURCE_BLOCKED, f"`{name}` cannot be had here, so it cannot be warm")
            continue
        weights = weights_of(name, differences, observed)
        options = _runner_options(item, differences, observed)
        adapters = _adapters(name, differences, observed)
        if adapters:
            options["adapters"] = adapters
        refusal = _refused(item, weights, options, taken, capacity)
        size = 0 if weights in taken else _memory(name, differences, observed) or 0
        if refusal is None and capacity.vram is not None and memory + size > capacity.vram:
            refusal = Blocked(
                Code.WARM_TOO_LARGE,
                f"`{name}` needs about {size} bytes beside {memory} already taken; the host has {capacity.vram}",
            )
        if refusal is not None:
            result[name] = Warmth(State.BLOCKED, blocked=refusal)
            continue
        taken.setdefault(weights, (item, options))
        memory += size
        groups.setdefault(weights, []).append(name)
        stands = _stands(differences[name], item.warm, observed, remembered.get(name), leaving)
        result[name] = replace(stands, offloaded=_offloaded(name, observed, capacity))
    if any(each.unchecked and each.state is not State.BLOCKED for each in differences.values()):
        # Asking a model loads it, by its own options and into the place of others; loading them again finds out.
        for name, warmth in result.items():
            if warmth.state is State.AS_DESIRED:
                result[name] = replace(warmth, state=State.DIFFERS, reason=Reason.CHECKED_BESIDE)
    for names in groups.values():
        # The last load decides how long their one runner is kept, so all of them ask for the longest time.
        wants = [warm for name in names if (warm := differences[name].item.warm) is not None]
        times = [warm.keep_alive for warm in wants]
        longest = None if None in times else max(time for time in times if time is not None)
        for name, warm in zip(names, wants, strict=True):
            result[name] = replace(result[name], kept=replace(warm, keep_alive=longest))
    return result


def weights_of(name: ModelName, differences: Mapping[ModelName, Difference], observed: Observed) -> object:
    """What a model runs on, as a value to compare: its blobs but for adapters where they are shown, else the digest
    that it is to have, else the name at its root.
    """
    seen: set[ModelName] = set()
    while name not in seen:
        seen.add(name)
        difference = differences.get(name)
        source = difference.item.source if difference is not None else None
        if difference is None or difference.state is not State.DIFFERS:
            content = observed.contents.get(name)
        elif isinstance(source, Pull) and difference.wants is not None:
            # Another name may hold already what is to come.
            shown = (observed.contents.get(same.name) for same in observed.by_digest(difference.wants))
            content = next((each for each in shown if each is not None and each.weights), None)
            if content is None:
                return difference.wants
        elif isinstance(source, Create) and source.files:
            content = _made_alike(source, differences, observed)
            if content is None:
                return (*sorted(str(file.digest) for file in source.files), source.quantize)
        else:
            content = None
        if content is not None and content.weights:
            return content.weights - content.adapters
        if isinstance(source, Create) and source.base is not None:
            name = source.base
        elif isinstance(source, Alias):
            name = source.source
        else:
            break
    return name


def _made_alike(create: Create, differences: Mapping[ModelName, Difference], observed: Observed) -> Content | None:
    """What the host shows of a model that was made from the same files: servers make equal weights of them."""
    made_from = {file.digest for file in create.files}
    for name, difference in differences.items():
        source, content = difference.item.source, observed.contents.get(name)
        if (
            isinstance(source, Create)
            and {file.digest for file in source.files} == made_from
            and source.quantize == create.quantize
            and difference.state is not State.DIFFERS
            and content is not None
            and content.weights
        ):
            return content
    return None


def _adapters(name: ModelName, differences: Mapping[ModelName, Difference], observed: Observed) -> frozenset[Digest]:
    """The blobs of adapters over a model's weights: with others, servers start its runner anew (12.4)."""
    found: frozenset[Digest] = frozenset()
    seen: set[ModelName] = set()
    while name not in seen:
        seen.add(name)
        difference = differences.get(name)
        content = observed.contents.get(name)
        if content is not None and (difference is None or difference.state is not State.DIFFERS):
            return found | content.adapters
        source = difference.item.source if difference is not None else None
        if isinstance(source, Create):
            found |= {file.digest for file in source.adapters if file.digest is not None}
            name = source.base or name
        elif isinstance(source, Alias):
            name = source.source
    return found


def runner_of(name: ModelName, observed: Observed) -> Runner | None:
    """The runner that serves the current content of a listed model: by digest, then by weights, never by name."""
    present = observed.models.get(name)
    if present is None:
        return None
    for runner in observed.runners:
        if runner.digest == present.digest:
            return runner
    content = observed.contents.get(name)
    if content is None or not content.weights:
        return None
    for runner in observed.runners:
        for other in observed.by_digest(runner.digest):
            held = observed.contents.get(other.name)
            if held is not None and held.weights == content.weights:
                return runner
    return None


def _offloaded(name: ModelName, observed: Observed, capacity: Capacity) -> int:
    """Bytes on the CPU. All of them are no fault, unless the inventory says that there is a GPU."""
    runner = runner_of(name, observed)
    if runner is None or (not runner.size_vram and not capacity.vram):
        return 0
    return max(0, runner.size - runner.size_vram)


def _stands(
    difference: Difference,
    warm: Warm,
    observed: Observed,
    remembered: Mapping[str, ParameterValue] | None,
    leaving: frozenset[ModelName],
) -> Warmth:
    name = difference.item.name
    present = difference.present
    runner = runner_of(name, observed)
    # Known by the digest that it was loaded with, which no name will have after this plan.
    outdated = runner is not None and leaving.issuperset(other.name for other in observed.by_digest(runner.digest))
    if difference.state is State.DIFFERS or present is None:
        first = present.listed if present is not None and outdated else None
        return Warmth(State.DIFFERS, Reason.CONTENT_CHANGES, release_first=first)
    if outdated:
        return Warmth(State.DIFFERS, Reason.OLD_CONTENT_WARM, release_first=present.listed)
    if runner is None:
        # What held the name before may be of other weights, which the name no longer reaches: loading finds out.
        former = former_runner(name, observed)
        return Warmth(State.DIFFERS, Reason.NOT_WARM if former is None else Reason.OLD_CONTENT_WARM)
    content = observed.contents.get(name)
    asked = _context(warm, content)
    if asked is not None and not _context_fits(asked, runner, content, observed.version):
        return Warmth(
            State.DIFFERS, Reason.CONTEXT_DIFFERS, (Change("num_ctx", str(runner.context_length), str(asked)),)
        )
    if remembered is not None and dict(remembered) != dict(warm.options):
        shown = [f"{key}={value}" for key, value in sorted(remembered.items())]
        wanted = [f"{key}={value}" for key, value in sorted(warm.options.items())]
        return Warmth(State.DIFFERS, Reason.OPTIONS_CHANGED, (Change("options", ", ".join(shown), ", ".join(wanted)),))
    if observed.at is not None and not _lasts(warm, runner, observed.at):
        left = "unknown" if runner.expires_at is None else _seconds(runner.expires_at - observed.at)
        keep = "for ever" if warm.keep_alive is None else f"{warm.keep_alive:g}s"
        return Warmth(State.DIFFERS, Reason.EXPIRES_SOON, (Change("keep_alive", left, keep),))
    return Warmth(State.AS_DESIRED)


def former_runner(name: ModelName, observed: Observed) -> Runner | None:
    """A runner that was loaded under this name from content that the host no longer lists."""
    present = observed.models.get(name)
    for runner in observed.runners:
        if present is not None and runner.listed == present.listed and not observed.by_digest(runner.digest):
            return runner
    return None


def goes_in_memory(present: Present, observed: Observed, leaving: Collection[ModelName]) -> bool:
    """Whether a model that goes is in memory, and no name but the `leaving` ones runs on the same weights: then it is
    to leave memory first (`design.md` 8), where the server does not load it for that (12.2).
    """
    if not has(observed.version, Capability.UNLOAD_DIRECT):
        return False
    if runner_of(present.name, observed) is None and former_runner(present.name, observed) is None:
        return False
    content = observed.contents.get(present.name)
    for name, other in observed.models.items():
        if name == present.name or name in leaving:
            continue
        held = observed.contents.get(name)
        same = content is not None and held is not None and bool(content.weights) and held.weights == content.weights
        if same or other.digest == present.digest:
            return False
    return True


def _refused(
    item: Item,
    weights: object,
    options: dict[str, object],
    taken: Mapping[object, tuple[Item, dict[str, object]]],
    capacity: Capacity,
) -> Blocked | None:
    if weights in taken:
        other, others = taken[weights]
        if others == options:
            return None
        differing = sorted(key for key in others.keys() | options.keys() if others.get(key) != options.get(key))
        return Blocked(
            Code.WARM_OPTIONS_DIFFER,
            f"`{item.name}` and `{other.name}` have the same weights but differ in {', '.join(differing)}",
        )
    if capacity.loaded is not None and len(taken) + 1 > capacity.loaded:
        return Blocked(
            Code.WARM_TOO_MANY, f"the host holds {capacity.loaded} models, and as many are declared warm before this"
        )
    return None


def _runner_options(item: Item, differences: Mapping[ModelName, Difference], observed: Observed) -> dict[str, object]:
    """The options that make a runner what it is: the model's own, overlaid by those of the load (12.4)."""
    chain: list[Mapping[str, object]] = [item.warm.options if item.warm else {}]
    name, seen = item.name, set[ModelName]()
    while name not in seen:
        seen.add(name)
        difference = differences.get(name)
        source = difference.item.source if difference else None
        content = observed.contents.get(name)
        if content is not None and not (difference and difference.state is State.DIFFERS):
            chain.append({key: values[0] for key, values in content.parameters.items() if len(values) == 1})
            break
        if isinstance(source, Create):
            chain.append(source.parameters)
            name = source.base or name
        elif isinstance(source, Alias):
            name = source.source
    known = runner_options(observed.version)
    merged: dict[str, object] = {}
    for options in reversed(chain):
        merged.update({key: _number(value) for key, value in options.items() if key in known and value is not None})
    # The server's own word for "as many as fit", which is what it does when nothing is said (12.4).
    return {key: value for key, value in merged.items() if (key, value) != ("num_gpu", -1.0)}


def _number(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _memory(name: ModelName, differences: Mapping[ModelName, Difference], observed: Observed) -> int | None:
    """Bytes that the model takes: measured where it runs, else its size on disk or its base's, else not known."""
    runner = runner_of(name, observed)
    if runner is not None:
        return runner.size_vram or runner.size
    source: ModelName | None = name
    while source is not None and source not in observed.models:
        source = differences[source].needs if source in differences else None
    return observed.models[source].size if source is not None else None


def _context(warm: Warm, content: Content | None) -> int | None:
    asked = warm.options.get("num_ctx")
    if asked is None and content is not None:
        values = content.parameters.get("num_ctx", ())
        asked = values[0] if len(values) == 1 and isinstance(values[0], (int, float)) else None
    return int(asked) if isinstance(asked, (int, float)) else None


def _context_fits(asked: int, runner: Runner, content: Content | None, version: Version) -> bool:
    """Whether the shown context is the asked one, clamped as the server does (12.4); true where it shows none."""
    if runner.context_length is None or not has(version, Capability.PS_CONTEXT) or version == Version(0, 10, 0):
        return True  # 0.10.0 shows it divided by a number of slots that nobody tells
    accepted = {asked}
    if content is not None and content.context_length is not None:
        accepted.add(min(asked, content.context_length))
        if has(version, Capability.PS_CONTEXT_EFFECTIVE) and asked > content.context_length:
            accepted.discard(asked)
    if asked < _VISION_CONTEXT and version >= Version(0, 11, 5):
        accepted.add(_VISION_CONTEXT)
    return runner.context_length in accepted


def _lasts(warm: Warm, runner: Runner, now: datetime) -> bool:
    if runner.expires_at is None:
        return False
    left = runner.expires_at - now
    if warm.keep_alive is None:
        return left > FOREVER
    return left >= timedelta(seconds=warm.keep_alive / 3)


def _seconds(left: timedelta) -> str:
    return "for ever" if left > FOREVER else f"{left.total_seconds():.0f}s"


def _blocked(code: Code, message: str) -> Warmth:
    return Warmth(State.BLOCKED, blocked=Blocked(code, message))

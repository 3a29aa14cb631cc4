"""One fleet, a few hosts, and whatever may happen: rules for Hypothesis, and what must hold after every one of them.

`invariants.py` says which invariant is proven by what. Rules only make things happen; what is judged is in `judge.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet.names import HostName
from fleet.reconcile.plan import Allowance
from tests.machine import oracle
from tests.machine.declared import MADE, NAMES, OFFERED, ORIGIN, PULLED, STRANGERS, Entry, entries, source, spellings
from tests.machine.judge import Judge
from tests.machine.line import Fate, Life
from tests.machine.spelled import full
from tests.machine.world import Ran, World

VERSIONS = ("0.5.4", "0.9.6", "0.24.0", "0.32.15")
HOSTS = ("alpha", "beta")
PLENTY = 99
_MOST = 5
"""Deletes on a host that need no leave."""

steps: Counter[str] = Counter()
"""Rules that were run so far in this process, by name."""

hosts = st.sampled_from(HOSTS)
anybody = st.sampled_from((*NAMES, *STRANGERS, ORIGIN))
fates = st.one_of(
    st.none(),
    st.none(),
    st.tuples(
        st.sampled_from([Fate.KILLED, Fate.KILLED, Fate.STOPPED, Fate.CUT, Fate.OVERTAKEN, Fate.SET]),
        st.integers(1, 14),
    ),
)
doings = st.one_of(
    st.tuples(st.just("pull"), st.sampled_from((*PULLED, ORIGIN)), st.just("")),
    st.tuples(st.just("publish"), st.sampled_from((*PULLED, ORIGIN)), st.sampled_from(["0", "1", "2"])),
    st.tuples(st.sampled_from(["delete", "delete", "break", "load"]), anybody, st.just("")),
    st.tuples(st.sampled_from(["copy", "create"]), anybody, anybody),
)
_broken = (
    {"fault": "unreachable"},
    {"fault": "status", "status": 500},
    {"fault": "status", "status": 500, "body": '{"error":"\\u001b]0;owned\\u0007"}'},
    {"fault": "lost-answer"},
)
_stalls = ({"fault": "stall", "interval": 30.0}, {"fault": "trickle", "interval": 20.0})
_streams = (
    {"fault": "cut", "lines": 1},
    {"fault": "clean-end"},
    {"fault": "clean-end", "lines": 1},
    {"fault": "error-line"},
    {"fault": "error-line", "message": "EOF", "lines": 1},
    {"fault": "error-line", "message": "\x1b]0;owned\x07", "lines": 1},
    {"fault": "error-then-success"},
    {"fault": "lie-success"},
    {"fault": "full-disk"},
    {"fault": "escapes"},
    {"fault": "restart-during"},
    {"fault": "stall", "interval": 30.0},
)
_memory = (
    {
        "fault": "status",
        "status": 500,
        "body": '{"error":"llama runner process has terminated: cudaMalloc failed: out of memory"}',
    },
    {
        "fault": "status",
        "status": 503,
        "body": '{"error":"server busy, please try again.  maximum pending requests exceeded"}',
    },
)


def _faults(kinds: Iterable[dict[str, Any]], endpoints: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, endpoint, after, times: {**kind, "endpoint": endpoint, "after": after, "times": times},
        st.sampled_from(list(kinds)),
        st.sampled_from(list(endpoints)),
        st.sampled_from([0, 0, 1]),
        st.sampled_from([1, 2, 6, 100]),
    )


faults = st.one_of(
    _faults(_stalls, ["pull"]),
    _faults(_streams, ["pull", "pull", "create"]),
    _faults(_broken, ["pull", "create"]),
    _faults(_broken, ["copy", "delete", "unload", "blob_post"]),
    _faults(({"fault": "lie-success"}, {"fault": "restart-before"}), ["copy", "delete", "create"]),
    _faults((_memory[0], _memory[0], _memory[1], *_broken), ["load"]),
    _faults((*_broken, {"fault": "escapes"}, {"fault": "html"}), ["tags", "show", "ps", "version"]),
)
registry_faults = _faults(
    ({"fault": "unreachable"}, {"fault": "status", "status": 503}, {"fault": "cut", "bytes": 100}, {"fault": "html"}),
    ["manifest", "blob", "content"],
)


class Machine(RuleBasedStateMachine):
    """See `run.py` and the tests for how it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None

    @initialize(
        versions=st.tuples(st.sampled_from(VERSIONS), st.sampled_from(VERSIONS)),
        lingering=st.booleans(),
        asks=st.sampled_from([True, True, False]),
        chosen=st.lists(st.sampled_from(NAMES), unique=True, min_size=2),
        some=st.lists(faults, max_size=2),
        fate=fates,
        data=st.data(),
    )
    def begins(
        self,
        versions: tuple[str, str],
        lingering: bool,
        asks: bool,
        chosen: list[str],
        some: list[dict[str, Any]],
        fate: tuple[Fate, int] | None,
        data: st.DataObject,
    ) -> None:
        """Some is declared, and a first run was at it, well or not."""
        self.world = World(dict(zip(HOSTS, versions, strict=True)), lingering=lingering, asks=asks)
        self.judge = Judge(self.world)
        self.saved = False
        declared: dict[str, Entry] = {name: data.draw(entries(name)) for name in sorted(chosen, key=NAMES.index)}
        self.world.declared = declared
        self._complete()
        if data.draw(st.booleans()):
            self.world.declared["gone-*"] = {"absent": True}
        self.world.fault(HOSTS[0], list(some))
        self._applied(self._life(fate, data), generous=True)

    def _life(self, fate: tuple[Fate, int] | None, data: st.DataObject) -> Life:
        life = Life() if fate is None else Life(*fate)
        if life.fate is Fate.OVERTAKEN:
            host, doing = data.draw(hosts), data.draw(doings)
            life.overtake = lambda: self.judge.strangely(host, *doing)
        return life

    def _world(self) -> World:
        assert self.world is not None
        return self.world

    def _complete(self) -> None:
        """What others are made from is declared as well, else nothing would come of them."""
        for name in reversed(NAMES):
            entry = self._world().declared.get(name)
            needed = source(entry) if entry is not None else None
            if needed is not None and not any(full(each) == full(needed) for each in self._world().declared):
                self._world().declared[needed] = (
                    {"pull": {}}
                    if needed in PULLED
                    else {"create": {"files": ["one.gguf"], "system": "One."}}
                    if needed in MADE
                    else {"alias": PULLED[0]}
                )

    def _spelled(self, name: str) -> str:
        """How the manifest spells the name now."""
        return next((each for each in self._world().declared if full(each) == full(name)), name)

    # What is declared.

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def declare(self, name: str, data: st.DataObject) -> None:
        steps["declare"] += 1
        self._world().declared.pop(self._spelled(name), None)
        self._world().declared[name] = data.draw(entries(name))
        self._complete()

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def spell_otherwise(self, name: str, data: st.DataObject) -> None:
        steps["spell"] += 1
        entry = self._world().declared.pop(self._spelled(name), None)
        if entry is not None:
            self._world().declared[data.draw(spellings(name))] = entry
            # Nothing else is meant by it, and all is as desired in the end.
            self._quiet()

    @rule(name=st.sampled_from([*NAMES, "gone-*", "own:1"]))
    def withdraw(self, name: str) -> None:
        steps["withdraw"] += 1
        self._world().declared.pop(self._spelled(name), None)

    @rule(name=st.sampled_from([*NAMES, "gone-*", "gone-*", "own:1"]))
    def declare_absent(self, name: str) -> None:
        steps["absent"] += 1
        self._world().declared.pop(self._spelled(name), None)
        self._world().declared[name] = {"absent": True}
        for each, entry in list(self._world().declared.items()):
            if source(entry) is not None and full(source(entry) or "") == full(name):
                del self._world().declared[each]

    @rule(policy=st.fixed_dictionaries({}, optional={
        "protect": st.sampled_from([["gone-1"], ["own:*", "p:1"]]),
        "prune": st.sampled_from(["never", "owned", "undeclared"]),
        "max_deletes": st.sampled_from([0, 1, 5]),
    }))  # fmt: skip
    def order(self, policy: dict[str, Any]) -> None:
        steps["policy"] += 1
        self._world().policy = policy

    @rule(broken=st.booleans())
    def break_manifest(self, broken: bool) -> None:
        steps["break"] += 1
        self._world().broken = broken

    @rule(kept=st.sampled_from(["nothing", "what is absent"]))
    def empty(self, kept: str) -> None:
        steps["empty"] += 1
        declared = self._world().declared
        self._world().declared = {n: e for n, e in declared.items() if e.get("absent") and kept != "nothing"}

    # What happens to hosts, registries, files and the record.

    @rule(host=hosts, doing=doings)
    def stranger(self, host: str, doing: tuple[str, str, str]) -> None:
        steps["stranger"] += 1
        self._world().run(self.judge.strangely(host, *doing))

    @rule(name=st.sampled_from((*PULLED, ORIGIN)), content=st.integers(0, OFFERED - 1))
    def publish(self, name: str, content: int) -> None:
        steps["publish"] += 1
        self._world().publish(name, content)

    @rule(number=st.integers(0, 1))
    def rewrite_the_file(self, number: int) -> None:
        steps["rewrite"] += 1
        self._world().rewrite(number)

    @rule(host=hosts)
    def restart_the_server(self, host: str) -> None:
        steps["restart"] += 1
        self._world().restart(host)

    @rule(host=hosts)
    def empty_the_host(self, host: str) -> None:
        """Its disk is not mounted."""
        steps["reimage"] += 1
        self.judge.emptied(host)

    @rule(host=hosts, up=st.booleans())
    def switch(self, host: str, up: bool) -> None:
        steps["switch"] += 1
        if self._world().host(host).is_up != up:
            self._world().down(host, up=up)

    @rule(host=hosts, some=st.lists(faults, min_size=1, max_size=3))
    def go_wrong(self, host: str, some: list[dict[str, Any]]) -> None:
        steps["fault"] += 1
        self._world().fault(host, some)

    @rule(some=st.lists(registry_faults, max_size=1))
    def registry_goes_wrong(self, some: list[dict[str, Any]]) -> None:
        steps["registry"] += 1
        self._world().registry_fault(some)

    @rule()
    def heal(self) -> None:
        steps["heal"] += 1
        self._heal()

    def _heal(self) -> None:
        world = self._world()
        world.registry_fault([])
        for host in HOSTS:
            world.fault(host, [])
            if not world.host(host).is_up:
                world.down(host, up=True)

    @rule(seconds=st.sampled_from([1.0, 61.0, 700.0, 3000.0]))
    def time_passes(self, seconds: float) -> None:
        steps["time"] += 1
        self._world().passes(seconds)

    @rule()
    def lose_the_record(self) -> None:
        steps["lose"] += 1
        self.judge.forgotten()

    # What fleet does.

    @rule()
    def plan(self) -> None:
        steps["plan"] += 1
        self.saved = self.judge.planned(Allowance(), save=True)

    @precondition(lambda self: self.saved)
    @rule()
    def apply_the_saved_plan(self) -> None:
        steps["apply saved"] += 1
        self.judge.applied(Life(), Allowance(), saved=True)

    @rule(fate=fates, generous=st.booleans(), data=st.data())
    def apply(self, fate: tuple[Fate, int] | None, generous: bool, data: st.DataObject) -> None:
        steps["apply"] += 1
        self._applied(self._life(fate, data), generous=generous)

    @rule(
        host=hosts,
        name=st.sampled_from(PULLED),
        content=st.integers(0, OFFERED - 1),
        some=st.lists(faults, max_size=2),
        fate=fates,
        data=st.data(),
    )
    def follow_the_registry(
        self,
        host: str,
        name: str,
        content: int,
        some: list[dict[str, Any]],
        fate: tuple[Fate, int] | None,
        data: st.DataObject,
    ) -> None:
        """A tag moves, and hosts are to follow it, or to stay at what is pinned."""
        steps["follow"] += 1
        spelled, world = self._spelled(name), self._world()
        pull = data.draw(st.sampled_from([{"update": "always"}, {"update": "always"}, {"pin": 0}, {"pin": 1}]))
        world.declared[spelled] = {**data.draw(entries(name)), "pull": pull}
        world.publish(name, content)
        world.fault(host, some)
        self._applied(self._life(fate, data), generous=True)

    @rule(
        host=hosts,
        name=st.sampled_from(NAMES),
        some=st.lists(faults, max_size=2),
        fate=fates,
        data=st.data(),
    )
    def change_and_apply(
        self,
        host: str,
        name: str,
        some: list[dict[str, Any]],
        fate: tuple[Fate, int] | None,
        data: st.DataObject,
    ) -> None:
        """What most people do most of the time, and what goes wrong then."""
        steps["change"] += 1
        if name in MADE:
            self._world().rewrite(data.draw(st.integers(0, 1)))
        self._world().declared.pop(self._spelled(name), None)
        self._world().declared[name] = data.draw(entries(name))
        self._complete()
        self._world().fault(host, some)
        self._applied(self._life(fate, data), generous=data.draw(st.booleans()))

    @rule(
        name=st.sampled_from(PULLED),
        content=st.integers(0, OFFERED - 1),
        other=st.sampled_from(["gone-1", "own:1"]),
        fate=st.tuples(st.sampled_from([Fate.KILLED, Fate.STOPPED]), st.integers(2, 9)),
    )
    def change_ones_mind(self, name: str, content: int, other: str, fate: tuple[Fate, int]) -> None:
        """A download is left half-way, and nobody wants it any more: the host is to do something else at once."""
        steps["change mind"] += 1
        world, spelled = self._world(), self._spelled(name)
        world.declared[spelled] = {"pull": {"update": "always"}}
        world.publish(name, content)
        for host in HOSTS:
            world.run(self.judge.strangely(host, "delete", name, ""))
            world.run(self.judge.strangely(host, "copy", other, "gone-2" if other == "gone-1" else "gone-1"))
        self._applied(Life(*fate), generous=True)
        self.declare_absent(name)
        world.declared[other] = {"absent": True}
        self._applied(Life(), generous=True)

    @rule(name=st.sampled_from(PULLED), host=hosts, stall=st.sampled_from(_stalls), at=st.integers(1, 9))
    def set_the_clock_in_a_stall(self, name: str, host: str, stall: dict[str, Any], at: int) -> None:
        """A download is hardly moving while this machine's clock is set back."""
        steps["clock"] += 1
        world = self._world()
        world.declared[self._spelled(name)] = {"pull": {}}
        world.run(self.judge.strangely(host, "delete", name, ""))
        world.fault(host, [{**stall, "endpoint": "pull", "after": 0, "times": 2}])
        self._applied(Life(Fate.SET, at), generous=True)

    @rule(host=hosts, kind=st.sampled_from([_memory[0], _memory[0], _memory[0], _memory[1]]), times=st.integers(1, 3))
    def warm_up(self, host: str, kind: dict[str, Any], times: int) -> None:
        """Two models of different weights are to be in memory, and do not come there."""
        steps["warm up"] += 1
        world = self._world()
        world.broken = False
        self._heal()
        for name, content in zip(PULLED, (0, OFFERED - 1), strict=True):
            world.publish(name, content)
            world.run(self.judge.strangely(host, "delete", name, ""))
            world.declared[self._spelled(name)] = {"pull": {}, "warm": True}
        world.restart(host)
        world.fault(host, [{**kind, "endpoint": "load", "after": 0, "times": times}])
        self._applied(Life(), generous=True)

    @rule(kept=st.sampled_from(["nothing", "what is absent", "one"]), prune=st.sampled_from(["owned", "undeclared"]))
    def lose_the_manifests(self, kept: str, prune: str) -> None:
        """Most of them are gone all at once, and what nobody declares would go."""
        steps["lose manifests"] += 1
        self._world().policy = {"prune": prune}
        if kept == "one":
            self._applied(Life(), generous=True)
        before = dict(self._world().declared)
        self.empty(kept)
        if kept == "one":
            pulled = (name for name, entry in before.items() if not entry.get("absent") and source(entry) is None)
            self._world().declared = {name: before[name] for name in islice(pulled, 1)}
        self._applied(Life(), generous=False)
        self._world().declared = before

    @rule(
        name=st.sampled_from([*NAMES, "gone-*", "own:1"]),
        host=hosts,
        some=st.lists(faults, max_size=2),
        fate=fates,
        data=st.data(),
    )
    def take_away_and_apply(
        self, name: str, host: str, some: list[dict[str, Any]], fate: tuple[Fate, int] | None, data: st.DataObject
    ) -> None:
        steps["take away"] += 1
        self.declare_absent(name)
        self._world().fault(host, some)
        self._applied(self._life(fate, data), generous=True)

    def _applied(self, life: Life, *, generous: bool) -> Ran:
        everything = Allowance(max_deletes=PLENTY, emptied=frozenset(map(HostName, HOSTS)), shrunk=True)
        return self.judge.applied(life, everything if generous else Allowance())

    @rule()
    def quiet(self) -> None:
        """All is mended, what hosts were at is over: fleet makes it as declared, and then has nothing left to do."""
        steps["quiet"] += 1
        self._quiet()

    def _quiet(self) -> None:
        self._heal()
        for spelled, entry in self._world().declared.items():
            pin = (entry.get("pull") or {}).get("pin")
            if pin is not None:
                # Nothing else can be installed.
                self._world().publish(oracle.plain(full(spelled)), pin)
        self._world().passes(1000.0)
        self.judge.quiet(lambda: self._applied(Life(), generous=True))

    @invariant()
    def holds(self) -> None:
        if self.world is not None:
            self.judge.holds()

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            if not self.judge.failed:
                self._quiet()
        finally:
            self.world.close()


__all__ = ["Machine", "oracle", "steps"]

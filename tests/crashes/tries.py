"""All tries of one scenario: where a run was killed, a fresh one ends in the same fleet and the same record."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.simulate.scenario import parse_scenario
from fleet.simulate.thread import simulated
from tests.crashes.golden import Golden
from tests.crashes.stage import KILLED, Ended, Stage
from tests.preloaded import Preloaded


@dataclass(slots=True)
class Count:
    """What was tried."""

    effects: int = 0
    """Of the run that nobody kills."""
    kills: int = 0
    middle: int = 0
    """Kills in the middle of a step."""
    converged: int = 0
    """Kills after which the next run that was let live ended as one that nobody kills."""


@contextmanager
def staged(golden: Golden, folder: Path, command: Preloaded) -> Iterator[Stage]:
    """The scenario, served and set up, for as long as the block lasts."""
    with simulated(parse_scenario(golden.scenario())) as simulation:
        yield Stage(golden, folder, simulation, command)


def whole(stage: Stage) -> Ended:
    """What a run that nobody kills ends in."""
    ran = stage.put_back().run()
    assert ran.code == stage.golden.code, ran.stdout + ran.stderr
    ended = stage.ended()
    left = [f"{host}: {name}" for host, models in ended.truth.items() for name in models if "fleet-backup" in name]
    assert not left, left
    return ended


def every_effect(stage: Stage, *, each: int = 1, first: int = 1, again: int = 0) -> Count:
    """Kills before each effect, or before every `each`-th from `first` on. Of every `again`-th of these tries the fresh
    run is killed as well, and the next one is to end well.
    """
    wanted = whole(stage)
    count = Count(effects=len(stage.effects()))
    wrong: list[str] = []
    number = first
    while True:
        stage.put_back()
        if stage.run(number).code != KILLED:
            break
        kills = 1
        where = f"{number}, {stage.effects()[-1]}"
        lost = stage.lost(wanted.truth)
        if again and number % again == 0:
            second = random.Random(number).randint(1, count.effects)
            if stage.run(second).code == KILLED:
                kills += 1
                where += f", then {second}, {stage.effects()[-1]}"
                lost += stage.lost(wanted.truth)
        count.kills += kills
        found = lost + anew(stage, wanted)
        if found:
            wrong.append("\n    ".join([f"killed before {where}:", *found]))
        else:
            count.converged += kills
        number += each
    assert not wrong, "\n  ".join([f"{len(wrong)} of {count.kills} tries:", *wrong])
    return count


def anew(stage: Stage, wanted: Ended) -> list[str]:
    """A fresh run; what is wrong with how it ends."""
    ran = stage.run()
    if ran.code != stage.golden.code:
        return [f"the next run ended with {ran.code}", ran.stdout, ran.stderr]
    ended = stage.ended()
    parts = Ended.__slots__
    differing = [each for part in parts for each in _differing(getattr(ended, part), getattr(wanted, part), part)]
    return differing + [f"lost: {each}" for each in stage.lost(wanted.truth)]


def _differing(there: object, ought: object, where: str) -> Iterator[str]:
    """Where two values differ, as far down as both have the same shape."""
    if isinstance(there, Mapping) and isinstance(ought, Mapping) and there.keys() == ought.keys():
        for key in there:
            yield from _differing(there[key], ought[key], f"{where}.{key}")
    elif there != ought:
        yield f"{where}: {there} instead of {ought}"


def at_random(stage: Stage, kills: int, seed: int, clock: Callable[[], float], *, installed: int = 0) -> Count:
    """Kills at moments of the seed's choice, the first `installed` of them of the installed command."""
    wanted = whole(stage)
    stage.put_back().slow()
    began = clock()
    stage.run()
    lasts = clock() - began
    stage.quick()
    chance = random.Random(seed)
    count = Count()
    wrong: list[str] = []
    while count.kills < kills:
        moment = chance.uniform(0, lasts)
        stage.put_back()
        middle = stage.killed(moment, installed=count.kills < installed)
        if middle is None:
            continue
        count.kills += 1
        count.middle += middle
        found = stage.lost(wanted.truth) + anew(stage, wanted)
        if found:
            wrong.append("\n    ".join([f"killed after {moment:.4f}s:", *found]))
        else:
            count.converged += 1
    assert not wrong, "\n  ".join([f"{len(wrong)} of {count.kills} kills:", *wrong])
    return count


def killed_after(stage: Stage, effect: str) -> list[str]:
    """What is wrong after a run that was killed before what follows an effect."""
    wanted = whole(stage)
    ran = stage.put_back().run(stage.effects().index(effect) + 2)
    assert ran.code == KILLED
    return stage.lost(wanted.truth) + anew(stage, wanted)

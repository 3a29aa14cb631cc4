"""`make crashes`: kills runs before each of their effects and at random moments, and tells what came of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

_MIDDLE = 0.8


class Tally:
    """Listens to the tests. With workers the counts come along as properties of the reports."""

    def __init__(self) -> None:
        self.effects: list[Mapping[str, Any]] = []
        self.moments: list[Mapping[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        for name, value in report.user_properties:
            if name == "crashes" and isinstance(value, dict):
                self.effects.append(value)
            elif name == "moments" and isinstance(value, dict):
                self.moments.append(value)


def _total(counts: list[Mapping[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update({key: value for key, value in each.items() if isinstance(value, int) and key != "seed"})
    return total


def _lines(tally: Tally) -> Iterator[str]:
    yield ""
    wide = max((len(each["scenario"]) for each in tally.effects), default=0)
    for each in sorted(tally.effects, key=lambda each: str(each["scenario"])):
        yield (
            f"  {each['scenario']:<{wide}}  {each['effects']:>4} effects  {each['kills']:>4} kills"
            f"  {each['converged']:>4} converged"
        )
    total = _total(tally.effects)
    yield (
        f"{len(tally.effects)} scenarios: {total['effects']} effects, a run killed before each; {total['kills']} kills"
        f" in all, {total['converged']} converged"
    )
    random = _total(tally.moments)
    share = random["middle"] / random["kills"] if random["kills"] else 0.0
    yield (
        f"{random['kills']} kills at random moments, {random['starts']} of the installed command as it starts, the"
        f" others of forks of it: {random['middle']} in the middle of a step ({share:.0%}), {random['converged']} converged"
    )


def main(arguments: list[str]) -> int:
    """0 where every test passed and enough of the random moments were in the middle of a step."""
    tally = Tally()
    code = pytest.main(
        ["-m", "long", "--quiet", "-o", "console_output_style=classic", "tests/crashes", *arguments], plugins=[tally]
    )
    print("\n".join(_lines(tally)))
    random = _total(tally.moments)
    return int(code) or int(random["middle"] < _MIDDLE * random["kills"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

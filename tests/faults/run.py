"""`make faults`: tries every fault and tells row by row what became of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.matrix import GROUPS, ROWS, Row, Verdict

FAILED = "failed"


class Tally:
    """Listens to the tests. With workers the marks come along as properties of the reports."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rows = [str(value) for name, value in report.user_properties if name == "fault"]
        for row in rows:
            if report.failed:
                self.failed[row] = report.nodeid
            elif report.skipped:
                self.skipped[row] = report.nodeid
            elif report.when == "call":
                self.passed[row] += 1

    def verdict(self, row: Row) -> tuple[str, str]:
        """What is to be told of the row, and what for."""
        if row.name in self.failed:
            return FAILED, self.failed[row.name]
        if row.verdict in {Verdict.DEFERRED, Verdict.ARGUED}:
            return row.verdict, row.why
        if self.passed[row.name]:
            return row.verdict, _tests(self.passed[row.name])
        return FAILED, f"not tried: {self.skipped[row.name]} was skipped" if row.name in self.skipped else "no test"


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _lines(tally: Tally) -> Iterator[str]:
    wide = max(len(row.fault) for row in ROWS.values())
    for group, rows in GROUPS.items():
        yield ""
        yield group
        for row in rows:
            verdict, told = tally.verdict(row)
            yield f"  {row.name:<7} {row.fault:<{wide}}  {verdict:<9} {told}"
    counts = Counter(tally.verdict(row)[0] for row in ROWS.values())
    yield ""
    yield f"{len(ROWS)} faults: " + ", ".join(f"{counts[name]} {name}" for name in (*Verdict, FAILED))


def main(arguments: list[str]) -> int:
    """0 where no row failed and every test passed."""
    tally = Tally()
    code = pytest.main(["-m", "fault", "--quiet", *arguments], plugins=[tally])
    print("\n".join(_lines(tally)))
    failed = any(tally.verdict(row)[0] == FAILED for row in ROWS.values())
    return int(code) or int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which manifests speak for a fleet: the same files, and a new checkout of them in place of one that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.reconcile.guard import other_sources
from fleet.reconcile.plan import plan
from fleet.reconcile.remembering import Spoken, remember
from fleet.reconcile.sources import moved, sources_of, there
from fleet.state.memory import Memory
from fleet.state.remembered import Remembered
from tests.reconcile import notation

HERE = ["/builds/7/hosts.yaml", "/builds/7/models/fleet.yaml"]
NEXT = ["/builds/8/hosts.yaml", "/builds/8/models/fleet.yaml"]
OTHER = ["/builds/8/hosts.yaml", "/builds/8/fleet.yaml"]
ONE, ANOTHER = ["/team-a/fleet.yaml"], ["/team-b/fleet.yaml"]
GIT, BRANCH = ["https://git.lan/fleet main ."], ["https://git.lan/fleet other ."]


def refused(former: list[str], now: list[str], left: list[str]) -> bool:
    """Whether a pass by `now` may not prune after one by `former`, where `left` are still there."""
    remembered = Remembered(items={"s": 1}, sources={"s": sources_of(former)})
    known = moved(remembered, sources_of(now), left.__contains__)
    return other_sources(known, "s", sources_of(now), accepted=False) is not None


@pytest.mark.parametrize(
    ("former", "now", "left", "other"),
    [
        pytest.param(HERE, HERE[::-1], HERE, False, id="the same in another order"),
        pytest.param(ONE, ANOTHER, ONE, True, id="one file of that name, and one elsewhere"),
        pytest.param(HERE, NEXT, HERE, True, id="the same files below another folder"),
        pytest.param(HERE, NEXT, HERE[:1], True, id="of which some are still where they were"),
        pytest.param(HERE, NEXT, [], False, id="a new checkout in place of one that is gone"),
        pytest.param(HERE, OTHER, [], True, id="other files in place of what is gone"),
        pytest.param(HERE, HERE[:1], [], True, id="one file less"),
        pytest.param(["/etc/hosts.yaml", *ONE], ["/etc/hosts.yaml", *ANOTHER], [], False, id="a part of them moved"),
        pytest.param(GIT, BRANCH, [], True, id="what is no path of this machine cannot be gone"),
    ],
)
def test_who_speaks_for_a_fleet(former: list[str], now: list[str], left: list[str], *, other: bool) -> None:
    assert refused(former, now, left) is other


def test_what_is_there_is_asked_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("", encoding="utf-8")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")
    told = [there(str(tmp_path / name)) for name in ("hosts.yaml", "link.yaml", "none.yaml", "hosts.yaml/below")]
    assert told == [True, True, False, False]
    assert there(GIT[0])


def test_a_new_checkout_is_what_the_next_pass_is_compared_with(tmp_path: Path) -> None:
    wanted = notation.desired({"desired": {"alpha": ["a:1"]}})
    made = plan(wanted, {})
    with Memory(str(tmp_path), "test") as memory:
        for number in (7, 8, 9):
            sources = sources_of([str(tmp_path / str(number) / "fleet.yaml")])
            assert remember(wanted, Spoken("here", sources), made, made, memory, "r") is None
            assert memory.remembered().sources == {"here": sources}

"""What other fleets of one database put on hosts."""

from __future__ import annotations

from pathlib import Path

from fleet.names import Digest, HostName, ModelName
from fleet.state.elsewhere import made_by_others
from fleet.state.evidence import Begun, Made
from fleet.state.memory import Memory
from tests.reconcile.notation import NOW

ALPHA, HERE, THERE = HostName("alpha"), "http://here:11434", "http://there:11434"
A, B, C = (ModelName.parse(name) for name in ("a:1", "b:1", "c:1"))
MADE = Made(Digest("0" * 64), False, NOW)


def test_made_and_begun_models_of_others_are_told_by_address(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert made_by_others(folder, "ours", [HERE]) == {}
    with Memory(folder, "ours") as ours, Memory(folder, "east") as east, Memory(folder, "west") as west:
        ours.keep_made(ALPHA, HERE, C, MADE)
        # By another name of the host: the address is what counts.
        east.keep_made(HostName("one"), HERE, A, MADE)
        east.begin(HostName("one"), HERE, B, Begun("pull", None, NOW))
        west.keep_made(ALPHA, THERE, C, MADE)
    assert made_by_others(folder, "ours", [HERE]) == {HERE: {A: "east", B: "east"}}
    assert made_by_others(folder, "east", [HERE, THERE]) == {HERE: {C: "ours"}, THERE: {C: "west"}}
    assert made_by_others(folder, "ours", []) == {}

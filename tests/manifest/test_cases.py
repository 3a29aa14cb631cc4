"""What documents ask of hosts, and what is wrong with them, by the case files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.manifest.desired import resolve
from fleet.manifest.faults import Fault, ManifestErrors
from fleet.manifest.item import Desired
from fleet.manifest.load import load
from tests.manifest.cases import FOLDER, Case, in_words, read_cases, write_files, write_weights

CASES = [case for file in sorted(FOLDER.glob("*.yaml")) for case in read_cases(file.name)]


@pytest.mark.fault("D4", "D9", "D10", "D11", "D12", "D18", "R8", "W6", "H10", "H16")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path) -> None:
    write_files(case.files, tmp_path)
    write_weights(case.weights, tmp_path)
    desired, faults = _read(case, tmp_path)
    assert [str(fault) for fault in faults] == list(case.faults or ())
    if case.hints is not None:
        assert [fault.hint or "" for fault in faults] == list(case.hints)
    if case.faults is None:
        assert desired is not None
        assert in_words(desired) == case.hosts


def _read(case: Case, folder: Path) -> tuple[Desired | None, tuple[Fault, ...]]:
    try:
        loaded = load(
            case.paths,
            inventory=case.inventory,
            folder=str(folder),
            self_name=case.self_name,
            self_labels=case.labels,
            environ=case.environ,
        )
        return resolve(loaded), ()
    except ManifestErrors as error:
        return None, error.faults

"""The table of parameters, by the rows of `ollama-api.md` 7.4."""

from __future__ import annotations

import pytest

from fleet.parameters import PARAMETERS, Kind, in_float32


def test_the_table_is_whole_and_sorted() -> None:
    assert len(PARAMETERS) == 30
    assert list(PARAMETERS) == sorted(PARAMETERS)
    assert all(name == one.name for name, one in PARAMETERS.items())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("num_ctx", Kind.INTEGER),
        ("temperature", Kind.NUMBER),
        ("use_mmap", Kind.FLAG),
        ("stop", Kind.TEXTS),
        ("mirostat", Kind.INTEGER),
        ("mirostat_tau", Kind.NUMBER),
        ("low_vram", Kind.FLAG),
        ("tfs_z", Kind.NUMBER),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    assert PARAMETERS[name].kind is kind


@pytest.mark.parametrize(
    ("name", "release", "known"),
    [
        ("num_ctx", (0, 3, 4), True),
        ("num_ctx", (0, 32, 15), True),
        ("tfs_z", (0, 5, 1), True),
        ("tfs_z", (0, 5, 2), False),
        ("penalize_newline", (0, 5, 4), True),
        ("penalize_newline", (0, 5, 5), False),
        ("mirostat_eta", (0, 6, 8), True),
        ("mirostat_eta", (0, 7, 0), False),
        ("use_mlock", (0, 7, 0), False),
        ("draft_num_predict", (0, 24, 0), False),
        ("draft_num_predict", (0, 30, 0), True),
    ],
)
def test_which_release_knows_which_parameter(name: str, release: tuple[int, int, int], *, known: bool) -> None:
    assert PARAMETERS[name].known_to(release) is known


@pytest.mark.parametrize(
    ("number", "held"),
    [(0, True), (-0.7, True), (1e-300, True), (3.4028235e38, True), (-3.4028235e38, True)]
    + [(number, False) for number in (3.4028236e38, -3.5e38, 10**400, float("inf"), float("nan"))],
)
def test_what_a_float_of_32_bits_holds(number: float, *, held: bool) -> None:
    assert in_float32(number) is held

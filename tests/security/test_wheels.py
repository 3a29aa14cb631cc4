"""What is built does not tell where, when or by whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.security.wheels import ONE, OTHER, built


@pytest.mark.long
def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    one, other = built(tmp_path, ONE), built(tmp_path, OTHER)
    assert {name.rpartition(".")[2] for name in one} == {"whl", "gz"}
    assert one == other

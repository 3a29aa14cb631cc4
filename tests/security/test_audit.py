"""An audit that looked nothing up does not pass."""

from __future__ import annotations

import json

import pytest

from tests.security.audit import Audited, audited, verdict

CLEAN = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found and could not be audited"}
WRONG = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


def told(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


@pytest.mark.parametrize(
    ("document", "code", "said"),
    [
        (told(CLEAN), 0, "x.txt: 1 dependencies looked up, 0 advisories"),
        (told(CLEAN, SKIPPED), 3, "NOT AUDITED: x.txt: 1 dependencies"),
        (told(WRONG, CLEAN), 1, "x.txt: c 2: CVE-1, mended in 3"),
        (told(WRONG, SKIPPED), 1, "NOT AUDITED"),
        (told(), 3, "NOT AUDITED"),
        ("", 3, "NOT AUDITED: x.txt: no route"),
        ("[]", 3, "NOT AUDITED"),
    ],
)
def test_what_an_audit_comes_to(document: str, code: int, said: str) -> None:
    found = verdict([("x.txt", audited(document, "trying\nno route\n"))])
    assert found[0] == code
    assert any(line.startswith(said) for line in found[1])


def test_one_file_that_is_wrong_is_not_made_up_for_by_others() -> None:
    files = [("a", Audited(known=("bad",), looked_up=1)), ("b", Audited(error="x")), ("c", Audited(looked_up=1))]
    assert verdict(files)[0] == 1

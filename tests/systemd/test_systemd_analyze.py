"""What systemd itself says of the unit files, where its `systemd-analyze` is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet_command import COMMAND
from tests.systemd.unit_files import DROP_INS, PROGRAM, SERVICES, UNITS

ANALYZE = shutil.which("systemd-analyze")

pytestmark = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here (Debian: package systemd)")

LARGEST = 1.5
"""The exposure that a service may have, of 10."""

# Known to systemd 254 and later; older ones say that they ignore them, which they may.
_NEWER = re.compile(r".*: Unknown key(?: name)? '(?:RestartSteps|RestartMaxDelaySec)' in section .*, ignoring\.\n")
_OVERALL = re.compile(r"Overall exposure level for (\S+): ([0-9.]+) ")

_VARIANTS = [
    *((service, None) for service in SERVICES),
    *(("ollama-fleet.service", path) for path in sorted(DROP_INS.glob("*.conf")) if path.stem != "apply-each-hour"),
    *(("ollama-fleet-apply.service", DROP_INS / f"{name}.conf") for name in ("static-user", "host-credentials")),
]


def analyze(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, "--no-pager", *map(str, arguments)],
        cwd=folder,
        env={"LANG": "C.UTF-8", "HOME": str(folder), "SYSTEMD_COLORS": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def installed(folder: Path, unit: str, drop_in: Path | None = None) -> Path:
    """A copy in which the program is where it is here."""
    copy = folder / unit
    copy.write_text((UNITS / unit).read_text().replace(PROGRAM, str(COMMAND)))
    if drop_in is not None:
        (folder / f"{unit}.d").mkdir()
        (folder / f"{unit}.d" / drop_in.name).write_text(drop_in.read_text().replace(PROGRAM, str(COMMAND)))
    return copy


@pytest.mark.parametrize(("unit", "drop_in"), _VARIANTS, ids=lambda part: getattr(part, "name", part) or "alone")
def test_systemd_has_nothing_to_say_of_a_service(tmp_path: Path, unit: str, drop_in: Path | None) -> None:
    done = analyze("verify", installed(tmp_path, unit, drop_in), folder=tmp_path)
    assert (_NEWER.sub("", done.stdout + done.stderr), done.returncode) == ("", 0)


@pytest.mark.parametrize("drop_in", [None, DROP_INS / "apply-each-hour.conf"], ids=["alone", "each hour"])
def test_systemd_has_nothing_to_say_of_the_timer(tmp_path: Path, drop_in: Path | None) -> None:
    installed(tmp_path, "ollama-fleet-apply.service")
    done = analyze("verify", installed(tmp_path, "ollama-fleet-apply.timer", drop_in), folder=tmp_path)
    assert (_NEWER.sub("", done.stdout + done.stderr), done.returncode) == ("", 0)


def test_a_unit_with_a_fault_would_be_noticed(tmp_path: Path) -> None:
    unit = installed(tmp_path, "ollama-fleet.service")
    unit.write_text(
        unit.read_text().replace("ProtectHome=yes", "ProtectHoem=yes").replace("ExecStart=/", "ExecStart=/no")
    )
    done = analyze("verify", unit, folder=tmp_path)
    assert "ProtectHoem" in done.stdout + done.stderr


@pytest.mark.parametrize(("unit", "drop_in"), _VARIANTS, ids=lambda part: getattr(part, "name", part) or "alone")
def test_exposure(tmp_path: Path, unit: str, drop_in: Path | None, told: Callable[[str], None]) -> None:
    path = installed(tmp_path, unit, drop_in)
    done = analyze("security", "--offline=true", f"--threshold={LARGEST * 10:.0f}", path, folder=tmp_path)
    found = _OVERALL.search(done.stdout)
    assert found, done.stdout + done.stderr
    if drop_in is None:
        told(f"exposure of {found[1]} by systemd-analyze: {found[2]} (at most {LARGEST})")
    assert done.returncode == 0, done.stdout
    assert float(found[2]) <= LARGEST


def test_the_times_of_the_timer(tmp_path: Path) -> None:
    times = re.findall(r"^OnCalendar=(.+)$", (UNITS / "ollama-fleet-apply.timer").read_text(), re.MULTILINE)
    times += re.findall(r"^OnCalendar=(.+)$", (DROP_INS / "apply-each-hour.conf").read_text(), re.MULTILINE)
    assert len(times) == 2
    assert analyze("calendar", *times, folder=tmp_path).returncode == 0

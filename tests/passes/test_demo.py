"""`fleet demo`: the tour from nothing to nothing left to do, whatever the user's own settings are."""

from __future__ import annotations

from pathlib import Path

from tests.fleet_command import FleetCommand, Ran

SECTIONS = [
    "$ fleet plan -i hosts.yaml -f tour",
    "$ fleet apply -i hosts.yaml -f tour --yes",
    "$ fleet status -i hosts.yaml -f tour",
    "$ fleet plan -i hosts.yaml -f tour --detailed-exitcode",
]


def demo(run_fleet: FleetCommand, *arguments: str, **environment: str) -> Ran:
    (run_fleet.folder / "temporary").mkdir(exist_ok=True)
    temporary = str(run_fleet.folder / "temporary")
    return run_fleet("demo", *arguments, environment={"TMPDIR": temporary, **environment}, timeout=30)


def left_behind(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"temporary"}


def test_four_parts_end_with_nothing_to_do(run_fleet: FleetCommand) -> None:
    ran = demo(run_fleet)
    assert ran.code == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert [line for line in lines if line.startswith("$ ")] == SECTIONS
    assert sum(line.startswith("# ") for line in lines) == 4
    assert lines.count("(exit code 0)") == 4
    assert "  gpu-d: in repair" in lines
    assert "26 of 26 items as desired on 3 hosts; 1 suspended" in lines
    assert lines[-2] == "Nothing to do: 26 items as desired on 3 hosts; 1 suspended"
    assert left_behind(run_fleet.folder) == set()


def test_settings_of_the_user_do_not_reach_it_and_only_manifests_are_kept(run_fleet: FleetCommand) -> None:
    for folder in ("config", ".config"):
        run_fleet.write(f"{folder}/ollama-fleet/settings.yaml", "nonsense: 1\n")
    before = left_behind(run_fleet.folder)
    ran = demo(
        run_fleet,
        "--keep",
        "kept",
        OLLAMA_FLEET_SETTINGS="not-there.yaml",
        OLLAMA_FLEET_STATE_DIR="/proc/nowhere",
        OLLAMA_FLEET_NONSENSE="1",
        STATE_DIRECTORY="/proc/nowhere",
    )
    assert ran.code == 0, ran.stdout + ran.stderr
    assert left_behind(run_fleet.folder) - before == {
        "kept",
        "kept/hosts.yaml",
        "kept/scenario.yaml",
        "kept/tour",
        "kept/tour/made.yaml",
        "kept/tour/models.yaml",
    }

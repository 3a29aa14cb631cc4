"""What the unit files say fits the command, its settings and its exit codes; no systemd is needed for that."""

from __future__ import annotations

import re
import shlex

import pytest

from fleet.cli.parser import parse
from fleet.errors import ExitCode
from fleet.quantities import duration
from fleet.settings import Settings, resolve
from tests.systemd.unit_files import DROP_INS, PROGRAM, ROOT, SERVICES, UNITS, Unit, read_units, seconds

DAEMON = read_units(UNITS / "ollama-fleet.service")
APPLY = read_units(UNITS / "ollama-fleet-apply.service")
TIMER = read_units(UNITS / "ollama-fleet-apply.timer")
BOTH = [pytest.param(DAEMON, id="daemon"), pytest.param(APPLY, id="apply")]

_WHOLE = [
    *(pytest.param(read_units(UNITS / name), id=name) for name in SERVICES),
    *(
        pytest.param(read_units(UNITS / "ollama-fleet.service", path), id=path.name)
        for path in sorted(DROP_INS.glob("*.conf"))
        if path.name != "apply-each-hour.conf"
    ),
]


@pytest.mark.parametrize("unit", _WHOLE)
def test_every_command_line_is_one_that_fleet_takes(unit: Unit) -> None:
    ran = [words for _, words in unit.commands() if words[0] == PROGRAM]
    assert ran
    for words in ran:
        parse(words[1:])  # raises for an unknown verb or option


@pytest.mark.parametrize("unit", _WHOLE)
def test_every_variable_is_a_setting_with_a_sound_value(unit: Unit) -> None:
    resolve(environment={"HOME": "/", **unit.environment()})  # raises for an unknown name or a wrong value


def test_what_the_drop_ins_set() -> None:
    dry = read_units(UNITS / "ollama-fleet.service", DROP_INS / "dry-run.conf")
    assert resolve(environment={"HOME": "/", **dry.environment()}).settings.dry_run is True
    git = read_units(UNITS / "ollama-fleet.service", DROP_INS / "git-source.conf")
    settings = resolve(environment={"HOME": "/", **git.environment()}).settings
    assert settings.git_url == "https://git.example.net/acme/fleet.git"
    assert settings.git_credentials_file == "/run/credentials/ollama-fleet.service/git.credentials"
    # The repository's manifests are not on this machine's disk, so that nothing may look for them there.
    assert [key for key, words in git.commands() if "/etc/ollama-fleet/manifests" in words] == []


def test_a_file_that_is_wrong_never_reaches_the_running_daemon() -> None:
    reload = [words for key, words in DAEMON.commands() if key == "ExecReload"]
    assert [words[1] for words in reload] == ["validate", "-HUP"]


def test_a_broken_manifest_does_not_keep_the_daemon_from_starting() -> None:
    # It has the last good ones; and systemd would try again for ever whatever the exit code of ExecStartPre says.
    assert [value[0] for value in DAEMON.all("Service", "ExecStartPre")] == ["-"]


def test_what_a_person_has_to_mend_is_not_tried_again() -> None:
    never = {int(code) for code in DAEMON.one("Service", "RestartPreventExitStatus").split()}
    assert never == {ExitCode.INPUT_WRONG, ExitCode.USAGE}
    assert DAEMON.one("Service", "Restart") == "on-failure"


@pytest.mark.parametrize("unit", BOTH)
def test_work_has_its_grace_before_it_is_killed(unit: Unit) -> None:
    # And some seconds for the last look and the record.
    assert seconds(unit.one("Service", "TimeoutStopSec")) >= Settings().grace + 10
    assert unit.one("Service", "KillMode") == "mixed"


def test_the_one_shot_ends_by_its_own_deadline() -> None:
    (words,) = [words for key, words in APPLY.commands() if key == "ExecStart"]
    given = {option: words[words.index(option) + 1] for option in ("--deadline", "--wait", "--lock-timeout")}
    assert seconds(APPLY.one("Service", "TimeoutStartSec")) >= duration(given["--deadline"]) + 60
    assert duration(given["--deadline"]) > duration(given["--wait"]) + duration(given["--lock-timeout"])
    assert APPLY.one("Service", "Type") == "oneshot"
    assert "--yes" in words


def test_the_daemon_speaks_the_protocol() -> None:
    assert DAEMON.one("Service", "Type") == "notify"
    assert DAEMON.one("Service", "NotifyAccess") == "main"
    assert seconds(DAEMON.one("Service", "WatchdogSec")) == 60


@pytest.mark.parametrize("unit", BOTH)
def test_the_order_of_a_starting_machine(unit: Unit) -> None:
    assert unit.one("Unit", "After").split() == ["ollama.service", "network-online.target"]
    assert unit.one("Unit", "Wants") == "network-online.target"
    # Ollama may be on other machines, and a daemon that is stopped with it could not say that it is down.
    assert not unit.all("Unit", "Requires")
    assert not unit.all("Unit", "BindsTo")


def test_both_services_are_hardened_alike_and_share_their_record() -> None:
    its_own = {
        *("Type", "NotifyAccess", "ExecStartPre", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartSteps"),
        *("RestartMaxDelaySec", "RestartPreventExitStatus", "TimeoutStartSec", "WatchdogSec", "SyslogIdentifier"),
        "LoadCredential",
    }

    def shared(unit: Unit) -> list[tuple[str, str]]:
        return [(key, value) for section, key, value in unit.assignments if section == "Service" and key not in its_own]

    assert shared(DAEMON) == shared(APPLY)
    assert ("StateDirectory", "ollama-fleet") in shared(DAEMON)
    assert ("StateDirectoryMode", "0700") in shared(DAEMON)


@pytest.mark.parametrize("unit", _WHOLE)
def test_no_secret_is_in_a_unit(unit: Unit) -> None:
    # `systemctl show` tells everybody what `Environment=` says; where a secret lies is none.
    names = [name for name in unit.environment() if not name.endswith("_FILE")]
    assert [name for name in names if any(word in name for word in ("TOKEN", "SECRET", "KEY", "CREDENTIALS"))] == []
    assert unit.all("Service", "SetCredential") == []


def test_the_timer_starts_the_one_shot_and_makes_up_for_missed_nights() -> None:
    assert not TIMER.one("Timer", "Unit")  # so it is the service of the same name
    assert (UNITS / "ollama-fleet-apply.service").is_file()
    assert TIMER.one("Timer", "Persistent") == "true"
    assert seconds(TIMER.one("Timer", "RandomizedDelaySec")) > 0
    assert TIMER.one("Install", "WantedBy") == "timers.target"
    assert APPLY.all("Install", "WantedBy") == []  # the timer alone is enabled


def test_a_user_that_is_always_there_is_the_one_that_the_units_name() -> None:
    kind, name, _ = (UNITS / "ollama-fleet.sysusers.conf").read_text().splitlines()[-1].split(maxsplit=2)
    assert (kind, name) == ("u", DAEMON.one("Service", "User"))
    fixed = read_units(UNITS / "ollama-fleet.service", DROP_INS / "static-user.conf")
    assert (fixed.one("Service", "DynamicUser"), fixed.one("Service", "Group")) == ("no", name)


def test_who_asks_on_the_machine_is_the_same_user_with_the_same_record() -> None:
    script = (UNITS / "fleet-here").read_text()
    for key in ("DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "UMask"):
        assert f"--property={key}={DAEMON.one('Service', key)}" in script
    assert PROGRAM in script
    shown = re.findall(r"^(?:# +)?fleet-here (.+)$", script + (ROOT / "docs/systemd.md").read_text(), re.MULTILINE)
    assert len(shown) == 6
    for words in shown:
        parse(shlex.split(words))

"""Settings: which source wins, and that every fault is told at once with its source."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import ExitCode, InputError
from fleet.settings import Given, Kind, Resolved, Settings, defaults, described, resolve, variable

HOME = {"HOME": "/home/ann"}


def by_name(resolved: Resolved) -> dict[str, tuple[str | None, str]]:
    return {each.name: (each.value, each.source) for each in described(resolved)}


def test_the_last_source_wins() -> None:
    file = {name: Given("7s", "s.yaml:1:1") for name in ("wait", "grace", "silence")}
    environment = {**HOME, "OLLAMA_FLEET_GRACE": "8s", "OLLAMA_FLEET_SILENCE": "8s"}
    resolved = resolve(environment=environment, file=file, flags={"silence": Given("9s", "--silence")})
    told = by_name(resolved)
    assert told["connect_timeout"] == ("5s", "default")
    assert told["wait"] == ("7s", "s.yaml:1:1")
    assert told["grace"] == ("8s", "OLLAMA_FLEET_GRACE")
    assert told["silence"] == ("9s", "--silence")
    settings = resolved.settings
    assert (settings.connect_timeout, settings.wait, settings.grace, settings.silence) == (5, 7, 8, 9)


def test_every_fault_is_told_with_its_source() -> None:
    with pytest.raises(InputError) as caught:
        resolve(
            environment={**HOME, "OLLAMA_FLEET_GRAC": "1s", "OLLAMA_FLEET_WAIT": "ever", "OLLAMA_FLEET_XYZZY": ""},
            file={"stall_flor": Given("1MiB", "s.yaml:1:1"), "parallelism": Given("0", "s.yaml:2:1")},
            flags={"allow_unreachable": Given("most", "--allow-unreachable")},
        )
    assert caught.value.exit_code is ExitCode.INPUT_WRONG
    assert caught.value.code.id == "FLT-402"
    assert str(caught.value).splitlines() == [
        "6 settings are wrong:",
        "  s.yaml:1:1: `stall_flor` is no setting; did you mean `stall_floor`?",
        "  s.yaml:2:1: parallelism: `0` is less than 1",
        "  OLLAMA_FLEET_GRAC: `grac` is no setting; did you mean `OLLAMA_FLEET_GRACE`?",
        "  OLLAMA_FLEET_WAIT: wait: `ever` is no duration: a number needs its unit (`500ms`, `90s`, `1h30m`)",
        "  OLLAMA_FLEET_XYZZY: `xyzzy` is no setting",
        "  --allow-unreachable: allow_unreachable: `most` is neither a number nor a percentage (`2`, `10%`)",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("parallelism", "-1"), ("parallelism", "1.5"), ("parallelism", "٣"), ("pull_tries", "0"),
        ("connect_timeout", "0s"), ("poll_interval", "0"), ("stall_floor", "5"), ("state_dir", "relative/path"),
        ("allow_unreachable", "120%"), ("silence", "forever"),
    ],
)  # fmt: skip
def test_impossible_values(name: str, text: str) -> None:
    with pytest.raises(InputError, match=f"^OLLAMA_FLEET_{name.upper()}: {name}: "):
        resolve(environment={**HOME, variable(name): text})


@pytest.mark.parametrize(
    ("environment", "folder", "source"),
    [
        ({}, "/home/ann/.local/state/ollama-fleet", "$HOME"),
        ({"XDG_STATE_HOME": "/var/x/"}, "/var/x/ollama-fleet", "$XDG_STATE_HOME"),
        ({"XDG_STATE_HOME": "relative"}, "/home/ann/.local/state/ollama-fleet", "$HOME"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x"}, "/var/lib/a", "$STATE_DIRECTORY"),
        ({"OLLAMA_FLEET_STATE_DIR": "/z", "STATE_DIRECTORY": "/var/lib/a"}, "/z", "OLLAMA_FLEET_STATE_DIR"),
    ],
)
def test_the_state_folder(environment: dict[str, str], folder: str, source: str) -> None:
    resolved = resolve(environment={**HOME, **environment})
    assert resolved.settings.state_dir == folder
    assert resolved.sources["state_dir"] == source


def test_without_home_the_state_folder_has_to_be_named() -> None:
    with pytest.raises(InputError, match="there is no home folder"):
        resolve(environment={})
    assert resolve(environment={"OLLAMA_FLEET_STATE_DIR": "/z"}).settings.state_dir == "/z"


def test_credentials_of_systemd() -> None:
    assert resolve(environment=HOME).settings.credentials_dir is None
    given_by_systemd = {**HOME, "CREDENTIALS_DIRECTORY": "/run/credentials/fleet"}
    assert resolve(environment=given_by_systemd).settings.credentials_dir == "/run/credentials/fleet"


def test_variables_that_are_no_settings_are_let_be() -> None:
    resolve(environment={**HOME, "OLLAMA_FLEET_SETTINGS": "x", "OLLAMA_FLEET_E2E_HOST": "y", "OLLAMA_HOST": "z"})


def test_shown_values_can_be_written_back() -> None:
    first = resolve(environment=HOME)
    again = {each.name: Given(each.value, "again") for each in described(first) if each.value is not None}
    assert resolve(environment=HOME, file=again).settings == first.settings


def test_every_setting_tells_what_it_means() -> None:
    assert [each.name for each in defaults()] == [setting.name for setting in fields(Settings)]
    for each in defaults():
        assert each.about.endswith(".")
        if each.value is None:
            assert each.kind in {Kind.FOLDER, Kind.FILE, Kind.PATHS, Kind.TEXT, Kind.COMMAND}


@given(st.dictionaries(st.sampled_from([each.name for each in defaults()]), st.text(max_size=8), max_size=4))
def test_any_text_is_either_read_or_a_fault(file: dict[str, str]) -> None:
    given_by_file = {name: Given(text, "f") for name, text in file.items()}
    try:
        resolved = resolve(environment=HOME, file=given_by_file)
    except InputError as error:
        told = str(error)
    else:
        told = ""
        assert all(resolved.sources[name] == "f" for name in file)
    faults = [line for line in told.splitlines() if "f: " in line]
    assert bool(faults) == bool(told)

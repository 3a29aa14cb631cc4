"""How `git` is let in: what it is told, and that nobody else can read it on the way."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.daemon.source.source import SourceUnreachable
from tests.daemon.source.repositories import ONE, Remote, fake_git, followed, look, models

URL = "https://forge.example.invalid/team/fleet.git"
TOKEN = "s3cret-token"

# Writes down each call, then lets the real program fetch from the repository on disk instead.
RECORDING = """\
{ printf 'ARGV %s\\n' "$*"; env; } >> "$0.log"
case "$*" in *@URL@*) cat "$GIT_CONFIG_GLOBAL" >> "$0.config"; stat -c %a "$GIT_CONFIG_GLOBAL" >> "$0.modes";; esac
for word; do shift; case "$word" in @URL@) word=@BARE@;; esac; set -- "$@" "$word"; done
GIT_CONFIG_GLOBAL=/dev/null exec "$REAL" "$@"
"""


def recording(folder: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = RECORDING.replace("@URL@", URL).replace("@BARE@", remote.url)
    monkeypatch.setenv("PATH", fake_git(folder / "bin", script)["PATH"])
    return folder / "bin"


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    path = tmp_path / "git.credentials"
    path.write_text(f"deploy:{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_credentials_are_in_a_private_file_that_goes_never_in_arguments_or_environment(
    tmp_path: Path, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("OLLAMA_TOKEN", "another-secret")
    remote = Remote(tmp_path / "remote")
    with monkeypatch.context() as later:
        later.delenv("GIT_DIR")
        remote.push({"m.yaml": ONE})
    seen = recording(tmp_path, remote, monkeypatch)
    source, settings = followed(tmp_path, URL, git_credentials_file=str(credentials))
    assert models(look(source)) == ["one:latest"]
    pair = base64.b64encode(f"deploy:{TOKEN}".encode()).decode()
    log = (seen / "git.log").read_text()
    assert all(secret not in log for secret in (TOKEN, pair, "another-secret", "/nowhere"))
    assert "ARGV --no-pager" in log
    assert f"Authorization: Basic {pair}" in (seen / "git.config").read_text()
    assert '[http "https://forge.example.invalid/"]' in (seen / "git.config").read_text()
    assert set((seen / "git.modes").read_text().split()) == {"600"}
    left = [
        path for path in Path(settings.state_dir).rglob("*") if path.is_file() and pair.encode() in path.read_bytes()
    ]
    assert left == []


def test_git_is_told_to_ask_nobody_and_to_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(tmp_path / "remote")
    remote.push({"m.yaml": ONE})
    seen = recording(tmp_path, remote, monkeypatch)
    look(followed(tmp_path, URL)[0])
    log, config = (seen / "git.log").read_text(), (seen / "git.config").read_text()
    for line in ("GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_ALLOW_PROTOCOL=https:ssh:git:file"):
        assert f"{line}\n" in log
    for line in ('hooksPath = "/dev/null"', 'followRedirects = "false"', '[protocol]\n\tallow = "never"'):
        assert line in config
    calls = [line for line in log.splitlines() if URL in line]
    assert calls
    assert all(f" -- {URL}" in line for line in calls)


@pytest.mark.fault("K8")
def test_credentials_that_others_may_read_are_refused(tmp_path: Path, credentials: Path) -> None:
    credentials.chmod(0o640)
    source, settings = followed(tmp_path, URL, git_credentials_file=str(credentials))
    with pytest.raises(SourceUnreachable, match="others may read it") as caught:
        look(source)
    assert (caught.value.code, caught.value.hint) == (Code.CREDENTIALS_UNREADABLE, f"run `chmod 600 {credentials}`")
    assert TOKEN not in str(caught.value)
    assert not [*Path(settings.state_dir).glob("git/*/config-*")]


@pytest.mark.parametrize("text", ["", "no-colon", "two:words with:spaces\nand lines", "user:"])
def test_credentials_of_another_form_are_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "git.credentials"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(SourceUnreachable, match="does not hold one line `USER:TOKEN`") as caught:
        look(followed(tmp_path, URL, git_credentials_file=str(path))[0])
    assert "colon" not in str(caught.value)


def test_ssh_never_asks_and_knows_its_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", fake_git(folder, 'exec "$REAL" "$@"\n')["PATH"])
    ssh = folder / "ssh"
    ssh.write_text(
        '#!/bin/sh\nfor word; do echo "$word" >> "$0.log"; done\necho "Host key verification failed." >&2\nexit 255\n'
    )
    ssh.chmod(0o755)
    known = f"{tmp_path}/known hosts"
    source, _ = followed(
        tmp_path, "git@forge.lan:team/fleet.git", git_ssh_key_file="/keys/deploy key", git_known_hosts_file=known
    )
    with pytest.raises(SourceUnreachable, match=r"Could not read from remote repository|Host key verification failed"):
        look(source)
    words = (folder / "ssh.log").read_text().splitlines()
    for word in ("BatchMode=yes", "StrictHostKeyChecking=yes", "/keys/deploy key", f'UserKnownHostsFile="{known}"'):
        assert word in words
    assert words[:2] == ["-F", "none"]


def test_a_call_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'case "$*" in *ls-remote*) sleep 60 & echo $! > "$0.child"; wait;; *) exec "$REAL" "$@";; esac\n'
    monkeypatch.setenv("PATH", fake_git(tmp_path / "bin", script)["PATH"])
    source, _ = followed(tmp_path, URL, git_timeout=0.5)
    with pytest.raises(SourceUnreachable, match=r"it took longer than 500ms"):
        look(source)
    child = (tmp_path / "bin" / "git.child").read_text().strip()
    stat_file = Path("/proc", child, "stat")
    assert not stat_file.exists() or ") Z " in stat_file.read_text()


def test_output_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'case "$*" in *ls-remote*) exec yes;; *) exec "$REAL" "$@";; esac\n'
    monkeypatch.setenv("PATH", fake_git(tmp_path / "bin", script)["PATH"])
    with pytest.raises(SourceUnreachable, match="it wrote more than 1MiB"):
        look(followed(tmp_path, URL)[0])


def test_what_the_other_side_says_cannot_act_on_a_terminal_or_show_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = "printf 'fatal: \\033[31mno access to https://me:pw@forge.lan/x\\n' >&2; exit 128"
    script = f'case "$*" in *ls-remote*) {says};; *) exec "$REAL" "$@";; esac\n'
    monkeypatch.setenv("PATH", fake_git(tmp_path / "bin", script)["PATH"])
    with pytest.raises(SourceUnreachable) as caught:
        look(followed(tmp_path, URL)[0])
    assert str(caught.value).endswith("fatal: \\x1b[31mno access to https://forge.lan/x")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo git version 2.30.2\n", "the `git` program is too old"),
        ("echo not git at all\n", "the `git` program is too old"),
        ("exit 3\n", "`git` cannot be used: it ended with code 3"),
    ],
)
def test_a_git_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    monkeypatch.setenv("PATH", fake_git(tmp_path / "bin", script)["PATH"])
    with pytest.raises(SourceUnreachable, match=message) as caught:
        look(followed(tmp_path, URL)[0])
    assert caught.value.hint == "install `git` 2.32 or later"


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceUnreachable, match="there is no `git` program"):
        look(followed(tmp_path, URL)[0])


def test_the_state_folder_of_the_copy_is_private(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "remote")
    remote.push({"m.yaml": ONE})
    source, settings = followed(tmp_path, remote.url)
    look(source)
    folders = [Path(settings.state_dir), *Path(settings.state_dir).glob("git"), *Path(settings.state_dir).glob("git/*")]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3

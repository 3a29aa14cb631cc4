"""Whose commits are followed, where that is said: real keys, real signatures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.daemon.source.source import SourceUnreachable
from fleet.errors import InputError
from tests.daemon.source.repositories import ONE, TWO, Remote, followed, kept_commits, look, models

WHO = "tester@example.invalid"
ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no gpg here")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


def ssh_key(folder: Path, name: str) -> tuple[tuple[str, ...], str]:
    """Options of `git` that sign by a new key, and its line of allowed signers."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    kind, public = key.with_suffix(".pub").read_text().split()[:2]
    return ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"), f"{WHO} {kind} {public}\n"


def signed(remote: Remote, options: tuple[str, ...], manifest: str) -> str:
    remote.write({"m.yaml": manifest})
    remote.git("add", "--all")
    remote.git(*options, "commit", "--quiet", "--gpg-sign", "--message=signed")
    remote.send()
    return remote.git("rev-parse", "HEAD")


@ssh
@pytest.mark.fault("D15")
def test_commits_of_allowed_signers_alone_are_followed(remote: Remote, tmp_path: Path) -> None:
    ours, line = ssh_key(tmp_path, "ours")
    theirs, _ = ssh_key(tmp_path, "theirs")
    keys = tmp_path / "allowed signers"
    keys.write_text(f"# who may\n{line}")
    source, settings = followed(tmp_path, remote.url, git_verify_file=str(keys))
    good = signed(remote, ours, ONE)
    assert models(look(source)) == ["one:latest"]

    wrong = signed(remote, theirs, TWO)
    with pytest.raises(InputError, match=f"commit {wrong[:12]} is not signed by a key of `{keys}`") as caught:
        look(source)
    assert caught.value.code is Code.COMMIT_NOT_SIGNED

    unsigned = remote.push({"m.yaml": TWO})
    with pytest.raises(InputError, match=f"commit {unsigned[:12]} is not signed"):
        look(source)
    assert kept_commits(settings) == {good}

    signed(remote, ours, "version: 1\nmodels: {three: }\n")
    assert models(look(source)) == ["three:latest"]


@ssh
def test_a_key_that_left_the_file_counts_no_more(remote: Remote, tmp_path: Path) -> None:
    ours, line = ssh_key(tmp_path, "ours")
    _, other = ssh_key(tmp_path, "other")
    keys = tmp_path / "signers"
    keys.write_text(line)
    source, _ = followed(tmp_path, remote.url, git_verify_file=str(keys))
    signed(remote, ours, ONE)
    look(source)
    keys.write_text(other)
    with pytest.raises(InputError, match="is not signed by a key of"):
        look(source)
    keys.write_text(other + line)
    assert models(look(source)) == ["one:latest"]


def gpg_key(home: Path, who: str) -> tuple[tuple[str, ...], bytes]:
    """Options of `git` that sign by a new key, and its public part, armoured."""
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase="]
    subprocess.run([*base, "--quick-generate-key", who, "ed25519", "sign", "never"], check=True, capture_output=True)
    public = subprocess.run([*base, "--armor", "--export", who], check=True, capture_output=True).stdout
    program = home / "sign"
    program.write_text(f'#!/bin/sh\nexec gpg --homedir {home} --batch --pinentry-mode=loopback --passphrase= "$@"\n')
    program.chmod(0o755)
    return ("-c", f"gpg.program={program}", "-c", f"user.signingkey={who}"), public


def exported(home: Path) -> bytes:
    """The public key that lies there, without armour."""
    return subprocess.run(["gpg", "--homedir", str(home), "--export"], check=True, capture_output=True).stdout


@gpg
def test_commits_of_openpgp_keys_alone_are_followed(remote: Remote, tmp_path: Path) -> None:
    homes = (tmp_path / "1", tmp_path / "2")
    try:
        ours, public = gpg_key(homes[0], WHO)
        theirs, _ = gpg_key(homes[1], "somebody@example.invalid")
        keys = tmp_path / "keys.asc"
        keys.write_bytes(public)
        source, settings = followed(tmp_path, remote.url, git_verify_file=str(keys))
        good = signed(remote, ours, ONE)
        assert models(look(source)) == ["one:latest"]
        signed(remote, theirs, TWO)
        with pytest.raises(InputError, match="is not signed by a key of"):
            look(source)
        assert kept_commits(settings) == {good}
        # The other one's key beside ours, both as they are without armour.
        keys.write_bytes(b"".join(exported(home) for home in homes))
        assert models(look(source)) == ["one:latest", "two:latest"]
        assert not [*Path(settings.state_dir).glob("git/*/keys-*")]
    finally:
        for home in homes:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


@gpg
@ssh
def test_a_signature_of_the_other_kind_is_none(remote: Remote, tmp_path: Path) -> None:
    ours, _ = ssh_key(tmp_path, "ours")
    try:
        _, public = gpg_key(tmp_path / "1", WHO)
        keys = tmp_path / "keys.asc"
        keys.write_bytes(public)
        signed(remote, ours, ONE)
        with pytest.raises(InputError, match="is not signed by a key of"):
            look(followed(tmp_path, remote.url, git_verify_file=str(keys))[0])
    finally:
        subprocess.run(["gpgconf", "--homedir", str(tmp_path / "1"), "--kill", "all"], check=False, capture_output=True)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"", "it holds no key"), (b" \n", "it holds no key")]
)
def test_without_keys_nothing_is_followed(remote: Remote, tmp_path: Path, content: bytes | None, message: str) -> None:
    keys = tmp_path / "keys"
    if content is not None:
        keys.write_bytes(content)
    remote.push({"m.yaml": ONE})
    with pytest.raises(SourceUnreachable, match=message):
        look(followed(tmp_path, remote.url, git_verify_file=str(keys))[0])


@gpg
@pytest.mark.parametrize(
    "text", ["nothing\n", "nothing\n-----END PGP PUBLIC KEY BLOCK-----\n", "AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"]
)
def test_keys_that_are_none_are_told(remote: Remote, tmp_path: Path, text: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}")
    remote.push({"m.yaml": ONE})
    with pytest.raises(SourceUnreachable, match="it holds no OpenPGP key"):
        look(followed(tmp_path, remote.url, git_verify_file=str(keys))[0])

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import HostUnreachable
from fleet.ollama.credentials import Credentials, Trust, plain_context, tls_context
from fleet.ollama.hidden import Hidden
from tests.private_file import private


def sent(credentials: Credentials) -> dict[str, bytes]:
    return {name: value.reveal() for name, value in credentials.headers()}


def test_a_bearer_token_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    credentials = Credentials("bearer", file=str(file))
    private(file, "first\n")
    assert sent(credentials) == {"Authorization": b"Bearer first"}
    file.write_text("second")
    assert sent(credentials) == {"Authorization": b"Bearer second"}


def test_a_secret_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_TOKEN", "t0k")
    assert sent(Credentials("bearer", environment="GPU_TOKEN")) == {"Authorization": b"Bearer t0k"}


def test_basic_takes_any_password(tmp_path: Path) -> None:
    private(tmp_path / "password", "pä ss:wörd")
    credentials = Credentials("basic", file=str(tmp_path / "password"), username="me")
    assert sent(credentials) == {"Authorization": b"Basic bWU6cMOkIHNzOnfDtnJk"}


def test_a_header_of_a_chosen_name(tmp_path: Path) -> None:
    private(tmp_path / "key", "k")
    credentials = Credentials("header", file=str(tmp_path / "key"), header="X-Api-Key")
    assert sent(credentials) == {"X-Api-Key": b"k"}


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nX-Evil: 1", b"a\rb", b"a\x00b", "tökén".encode(), b"x" * 70_000])
def test_what_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    private(tmp_path / "token", content)
    with pytest.raises(HostUnreachable) as refused:
        Credentials("bearer", file=str(tmp_path / "token")).headers()
    assert refused.value.code is Code.CREDENTIALS_UNREADABLE
    assert "Evil" not in str(refused.value)
    assert "token" in str(refused.value)


def test_missing_files_folders_and_pipes_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("nothing", "pipe", "."):
        with pytest.raises(HostUnreachable) as refused:
            Credentials("bearer", file=str(tmp_path / name)).headers()
        assert refused.value.code is Code.CREDENTIALS_UNREADABLE


@pytest.mark.fault("K8")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_what_others_may_read_or_change_is_no_secret(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "a token", "t0k3n")
    file.chmod(mode)
    with pytest.raises(HostUnreachable) as refused:
        Credentials("bearer", file=str(file)).headers()
    assert refused.value.code is Code.CREDENTIALS_UNREADABLE
    assert f"(mode {mode:04o})" in str(refused.value)
    assert f"chmod 600 '{file}'" in str(refused.value.hint)
    assert "t0k3n" not in f"{refused.value} {refused.value.hint}"


def test_what_the_service_manager_hands_over_has_modes_of_its_own(tmp_path: Path) -> None:
    file = private(tmp_path / "token", "t0k3n")
    file.chmod(0o440)
    assert sent(Credentials("bearer", str(file), handed_over=str(tmp_path))) == {"Authorization": b"Bearer t0k3n"}
    with pytest.raises(HostUnreachable):
        Credentials("bearer", str(file), handed_over=str(tmp_path.parent)).headers()


def test_a_file_without_end_is_read_to_the_limit_alone(tmp_path: Path) -> None:
    file = private(tmp_path / "token", "x")
    os.truncate(file, 10 << 30)
    with pytest.raises(HostUnreachable, match="has more than 65536 bytes"):
        Credentials("bearer", file=str(file)).headers()


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPU_TOKEN", raising=False)
    with pytest.raises(HostUnreachable, match="the variable `GPU_TOKEN`"):
        Credentials("bearer", environment="GPU_TOKEN").headers()
    with pytest.raises(HostUnreachable):
        Credentials("bearer").headers()


@pytest.mark.parametrize("header", ["", "X Api", "X-Api:", "Host", "content-length", "Origin", "x\r\ny"])
def test_headers_that_would_break_the_request_are_refused(tmp_path: Path, header: str) -> None:
    private(tmp_path / "key", "k")
    with pytest.raises(HostUnreachable, match="no usable name"):
        Credentials("header", file=str(tmp_path / "key"), header=header).headers()


def test_a_kind_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    private(tmp_path / "key", "k")
    with pytest.raises(HostUnreachable, match="no known kind"):
        Credentials("digest", file=str(tmp_path / "key")).headers()


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Hidden(b"hunter2")
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", "%s" % secret, repr([secret])):  # noqa: UP031  # this form too
        assert "hunter2" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    assert secret != Hidden(b"hunter2")
    assert secret.reveal() == b"hunter2"


def test_hosts_of_equal_trust_share_one_context() -> None:
    assert tls_context(None) is tls_context(Trust())
    assert tls_context(Trust(server_name="a")) is tls_context(Trust(server_name="b"))
    assert plain_context() is plain_context()
    assert plain_context() is not tls_context(None)


@pytest.mark.fault("N11")
def test_the_environment_does_not_decide_whom_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.pem").write_text("nonsense")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "evil.pem"))
    assert tls_context(Trust()).verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize("trust", ["ca", "cert"])
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_certificates_that_cannot_be_read_are_the_hosts_trouble(
    tmp_path: Path, trust: str, content: str | None
) -> None:
    file = tmp_path / "x.pem"
    if content is not None:
        private(file, content)
    with pytest.raises(HostUnreachable) as refused:
        tls_context(Trust(ca_file=str(file)) if trust == "ca" else Trust(cert_file=str(file)))
    assert refused.value.code is Code.CREDENTIALS_UNREADABLE

"""Each rule of the doctor: what it is told, and what it finds."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.manifest.inventory import Auth, Host, Place, Registry, Secret, Tls
from fleet.manifest.item import Create, Desired, HostDesired, Item, Pull
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.handshake import Handshake, ahead
from fleet.ollama.versions import Version
from fleet.reconcile.backup import backup_of
from fleet.reconcile.doctor.exposure import exposed, of_connection
from fleet.reconcile.doctor.finding import About, Finding, Severity, healthy, ordered
from fleet.reconcile.doctor.models import of_models
from fleet.reconcile.doctor.registries import Trial, not_asked, of_trial, trials, untried
from fleet.reconcile.doctor.surroundings import (
    Told,
    of_environment,
    of_secret,
    of_state,
    secret_files,
    told_of,
    variables,
)
from fleet.reconcile.doctor.version import of_host
from fleet.reconcile.observed import Content, Observed, Present
from fleet.registry.served import Blobs, Unpublished
from fleet.weights.local import Format, LocalFile, Stamp

PLACE = Place("fleet.yaml", 1, 1)
NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
TOKEN = Auth("bearer", Secret(file="/inventory/token"))
FILE = LocalFile("a.gguf", "/a.gguf", "a.gguf", Stamp(1, 1, 1, 1, 1), Format.GGUF)


def host(url: str = "http://10.0.0.1:11434", auth: Auth | None = None, tls: Tls | None = None) -> Host:
    return Host(HostName("alpha"), url, PLACE, auth=auth, tls=tls)


def name(text: str) -> ModelName:
    return ModelName.parse(text)


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(str(each.severity), str(each.about)) for each in findings]


@pytest.mark.parametrize(
    ("url", "addresses", "auth", "expected"),
    [
        ("http://127.0.0.1:11434", ["127.0.0.1"], None, []),
        ("http://localhost:11434", ["127.0.0.1", "::1"], TOKEN, []),
        ("http://10.0.0.1:11434", ["10.0.0.1"], None, []),
        ("http://gpu.lan", ["fd00::1", "192.168.1.2"], None, []),
        ("http://gpu.lan", [], None, []),
        ("http://gpu.ts.net", ["100.64.0.7"], None, []),  # shared address space is not the Internet
        ("http://8.8.8.8:11434", ["8.8.8.8"], None, [("problem", "exposure")]),
        ("http://gpu.example.net", ["10.0.0.1", "2a00:1450:4001::1"], None, [("problem", "exposure")]),
        ("https://gpu.example.net", ["8.8.8.8"], None, [("warning", "exposure")]),
        ("https://gpu.example.net", ["8.8.8.8"], TOKEN, []),
        ("http://10.0.0.1:11434", ["10.0.0.1"], TOKEN, [("warning", "exposure")]),
        ("http://8.8.8.8", ["8.8.8.8"], TOKEN, [("problem", "exposure"), ("warning", "exposure")]),
    ],
)
def test_who_else_can_reach_a_host(
    url: str, addresses: list[str], auth: Auth | None, expected: list[tuple[str, str]]
) -> None:
    assert told(exposed(host(url, auth), addresses, Handshake(status=401))) == expected


def test_a_certificate_of_our_own_proves_us_too() -> None:
    ours = Tls(cert_file="/me.pem")
    assert not list(exposed(host("https://gpu.example.net", tls=ours), ["8.8.8.8"], Handshake(200)))


def test_a_host_that_answers_without_the_credentials_it_is_given() -> None:
    (found,) = exposed(host("https://gpu.example.net", TOKEN), ["8.8.8.8"], Handshake(status=200))
    assert "protect nothing" in found.what


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Sat, 01 Aug 2026 12:00:00 GMT", timedelta()),
        ("Sat, 01 Aug 2026 11:59:59 GMT", timedelta()),  # told in whole seconds, so it may be now
        ("Sat, 01 Aug 2026 11:59:00 GMT", timedelta(seconds=-59)),
        ("Sat, 01 Aug 2026 12:05:00 GMT", timedelta(seconds=298)),
        ("Sat, 01 Aug 2026 14:05:00 +0200", timedelta(seconds=298)),
        ("yesterday", None),
        ("Mon, 01 Jan 9999999 00:00:00 GMT", None),
    ],
)
def test_the_clock_of_a_host_beside_ours(date: str, expected: timedelta | None) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: {date}\r\n\r\n".encode()
    assert ahead(head, NOW, NOW + timedelta(seconds=2)) == expected


def test_no_date_tells_no_clock() -> None:
    assert ahead(b"HTTP/1.1 200 OK\r\nX-Date: Sat, 01 Aug 2026 12:00:00 GMT\r\n\r\n", NOW, NOW) is None


@pytest.mark.parametrize(
    ("shaken", "words"),
    [
        (Handshake(ahead=timedelta(seconds=29)), None),
        (Handshake(ahead=timedelta(minutes=5)), "5m ahead of"),
        (Handshake(ahead=timedelta(hours=-1)), "1h behind"),
        (Handshake(certificate_ends=NOW + timedelta(days=15)), None),
        (Handshake(certificate_ends=NOW + timedelta(days=3)), "ends at 2026-08-04 12:00 UTC"),
    ],
)
def test_clock_and_certificate(shaken: Handshake, words: str | None) -> None:
    found = list(of_connection(host(), shaken, NOW))
    assert [each.severity for each in found] == ([Severity.WARNING] if words else [])
    assert all(words is not None and words in each.what for each in found)


@pytest.mark.parametrize(
    ("version", "advisories"),
    [
        ("0.3.3", ["CVE-2025-51471", "CVE-2026-7482"]),
        ("0.14.2", ["CVE-2025-51471", "CVE-2026-7482", "CVE-2026-7020"]),
        ("0.14.3", ["CVE-2026-7482", "CVE-2026-7020"]),
        ("0.17.1", ["CVE-2026-7020"]),
        ("0.20.2", ["CVE-2026-7020"]),
        ("0.20.3", []),
        ("0.32.15", []),
        ("0.0.0", []),
    ],
)
def test_advisories_by_version(version: str, advisories: list[str]) -> None:
    found = [each for each in of_host(HostDesired(host()), Version.parse(version)) if each.about is About.ADVISORY]
    assert [each.advisory for each in found] == advisories
    assert all(each.severity is Severity.WARNING and each.do.startswith("upgrade") for each in found)


@pytest.mark.parametrize(
    ("version", "severity"), [("0.0.0", "note"), ("main", "note"), ("0.3.3", "warning"), ("0.3.4", None)]
)
def test_versions_that_fleet_does_not_know(version: str, severity: str | None) -> None:
    found = [each for each in of_host(HostDesired(host()), Version.parse(version)) if each.about is About.VERSION]
    assert [str(each.severity) for each in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("version", "create", "words"),
    [
        ("0.9.6", Create(name("q")), ["without weights"]),
        ("0.9.6", None, []),
        ("0.12.6", Create(name("q")), []),
        ("0.13.0", Create(None, (FILE,)), ["not yet used when it starts"]),
        ("0.32.15", Create(None, (FILE,)), ["twice their size"]),
        ("0.32.15", Create(name("q"), adapters=(FILE,)), []),
        ("0.5.13", None, ["half downloaded"]),
        ("0.3.10", None, ["without loading it first", "lists nothing at all"]),
    ],
)
def test_hazards_are_told_where_they_matter(version: str, create: Create | None, words: list[str]) -> None:
    items = () if create is None else (Item(name("m"), create, PLACE),)
    found = [each for each in of_host(HostDesired(host(), items), Version.parse(version)) if each.about is About.HAZARD]
    assert len(found) == len(words)
    assert all(word in each.what for word, each in zip(words, found, strict=True))
    assert healthy(found)


def test_models_that_are_not_as_they_look() -> None:
    digest = Digest("a" * 64)
    whole, broken, stub = name("whole:1"), name("broken:1"), name("gpt:big")
    left = backup_of(whole)
    models = {each: Present(each, str(each), digest, 1, remote=each == stub) for each in (whole, broken, stub, left)}
    twice = (Present(name("x"), "X:latest", digest, 1), Present(name("x"), "x:latest", digest, 1))
    content = Content(frozenset({digest}), "", "")
    observed = Observed(
        HostName("alpha"),
        Version.parse("0.32.15"),
        models,
        (),
        {whole: content, broken: None, left: content},
        (twice,),
        frozenset({name("odd:1")}),
        ("..",),
    )
    assert [(str(each.severity), each.code, each.what.split()[0]) for each in ordered(of_models(observed))] == [
        ("problem", Code.BROKEN_MODEL, "`broken:1`"),
        ("warning", Code.NAMES_COLLIDE, "`X:latest`"),
        ("warning", Code.NOT_OLLAMA, "`odd:1`"),
        ("note", None, f"`{left}`"),
        ("note", Code.REMOTE_MODEL, "`gpt:big`"),
        ("note", None, "`..`"),
    ]


USER = 1000


@pytest.mark.parametrize(
    ("mode", "owner", "expected"),
    [
        (0o600, USER, []),
        (0o400, 0, []),
        (0o640, USER, ["problem"]),
        (0o604, USER, ["problem"]),
        (0o660, USER, ["problem"]),
        (0o600, 1001, ["warning"]),
    ],
)
def test_who_can_read_a_credential(mode: int, owner: int, expected: list[str]) -> None:
    path = "/inventory/token"
    found = list(of_secret(path, Told(path, stat.S_IFREG | mode, owner), USER))
    assert [str(each.severity) for each in found] == expected
    assert all("chmod 600 /inventory/token" in each.do or "chown" in each.do for each in found)


def test_credentials_of_systemd_have_modes_of_their_own() -> None:
    path = "/run/credentials/fleet/token"
    assert not list(of_secret(path, Told(path, stat.S_IFREG | 0o440, 0), USER, "/run/credentials/fleet"))


def test_a_credential_that_is_not_there() -> None:
    (found,) = of_secret("/nowhere", None, USER)
    assert (found.severity, found.code) == (Severity.PROBLEM, Code.CREDENTIALS_UNREADABLE)


def test_which_files_hold_secrets() -> None:
    hosts = [
        host(auth=TOKEN),
        host(auth=Auth("bearer", Secret(environment="TOKEN"))),
        host(tls=Tls(ca_file="/ca.pem", cert_file="/me.pem", key_file="/me.key")),
        host(tls=Tls(cert_file="/both.pem")),
        host(tls=Tls(ca_file="/ca.pem")),
    ]
    assert secret_files(hosts) == ("/both.pem", "/inventory/token", "/me.key")
    assert [each.what for each in variables(hosts, {})] == [
        "the variable `TOKEN`, which a credential is to be read from, is not set"
    ]
    assert not list(variables(hosts, {"TOKEN": "x"}))


@pytest.mark.parametrize(
    ("folder", "files", "expected"),
    [
        (None, [], []),
        ((stat.S_IFDIR | 0o700, USER), [0o600, 0o600], []),
        ((stat.S_IFDIR | 0o755, USER), [], ["warning"]),
        ((stat.S_IFDIR | 0o770, USER), [], ["problem"]),
        ((stat.S_IFDIR | 0o700, 1001), [], ["problem"]),
        ((stat.S_IFREG | 0o600, USER), [], ["problem"]),
        ((stat.S_IFDIR | 0o700, USER), [0o644, 0o600], ["warning"]),
    ],
)
def test_the_state_folder(folder: tuple[int, int] | None, files: list[int], expected: list[str]) -> None:
    held = [Told(f"/state/{number}", stat.S_IFREG | mode, USER) for number, mode in enumerate(files)]
    found = of_state(None if folder is None else Told("/state", *folder), held, USER)
    assert [str(each.severity) for each in found] == expected


def test_what_the_system_tells(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("x")
    file.chmod(0o640)
    told = told_of(str(file))
    assert told is not None
    assert stat.S_IMODE(told.mode) == 0o640
    assert told_of(str(tmp_path / "none")) is None
    assert told_of("a\0b") is None


@pytest.mark.fault("N11")
def test_variables_that_others_obey() -> None:
    found = list(
        of_environment({"https_proxy": "http://p:3128", "NO_PROXY": "*", "SSL_CERT_FILE": "/x", "ALL_PROXY": ""})
    )
    assert [each.what.split()[0] for each in found] == ["`https_proxy`", "`SSL_CERT_FILE`"]
    assert healthy(found)


def test_registries_are_tried_with_the_first_model_that_comes_from_there() -> None:
    mirror = name("mirror.lan:5000/library/qwen3:8b")
    items = (
        Item(name("acme/made"), Create(name("qwen3:8b")), PLACE),
        Item(name("hf.co/a/b:Q4"), Pull(), PLACE),
        Item(name("qwen3:8b"), Pull(origin=mirror), PLACE),
        Item(name("qwen3:4b"), Pull(origin=replace(mirror, tag="4b")), PLACE),
    )
    registries = {
        "registry.ollama.ai": Registry("registry.ollama.ai", mirror="mirror.lan:5000"),
        "hf.co": Registry("hf.co"),
        "old.lan": Registry("old.lan", mirror="other.lan"),
    }
    desired = Desired("test", {}, registries=registries)
    tried = trials(desired, [HostDesired(host(), items)])
    assert tried == (
        Trial("hf.co", name("hf.co/a/b:Q4")),
        Trial("mirror.lan:5000", name("mirror.lan:5000/library/qwen3:4b"), "registry.ollama.ai"),
    )
    assert [each.redirects for each in tried] == [False, True]
    (skipped,) = untried(desired, tried)
    assert "`other.lan` of `old.lan`" in skipped.what
    (silent,) = not_asked(tried)
    assert "`hf.co`, `mirror.lan:5000`" in silent.what
    assert not list(not_asked(()))


MIRROR = Trial("mirror.lan", name("mirror.lan/library/q:1"), "registry.ollama.ai")


@pytest.mark.parametrize(
    ("answer", "severity", "code"),
    [
        (None, None, None),
        (Blobs(pullable=True, did="redirects to https://cdn"), None, None),
        (Blobs(pullable=False, did="answers 200 with the blob itself"), "problem", Code.REGISTRY_WITHOUT_REDIRECT),
        (Unpublished(Code.NOT_IN_REGISTRY, "404"), "problem", Code.NOT_IN_REGISTRY),
        (Unpublished(Code.REGISTRY_TROUBLE, "no answer"), "warning", Code.REGISTRY_TROUBLE),
    ],
)
def test_what_a_registry_answers(answer: Blobs | Unpublished | None, severity: str | None, code: Code | None) -> None:
    found = list(of_trial(MIRROR, answer))
    assert [(str(each.severity), each.code) for each in found] == ([(severity, code)] if severity else [])


def test_the_worst_is_told_first_and_notes_alone_are_health() -> None:
    note = Finding(Severity.NOTE, About.MODEL, "a", "nothing")
    warning = Finding(Severity.WARNING, About.NAME, "b", "x")
    problem = Finding(Severity.PROBLEM, About.REGISTRY, "c", "x")
    assert ordered([note, warning, note, problem]) == (problem, warning, note)
    assert healthy([note])
    assert not healthy([warning])

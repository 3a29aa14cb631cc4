"""The store: copies, deletions, uploads, the disk, and what a start cleans up (`ollama-api.md` 6, 9)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from fleet.simulate.blobs import CHUNK, Blobs, Filed, Held, Hollow, Intake, InvalidDigestError, Partial
from fleet.simulate.modelname import Name
from tests.simulate.host.talking import Talk

DIGEST = "sha256:" + hashlib.sha256(b"content").hexdigest()


def test_a_copy_is_the_same_bytes(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("m")
    answer = here.post("copy", source="m", destination="acme/n:1")
    assert (answer.status, answer.body, answer.content_type) == (200, b"", None)
    models = here.state()["models"]
    assert models["acme/n:1"] == models["m:latest"]


@pytest.mark.parametrize(
    ("source", "destination", "status", "error"),
    [
        ("ghost", "n", 404, 'model "ghost" not found'),
        ("a//b", "n", 400, 'source "a//b" is invalid'),
        ("m", "a//b", 400, 'destination "a//b" is invalid'),
        ("", "", 400, 'source "" is invalid'),
    ],
)
def test_copies_that_are_none(
    host: Callable[..., Talk], source: str, destination: str, status: int, error: str
) -> None:
    here = host()
    here.seed("m")
    answer = here.post("copy", source=source, destination=destination)
    assert (answer.status, answer.error) == (status, error)


def test_a_copy_onto_itself_is_not_even_looked_at(host: Callable[..., Talk]) -> None:
    assert host().post("copy", source="ghost", destination="ghost").status == 200


def test_blobs_go_with_their_last_model(host: Callable[..., Talk]) -> None:
    here = host()
    here.seed("m", system="Be kind.")
    here.seed("n")
    here.delete("m")
    assert len(here.state()["blobs"]) == 2
    assert here.delete("n").status == 200
    assert here.state()["blobs"] == {}


@pytest.mark.parametrize(
    ("model", "status", "error"),
    [
        ("ghost", 404, "model 'ghost' not found"),
        ("", 400, "model is required"),
        ("a//b", 400, 'name "a//b" is invalid'),
        ("m:local:cloud", 400, 'use either :local or :cloud, not both: "m:local:cloud"'),
    ],
)
def test_deletions_of_nothing(host: Callable[..., Talk], model: str, status: int, error: str) -> None:
    answer = host().delete(model)
    assert (answer.status, answer.error) == (status, error)


@pytest.mark.parametrize(
    ("model", "status", "told"),
    [
        ("ghost", 404, {"code": "not_found", "error": "model not found"}),
        ("a//b", 400, {"code": "bad_request", "error": 'invalid or missing name: "a//b"'}),
    ],
)
def test_one_release_has_other_words_for_it(
    host: Callable[..., Talk], model: str, status: int, told: dict[str, str]
) -> None:
    answer = host("0.5.13").delete(model)
    assert (answer.status, answer.content_type, answer.json) == (status, "application/json", told)


def test_deleting_a_corrupt_model_fails(host: Callable[..., Talk]) -> None:
    here = host()
    here.engine.store.write(Name.parse("m"), b"{")
    answer = here.delete("m")
    assert (answer.status, answer.error) == (500, "unexpected EOF")


def test_uploads(host: Callable[..., Talk]) -> None:
    here = host()
    path = f"/api/blobs/{DIGEST}"
    absent = here.ask("HEAD", path)
    assert (absent.status, absent.body) == (404, b"")
    assert here.ask("POST", path, b"content").status == 201
    assert here.ask("POST", path, b"whatever").status == 200
    assert here.ask("HEAD", path).status == 200
    assert here.ask("HEAD", path.replace("sha256:", "sha256-")).status == 200
    assert here.ask("HEAD", path.upper().replace("/API/BLOBS/SHA256", "/api/blobs/sha256")).status == 404


def test_an_upload_of_something_else_is_kept_under_its_own_digest(host: Callable[..., Talk]) -> None:
    here = host()
    wrong = "sha256:" + "0" * 64
    answer = here.ask("POST", f"/api/blobs/{wrong}", b"content")
    assert (answer.status, answer.error) == (400, f'digest mismatch, expected "{wrong}", got "{DIGEST}"')
    assert list(here.state()["blobs"]) == [DIGEST]


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_digests_that_are_none(host: Callable[..., Talk], method: str) -> None:
    answer = host().ask(method, "/api/blobs/sha256:abc", b"x")
    assert answer.status == 400


def test_a_full_disk(host: Callable[..., Talk]) -> None:
    here = host(disk=5000)
    here.seed("m", size=4500)
    answer = here.ask("POST", f"/api/blobs/{DIGEST}", b"content" * 200)
    assert (answer.status, answer.error) == (
        500,
        "write /var/lib/ollama/models/blobs/sha256-upload: no space left on device",
    )
    assert here.create("n", from_="m", system="x" * 1000).error.endswith("no space left on device")
    assert here.state()["disk_used"] <= 5000


def test_a_large_upload_is_kept_in_a_file_that_hosts_share(host: Callable[..., Talk]) -> None:
    content = bytes(range(256)) * (5 * CHUNK // 256)
    hosts = [host(), host()]
    digests = [here.upload(content) for here in hosts]
    found = [here.engine.store.blobs.open(digest) for here, digest in zip(hosts, digests, strict=True)]
    assert found[0] is found[1]
    assert isinstance(found[0], Filed)
    assert found[0].read(CHUNK, CHUNK + 300) == content[CHUNK : CHUNK + 300]
    assert found[0].read(len(content) - 5, len(content) + 5) == content[-5:]


@pytest.mark.parametrize(
    ("version", "hours", "left"), [("0.20.7", 0, 2), ("0.21.0", 0, 3), ("0.21.0", 2, 2), ("0.3.14", 2, 2)]
)
def test_a_start_cleans_up(host: Callable[..., Talk], version: str, hours: int, left: int) -> None:
    here = host(version)
    here.upload(b"content")
    here.seed("m")
    here.wait(hours * 3600)
    here.restart()
    assert (len(here.state()["blobs"]), here.names()) == (left, ["m:latest"])


def test_a_host_may_be_told_not_to(host: Callable[..., Talk]) -> None:
    here = host(noprune=True)
    here.upload(b"content")
    here.wait(7200)
    here.restart()
    assert len(here.state()["blobs"]) == 1


def test_contents_are_read_in_parts() -> None:
    for content in (Held(b"content"), Hollow(b"con", 7)):
        assert content.size == 7
        assert content.read(0, 3) == b"con"
        assert content.read(0, 99)[:3] == b"con"
        assert content.read(9, 99) == b""
    assert Hollow(b"con", 7).read(2, 5) == b"n\0\0"


def test_what_came_is_hashed_on_the_way() -> None:
    intake = Intake()
    for piece in (b"con", b"tent"):
        intake.add(piece)
    assert (intake.digest, intake.size, intake.content().read(0, 9)) == (DIGEST, 7, b"content")


def test_a_partial_download_can_be_rewound() -> None:
    partial = Partial()
    partial.add(b"content")
    partial.rewind(3)
    partial.add(b"trol")
    assert b"".join(partial.finished()) == b"control"


def test_paths_of_blobs() -> None:
    blobs = Blobs("/models/blobs", None, lambda: 0)
    assert blobs.path("") == "/models/blobs"
    assert blobs.path(DIGEST) == f"/models/blobs/{DIGEST.replace(':', '-')}"
    with pytest.raises(InvalidDigestError):
        blobs.path("sha256:nope")
    with pytest.raises(FileNotFoundError, match="no such file or directory"):
        blobs.open(DIGEST)


def test_a_wall_clock_may_be_given(host: Callable[..., Talk]) -> None:
    here = host(clock=lambda: 1_000_000_000.5)
    here.seed("m")
    assert here.show("m")["modified_at"] == "2001-09-09T01:46:40.5Z"

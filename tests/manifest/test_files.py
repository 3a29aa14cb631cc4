"""Which files are read, and which never."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest

from fleet.manifest import files
from fleet.manifest.faults import Faults, ManifestErrors, Misread
from fleet.manifest.files import find_sources, read_below
from fleet.manifest.load import load
from fleet.manifest.model_format import MOST_ENTRIES
from fleet.manifest.written import Loaded

ONE = "version: 1\nmodels: {%s: }\n"


def names(loaded: Loaded) -> list[str]:
    return [str(entry.name) for entry in loaded.entries]


def faults_of(*paths: str, folder: Path, **options: object) -> list[str]:
    with pytest.raises(ManifestErrors) as caught:
        load(paths, folder=str(folder), **options)  # type: ignore[arg-type] # as a test case gives them
    return [str(fault) for fault in caught.value.faults]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_folder_is_read_in_order_without_hidden_and_backup_files(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "sub/deep/c.yaml"):
        write(tmp_path / "all" / name, ONE % name.replace("/", "-"))
    for name in (".hidden.yaml", "d.yaml~", "#e.yaml", ".git/f.yaml", "g.json", "sub/h.yaml.swp", "README.md"):
        write(tmp_path / "all" / name, "wrong: [")
    found = find_sources(["all/"], tmp_path, Faults())
    assert [source.shown for source in found] == ["all/a.yaml", "all/b.yml", "all/sub/deep/c.yaml"]
    assert names(load(["all"], folder=str(tmp_path))) == ["a.yaml:latest", "b.yml:latest", "sub-deep-c.yaml:latest"]


def test_without_a_path_the_file_is_read_and_else_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "ollama-fleet" / "x.yaml", ONE % "folder")
    assert names(load(folder=str(tmp_path))) == ["folder:latest"]
    write(tmp_path / "ollama-fleet.yaml", ONE % "file")
    assert names(load(folder=str(tmp_path))) == ["file:latest"]


def test_without_a_path_and_without_a_file(tmp_path: Path) -> None:
    assert faults_of(folder=tmp_path) == ["ollama-fleet.yaml:1:1: there is no such file here"]


def test_standard_input_is_one_of_the_files(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", ONE % "a")
    loaded = load(["a.yaml", "-"], folder=str(tmp_path), stdin=io.BytesIO((ONE % "b").encode()))
    assert names(loaded) == ["b:latest", "a:latest"]
    assert loaded.entries[0].place.file == "-"


@pytest.mark.parametrize(("paths", "inventory"), [(["-", "-"], []), (["-"], ["-"])])
def test_standard_input_twice(paths: list[str], inventory: list[str], tmp_path: Path) -> None:
    text = b"version: 1\nhosts: {a: a.lan}\n"
    with pytest.raises(ManifestErrors, match="standard input can be read once only"):
        load(paths, inventory=inventory, folder=str(tmp_path), stdin=io.BytesIO(text))


def test_a_file_that_comes_up_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "all" / "a.yaml", "version: 1\nhosts: {a: a.lan}\nmodels: {m: }\n")
    (tmp_path / "all" / "b.yaml").symlink_to("a.yaml")
    assert names(load(["all", "all/a.yaml", "./all"], folder=str(tmp_path))) == ["m:latest"]


@pytest.mark.fault("D1", "D6")
def test_each_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "nothing.yaml", "")
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    paths = ("empty", "none.yaml", "nothing.yaml", "fifo.yaml", "/dev/null", "loop.yaml")
    found = faults_of(*paths, folder=tmp_path)
    assert found.pop(3).startswith("loop.yaml:1:1: cannot be read: ")
    assert found == [
        "/dev/null:1:1: this is a device, not a file",
        "empty:1:1: no `*.yaml` or `*.yml` file in this folder",
        "fifo.yaml:1:1: this is a FIFO, not a file",
        "none.yaml:1:1: cannot be read: No such file or directory",
        "nothing.yaml:1:1: the file holds no document",
    ]


def test_special_files_in_a_folder_do_not_stop_the_others(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    write(tmp_path / "b.yaml", "version: 2\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "c.yaml"))
        assert faults_of(".", folder=tmp_path) == [
            "./a.yaml:1:1: this is a FIFO, not a file",
            "./b.yaml:1:10: version: format 2 is not known here; wants `1`",
            "./c.yaml:1:1: cannot be read: No such device or address",
        ]


@pytest.mark.fault("D19", "U6")
def test_links_lead_about_inside_a_folder_and_never_out(tmp_path: Path) -> None:
    write(tmp_path / "outside.yaml", ONE % "secret")
    write(tmp_path / "all" / "..data" / "real.yaml", ONE % "inside")
    (tmp_path / "all" / "in.yaml").symlink_to("..data/real.yaml")
    assert names(load(["all"], folder=str(tmp_path))) == ["inside:latest"]
    (tmp_path / "all" / "out.yaml").symlink_to("../outside.yaml")
    (tmp_path / "all" / "folder").symlink_to("..data")
    assert faults_of("all", folder=tmp_path) == [
        "all/folder:1:1: a symbolic link to a folder is not followed",
        "all/out.yaml:1:1: leads out of its folder",
    ]


@pytest.mark.fault("D6")
def test_an_unreadable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "all" / "locked").mkdir(parents=True)
    write(tmp_path / "all" / "a.yaml", ONE % "a")
    (tmp_path / "all" / "locked").chmod(0)
    try:
        if os.access(tmp_path / "all" / "locked", os.R_OK):
            pytest.skip("this user may read everything")
        assert faults_of("all", folder=tmp_path) == ["all/locked:1:1: cannot be read: Permission denied"]
    finally:
        (tmp_path / "all" / "locked").chmod(0o700)


def test_names_of_files_are_shown_without_control_characters(tmp_path: Path) -> None:
    write(tmp_path / "all" / "a\x1b[31m.yaml", "version: 2\n")
    assert faults_of("all", folder=tmp_path)[0].startswith("all/a\\x1b[31m.yaml:1:10: ")


@pytest.mark.fault("D16")
def test_too_large_too_many_too_deep(tmp_path: Path) -> None:
    write(tmp_path / "large.yaml", "# " + "x" * files.MOST_BYTES)
    assert faults_of("large.yaml", folder=tmp_path) == ["large.yaml:1:1: larger than 1 MiB"]
    comment = "#" * (files.MOST_BYTES - 100)
    for number in range(17):
        write(tmp_path / "much" / f"{number:02}.yaml", f"{comment}\n{ONE % f'm{number}'}")
    assert faults_of("much", folder=tmp_path) == ["much/16.yaml:1:1: with this file, more than 16 MiB in all"]
    for number in range(files.MOST_FILES + 1):
        write(tmp_path / "many" / f"{number}.yaml", "")
    assert faults_of("many", folder=tmp_path) == ["many:1:1: more than 2,000 files"]
    write(tmp_path / "deep" / "/".join("d" * 40) / "x.yaml", ONE % "m")
    assert "more than 32 deep" in faults_of("deep", folder=tmp_path)[0]


def test_standard_input_has_the_limit_of_a_file(tmp_path: Path) -> None:
    stdin = io.BytesIO(b"#" * (files.MOST_BYTES + 1))
    assert faults_of("-", folder=tmp_path, stdin=stdin) == ["-:1:1: larger than 1 MiB"]


def test_below_a_folder_means_below_it_after_all_links(tmp_path: Path) -> None:
    write(tmp_path / "root" / "a" / "b.txt", "text")
    write(tmp_path / "out.txt", "secret")
    (tmp_path / "root" / "up").symlink_to("..")
    (tmp_path / "root" / "a" / "link.txt").symlink_to("../a/b.txt")
    root = tmp_path / "root"
    assert read_below(root, root / "a" / "b.txt") == b"text"
    assert read_below(root, root / "a" / "link.txt") == b"text"
    for path in (root / "up" / "out.txt", root / ".." / "out.txt", tmp_path / "out.txt"):
        with pytest.raises(Misread, match="leads out of its folder"):
            read_below(root, path)
    with pytest.raises(Misread, match="this is a folder, not a file"):
        read_below(root, root)


def test_texts_may_lie_in_file_roots_and_are_checked(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "ok.txt", "\ufeffshared")
    (tmp_path / "shared" / "bad.txt").write_bytes(b"\xff")
    (tmp_path / "shared" / "nul.txt").write_bytes(b"a\0b")
    write(tmp_path / "hosts.yaml", f"version: 1\nhosts: {{a: a.lan}}\nfile_roots: [{tmp_path}/shared]\n")
    manifest = "version: 1\nmodels: {m: {create: {from: x, system: {file: ../shared/%s.txt}}}}\n"
    write(tmp_path / "m" / "m.yaml", manifest % "ok")
    loaded = load(["m/m.yaml"], inventory=["hosts.yaml"], folder=str(tmp_path))
    assert list(loaded.texts.values()) == ["shared"]
    for name, why in (("bad", "not UTF-8"), ("nul", "holds a NUL byte")):
        write(tmp_path / "m" / "m.yaml", manifest % name)
        with pytest.raises(ManifestErrors, match=why):
            load(["m/m.yaml"], inventory=["hosts.yaml"], folder=str(tmp_path))


def test_credentials_are_looked_for_beside_the_inventory_and_in_their_own_folder(tmp_path: Path) -> None:
    text = "version: 1\nhosts: {'a-[1:2]': {url: '{name}.lan', auth: {bearer_file: '{name}.token'}, tls: {ca_file: ca.pem}}}\n"
    write(tmp_path / "inv" / "hosts.yaml", text)
    write(tmp_path / "inv" / "a-1.token", "1")
    write(tmp_path / "run" / "a-2.token", "2")
    loaded = load(["inv/hosts.yaml"], folder=str(tmp_path), credentials_dir=str(tmp_path / "run"))
    found = [(host.auth.secret.file if host.auth else None, host.tls) for host in loaded.hosts.values()]
    assert [file for file, _ in found] == [str(tmp_path / "inv/a-1.token"), str(tmp_path / "run/a-2.token")]
    assert [tls.ca_file if tls else None for _, tls in found] == [str(tmp_path / "inv/ca.pem")] * 2
    assert [str(host.place) for host in loaded.hosts.values()] == ["inv/hosts.yaml:2:9"] * 2


def test_a_credential_that_is_a_link_to_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "secret")
    write(tmp_path / "inv" / "h.yaml", "version: 1\nhosts: {a: {url: a.lan, auth: {bearer_file: t}}}\n")
    (tmp_path / "inv" / "t").symlink_to("../elsewhere")
    assert faults_of("inv/h.yaml", folder=tmp_path) == [
        "inv/h.yaml:2:9: hosts.a: `t` is outside the inventory's folder"
    ]


@pytest.mark.fault("D16")
def test_more_entries_than_anybody_has(tmp_path: Path) -> None:
    for part in "ab":
        entries = "".join(f"  {part}{number}:\n" for number in range(MOST_ENTRIES - 1))
        write(tmp_path / f"{part}.yaml", f"version: 1\nmodels:\n{entries}")
    assert faults_of("a.yaml", "b.yaml", folder=tmp_path) == ["b.yaml:4:3: models: more than 10,000 entries in all"]


def test_a_file_with_a_fault_on_each_line_is_left_early(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "version: 1\n" + "".join(f"k{number}: x\n" for number in range(50_000)))
    assert len(faults_of("a.yaml", "b.yaml", folder=tmp_path)) == 1001


def test_more_text_than_anybody_has(tmp_path: Path) -> None:
    for number in range(17):
        write(tmp_path / f"{number}.txt", "x" * files.MOST_BYTES)
    models = "".join(f"  m{number}: {{create: {{from: x, system: {{file: {number}.txt}}}}}}\n" for number in range(17))
    write(tmp_path / "a.yaml", f"version: 1\nmodels:\n{models}")
    assert faults_of("a.yaml", folder=tmp_path) == [
        "a.yaml:19:27: models.m16.create.system: 16.txt: texts of more than 16 MiB in all"
    ]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(Misread, match="no file can have such a name"):
        read_below(tmp_path, tmp_path / name)

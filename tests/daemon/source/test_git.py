"""A repository that is followed: commits flow, and whatever is wrong with them or on the way leaves everything alone."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from contextlib import aclosing
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.daemon.source.source import SourceUnreachable
from fleet.errors import InputError
from fleet.manifest.faults import ManifestErrors
from fleet.names import HostName
from tests.daemon.source.repositories import BROKEN, HOSTS, ONE, TWO, Remote, followed, kept_commits, look, models


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


def test_commits_flow(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    first = remote.push({"ollama-fleet.yaml": ONE})
    found = look(source)
    assert (models(found), found.revision, found.notes) == (["one:latest"], first, ())
    second = remote.push({"ollama-fleet.yaml": TWO})
    found = look(source)
    assert (models(found), found.revision, found.notes) == (["one:latest", "two:latest"], second, ())
    again = look(source)
    assert (again.fingerprint, again.sources) == (found.fingerprint, found.sources)


def test_the_sources_of_a_pass_are_the_same_for_every_commit(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    remote.push({"ollama-fleet.yaml": ONE})
    before = look(source).sources
    remote.push({"ollama-fleet.yaml": TWO})
    assert look(source).sources == before == (f"{remote.url} main .", str(tmp_path / "hosts.yaml"))


@pytest.mark.fault("D15")
def test_a_broken_commit_is_told_with_its_places_and_a_revert_heals_it(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url, git_path="prod")
    good = remote.push({"prod/models.yaml": ONE})
    look(source)
    remote.push({"prod/models.yaml": BROKEN, "prod/more.yaml": "version: 1\nmodels: {Two: {warm: sometimes}}\n"})
    for _ in range(2):
        with pytest.raises(ManifestErrors) as caught:
            look(source)
        assert [str(fault.place) for fault in caught.value.faults] == ["prod/models.yaml:2:16", "prod/more.yaml:2:22"]
        assert settings.state_dir not in str(caught.value)
    assert kept_commits(settings) == {good}
    remote.git("revert", "--no-edit", "HEAD")
    remote.send()
    assert models(look(source)) == ["one:latest"]


@pytest.mark.fault("D15")
def test_a_push_by_force_is_followed_and_said(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    remote.push({"ollama-fleet.yaml": ONE})
    former = remote.push({"other.txt": "x"})
    look(source)
    remote.git("reset", "--quiet", "--hard", "HEAD~1")
    now = remote.push({"ollama-fleet.yaml": TWO})
    for found in (look(source), look(source)):
        assert models(found) == ["one:latest", "two:latest"]
        assert found.notes == (
            f"`main` was pushed by force: {now[:12]} does not descend from {former[:12]}, which was followed before.",
        )
    remote.push({"other.txt": "y"})
    assert look(source).notes == ()


@pytest.mark.fault("D15")
def test_going_back_to_an_older_commit_is_allowed_and_said(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    old = remote.push({"ollama-fleet.yaml": ONE})
    new = remote.push({"ollama-fleet.yaml": TWO})
    look(source)
    remote.send(f"{old}:refs/heads/main")
    found = look(source)
    assert (models(found), found.revision) == (["one:latest"], old)
    assert found.notes == (
        f"`main` went back: {old[:12]} is an older commit than {new[:12]}, which was followed before.",
    )


def test_history_that_is_longer_than_what_is_kept_is_no_push_by_force(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    for number in range(6):
        remote.commit({"number.txt": str(number)})
    remote.push({"ollama-fleet.yaml": ONE})
    look(source)
    for number in range(12):
        remote.commit({"number.txt": str(-number)})
    remote.push({"ollama-fleet.yaml": TWO})
    assert look(source).notes == ()


@pytest.mark.fault("D15")
def test_a_deleted_branch_and_its_return(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    good = remote.push({"ollama-fleet.yaml": ONE})
    look(source)
    remote.git("update-ref", "-d", "refs/heads/main", where=remote.bare)
    with pytest.raises(SourceUnreachable, match=r"no branch or tag of that name: .*`main`"):
        look(source)
    assert kept_commits(settings) == {good}
    remote.send()
    assert models(look(source)) == ["one:latest"]


@pytest.mark.fault("D15")
def test_a_repository_that_is_not_there(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    good = remote.push({"ollama-fleet.yaml": ONE})
    look(source)
    remote.bare.rename(tmp_path / "elsewhere.git")
    with pytest.raises(SourceUnreachable, match=r"cannot be had: .*remote\.git") as caught:
        look(source)
    assert caught.value.code is Code.SOURCE_UNREACHABLE
    assert kept_commits(settings) == {good}
    (tmp_path / "elsewhere.git").rename(remote.bare)
    assert models(look(source)) == ["one:latest"]


@pytest.mark.fault("D15")
def test_nobody_listens(tmp_path: Path) -> None:
    source, _ = followed(tmp_path, "git://127.0.0.1:1/fleet.git")
    with pytest.raises(SourceUnreachable, match="unable to connect"):
        look(source)


def test_annotated_tags_are_followed_to_their_commit_and_branches_go_first(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url, git_ref="prod")
    first = remote.push({"ollama-fleet.yaml": ONE})
    remote.git("tag", "--annotate", "--message=x", "prod")
    remote.send("refs/tags/prod")
    assert look(source).revision == first
    second = remote.push({"ollama-fleet.yaml": TWO})
    remote.send("HEAD:refs/heads/prod")
    assert look(source).revision == second


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "remote")
    for path in (remote.bare, remote.tree):
        shutil.rmtree(path)
    remote.git(
        "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", str(remote.bare), where=tmp_path
    )
    remote.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main", str(remote.tree), where=tmp_path)
    remote.git("remote", "add", "origin", str(remote.bare))
    commit = remote.push({"ollama-fleet.yaml": ONE})
    assert len(commit) == 64
    assert look(followed(tmp_path, remote.url)[0]).revision == commit


def test_manifests_of_a_repository_name_no_hosts_unless_told(remote: Remote, tmp_path: Path) -> None:
    remote.push({"fleet.yaml": HOSTS + "models: {one: }\n", "hosts/hosts.yaml": HOSTS, "models/m.yaml": ONE})
    for more in ({"inventory": str(tmp_path / "hosts.yaml")}, {"inventory": None}):
        (tmp_path / "hosts.yaml").write_text(HOSTS)
        source, _ = followed(tmp_path, remote.url, git_path="fleet.yaml", **more)
        with pytest.raises(ManifestErrors, match=r"fleet\.yaml:2:1: hosts"):
            look(source)
    source, _ = followed(tmp_path, remote.url, git_path="models", git_inventory="hosts/hosts.yaml")
    assert models(look(source)) == ["one:latest"]


def test_without_an_inventory_this_machine_is_meant(remote: Remote, tmp_path: Path) -> None:
    remote.push({"m.yaml": ONE})
    found = look(followed(tmp_path, remote.url, inventory=None)[0])
    assert list(found.desired.hosts) == [HostName("local")]


def test_a_path_that_the_commit_does_not_have(remote: Remote, tmp_path: Path) -> None:
    commit = remote.push({"ollama-fleet.yaml": ONE})
    source, _ = followed(tmp_path, remote.url, git_path="prod")
    with pytest.raises(InputError, match=f"`prod` is not in the repository at commit {commit[:12]}"):
        look(source)


def test_the_lock_file_of_the_repository_is_followed(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    wanted = "version: 1\nmodels: {one: {pull: {update: locked}}}\n"
    remote.push({"fleet.yaml": wanted})
    with pytest.raises(InputError, match=r"ollama-fleet\.lock does not have it") as caught:
        look(source)
    assert settings.state_dir not in str(caught.value)
    line = f"one:latest sha256:{'a' * 64} sha256:{'b' * 64} 7 2026-01-31\n"
    remote.push({"ollama-fleet.lock": f"# fleet lock file, format 1\n{line}"})
    assert [str(name) for name in look(source).locked] == ["one:latest"]


def test_links_within_the_repository_are_followed_those_out_of_it_refuse_the_commit(
    remote: Remote, tmp_path: Path
) -> None:
    source, settings = followed(tmp_path, remote.url, git_path="prod")
    (remote.tree / "prod").mkdir()
    (remote.tree / "prod" / "m.yaml").symlink_to("../prod/real.yml")
    good = remote.push({"prod/real.yml": ONE})
    assert models(look(source)) == ["one:latest"]
    (remote.tree / "prod" / "p.txt").symlink_to("../../../../../../../etc/hostname")
    remote.push()
    with pytest.raises(InputError, match=r"the symbolic link `prod/p\.txt` leads out of the repository") as caught:
        look(source)
    assert caught.value.code is Code.COMMIT_REFUSED
    assert kept_commits(settings) == {good}
    remote.push({"prod/p.txt": None})
    assert models(look(source)) == ["one:latest"]


def test_submodules_and_pointers_are_said_and_not_followed(remote: Remote, tmp_path: Path) -> None:
    commit = remote.push(
        {"m.yaml": ONE, "w.gguf": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"}
    )
    remote.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/models")
    remote.git("commit", "--quiet", "--message=a submodule")
    remote.send()
    source, _ = followed(tmp_path, remote.url)
    assert look(source).notes == (
        "`vendor/models` is a submodule: submodules are not followed.",
        "`w.gguf` is a Git LFS pointer: their files are not fetched.",
    )


def test_files_of_a_commit_are_private_plain_files(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    (remote.tree / "run.sh").write_text("#!/bin/sh\n")
    (remote.tree / "run.sh").chmod(0o755)
    commit = remote.push({"m.yaml": ONE, ".gitattributes": "*.yaml ident eol=crlf\nm.yaml export-ignore\n"})
    look(source)
    (tree,) = Path(settings.state_dir).glob(f"git/*/commits/{commit}/tree")
    assert (tree / "m.yaml").read_text() == ONE
    assert {stat.S_IMODE(path.stat().st_mode) for path in tree.iterdir()} == {0o600}
    assert stat.S_IMODE(tree.stat().st_mode) == 0o700


def test_the_last_two_good_commits_stay(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    commits = []
    for number in range(3):
        commits.append(remote.push({"m.yaml": ONE, "number.txt": str(number)}))
        look(source)
    assert kept_commits(settings) == set(commits[-2:])


def test_files_of_what_was_in_force_stay_over_a_restart_with_a_broken_inventory(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    good = remote.push({"m.yaml": ONE})
    look(source)
    source, settings = followed(tmp_path, remote.url)
    (tmp_path / "hosts.yaml").write_text("version: 1\nhosts: {a: {}}\n")
    with pytest.raises(ManifestErrors):
        look(source)
    assert kept_commits(settings) == {good}


def test_packs_do_not_grow_without_end(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    for number in range(7):
        remote.push({"m.yaml": ONE, "number.txt": str(number)})
        look(source)
    assert len([*Path(settings.state_dir).glob("git/*/repository/objects/pack/*.pack")]) <= 5
    assert models(look(source)) == ["one:latest"]


def test_a_copy_that_is_damaged_is_had_again(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    remote.push({"m.yaml": ONE})
    look(source)
    (bare,) = Path(settings.state_dir).glob("git/*/repository")
    for pack in (bare / "objects" / "pack").iterdir():
        pack.chmod(0o600)
        pack.write_bytes(b"")
    remote.push({"m.yaml": TWO})
    assert models(look(source)) == ["one:latest", "two:latest"]


@pytest.mark.fault("K18")
def test_what_a_killed_run_left_does_no_harm(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    remote.push({"m.yaml": ONE})
    look(source)
    (folder,) = Path(settings.state_dir).glob("git/*")
    (folder / "config-left").write_text("a secret")
    (folder / "commits" / "new-left").mkdir()
    for name in ("shallow.lock", "refs/fleet/now.lock", "config.lock"):
        (folder / "repository" / name).write_text("")
    remote.push({"m.yaml": TWO})
    assert models(look(source)) == ["one:latest", "two:latest"]
    assert not (folder / "config-left").exists()
    assert not (folder / "commits" / "new-left").exists()


def test_hooks_of_the_copy_and_of_templates_are_not_run(remote: Remote, tmp_path: Path) -> None:
    source, settings = followed(tmp_path, remote.url)
    remote.push({"m.yaml": ONE})
    look(source)
    (bare,) = Path(settings.state_dir).glob("git/*/repository")
    assert not [*bare.glob("hooks/*")]
    (bare / "hooks").mkdir(exist_ok=True)
    hook = bare / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    remote.push({"m.yaml": TWO})
    look(source)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.fault("D15")
def test_a_repository_that_belongs_to_another_user_is_followed_since_it_was_named(
    remote: Remote, tmp_path: Path
) -> None:
    remote.push({"m.yaml": ONE})
    for path in (remote.bare, *remote.bare.rglob("*")):
        os.chown(path, 12345, 12345)
    assert models(look(followed(tmp_path, remote.url)[0])) == ["one:latest"]


def test_a_change_of_the_inventory_counts_without_a_commit(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    remote.push({"m.yaml": ONE})
    look(source)
    (tmp_path / "hosts.yaml").write_text("version: 1\nhosts: {b: b.lan}\n")
    assert list(look(source).desired.hosts) == [HostName("b")]


def test_a_move_is_noticed_and_where_nothing_moved_nothing_comes(remote: Remote, tmp_path: Path) -> None:
    async def run() -> None:
        source, _ = followed(tmp_path, remote.url, inventory=None)
        remote.push({"m.yaml": ONE})
        await source.look()
        async with aclosing(source.changes()) as changes:
            coming = asyncio.ensure_future(anext(changes))
            done, _ = await asyncio.wait([coming], timeout=0.3)
            assert not done, "nothing moved"
            remote.push({"m.yaml": TWO})
            assert await asyncio.wait_for(coming, 10) == "git"

    asyncio.run(run())


def test_an_announced_move_is_noticed_long_before_the_next_look(remote: Remote, tmp_path: Path) -> None:
    async def run() -> None:
        source, _ = followed(tmp_path, remote.url, inventory=None, git_interval=3600.0)
        remote.push({"m.yaml": ONE})
        await source.look()
        async with aclosing(source.changes()) as changes:
            coming = asyncio.ensure_future(anext(changes))
            remote.push({"m.yaml": TWO})
            source.moved()
            assert await asyncio.wait_for(coming, 10) == "git"

    asyncio.run(run())


def test_only_pushes_to_the_followed_ref_concern_it(remote: Remote, tmp_path: Path) -> None:
    source, _ = followed(tmp_path, remote.url)
    refs = ("refs/heads/main", "refs/tags/main", "refs/heads/other", "main")
    assert [source.concerns(ref) for ref in refs] == [True, True, False, False]


def test_a_change_of_the_inventory_is_noticed(remote: Remote, tmp_path: Path) -> None:
    async def run() -> None:
        source, _ = followed(tmp_path, remote.url, git_interval=3600.0)
        remote.push({"m.yaml": ONE})
        await source.look()
        async with aclosing(source.changes()) as changes:
            coming = asyncio.ensure_future(anext(changes))
            while not coming.done():
                # Until the system watches, nothing is noticed: it is written again.
                (tmp_path / "hosts.yaml").write_text("version: 1\nhosts: {b: b.lan}\n")
                await asyncio.wait([coming], timeout=0.3)
            assert coming.result() == "files"

    asyncio.run(run())


def test_what_it_is_called_shows_no_more_than_needed(tmp_path: Path) -> None:
    source, _ = followed(tmp_path, "ssh://git@forge.lan/fleet.git", git_path="prod", git_ref="v1")
    assert source.what == f"ssh://forge.lan/fleet.git at `v1`, `prod` (inventory: {tmp_path}/hosts.yaml)"

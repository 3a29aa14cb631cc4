"""Addresses, refs and paths: none can be an option of `git`, hold a credential, or lead somewhere else."""

from __future__ import annotations

import pytest

from fleet.daemon.source.choosing import source_of
from fleet.daemon.source.git_address import address
from fleet.errors import InputError
from fleet.settings import Settings


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("https://forge.lan/a/b.git", "https"),
        ("https://forge.lan:8443/a", "https"),
        ("https://[::1]:8443/a", "https"),
        ("ssh://git@forge.lan:2222/a", "ssh"),
        ("git@forge.lan:a/b.git", "ssh"),
        ("git://forge.lan/a", "git"),
        ("file:///srv/a.git", "file"),
    ],
)
def test_addresses_that_are_taken(url: str, scheme: str) -> None:
    assert address(url, "main", ".").scheme == scheme


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://forge.lan/a", "is no address of a repository that is taken"),
        ("ext::sh -c touch% /tmp/x", "is no address of a repository that is taken"),
        ("/srv/a.git", "is no address of a repository that is taken"),
        ("--upload-pack=touch x", "is no address of a repository that is taken"),
        ("-oProxyCommand=x@host:a", "is no address of a repository that is taken"),
        ("git@-oProxyCommand=x:a", "is no address of a repository that is taken"),
        ("git@forge.lan:-a", "is no address of a repository that is taken"),
        ("ssh://-oProxyCommand=x/a", "names no host"),
        ("ssh://-x@forge.lan/a", "has a user that no machine has"),
        ("https://me:secret@forge.lan/a", "holds a user or password"),
        ("https://secret@forge.lan/a", "holds a user or password"),
        ("ssh://git:secret@forge.lan/a", "holds a user or password"),
        ("https://forge.lan/a?token=secret", "has a query or fragment"),
        ("https://forge.lan/a b", "characters that no address has"),
        ("https://forge.lan/a\nb", "characters that no address has"),
        ("https:///a", "names no host"),
        ("https://forge.lan:port/a", "is no address"),
        ("file://elsewhere/a", "names another machine"),
        ("file://a", "names another machine"),
    ],
)
def test_addresses_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(InputError, match=f"git_url: .*{message}") as caught:
        address(url, "main", ".")
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("ref", ["main", "release/1.2", "v1.0.0", "refs/heads/x", "ä", "a-b"])
def test_refs_that_are_taken(ref: str) -> None:
    assert address("file:///a", ref, ".").ref == ref


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a:b",
        "a^",
        "a~1",
        "a*",
        "@{u}",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a.lock",
        "a\n",
    ],
)
def test_refs_that_are_refused(ref: str) -> None:
    with pytest.raises(InputError, match="git_ref: "):
        address("file:///a", ref, ".")


@pytest.mark.parametrize("path", ["", "/etc", "../x", "a/../../x", "-x", ".git/config", "a/.git", "a\nb"])
def test_paths_that_lead_out_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="git_path: "):
        address("file:///a", "main", path)
    with pytest.raises(InputError, match="git_inventory: "):
        address("file:///a", "main", ".", path)


def test_each_address_has_a_folder_of_its_own() -> None:
    told = [("file:///a", "b", "c"), ("file:///a", "bc", "."), ("file:///ab", "c", "."), ("file:///a", "b", ".")]
    assert len({address(*one).key for one in told}) == len(told)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "nothing says where manifests come from"),
        ({"manifests": "/a", "git_url": "file:///a"}, "`manifests` and `git_url` exclude each other"),
        ({"git_url": "file:///a", "inventory": "/a", "git_inventory": "b"}, "exclude each other"),
        ({"git_url": "ssh://git@forge.lan/a", "git_credentials_file": "/a"}, "`https://` alone"),
    ],
)
def test_settings_that_do_not_go_together(more: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        source_of(Settings(**more))  # type: ignore[arg-type]

"""Which repository is followed, by which ref, and what of it is read: checked before `git` hears of it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from fleet.codes import Code
from fleet.errors import InputError
from fleet.foreign import clean

SCHEMES = ("https", "ssh", "git", "file")

_SHORT_SSH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^/\s-][^\s]*\Z")
"""`git@host:path`, as forges show it."""
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:_-]*\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_REF_WRONG = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|\.lock(?:/|\Z)|(?:\A|/)\.|\.\Z|/\Z|\A/|\A-|\A@\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """What is followed. None of it can be taken for an option, and none holds a credential."""

    url: str
    ref: str
    path: str
    """Of manifests, relative to the repository's root; `.` is the root."""
    inventory: str | None = None
    """Likewise, where the inventory is in the repository too."""

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0] if "://" in self.url else "ssh"

    @property
    def origin(self) -> str:
        """Scheme, host and port, as `git` matches `http.<url>` by."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/"

    @property
    def refs(self) -> tuple[str, ...]:
        """The full names that the ref may mean, in order: a branch goes before a tag."""
        return (self.ref,) if self.ref.startswith("refs/") else (f"refs/heads/{self.ref}", f"refs/tags/{self.ref}")

    @property
    def paths(self) -> tuple[str, ...]:
        """All that is read of the repository."""
        return (self.path,) if self.inventory is None else (self.path, self.inventory)

    @property
    def key(self) -> str:
        """A name for the folder that belongs to this address alone."""
        told = json.dumps([self.url, self.ref, self.path, self.inventory])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """For people."""
        return f"{clean(self.url)} at `{clean(self.ref)}`, `{clean(self.path)}`"


def address(url: str, ref: str, path: str, inventory: str | None = None) -> Address:
    """Raises `InputError` naming the setting."""
    _check_url(url)
    if _REF_WRONG.search(ref) or not ref:
        raise _wrong("git_ref", f"`{clean(ref)}` is no name of a branch or tag")
    return Address(
        url, ref, _inside("git_path", path), None if inventory is None else _inside("git_inventory", inventory)
    )


def _check_url(url: str) -> None:
    if _SHORT_SSH.match(url):
        return
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in SCHEMES:
        hint = (
            f"write `file://{url}`"
            if url.startswith("/")
            else f"it begins with {', '.join(f'`{one}://`' for one in SCHEMES)}"
        )
        raise _wrong("git_url", f"`{clean(url)}` is no address of a repository that is taken", hint)
    if not rest.isprintable() or " " in rest:
        raise _wrong("git_url", "it has characters that no address has")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise _wrong("git_url", f"`{clean(url)}` is no address") from None
    if parts.query or parts.fragment:
        raise _wrong("git_url", f"`{clean(url)}` has a query or fragment, which no repository has")
    if parts.password is not None or (parts.username is not None and scheme != "ssh"):
        raise _wrong(
            "git_url",
            "it holds a user or password, which every listing of processes would show",
            "put `USER:TOKEN` into a private file, and name that as `git_credentials_file`",
        )
    if parts.username is not None and not _USER.match(parts.username):
        raise _wrong("git_url", f"`{clean(url)}` has a user that no machine has")
    if scheme == "file" and (host or not parts.path.startswith("/")):
        raise _wrong("git_url", f"`{clean(url)}` names another machine", "write `file:///absolute/path`")
    if scheme != "file" and (not host or not _HOST.match(host)):
        raise _wrong("git_url", f"`{clean(url)}` names no host")


def _inside(setting: str, path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith(("/", "-")) or ".." in parts or not path.isprintable() or ".git" in parts:
        raise _wrong(setting, f"`{clean(path)}` is no path within a repository", "write it relative to its root")
    return str(PurePosixPath(path))


def _wrong(setting: str, text: str, hint: str | None = None) -> InputError:
    return InputError(f"{setting}: {text}", code=Code.SETTINGS_WRONG, hint=hint)

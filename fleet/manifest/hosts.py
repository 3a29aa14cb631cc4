"""Puts the inventory together: ranges written out, groups merged in, credentials' files found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from fleet.manifest.address import check_address
from fleet.manifest.document import Document
from fleet.manifest.faults import Faults, Misread, nearest, quoted, shown
from fleet.manifest.files import reasons, resolved
from fleet.manifest.inventory import Auth, Capacity, Host, Place, Secret, Tls
from fleet.manifest.inventory_format import (
    AUTH,
    CAPACITY,
    DISK,
    EPHEMERAL,
    GROUPS,
    HOSTS,
    IN_GROUP,
    LABELS,
    LOADED,
    MARKER,
    SUSPEND,
    TLS,
    URL,
    VRAM,
    tls_of,
)
from fleet.manifest.ranges import MOST_HOSTS, fill
from fleet.manifest.record import Fields, Given, Key
from fleet.manifest.words import host_key, host_names
from fleet.names import HostName

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one host or group says, and the folder that its paths start from."""

    fields: Fields
    folder: str
    place: Place


def assemble_hosts(documents: list[Document], faults: Faults, credentials_dir: str | None) -> dict[HostName, Host]:
    """The hosts of all documents by name, in order. Credentials may lie below their document's folder or the other."""
    groups = _groups(documents, faults)
    if _too_many(documents, faults):
        return {}
    found: dict[HostName, Host] = {}
    places: dict[str, Place] = {}
    for document in documents:
        for key, given in (document.fields[HOSTS] or {}).items():
            path = f"hosts.{shown(key)}"
            part = _Part(_as_fields(given), document.folder, given.place)
            group_name = part.fields[IN_GROUP]
            group = groups.get(group_name) if group_name else None
            if group_name and group is None:
                place = part.fields.given["group"].place
                faults.add(place, f"{path}.group", f"no group is called `{group_name}`", nearest(group_name, groups))
                continue
            for name in host_names(key):
                if (before := places.get(name.lower())) is not None:
                    faults.add(given.place, path, f"the host `{name}` is at {before} already")
                    continue
                places[name.lower()] = given.place
                try:
                    host = _host(name, part, group_name, group, credentials_dir)
                except Misread as error:
                    faults.add(given.place, path, f"{error} (for `{name}`)" if key != name else str(error), error.hint)
                    break
                found[name] = host
    return dict(sorted(found.items()))


def _too_many(documents: list[Document], faults: Faults) -> bool:
    """Counts the hosts before any range is written out; more than allowed are a fault."""
    total = 0
    for document in documents:
        for key, given in (document.fields[HOSTS] or {}).items():
            total += host_key(key)
            if total > MOST_HOSTS:
                faults.add(given.place, f"hosts.{shown(key)}", f"more than {MOST_HOSTS:,} hosts")
                return True
    return False


def _groups(documents: list[Document], faults: Faults) -> dict[str, _Part]:
    found: dict[str, _Part] = {}
    for document in documents:
        for name, given in (document.fields[GROUPS] or {}).items():
            if name in found:
                faults.add(given.place, f"groups.{name}", f"the group is at {found[name].place} already")
            found.setdefault(name, _Part(given.value, document.folder, given.place))
    return found


def _as_fields(given: Given[str | Fields]) -> Fields:
    if isinstance(given.value, Fields):
        return given.value
    return Fields(given.place, {URL.name: Given(given.value, given.place)})


def _host(
    name: HostName, part: _Part, group_name: str | None, group: _Part | None, credentials_dir: str | None
) -> Host:
    parts = (part, group) if group else (part,)
    labels: dict[str, str] = {}
    for one in reversed(parts):
        labels |= {key: given.value for key, given in (one.fields[LABELS] or {}).items()}
    known = {**labels, "name": str(name), **({"group": group_name} if group_name else {})}
    url = _first(parts, URL)
    if url is None:
        raise Misread("`url` is missing", hint="write it here or in the host's group")
    return Host(
        name=name,
        url=check_address(fill(url[0], known)),
        place=part.place,
        group=group_name,
        labels=labels,
        auth=_auth(parts, known, credentials_dir),
        tls=_tls(parts, known, credentials_dir),
        capacity=Capacity(_within(parts, DISK), _within(parts, VRAM), _within(parts, LOADED)),
        suspended=_suspended(parts),
        ephemeral=(_first(parts, EPHEMERAL) or (False, ""))[0],
        marker=part.fields[MARKER],
    )


def _first(parts: tuple[_Part, ...], key: Key[T]) -> tuple[T, str] | None:
    """The value of the first part that says one, with its folder."""
    for part in parts:
        if (given := part.fields.find(key)) is not None:
            return given.value, part.folder
    return None


def _within(parts: tuple[_Part, ...], key: Key[int]) -> int | None:
    """A number of the capacity, each from the first part that says it."""
    for part in parts:
        capacity = part.fields[CAPACITY]
        if capacity is not None and capacity[key] is not None:
            return capacity[key]
    return None


def _suspended(parts: tuple[_Part, ...]) -> str | None:
    said = _first(parts, SUSPEND)
    return said[0] if said else None


def _auth(parts: tuple[_Part, ...], known: dict[str, str], credentials_dir: str | None) -> Auth | None:
    said = _first(parts, AUTH)
    if said is None or said[0].secret.file is None:
        return said[0] if said else None
    auth, folder = said
    return replace(auth, secret=Secret(file=_credential(auth.secret.file, folder, known, credentials_dir)))


def _tls(parts: tuple[_Part, ...], known: dict[str, str], credentials_dir: str | None) -> Tls | None:
    said = _first(parts, TLS)
    if said is None:
        return None
    tls = tls_of(said[0])
    if tls.key_file and not tls.cert_file:
        raise Misread("`tls.key_file` needs `tls.cert_file`")
    ca_file, cert_file, key_file = (
        _credential(file, said[1], known, credentials_dir) if file else None
        for file in (tls.ca_file, tls.cert_file, tls.key_file)
    )
    return Tls(ca_file, cert_file, key_file, tls.server_name)


def _credential(template: str | None, folder: str, known: dict[str, str], credentials_dir: str | None) -> str:
    """The path of a credential's file, which need not be there yet. Raises `Misread` outside its folders."""
    path = fill(template or "", known)
    roots = [resolved(Path(one)) for one in (folder, credentials_dir) if one]
    inside = [root / path for root in roots if any(resolved(root / path).is_relative_to(one) for one in roots)]
    if not inside or ".." in Path(path).parts:
        hint = "move the file, or name its folder as `credentials_dir` in the settings"
        raise Misread(f"{quoted(path)} is outside the inventory's folder", hint=hint)
    with reasons():
        return str(next((full for full in inside if full.exists()), inside[0]))

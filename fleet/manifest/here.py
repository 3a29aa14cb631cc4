"""Puts this machine among the hosts: the one host of a fleet without inventory, or the one that `--self` names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.manifest.address import check_address
from fleet.manifest.document import Document
from fleet.manifest.faults import Faults, Misread, nearest, quoted
from fleet.manifest.inventory import Host, Place
from fleet.manifest.inventory_format import HOSTS
from fleet.manifest.words import label_key, label_value
from fleet.manifest.written import Where
from fleet.names import HostName, InvalidName

LOCAL = HostName("local")
COMMAND_LINE = Place("<command line>", 1, 1)


@dataclass(frozen=True, slots=True)
class Here:
    """What the command line and OLLAMA_HOST say about this machine."""

    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """The hosts with this machine among them. `partial` says that others may exist that are not known here."""

    hosts: dict[HostName, Host]
    myself: HostName | None = None
    partial: bool = False


def place_here(
    hosts: dict[HostName, Host], documents: Sequence[Document], here: Here, faults: Faults, *, inventory_apart: bool
) -> Placed:
    """Finds or makes the host that this machine is; wrong settings of it go to `faults`."""
    declared = inventory_apart or any(HOSTS.name in document.fields.given for document in documents)
    if here.name is None and declared:
        if not hosts and not faults.found:
            place = documents[0].fields.place if documents else COMMAND_LINE
            faults.add(place, HOSTS.name, "the inventory has no host")
        return Placed(hosts)
    try:
        address = check_address(here.address, lenient=True)
    except Misread as error:
        faults.add(Place("$OLLAMA_HOST", 1, 1), "", str(error), error.hint)
        return Placed(hosts)
    if here.name is None:
        return _alone(documents, address, faults)
    labels = _labels(here.labels, faults)
    if declared:
        return _of_inventory(hosts, here.name, address, labels, faults)
    try:
        name = HostName.parse(here.name)
    except InvalidName as error:
        faults.add(COMMAND_LINE, "--self", str(error))
        return Placed(hosts)
    return Placed({name: Host(name, address, COMMAND_LINE, labels=labels)}, name, partial=True)


def _of_inventory(
    hosts: dict[HostName, Host], name: str, address: str, labels: dict[str, str], faults: Faults
) -> Placed:
    known = hosts.get(HostName(name))
    if known is None:
        faults.add(COMMAND_LINE, "--self", f"no host of the inventory is called {quoted(name)}", nearest(name, hosts))
        return Placed(hosts)
    # Credentials and certificates of the inventory are for the way from outside; here the server is reached directly.
    direct = replace(known, url=address, labels={**known.labels, **labels}, auth=None, tls=None)
    return Placed({**hosts, known.name: direct}, known.name)


def _alone(documents: Sequence[Document], address: str, faults: Faults) -> Placed:
    for document in documents:
        for where in _selectors(document):
            hint = "write `hosts`, name an inventory by `-i`, or say by `--self` which host this is"
            faults.add(where.place, where.path, "there are no hosts to choose from", hint)
            return Placed({})
    return Placed({LOCAL: Host(LOCAL, address, COMMAND_LINE)})


def _selectors(document: Document) -> Iterator[Where]:
    if document.where is not None:
        yield document.where
    for entry in document.entries:
        if entry.where is not None:
            yield entry.where
        for override in entry.overrides:
            yield override.where


def _labels(labels: Mapping[str, str], faults: Faults) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in labels.items():
        try:
            found[label_key(key)] = label_value(value)
        except Misread as error:
            faults.add(COMMAND_LINE, "--label", str(error), error.hint)
    return found

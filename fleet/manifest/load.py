"""Reads inventory and manifests from files, all of them or none; contacts no host.

Every fault that can be seen is reported at once: also those between entries, unless the inventory itself is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from fleet.manifest.desired import examine
from fleet.manifest.faults import Faults, ManifestErrors, TooManyFaults
from fleet.manifest.files import DEFAULTS, STDIN, default_paths
from fleet.manifest.gather import Gathering
from fleet.manifest.here import Here, place_here
from fleet.manifest.hosts import assemble_hosts
from fleet.manifest.inventory import Place
from fleet.manifest.inventory_format import FILE_ROOTS
from fleet.manifest.merge import merge_name, merge_policy, merge_registries
from fleet.manifest.model_format import MOST_ENTRIES
from fleet.manifest.reading import SLOW
from fleet.manifest.texts import read_modelfiles, read_texts
from fleet.manifest.weights import find_weights
from fleet.manifest.written import Entry, Loaded


def load(
    paths: Sequence[str] = (),
    *,
    inventory: Sequence[str] = (),
    folder: str = ".",
    stdin: BinaryIO | None = None,
    self_name: str | None = None,
    self_labels: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    credentials_dir: str | None = None,
    apart: bool = False,
) -> Loaded:
    """What the files say: `paths` as `-f` takes them (none: the defaults in `folder`), `inventory` as `-i` does.

    `apart` refuses the keys of an inventory in `paths` even where there is none: for manifests that others may change.
    `self_name` is the host that this machine is; of `environ`, OLLAMA_HOST alone is read. Raises `ManifestErrors`.
    """
    faults = Faults()
    here = Here(self_name, self_labels or {}, (environ or {}).get("OLLAMA_HOST", ""))
    gathering = Gathering(Path(folder), stdin, faults)
    try:
        loaded = _load(list(paths), list(inventory), gathering, here, credentials_dir, apart=apart or bool(inventory))
        if all(fault.path.startswith("models.") for fault in faults.found):
            faults.found.extend(examine(loaded)[1])
    except TooManyFaults:
        raise ManifestErrors(faults.found) from None
    if faults.found:
        raise ManifestErrors(faults.found)
    return loaded


def _load(
    paths: list[str],
    inventory: list[str],
    gathering: Gathering,
    here: Here,
    credentials_dir: str | None,
    *,
    apart: bool,
) -> Loaded:
    faults = gathering.faults
    if not paths:
        paths = default_paths(gathering.folder)
        if not paths:
            hint = f"write `{DEFAULTS[0]}` or a folder `{DEFAULTS[1]}/`, or name files by `-f`"
            faults.add(Place(DEFAULTS[0], 1, 1), "", "there is no such file here", hint)
    if [*inventory, *paths].count(STDIN) > 1:
        faults.add(Place(STDIN, 1, 1), "", "standard input can be read once only")
        paths = [path for path in paths if path != STDIN]
    documents = gathering.documents(inventory, inventory_apart=False)
    documents += gathering.documents(paths, inventory_apart=apart)
    hosts = assemble_hosts(documents, faults, credentials_dir)
    placed = place_here(hosts, documents, here, faults, inventory_apart=bool(inventory))
    entries = tuple(sorted((entry for document in documents for entry in document.entries), key=_by_place))
    if len(entries) > MOST_ENTRIES:
        faults.add(entries[MOST_ENTRIES].place, "models", f"more than {MOST_ENTRIES:,} entries in all")
        entries = ()
    known = tuple(placed.hosts.values())
    roots = [Path(document.folder, root) for document in documents for root in document.fields[FILE_ROOTS] or ()]
    modelfiles = read_modelfiles(entries, known, roots)
    return Loaded(
        name=merge_name(documents, faults),
        hosts=placed.hosts,
        entries=entries,
        policy=merge_policy(documents, faults),
        registries=merge_registries(documents, faults),
        texts=read_texts(entries, known, roots),
        modelfiles=modelfiles,
        weights=find_weights(entries, known, modelfiles, roots),
        self_name=placed.myself,
        partial=placed.partial,
        notes=("PyYAML was installed without its C parser: reading takes 19 times as long",) if SLOW else (),
    )


def _by_place(entry: Entry) -> Place:
    return entry.place

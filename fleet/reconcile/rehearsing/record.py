"""The record that a rehearsal begins with: what fleet knew of the hosts when their snapshot was taken."""

from __future__ import annotations

from fleet.codes import Code
from fleet.errors import InputError
from fleet.foreign import clean
from fleet.names import Digest, HostName, ModelName
from fleet.reconcile.content import content_hash
from fleet.reconcile.rehearsing.host_copies import content_of
from fleet.reconcile.rehearsing.kept_memory import memory_of, pushed_of
from fleet.reconcile.rehearsing.snapshot import Snapshot
from fleet.reconcile.rehearsing.stand_ins import questions
from fleet.reconcile.rehearsing.texts import Texts
from fleet.reconcile.run import Pass
from fleet.state.digests import Digests
from fleet.state.remembered import Remembered

_OTHERS = "other manifests"


def record_of(snapshot: Snapshot, meant: Pass, played: Pass, texts: Texts) -> Remembered:
    """Of the pass that is `meant`, as the one that is `played` on copies compares with it: their addresses, their
    contents, and what is asked of them stand for the real ones. Raises `InputError` for what no fleet wrote.
    """
    hashes = {kept.hash: content_hash(content_of(kept, texts)) for kept in snapshot.contents.values()}
    asked = questions(meant.desired)
    items = {} if snapshot.asked is None else {played.scope: snapshot.asked}
    # A proposal is read from another place than what is in force, and stands in for it.
    sources = dict.fromkeys(items, played.told_sources)
    if snapshot.others:
        items[_OTHERS] = 1
    try:
        hosts = {
            name: memory_of(kept.remembered, played.desired.hosts[name].host.url, hashes, asked)
            for name, kept in ((HostName(name), kept) for name, kept in snapshot.hosts.items())
            if kept.remembered is not None and name in played.desired.hosts
        }
        pushed = {ModelName.parse(name): pushed_of(each) for name, each in snapshot.pushed.items()}
    except ValueError as fault:
        raise InputError(
            f"the snapshot is damaged: a record in it is none: {clean(str(fault), limit=200)}",
            code=Code.SNAPSHOT_WRONG,
            hint=Code.SNAPSHOT_WRONG.cure,
        ) from fault
    return Remembered(items, hosts, pushed, sources)


def keep_recorded_forms(snapshot: Snapshot, digests: Digests) -> None:
    """Which digests stand for one image, so that a pin in either form is known by what a host lists."""
    for digest, forms in sorted(snapshot.forms.items()):
        for form in forms:
            digests.keep_forms(Digest(form), Digest(digest))

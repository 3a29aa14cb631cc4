"""Texts of models between a snapshot, which has their hashes, and a rehearsal, which needs something to stand for them.

A text whose hash is that of a text in the manifests is that text, so that the same compares as the same. Any other is
stood for by one that says what it stands for, and differs from everything that somebody declared. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from fleet.manifest.item import Create, Desired
from fleet.reconcile.compare import NO_TEMPLATE
from fleet.reconcile.difference import Change
from fleet.reconcile.rehearsing.snapshot import KeptText

_UNKNOWN = "a text of which the snapshot has only parts"


def kept_text(text: str, *, whole: bool) -> KeptText:
    """Hash and size of a text, with the text itself where it is to be kept whole."""
    # Halves of characters cannot be kept in a file.
    sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    raw = sound.encode()
    return KeptText(hashlib.sha256(raw).hexdigest(), len(raw), sound if whole else None)


class Texts:
    """The texts that are known, by their hashes, and those that stand for others."""

    def __init__(self, declared: Iterable[str]) -> None:
        self._known = {hashlib.sha256(text.encode(errors="replace")).hexdigest(): text for text in declared}
        self._stand_ins: dict[str, KeptText] = {}

    def of(self, kept: KeptText | None) -> str:
        """The text itself, or what stands for it; empty for none."""
        if kept is None or not kept.size:
            return ""
        known = kept.text if kept.text is not None else self._known.get(kept.sha256)
        if known is not None:
            return known
        stand_in = f"[a text of {kept.size} bytes that the snapshot does not have: sha256:{kept.sha256}]"
        self._stand_ins[stand_in] = kept
        return stand_in

    def as_recorded(self, change: Change) -> Change:
        """A change as a plan on the hosts themselves would tell it: by hash and size of what was stood for."""
        if not change.sensitive or not self._stands(f"{change.old}\n{change.new}"):
            return change
        return replace(change, old=self._summary(change.old), new=self._summary(change.new), sensitive=False)

    def _stands(self, text: str) -> bool:
        return any(stand_in in text for stand_in in self._stand_ins)

    def _summary(self, text: str | None) -> str | None:
        if not text:
            return text
        kept = self._stand_ins.get(text)
        if kept is None and self._stands(text):
            return _UNKNOWN
        kept = kept or kept_text(text, whole=False)
        return f"sha256:{kept.sha256[:12]} ({kept.size} bytes)"


def declared_texts(desired: Desired) -> Iterator[str]:
    """Every text that an entry declares, and those that servers show where there is none."""
    yield from ("", NO_TEMPLATE)
    for item in {id(item): item for host in desired.hosts.values() for item in host.items}.values():
        source = item.source
        if isinstance(source, Create):
            yield from (text for text in (source.system, source.template, *source.license) if text is not None)
            yield from (message.content for message in source.messages)

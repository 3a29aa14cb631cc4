"""The last good manifests as one text, to be in force again after a restart. It holds no secrets: nor do manifests."""

from __future__ import annotations

import json

from fleet.daemon.source.reading import Snapshot
from fleet.manifest.kept import dump, restore
from fleet.registry.locked import lock_text, parse_lock

FORMAT = 1


def kept_text(snapshot: Snapshot) -> str:
    """All of it, its notes aside."""
    return json.dumps(
        {
            "format": FORMAT,
            "fingerprint": snapshot.fingerprint,
            "sources": list(snapshot.sources),
            "locked": lock_text(snapshot.locked.values()),
            "desired": dump(snapshot.desired),
        }
    )


def restored(text: str, revision: str) -> Snapshot:
    """Raises `ValueError` and `fleet.errors.InputError` for a text that no such fleet wrote."""
    found = json.loads(text)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError("it is of another version of fleet")
    try:
        locked, faults = parse_lock(found["locked"])
        fingerprint, sources = str(found["fingerprint"]), tuple(map(str, found["sources"]))
        desired = restore(found["desired"])
    except (KeyError, TypeError) as error:
        raise ValueError("it is not whole") from error
    if faults:
        raise ValueError(f"its lock file: {faults[0][1]}")
    return Snapshot(desired, fingerprint, revision, sources, locked, ())

"""What a snapshot came to: a few lines for people, a document for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fleet.errors import ExitCode
from fleet.quantities import show_size
from fleet.reconcile.rehearsing.snapshot import Snapshot
from fleet.render.paint import PLAIN, Paint
from fleet.render.words import counted, name, sentence
from fleet.render.writing import FORMAT, cleaned


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that was written."""

    snapshot: Snapshot
    file: str
    size: int
    """Bytes of the file."""
    texts: bool
    """Whether texts are in it."""
    exit_code: ExitCode


def taken_text(taken: Taken, *, paint: Paint = PLAIN) -> str:
    """Ending with a newline."""
    snapshot = taken.snapshot
    lines = [
        f"{paint.bad('!')} {name(host)}: {sentence(why.message)} ({sentence(why.code)})"
        for host, why in snapshot.unobserved.items()
    ]
    models = sum(len(host.models) for host in snapshot.hosts.values())
    running = sum(len(host.running) for host in snapshot.hosts.values())
    told = [
        counted(len(snapshot.hosts), "host"),
        f"{counted(models, 'model')} ({len(snapshot.contents)} shown, each content once)",
        f"{running} in memory",
        f"{counted(len(snapshot.served), 'answer')} of registries",
    ]
    if snapshot.unobserved:
        told.append(f"{counted(len(snapshot.unobserved), 'host')} not observed")
    texts = "texts are in it" if taken.texts else "texts as hashes alone"
    lines.append(
        paint.strong(f"Snapshot: {', '.join(told)}; {texts}; {show_size(taken.size)} in {sentence(taken.file)}")
    )
    return "\n".join(lines) + "\n"


def taken_document(taken: Taken) -> dict[str, Any]:
    """The same as a document; `docs/output.md` is its reference."""
    snapshot = taken.snapshot
    return {
        "type": "snapshot",
        "format": FORMAT,
        "name": snapshot.fleet,
        "file": cleaned(taken.file),
        "size": taken.size,
        "taken_at": snapshot.taken_at,
        "texts": taken.texts,
        "hosts": [
            {"host": host, "version": cleaned(kept.version), "models": len(kept.models), "running": len(kept.running)}
            for host, kept in snapshot.hosts.items()
        ],
        "unobserved": [
            {"host": host, "code": why.code, "message": cleaned(why.message)}
            for host, why in snapshot.unobserved.items()
        ],
        "contents": len(snapshot.contents),
        "registries": len(snapshot.served),
        "exit_code": int(taken.exit_code),
    }

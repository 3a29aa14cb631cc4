"""What was asked of the simulated hosts: counters by kind, and the last requests with their answers."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, replace

from fleet.simulate.calls import CHANGING, Call

_KEPT = 10_000
REGISTRY = "registry"
"""What the registry is called among the hosts; no host of a scenario may be called so."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `status` is 0 where no answer began; `fault` names the one that struck."""

    host: str
    method: str
    path: str
    kind: str
    model: str | None
    status: int
    fault: str | None
    client: str = ""
    """What the asking program calls itself, without its version: `ollama`, `ollama-fleet`."""
    number: int = 0
    """Its place among all that ended since the simulation began: who reads them now and then sees what was missed."""


class Journal:
    """Counts every request, also those that a fault swallowed, and keeps the last ten thousand."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._counts: dict[str, Counter[str]] = {}
        self._uploads: dict[str, Counter[str]] = {}
        self._clients: dict[str, dict[str, Counter[str]]] = {}
        self._ended = 0

    def began(self, host: str, call: Call, client: str = "") -> None:
        """Counts a request when it arrives, so that one that never ends is counted too."""
        self._counts.setdefault(host, Counter())[call.kind] += 1
        self._clients.setdefault(host, {}).setdefault(client, Counter())[call.kind] += 1
        if call.kind == "blob_post" and call.digest is not None:
            self._uploads.setdefault(host, Counter())[call.digest] += 1

    def ended(self, entry: Entry) -> None:
        self._ended += 1
        self._entries.append(replace(entry, number=self._ended))

    def reset(self) -> None:
        self._entries.clear()
        self._counts.clear()
        self._uploads.clear()
        self._clients.clear()

    def registry_counters(self, registry: str) -> dict[str, object]:
        """Requests to one registry by kind, in all and by who asked."""
        clients = {client: dict(sorted(counts.items())) for client, counts in self._clients.get(registry, {}).items()}
        return {"total": dict(sorted(self._counts.get(registry, Counter()).items())), "clients": clients}

    def counters(self, hosts: list[str]) -> dict[str, object]:
        """Requests by kind for each host, for all hosts and for the registry; `changing` totals what changes a host.

        `uploads` has for each host how often each blob was sent to it.
        """
        each = {host: self._counted(self._counts.get(host, Counter())) for host in hosts}
        total: Counter[str] = Counter()
        for host in hosts:
            total.update(self._counts.get(host, Counter()))
        registry = dict(sorted(self._counts.get(REGISTRY, Counter()).items()))
        uploads = {host: dict(self._uploads.get(host, Counter())) for host in hosts}
        return {"hosts": each, "total": self._counted(total), "registry": registry, "uploads": uploads}

    def _counted(self, counts: Counter[str]) -> dict[str, int]:
        return {**dict(sorted(counts.items())), "changing": sum(counts[kind] for kind in CHANGING)}

    def requests(self) -> list[dict[str, object]]:
        """Oldest first, in the order in which they ended; may be asked in any thread."""
        # Copied in one go: iteration breaks off where another thread adds one.
        return [asdict(entry) for entry in tuple(self._entries)]

"""Boards as passes would have left them, for the listener's tests and for its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.codes import Code
from fleet.daemon.board import Board
from fleet.daemon.status import (
    WORST,
    Condition,
    FleetStatus,
    HostStatus,
    InMemory,
    ItemStatus,
    Moving,
    Outcome,
    PassStatus,
    SourceState,
    SourceStatus,
)
from fleet.names import Digest, HostName, ModelName

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
REVISION = "4f1d2c3b5a69788796a5b4c3d2e1f00112233445"
GB = 10**9

_NAMES = (
    *("qwen3:8b", "llama3.2:3b", "acme/assistant:latest", "phi4:14b", "gemma3:12b", "nomic-embed-text:v1.5"),
    *("mistral-small:24b", "qwen2.5-coder:7b", "deepseek-r1:32b", "granite3.3:8b", "chat:latest", "bge-m3:latest"),
)


def ago(seconds: float, now: datetime = NOW) -> datetime:
    return now - timedelta(seconds=seconds)


def item(name: str, condition: Condition = Condition.READY, reason: str = "as-desired", **more: Any) -> ItemStatus:
    more.setdefault("since", ago(5 * 3600))
    if condition is Condition.READY:
        more.setdefault("digest", Digest.parse(f"{abs(hash(name)) % 16**12:064x}"))
        more.setdefault("size", 4_700_000_000)
    return ItemStatus(ModelName.parse(name), condition, reason, **more)


def host(name: str, *items: ItemStatus, condition: Condition | None = None, **more: Any) -> HostStatus:
    """As bad as the worst of its items, unless said otherwise."""
    items = tuple(sorted(items, key=lambda each: each.model))
    found = {each.condition for each in items}
    condition = condition or next((each for each in WORST if each in found), Condition.READY)
    more.setdefault("seen", ago(20))
    more.setdefault("since", ago(5 * 3600))
    more.setdefault("version", "0.12.6")
    more.setdefault("url", f"http://{name}.example:11434")
    more.setdefault("reason", next((each.reason for each in items if each.condition is condition), "as-desired"))
    return HostStatus(HostName(name), condition, items=items, **more)


def fleet(now: datetime = NOW, **more: Any) -> FleetStatus:
    values: dict[str, Any] = {
        "name": "acme",
        "at": ago(20, now),
        "started": ago(86400, now),
        "version": "0.1.0",
        "source": good_source(now),
        "interval": 300.0,
        "next_pass": now + timedelta(seconds=280),
        "last_success": ago(20, now),
        "passes": passes(now),
    }
    return FleetStatus(**{**values, **more})


def good_source(now: datetime = NOW) -> SourceStatus:
    return SourceStatus(SourceState.GOOD, "https://git.example/fleet.git main, fleet/", REVISION, ago(7200, now))


def broken_source(now: datetime = NOW) -> SourceStatus:
    return replace(
        good_source(now),
        state=SourceState.BROKEN,
        since=ago(90, now),
        message="fleet/models.yaml:14:5: models.qwen3:8b.warm: `yes` is neither `true` nor `false`\n"
        "fleet/models.yaml:22:3: models.phi4: given twice, first at line 9",
    )


def passes(now: datetime = NOW) -> tuple[PassStatus, ...]:
    def one(number: int, begun: float, seconds: float, outcome: Outcome, *triggers: str, **more: Any) -> PassStatus:
        return PassStatus(number, ago(begun, now), ago(begun - seconds, now), triggers, REVISION, outcome, **more)

    return (
        one(418, 22, 2, Outcome.UNCHANGED, "interval"),
        one(417, 320, 2.4, Outcome.UNCHANGED, "interval"),
        one(416, 620, 184, Outcome.CHANGED, "git", "interval", done=6),
        one(415, 1800, 12, Outcome.FAILED, "request", done=1, failed=1, message="`gpu-03` has no room for `phi4:14b`"),
        one(414, 2100, 0.2, Outcome.NOT_BEGUN, "files", message="another run has the lock"),
    )


def a_few(now: datetime = NOW) -> Board:
    """Six hosts, of which each shows another thing."""
    board = Board(fleet(now))
    since = {"since": ago(300, now)}
    warm = InMemory("qwen3:8b", 6 * GB, 6 * GB, datetime(2318, 1, 1, tzinfo=UTC), declared=True)
    guest = InMemory("tinyllama:latest", 2 * GB, 2 * GB, now + timedelta(seconds=200), declared=False)
    pulling = Moving("pull", "pulling 2bada8a74506", 3_100_000_000, 9_100_000_000, 84_000_000.0)
    board.put_host(
        host(
            "gpu-01",
            item("qwen3:8b", memory="warm"),
            item("llama3.2:3b"),
            item("acme/assistant"),
            labels={"site": "tokyo", "gpu": "h100"},
            vram=80 * GB,
            memory=(warm, guest),
            seen=ago(20, now),
        )
    )
    board.put_host(
        host(
            "gpu-02",
            item("qwen3:8b", memory="warm"),
            item(
                "phi4:14b",
                Condition.PROGRESSING,
                "missing",
                message="missing",
                since=ago(95, now),
                moving=pulling,
            ),
            item(
                "acme/assistant",
                Condition.PROGRESSING,
                "fields-differ",
                message="fields differ",
                changes=("parameters.temperature: 0.7 → 0.2", "system"),
                **since,
            ),
            labels={"site": "tokyo", "gpu": "h100"},
            vram=80 * GB,
            memory=(replace(warm, size=75 * GB, vram=75 * GB),),
            busy_since=ago(95, now),
            seen=ago(20, now),
        )
    )
    board.put_host(
        host(
            "gpu-03",
            item("qwen3:8b"),
            item(
                "phi4:14b",
                Condition.STALLED,
                "missing",
                message="no space left on device",
                code=Code.DISK_TOO_SMALL,
                tries=3,
                next_try=now + timedelta(hours=1),
                **since,
            ),
            labels={"site": "osaka", "gpu": "a100"},
            refusals=(
                "3 of 4 models would be deleted, more than `max_deletes` allows; raise it or say which (FLT-501)",
            ),
            vram=40 * GB,
            seen=ago(20, now),
        )
    )
    board.put_host(
        host(
            "gpu-04",
            item("qwen3:8b", Condition.UNKNOWN, "not-observed", **since),
            item("llama3.2:3b", Condition.UNKNOWN, "not-observed", **since),
            condition=Condition.UNKNOWN,
            labels={"site": "osaka"},
            message="`gpu-04` did not answer within 5s",
            code=Code.NO_ANSWER,
            seen=ago(4000, now),
            next_try=now + timedelta(seconds=50),
        )
    )
    board.put_host(
        host(
            "gpu-05",
            item("qwen3:8b"),
            item("gemma3:12b", Condition.SUSPENDED, "missing", message="missing", **since),
            condition=Condition.SUSPENDED,
            reason="suspended",
            message="waiting for a new fan, until 18:00",
            labels={"site": "osaka"},
            seen=ago(20, now),
        )
    )
    board.put_host(
        host(
            "gpu-06",
            item("qwen3:8b"),
            item(
                "acme/json:latest",
                Condition.BLOCKED,
                "blocked",
                message="the field needs a newer server than 0.5.4",
                code=Code.FIELD_NEEDS_NEWER_SERVER,
                **since,
            ),
            version="0.5.4",
            seen=ago(20, now),
        )
    )
    return board


def many(hosts: int = 1000, models: int = 40, now: datetime = NOW) -> Board:
    """A large fleet in which one host in fifty has something that is not as desired."""
    board = Board(fleet(now))
    for number in range(hosts):
        board.put_host(one_of_many(number, models, now))
    return board


def one_of_many(number: int, models: int = 40, now: datetime = NOW, seen: datetime | None = None) -> HostStatus:
    items = [_fine(f"{_NAMES[n % len(_NAMES)].partition(':')[0]}:v{n}", now) for n in range(models)]
    if number % 50 == 7:
        items[3] = replace(items[3], condition=Condition.STALLED, reason="missing", message="no space left on device")
    if number % 50 == 9:
        items[5] = replace(
            items[5],
            condition=Condition.PROGRESSING,
            reason="missing",
            moving=Moving("pull", "pulling", 10**9 + number, 5 * 10**9, 5e7),
        )
    warm = InMemory("qwen3:v0", 6 * GB, 6 * GB, datetime(2318, 1, 1, tzinfo=UTC), declared=True)
    return host(
        f"gpu-{number:04}",
        *items,
        labels={"site": ("tokyo", "osaka", "nagoya")[number % 3], "rack": f"r{number // 40:02}"},
        vram=80 * GB,
        memory=(warm,),
        seen=seen or ago(20, now),
        since=ago(3600, now),
    )


def _fine(name: str, now: datetime) -> ItemStatus:
    return item(name, since=ago(3600, now))


def conditions(hosts: Mapping[HostName, HostStatus] | Sequence[HostStatus]) -> list[str]:
    each = hosts.values() if isinstance(hosts, Mapping) else hosts
    return [one.condition.value for one in each]

"""What `fleet suspend` said, as a part of the desired state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleet.manifest.inventory import Host, Place
from fleet.manifest.item import Desired, HostDesired
from fleet.names import HostName
from fleet.reconcile.suspending import with_suspensions
from fleet.state.suspensions import Suspension

NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALPHA, BETA, GAMMA = map(HostName, ("alpha", "beta", "gamma"))


def host(name: HostName, suspended: str | None = None) -> HostDesired:
    return HostDesired(Host(name, f"http://{name}", Place("hosts.yaml", 1, 1), suspended=suspended))


DESIRED = Desired("fleet", {ALPHA: host(ALPHA), BETA: host(BETA), GAMMA: host(GAMMA, "in repair")})


@pytest.mark.parametrize(
    ("reason", "until", "words"),
    [
        ("new fans", None, "new fans"),
        ("", None, "by `fleet suspend`"),
        ("new fans", NOW + HOUR, "new fans, until 2026-11-01T10:30:00Z"),
        ("", NOW + HOUR, "by `fleet suspend`, until 2026-11-01T10:30:00Z"),
    ],
)
def test_a_host_is_suspended_with_its_reason_and_the_others_are_untouched(
    reason: str, until: datetime | None, words: str
) -> None:
    found = with_suspensions(DESIRED, {ALPHA: Suspension(ALPHA, reason, NOW, until)}, NOW)
    assert found.hosts[ALPHA].host == replace(DESIRED.hosts[ALPHA].host, suspended=words)
    assert found.hosts[BETA] is DESIRED.hosts[BETA]
    assert list(found.hosts) == list(DESIRED.hosts)


@pytest.mark.parametrize(
    "suspension",
    [
        Suspension(ALPHA, "over", NOW - HOUR, NOW),
        Suspension(GAMMA, "the inventory's own reason stays", NOW, None),
        Suspension(HostName("gone"), "no longer in the inventory", NOW, None),
    ],
)
def test_what_concerns_no_host_changes_nothing(suspension: Suspension) -> None:
    assert with_suspensions(DESIRED, {suspension.host: suspension}, NOW) is DESIRED

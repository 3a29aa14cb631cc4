"""Snapshots for tests, small and whole."""

from __future__ import annotations

from dataclasses import replace

from fleet.reconcile.rehearsing.snapshot import KeptHost, KeptModel, Snapshot

DIGEST = "ab" * 32

EMPTY = Snapshot("fleet-snapshot", 1, "2026-05-04T03:02:01+00:00", "default")


def holding(*models: KeptModel, version: str = "0.32.15", host: str = "alpha") -> Snapshot:
    """One host with these."""
    return replace(EMPTY, hosts={host: KeptHost(version, models=models)})

"""Clocks that are set, and times that make no sense."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from fleet.cli.loading import desired_of
from fleet.endpoint import Endpoint
from fleet.manifest.desired import fingerprint
from fleet.manifest.inventory import Host
from fleet.ollama.client import Client
from fleet.reconcile.difference import Reason
from fleet.reconcile.run import Pass, make_plan
from fleet.reconcile.step import Action, Plan
from fleet.render.plan import plan_text
from fleet.settings import Settings

DIGEST = hashlib.sha256(b"model").hexdigest()


def planned(folder: Path, time: object) -> Plan:
    """For a host that tells this time wherever it tells one, with a model in memory that is to stay there."""
    held = {"name": "m:1b", "model": "m:1b", "digest": DIGEST, "size": 9, "size_vram": 9, "context_length": 4096}
    answers = {
        "/api/version": {"version": "0.32.15"},
        "/api/tags": {"models": [held | {"modified_at": time if isinstance(time, str) else ""}]},
        "/api/ps": {"models": [held | {"expires_at": time}]},
        "/api/show": {"details": {}, "model_info": {}, "modified_at": "", "capabilities": ["completion"]},
    }

    def reach(host: Host, _: Settings) -> Client:
        answering = httpx2.MockTransport(lambda request: httpx2.Response(200, json=answers[request.url.path]))
        return Client(Endpoint.parse(host.url), transport=answering)

    (folder / "m.yaml").write_text("version: 1\nmodels: {m:1b: {warm: true}}\n", encoding="utf-8")
    (folder / "hosts.yaml").write_text("version: 1\nhosts: {alpha: alpha.lan}\n", encoding="utf-8")
    settings = Settings(state_dir=str(folder / "s"), ask_registries=False)
    desired = desired_of([str(folder / "m.yaml")], [str(folder / "hosts.yaml")], None, {}, settings)
    return asyncio.run(make_plan(replace(Pass(desired, fingerprint(desired), settings), reach=reach)))


@pytest.mark.fault("T4")
@pytest.mark.parametrize(
    ("time", "left"),
    [
        ("2318-07-14T03:11:45.123456789Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00Z", "-"),
        ("0001-01-01T00:00:00+14:00", "-"),
        ("2001-01-01T00:00:00", "-"),
        ("2001-01-01 00:00:00.5", "-"),
        ("12026-01-01T00:00:00Z", "unknown"),
        ("2026-13-32T25:61:61Z", "unknown"),
        ("", "unknown"),
        ("soon", "unknown"),
        (None, "unknown"),
        (-62135596800, "unknown"),
        ([], "unknown"),
    ],
)
def test_a_host_may_tell_any_time_and_what_cannot_be_known_is_said(
    time: object, left: str | None, tmp_path: Path
) -> None:
    plan = planned(tmp_path, time)
    assert plan.unobserved == (), json.dumps(time)
    if left is None:
        assert plan.steps == (), "it stays for ever"
        return
    (step,) = plan.steps
    assert (step.action, step.reason) == (Action.LOAD, Reason.EXPIRES_SOON)
    assert f"keep_alive: {left}" in plan_text(plan, everything=True).replace("keep_alive  ", "keep_alive: ")

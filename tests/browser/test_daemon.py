"""The page of the real daemon beside simulated hosts, before, during and after a change of manifests."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.daemon_process import DaemonProcess
from tests.fleet_command import FleetCommand
from tests.simulated import Simulated

ONE = "version: 1\nmodels: {qwen3:8b: }\n"
TWO = "version: 1\nmodels: {qwen3:8b: , llama3.1:8b: }\n"
BROKEN = "version: 1\nmodels: {qwen3:8b: {pul: {}}}\n"


def test_what_a_person_sees_of_a_change(
    run_fleet: FleetCommand,
    simulate: Callable[[str], Simulated],
    look: Callable[..., Page],
    keep: Callable[[Page, str], None],
) -> None:
    fleet = simulate(
        "registry: {bandwidth: 2MB}\nhosts: {alpha: {version: 0.32.15}, beta: {version: 0.32.15, down: true}}"
    )
    manifest = run_fleet.write("m.yaml", ONE)
    files = ("-i", fleet.inventory(run_fleet.folder / "hosts.yaml"), "-f", str(manifest))
    quickly = {"OLLAMA_FLEET_BACK_OFF": "200ms"}
    with DaemonProcess(run_fleet, *files, "--interval", "1h", environment=quickly, listen=True) as daemon:
        page = look(daemon.url)
        alpha, beta = page.locator("#host-alpha"), page.locator("#host-beta")
        expect(beta).to_contain_text("unknown", timeout=20_000)
        expect(beta).to_contain_text("FLT-101")
        expect(alpha).to_contain_text("1 ready", timeout=20_000)
        keep(page, "daemon-before")

        manifest.write_text(TWO, encoding="utf-8")
        expect(page.locator("#moving").get_by_role("row", name="alpha")).to_contain_text("MB", timeout=20_000)
        keep(page, "daemon-during")
        expect(alpha).to_contain_text("2 ready", timeout=20_000)

        fleet.post("/hosts/beta/up")
        expect(beta).to_contain_text("2 ready", timeout=20_000)
        expect(page.get_by_role("heading", level=1)).to_have_text("All 2 hosts are as desired")
        keep(page, "daemon-after")

        manifest.write_text(BROKEN, encoding="utf-8")
        expect(page.locator("#faults")).to_contain_text("m.yaml:2:21", timeout=20_000)
        expect(alpha).to_contain_text("2 ready")

"""A created model is made anew when something that it is made from changed, and at no other time.

Each case has a host of its own, so that one pass tries them all, with one change for each host.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from fleet.manifest.modelfile_lines import INSTRUCTIONS
from fleet.simulate.scenario import Scenario, parse_scenario
from fleet.simulate.server import Simulation
from fleet.simulate.thread import simulated as serving
from tests.fleet_command import FleetCommand
from tests.passes import inputs
from tests.passes.inputs import COMPANY, Written
from tests.simulated import Simulated

SURROUNDING = {
    # The base of one host follows its registry, which is on this machine.
    "OLLAMA_FLEET_ASK_REGISTRIES": "true",
    "OLLAMA_FLEET_RETRY_WAIT": "1ms",
}
NEXT = {
    "0.3.14": "0.5.4",
    "0.5.1": "0.5.4",
    "0.5.4": "0.9.6",
    "0.9.6": "0.12.6",
    "0.12.6": "0.24.0",
    "0.24.0": "0.32.15",
    "0.32.15": "0.33.0",
}
"""What hosts of each version are upgraded to."""
LONG = os.environ.get("TESTS") == "long"
"""Every case on hosts of every version; else each on one, in turn."""
SHARE = 6
"""Of how many cases one is tried where time is short."""
REBUILT = {"acme/made": 1, "acme/derived": 1}

Call = tuple[str, dict[str, Any]]

ELSEWHERE: Mapping[str, tuple[Call, Mapping[str, int]]] = {
    "content-of-the-base": (("/hosts/{}/seed", {"model": "base:1b", "seed": "new"}), REBUILT),
    "content-in-the-registry": (("/registry/add", {"model": "moving:1b", "seed": "new"}), REBUILT),
    "the-model-itself": (("/hosts/{}/seed", {"model": "acme/made", "seed": "new"}), REBUILT),
    "the-model-is-gone": (("/hosts/{}/remove", {"model": "acme/made"}), REBUILT),
    "what-derives-from-it": (("/hosts/{}/seed", {"model": "acme/derived", "seed": "new"}), {"acme/derived": 1}),
    "the-alias": (("/hosts/{}/remove", {"model": "chat"}), {}),
    "another-model": (("/hosts/{}/seed", {"model": "acme/foreign", "seed": "new"}), {}),
}
"""What somebody else does, by host: the call of the control port, and how often each model is made then."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One case on one host."""

    version: str
    before: Written
    after: Written
    made: Mapping[str, int]
    """How often each model is made after the change."""
    company: tuple[str, ...] = tuple(COMPANY)
    does: Call | None = None
    """What somebody else does."""


def test_every_key_of_the_format_has_a_case() -> None:
    cases = {case.key for case in (*inputs.CHANGED, *inputs.SAME)} - {""}
    assert inputs.keys() - cases == set(), "no case changes these"
    assert cases - inputs.keys() == set(), "these are no keys of `create`"


def test_every_instruction_of_a_modelfile_has_a_case() -> None:
    changed = {case.name.removeprefix("Modelfile: ").partition(" ")[0] for case in inputs.INSTRUCTIONS}
    assert changed == set(INSTRUCTIONS)


@pytest.mark.fault("U9")
@pytest.mark.parametrize("version", sorted(NEXT) if LONG else ["some", pytest.param("each", marks=pytest.mark.long)])
def test_a_model_is_made_anew_for_each_changed_input_and_for_nothing_else(
    version: str, run_fleet: FleetCommand
) -> None:
    tried = _tried(sorted(NEXT) if version in {"some", "each"} else [version])
    if version == "some":
        tried = dict(list(tried.items())[::SHARE])
    with serving(_scenario(tried)) as simulation:
        fleet = Simulated(simulation)
        fleet.inventory(run_fleet.folder / "hosts.yaml")
        course = Course(run_fleet, fleet)
        for host, each in tried.items():
            course.write(host, each.before, each.company)
        course.apply()
        with course.without_what_fleet_remembers():
            assert course.steps() == {}, "each is known by what the host shows, or left as it is"

        before = course.digests()
        for host, each in tried.items():
            course.write(host, each.after, each.company)
            if each.does is not None:
                path, body = each.does
                fleet.post(path.format(host), body if path.endswith("remove") else {**body, "size": 4096})
        fleet.reset()
        course.apply()

        assert course.made() == {host: each.made for host, each in tried.items() if each.made}
        still = {host for host, each in tried.items() if not each.made and each.does is None}
        assert course.changing(still) == []
        after = course.digests()
        for host, each in tried.items():
            assert not [name for name in after[host] if name.startswith("fleet-backup/")]
            if "chat" in each.company:
                assert after[host]["chat:latest"] == after[host]["acme/derived:latest"]
            assert after[host].get("acme/beside:latest") == before[host].get("acme/beside:latest")
            if each.made and each.does is None:
                assert after[host]["acme/made:latest"] != before[host]["acme/made:latest"], host
        assert course.steps() == {}
        with _upgraded(simulation, tried):
            assert course.steps() == {}


class Course:
    """One fleet through its passes, by the installed command."""

    def __init__(self, run_fleet: FleetCommand, fleet: Simulated) -> None:
        self._run_fleet = run_fleet
        self._fleet = fleet

    def write(self, host: str, written: Written, company: Iterable[str]) -> None:
        inputs.write(self._run_fleet.folder / "manifests", host, written, company=company)

    def apply(self) -> None:
        document = self._ran("apply", "--yes")
        assert [(each["host"], each["model"], each["message"]) for each in document["failures"]] == []
        assert document["exit_code"] == 0

    def steps(self) -> dict[str, list[str]]:
        """The plan, by host."""
        found: dict[str, list[str]] = {}
        document = self._ran("plan")
        for step in document["steps"]:
            found.setdefault(step["host"], []).append(f"{step['action']} {step['model']} ({step['reason']})")
        assert document["refused"] == document["unobserved"] == []
        return found

    @contextmanager
    def without_what_fleet_remembers(self) -> Iterator[None]:
        state, aside = (self._run_fleet.folder / name for name in ("state", "aside"))
        state.rename(aside)
        yield
        shutil.rmtree(state, ignore_errors=True)
        aside.rename(state)

    def digests(self) -> dict[str, dict[str, str]]:
        """What each host holds, by name."""
        return {
            host: {name: model["digest"] for name, model in self._fleet.state(host)["models"].items()}
            for host in self._fleet.urls
        }

    def made(self) -> dict[str, dict[str, int]]:
        """How often each model was made since the counters were reset, by host."""
        found: dict[str, Counter[str]] = {}
        for request in self._requests():
            if request["kind"] == "create":
                found.setdefault(request["host"], Counter())[request["model"].removesuffix(":latest")] += 1
        return {host: dict(counted) for host, counted in found.items()}

    def changing(self, hosts: set[str]) -> list[str]:
        """Requests that change something on these hosts, since the counters were reset."""
        kinds = {"pull", "create", "copy", "delete", "push", "blob_post", "load", "unload"}
        return [
            f"{each['kind']} {each['model']} on {each['host']}"
            for each in self._requests()
            if each["host"] in hosts and each["kind"] in kinds
        ]

    def _requests(self) -> list[dict[str, Any]]:
        found = self._fleet.requests()
        assert len(found) < 10_000, "the simulator keeps no more"
        return found

    def _ran(self, verb: str, *more: str) -> dict[str, Any]:
        files = ("-i", "hosts.yaml", "-f", "manifests", "-o", "json")
        ran = self._run_fleet(verb, *files, *more, environment=SURROUNDING, timeout=300)
        assert ran.stdout, ran.stderr
        document: dict[str, Any] = json.loads(ran.stdout)
        return document


def _tried(versions: list[str]) -> dict[str, Tried]:
    """By host, which is called like its case. Of several versions each case gets one that knows it, in turn."""
    found: dict[str, Tried] = {}
    cases: list[tuple[inputs.Case, Mapping[str, int]]] = [(case, REBUILT) for case in inputs.CHANGED]
    cases += [(case, {}) for case in inputs.SAME]
    for number, (case, made) in enumerate(cases):
        known = [version for version in versions if case.known_to(_release(version))]
        company = tuple(COMPANY) if number % 3 == 0 else ("acme/derived", "chat")
        if known:
            host = f"{re.sub('[^a-z0-9]+', '-', case.name.lower())[:50].strip('-')}-{number}"
            version = known[number % len(known)]
            found[host] = Tried(version, case.before, case.after, made, company if made else ())
    for number, (host, (does, made)) in enumerate(ELSEWHERE.items()):
        base = "moving:1b" if does[1]["model"] == "moving:1b" else "base:1b"
        written = Written({"from": base, "system": "One."})
        found[host] = Tried(versions[number % len(versions)], written, written, made, does=does)
    return found


def _release(version: str) -> inputs.Release:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def _scenario(tried: Mapping[str, Tried]) -> Scenario:
    models = ", ".join(f'"{name}:1b": {{size: 4KB, seed: {name}}}' for name in ("base", "other", "moving"))
    hosts = "".join(f"  {host}: {{version: {each.version}, models: {{{models}}}}}\n" for host, each in tried.items())
    return parse_scenario(f"registry: {{models: {{{models}}}}}\nhosts:\n{hosts}")


@contextmanager
def _upgraded(before: Simulation, tried: Mapping[str, Tried]) -> Iterator[None]:
    """The same hosts with what they hold, at the same addresses, as servers of another version."""
    hosts = "".join(f"  {host}: {{version: {NEXT[each.version]}, down: true}}\n" for host, each in tried.items())
    with serving(parse_scenario(f"hosts:\n{hosts}")) as after:
        for name, host in after.hosts.items():
            former = before.hosts[name]
            Simulated(before).post(f"/hosts/{name}/down")
            host.listener.port = former.listener.port
            for model, stored, _ in former.engine.store.listed():
                host.engine.store.write(model, stored.raw)
            for digest, blob in former.engine.store.blobs:
                host.engine.store.blobs.add(blob.content, digest)
            Simulated(after).post(f"/hosts/{name}/up")
        yield

"""Recorded scenarios of real servers, played against simulated ones of the same version, and against a real one."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fleet.simulate.scenario import HostSpec, Scenario
from fleet.simulate.server import Simulation
from fleet.simulate.thread import simulated
from tests.simulate.host.recorded import REGISTRY, VERSIONS, Numbers, Recording, Server, differences

E2E = "OLLAMA_FLEET_E2E_HOST"


@dataclass
class Played:
    """A recording that was played, and the host that it was played to."""

    recording: Recording
    simulation: Simulation
    found: list[str]

    def manifests(self) -> dict[str, str]:
        """The image manifests that the host holds in the end."""
        name, listed = self.simulation.registry_name, self.simulation.hosts["alpha"].engine.store.listed()
        return {
            model.path.replace(name, REGISTRY): stored.raw.decode().replace(name, REGISTRY)
            for model, stored, _ in listed
        }


@pytest.fixture(scope="module", params=VERSIONS)
def played(request: pytest.FixtureRequest) -> Iterator[Played]:
    recording = Recording.of(request.param)
    with simulated(Scenario(ollama=request.param, hosts={"alpha": HostSpec()})) as simulation:
        server = Server(simulation.hosts["alpha"].url, simulation.registry_name)
        yield Played(recording, simulation, list(differences(recording, server, sizes=True)))


def test_every_answer_is_as_recorded(played: Played) -> None:
    assert played.found == []


def test_manifests_are_the_recorded_ones_byte_for_byte(played: Played) -> None:
    recorded, held = played.recording.manifests, played.manifests()
    assert held.keys() == recorded.keys()
    quantized = {path for path in recorded if path.split("/")[-2] in played.recording.quantized()}
    assert len(quantized) < len(recorded)
    then, now = Numbers(), Numbers()
    for path, text in recorded.items():
        if path in quantized:
            assert now.number(held[path]) == then.number(text), path
        else:
            assert held[path] == text, path


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_hangs_on_the_recorded_names(version: str) -> None:
    recording = Recording.of(version).renamed("x7")
    with simulated(Scenario(ollama=version, hosts={"alpha": HostSpec()})) as simulation:
        server = Server(simulation.hosts["alpha"].url, simulation.registry_name)
        assert list(differences(recording, server, sizes=False)) == []


@pytest.mark.parametrize(
    ("answer", "as_recorded"),
    [
        ({"json": {"error": "model 'tiny' not found"}}, False),
        ({"json": {"models": []}, "status": 404}, False),
        ({"json": {"models": []}, "content_type": "application/json"}, False),
        ({"json": {"models": []}}, True),
    ],
)
def test_differences_are_seen(answer: dict[str, object], as_recorded: bool) -> None:
    recorded = {"status": 200, "content_type": "application/json; charset=utf-8", "json": {"models": []}}
    recording = Recording("0", {"exchanges": [{"step": "one", "request": {}, "response": recorded}]})

    class Answering(Server):
        def __init__(self) -> None:
            pass

        def ask(self, step: str, request: object) -> dict[str, object]:
            return {**recorded, **answer}

    assert (list(differences(recording, Answering(), sizes=True)) == []) is as_recorded


@pytest.mark.e2e
def test_a_real_server_answers_as_it_was_recorded() -> None:
    url = os.environ.get(E2E)
    if not url:
        pytest.skip(f"{E2E} names no server")
    with urllib.request.urlopen(f"{url}/api/version", timeout=10) as reply:
        version = json.load(reply)["version"]
    with urllib.request.urlopen(f"{url}/api/tags", timeout=10) as reply:
        models = json.load(reply)["models"]
    if version not in VERSIONS or models:
        pytest.skip(
            f"{url} is of version {version} and holds {len(models)} models; an empty one of {VERSIONS} is needed"
        )
    with simulated(Scenario()) as registry:
        server = Server(url, registry.registry_name)
        assert list(differences(Recording.of(version), server, sizes=False)) == []

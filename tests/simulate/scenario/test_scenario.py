"""What a scenario may say, and how it is told what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.simulate.faults import FaultKind
from fleet.simulate.scenario import NEWEST, HostSpec, Scenario, expand, load_scenario, parse_scenario
from fleet.simulate.scenario_yaml import ScenarioError
from fleet.simulate.units import duration, size

WHOLE = """
ollama: 0.9.6
seed: 7
hosts:
  alpha:
    version: 0.5.4
    models: [qwen3:8b]
    labels: {tier: prod}
    disk: 800MB
    memory: 24GiB
    max_loaded: 2
    keep_alive: -1
    faults:
      - {fault: stall, endpoint: pull, model: qwen3, times: 1}
  tyo-[08:10]:
    models:
      acme/x:1: {size: 1MB, system: Hello, parameters: {stop: [a, b]}, license: MIT}
  plain:
registry:
  models:
    qwen3:8b: {size: 5MB}
    acme/x: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", size: 40GB}
  bandwidth: 20MB
  latency: 5ms
  redirect: false
  faults: [{fault: status, status: 429, endpoint: [manifest], chance: 0.5}]
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as found:
        parse_scenario(text, "s.yaml")
    return found.value.faults


def test_a_whole_scenario_is_read() -> None:
    scenario = parse_scenario(WHOLE)
    assert (scenario.ollama, scenario.seed, list(scenario.hosts)) == (
        "0.9.6",
        7,
        ["alpha", "tyo-08", "tyo-09", "tyo-10", "plain"],
    )
    alpha = scenario.hosts["alpha"]
    assert (alpha.version, alpha.disk, alpha.memory, alpha.keep_alive) == ("0.5.4", 800_000_000, 24 << 30, -1)
    assert (alpha.models, alpha.faults[0].fault) == ({"qwen3:8b": None}, FaultKind.STALL)
    held = scenario.hosts["tyo-09"].models["acme/x:1"]
    assert held is not None
    assert (held.size, held.parameters, held.license) == (1_000_000, {"stop": ["a", "b"]}, ["MIT"])
    assert scenario.hosts["plain"] == HostSpec()
    registry = scenario.registry
    assert (registry.bandwidth, registry.latency, registry.redirect) == (20_000_000, 0.005, False)
    assert list(registry.models or {}) == ["qwen3:8b", "acme/x:latest"]


def test_nothing_at_all_is_a_scenario_without_hosts() -> None:
    assert parse_scenario("") == Scenario()
    assert Scenario().ollama == NEWEST


def test_hosts_can_be_made_by_number() -> None:
    assert list(Scenario().with_hosts(2).hosts) == ["host-1", "host-2"]
    assert next(iter(Scenario().with_hosts(10).hosts)) == "host-01"
    assert Scenario().with_version("0.5.4").ollama == "0.5.4"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host: {}", "s.yaml: host: Extra inputs are not permitted"),
        ("hosts: {a: {versoin: 0.5.4}}", "s.yaml: hosts.a.versoin: Extra inputs are not permitted"),
        ("hosts: {a: {version: 0.5}}", "s.yaml: hosts.a.version: Input should be a valid string"),
        ("hosts: {a: {version: new}}", "s.yaml: hosts.a.version: `new` is no version; write 0.32.15"),
        ("ollama: 0.1.0", "s.yaml: ollama: `0.1.0` is older than 0.3.4"),
        ("hosts: {a: {models: ['a b']}}", "s.yaml: hosts.a.models.a b.[key]: `a b`"),
        ("hosts: {a: {disk: much}}", "s.yaml: hosts.a.disk: `much` is no size; write 4096, 8MB or 1.5GiB"),
        ("hosts: {a: {faults: [{fault: damaged}]}}", "s.yaml: hosts.a.faults: `damaged` is no fault of a host"),
        ("registry: {faults: [{fault: stall}]}", "s.yaml: registry.faults: `stall` is no fault of the registry"),
        ("hosts: {'a-[1:2]': {}, a-2: {}}", "s.yaml: hosts: `a-2` is there twice"),
        ("hosts: {'a-[3:2]': {}}", "s.yaml: hosts: `a-[3:2]`: a range goes upwards"),
        ("hosts: {'a b': {}}", "s.yaml: document: `a b` is no host name"),
        ("hosts: {registry: {}}", "s.yaml: document: no host can be called `registry`: the registry is"),
        ("hosts: {'a-[1:600]': {}, 'b-[1:600]': {}}", "s.yaml: document: at most 1000 hosts, not 1200"),
        ("hosts: []", "s.yaml: hosts: Input should be a valid dictionary"),
        ("registry: {models: {x: {digest: abc}}}", "s.yaml: registry.models.x.digest: `abc` is no digest"),
        ("a: 1\na: 2", "s.yaml:2:1: `a` is there twice"),
        ("a: [1", "s.yaml:2:1: did not find expected ',' or ']'"),
        ("a: &x [1]\nb: *x", "s.yaml:2:4: aliases are not used in scenarios"),
        ("[" * 100_000, "s.yaml:1:33: nested deeper than 32"),
        ("a: !!python/object:os.system x", "s.yaml:1:4: could not determine a constructor"),
        ("\0", "s.yaml: "),
        ("x" * (5 << 20), "s.yaml: larger than 4 MiB"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, told: str) -> None:
    assert faults_of(text)[0].startswith(told)


def test_all_faults_come_together() -> None:
    found = faults_of("hosts: {a: {disk: x}, b: {memory: y}}\nseed: [1]")
    assert [fault.split(": ")[1] for fault in found] == ["hosts.a.disk", "hosts.b.memory", "seed.int", "seed.str"]


def test_a_file_that_cannot_be_read_is_a_fault_of_the_scenario(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="No such file or directory"):
        load_scenario(tmp_path / "none.yaml")
    (tmp_path / "some.yaml").write_text(WHOLE)
    assert load_scenario(tmp_path / "some.yaml").seed == 7
    (tmp_path / "latin.yaml").write_bytes(b"ollama: \xe9")
    with pytest.raises(ScenarioError, match=r"latin\.yaml"):
        load_scenario(tmp_path / "latin.yaml")


def test_an_impossible_version_is_refused() -> None:
    with pytest.raises(ScenarioError, match="`latest` is no version"):
        Scenario().with_version("latest")


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("7", 7), ("8MB", 8_000_000), ("1.5GiB", 3 << 29), ("2 KiB", 2048), ("1kB", 1000), ("3TB", 3 * 10**12)],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60ms", 0.06), ("5s", 5), ("1h30m", 5400), ("-1m", -60), ("1.5s", 1.5), ("250us", 0.00025)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("read", [size, duration])
@pytest.mark.parametrize("text", ["", "x", "5 apples", "-", "1e3", "5s5"])
def test_what_is_no_measure_is_refused(read: Any, text: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        read(text)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("gpu", ["gpu"]),
        ("gpu-[1:3]", ["gpu-1", "gpu-2", "gpu-3"]),
        ("gpu-[08:10]-b", ["gpu-08-b", "gpu-09-b", "gpu-10-b"]),
    ],
)
def test_ranges(name: str, names: list[str]) -> None:
    assert expand(name) == names

"""Dashboard, alerts and manual name metrics that exist, all of them between them, and Prometheus takes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.daemon.counters import GUARDS
from fleet.daemon.described import METRICS, PREFIX, Kind
from fleet.daemon.metrics import guard_word
from fleet.daemon.status import Condition
from fleet.daemon.status import Outcome as PassOutcome
from fleet.reconcile.report import Outcome
from fleet.reconcile.step import Action
from fleet.state.attempts import RetryClass

ROOT = Path(__file__).parents[3]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs/grafana.json").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs/alerts.yaml").read_text(encoding="utf-8"))["groups"][0][
    "rules"
]
MANUAL = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
OF_SCRAPES = {"fleet", "instance", "job", "le"}
WORDS = {
    "condition": set(Condition),
    "kind": {*Action, "host"},
    "action": set(Action),
    "outcome": {*PassOutcome, *Outcome},
    "class": set(RetryClass),
    "guard": set(map(guard_word, GUARDS)),
}


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    of_panels = [target["expr"] for panel in panels() for target in panel["targets"]]
    of_variables = [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    of_marks = [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    return [*of_panels, *of_variables, *of_marks, *(rule["expr"] for rule in RULES)]


def named(text: str) -> set[str]:
    """Metrics that a text names; the parts of a histogram count as the whole."""
    found = set(re.findall(rf"\b{PREFIX}([a-z_]+)", text))
    histograms = {name for name, each in METRICS.items() if each.kind is Kind.HISTOGRAM}
    ends = {f"{name}{end}": name for name in histograms for end in ("_bucket", "_sum", "_count")}
    return {ends.get(name, name) for name in found}


@pytest.mark.parametrize("query", queries())
def test_every_query_is_about_metrics_and_labels_that_exist(query: str) -> None:
    assert named(query), query
    assert named(query) <= METRICS.keys()
    labels = {label for name in named(query) for label in METRICS[name].labels} | OF_SCRAPES
    for metric, selector in re.findall(rf"{PREFIX}([a-z_]+)\{{([^}}]*)\}}", query):
        own = {*METRICS[next(iter(named(PREFIX + metric)))].labels, *OF_SCRAPES}
        for label, said in re.findall(r'([a-z_]+)(?:=~|!=|=)"([^"]*)"', selector):
            assert label in own, f"{metric} has no label {label}"
            if not said.startswith("$"):
                assert set(said.split("|")) <= WORDS[label]
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", query):
        assert {label.strip() for label in grouped.split(",")} <= labels


def test_dashboard_and_alerts_leave_no_metric_out() -> None:
    told = set().union(*map(named, queries()))

    # Said by others, which tell the same in more detail.
    assert METRICS.keys() - told == {"dry_run", "source_broken", "source_unreachable"}


def test_the_manual_names_every_metric_with_its_kind_labels_and_meaning() -> None:
    for name, each in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        assert f"| `{PREFIX}{name}` | {each.kind} | {labels} | {each.about} |" in MANUAL
    assert named(MANUAL) <= METRICS.keys()


def test_the_manual_names_every_word_of_a_label_and_every_alert_that_it_speaks_of() -> None:
    for words in WORDS.values():
        for word in words - {PassOutcome.RUNNING}:
            assert f"`{word}`" in MANUAL
    assert set(re.findall(r"`(OllamaFleet\w+)`", MANUAL)) <= {rule["alert"] for rule in RULES}


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["alert"].startswith("OllamaFleet")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert len(rule["annotations"]["summary"]) > 20
        assert len(rule["annotations"]["description"]) > 60


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD["title"]
    assert re.fullmatch(r"[a-z0-9-]{1,40}", DASHBOARD["uid"])
    assert "id" not in DASHBOARD, "a number of somebody's database"
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"] | {"type": "datasource", "query": "prometheus"} == variables["datasource"]
    for each in (*panels(), *(target for panel in panels() for target in panel["targets"])):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = set(re.findall(r"\$\{?([a-z]+)", json.dumps(DASHBOARD)))
    assert used - {"__all"} <= variables.keys()


def test_panels_have_what_each_needs_and_lie_beside_each_other() -> None:
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["type"] in {"stat", "timeseries", "table"}
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["options"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed; Debian's package `prometheus` has it")
    return found


def checked(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_the_alerts(promtool: str) -> None:
    checked(promtool, "check", "rules", str(ROOT / "docs/alerts.yaml"))


@pytest.mark.parametrize("cases", ["alerts.test.yaml", "alerts-late.test.yaml"])
@pytest.mark.fault("N6")
def test_alerts_call_when_they_should_and_only_then(promtool: str, cases: str) -> None:
    checked(promtool, "test", "rules", str(Path(__file__).with_name(cases)))


def test_prometheus_understands_every_query_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    rules = [
        {"record": f"query:{number}", "expr": re.sub(r"\$[a-z_]+", ".*", query.replace("$__rate_interval", "5m"))}
        for number, query in enumerate(found)
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")

    checked(promtool, "check", "rules", str(path))

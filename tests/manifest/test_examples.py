"""The examples of the repository: each is sound by itself and asks for what its comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.manifest.desired import resolve
from fleet.manifest.load import load
from tests.manifest.cases import in_words

EXAMPLES = Path(__file__).parents[2] / "examples" / "manifests"
ALL = [*sorted(path.name for path in EXAMPLES.iterdir() if path.suffix == ".yaml"), "sites"]


@pytest.mark.parametrize("name", ALL)
def test_every_example_is_sound(name: str) -> None:
    hosts = in_words(resolve(load([name], folder=str(EXAMPLES))))
    assert all(hosts.values())
    assert name == "sites" or list(hosts) == ["local"]


TOKYO = "You answer for the office in Tokyo. It is open from 9 to 17 o'clock.\n"


def test_the_sites_ask_what_they_say() -> None:
    hosts = in_words(resolve(load(["sites"], folder=str(EXAMPLES))))
    assert list(hosts) == ["osa-a", "osa-b", "osa-c", "tyo-01", "tyo-02", "tyo-03", "tyo-04"]
    assert hosts["tyo-01"] == [
        f"acme/front-desk:latest from qwen3:8b system={TOKYO!r} temperature=0.3",
        "desk:latest alias of acme/front-desk:latest",
        "phi4:14b pull",
        "qwen3:8b pull warm 1800s num_ctx=16384",
    ]
    assert [line for line in hosts["tyo-04"] if "pull" in line] == [
        "llama3.3:70b pull",
        "nomic-embed-text:latest pull warm for ever",
        "qwen3:8b pull warm 1800s num_ctx=16384",
    ]
    assert hosts["osa-a"] == hosts["osa-c"]
    assert "top_k=20" in hosts["osa-a"][0]
    assert hosts["osa-a"][-1] == "qwen3:8b pull warm 1800s"


def test_models_by_modelfiles_and_by_fields_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("version: 1\nhosts: {a: a.lan, b: {url: b.lan, labels: {drafts: yes}}}\n")
    folder = str(EXAMPLES / "modelfiles")
    hosts = resolve(load([folder], inventory=[str(tmp_path / "hosts.yaml")])).hosts
    a, b = ({str(item.name): item.source for item in wanted.items} for wanted in hosts.values())
    assert a["acme/tiny:latest"] == a["acme/tiny:fields"]
    assert a["acme/seeing:latest"] == a["acme/seeing:fields"]
    assert [name for name, source in b.items() if a.get(name) != source] == [
        "acme/drafted:latest",
        "acme/greeter:latest",
    ]

"""When names and the transport began to behave as they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.simulate.versions import Capability
from tests.simulate.host.bounds import Bounds, Probe
from tests.simulate.host.talking import Talk

BOUNDS = Bounds()


def said(host: Talk, path: str, model: str) -> str:
    """The error about a model."""
    return host.post(path, model=model, messages=[{"role": "user", "content": "hi"}]).error


@BOUNDS.probe(Capability.CASE_CONFLICTS_REFUSED, dropped="0.4.3")
def name_in_other_case_is_refused(host: Talk) -> bool:
    host.seed("tiny")
    answer = host.post("copy", source="tiny", destination="TINY")
    return answer.status == 400 and answer.error == "a model with that name already exists"


@BOUNDS.probe(Capability.CASE_FOLDED_ON_WRITE, since="0.4.3")
def copy_takes_over_the_case(host: Talk) -> bool:
    host.seed("tiny")
    host.seed("other", seed="other")
    host.post("copy", source="other", destination="TINY")
    models = host.state()["models"]
    return list(models) == ["other:latest", "tiny:latest"] and len({m["digest"] for m in models.values()}) == 1


@BOUNDS.probe(Capability.CASE_FOLDED_ON_READ, since="0.5.2")
def show_takes_over_the_case(host: Talk) -> bool:
    host.seed("tiny")
    return host.post("show", model="TINY").status == 200


@BOUNDS.probe(Capability.SOURCE_MARKERS, since="0.18.0")
def local_is_no_tag(host: Talk) -> bool:
    host.seed("tiny")
    return host.post("show", model="tiny:local").status == 200


@BOUNDS.probe(Capability.SHOW_WRITES_TAG, since="0.30.0")
def missing_model_is_shown_with_its_tag(host: Talk) -> bool:
    return said(host, "show", "ghost") == "model 'ghost:latest' not found"


@BOUNDS.probe(Capability.GENERATE_PARSES_NAME, since="0.5.2")
def generate_misses_in_short_words(host: Talk) -> bool:
    return said(host, "generate", "ghost") == "model 'ghost' not found"


@BOUNDS.probe(Capability.CHAT_PARSES_NAME, since="0.5.2")
def chat_refuses_an_invalid_name(host: Talk) -> bool:
    return said(host, "chat", "a//b") == "model is required"


@BOUNDS.probe(Capability.CHAT_LOOKS_FIRST, since="0.12.0")
def chat_misses_in_short_words(host: Talk) -> bool:
    return said(host, "chat", "ghost") == "model 'ghost' not found"


@BOUNDS.probe(Capability.CHAT_MINDS_CASE, since="0.12.0", dropped="0.15.5")
def chat_does_not_take_over_the_case(host: Talk) -> bool:
    host.seed("tiny")
    return host.post("chat", model="TINY").status == 404


@BOUNDS.probe(Capability.SHOW_PARSES_NAME, since="0.5.2")
def showing_an_invalid_name_fails(host: Talk) -> bool:
    answer = host.post("show", model="a//b")
    return (answer.status, answer.error) == (500, "invalid model path")


@BOUNDS.probe(Capability.PUSH_NAMES_INVALID, since="0.15.0")
def push_tells_the_invalid_name(host: Talk) -> bool:
    return host.post("push", model="a//b").error.startswith("unqualified name")


@BOUNDS.probe(Capability.METHODS_TOLD_APART, since="0.7.0")
def wrong_method_is_405(host: Talk) -> bool:
    answer = host.get("pull")
    return answer.status == 405 and answer.headers["allow"] == "POST"


@BOUNDS.probe(Capability.STREAM_ERRORS_HAVE_STATUS, since="0.12.6")
def error_at_the_start_of_a_stream_has_a_status(host: Talk) -> bool:
    return host.create("m", from_="a//b").status == 400


@BOUNDS.probe(Capability.CLOUD_STATUS, since="0.16.2")
def cloud_status_is_told(host: Talk) -> bool:
    return host.get("status").status == 200


@BOUNDS.probe(Capability.CLOUD_ACCOUNT, since="0.12.0")
def account_can_be_asked_for(host: Talk) -> bool:
    return host.post("me").status == 500


@BOUNDS.probe(Capability.RECOMMENDATIONS, since="0.22.1")
def models_are_recommended(host: Talk) -> bool:
    return host.get("experimental/model-recommendations").status == 200


def from_origin(host: Talk, origin: str) -> bool:
    return host.ask("GET", "/api/version", headers={"Origin": origin}).status == 200


@BOUNDS.probe(Capability.VSCODE_ORIGIN, since="0.4.0")
def editors_views_may_ask(host: Talk) -> bool:
    return from_origin(host, "vscode-webview://abc")


@BOUNDS.probe(Capability.VSCODE_FILE_ORIGIN, since="0.5.13")
def editors_files_may_ask(host: Talk) -> bool:
    return from_origin(host, "vscode-file://vscode-app")


@BOUNDS.probe(Capability.HOST_CASE_IGNORED, since="0.5.2")
def host_header_may_be_in_capitals(host: Talk) -> bool:
    return host.ask("GET", "/api/version", headers={"Host": "LOCALHOST:11434"}).status == 200


@pytest.mark.parametrize(("probe", "version", "expected"), BOUNDS.cases(), ids=BOUNDS.ids())
def test_behaves_so_on_one_side_of_the_bound(
    host: Callable[..., Talk], probe: Probe, version: str, expected: bool
) -> None:
    assert probe(host(version)) is expected

"""When loading, unloading and inference began to behave as they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fleet.simulate import gguf, versions
from fleet.simulate.image import ImageManifest, Layer, media_type
from fleet.simulate.modelname import Name
from fleet.simulate.versions import Capability
from tests.simulate.host import test_bounds_create, test_bounds_names, test_bounds_store
from tests.simulate.host.bounds import Bounds, Probe
from tests.simulate.host.talking import Talk

BOUNDS = Bounds()
GIB = 1 << 30


def seeded(host: Talk) -> Talk:
    host.seed("tiny")
    return host


def loaded(host: Talk, **more: object) -> Talk:
    """The host with a model in memory, its context 8192 at most."""
    assert seeded(host).post("generate", model="tiny", **more).status == 200
    return host


@BOUNDS.probe(Capability.UNLOAD_WITHOUT_LOAD, since="0.3.11")
def unloading_loads_nothing(host: Talk) -> bool:
    seeded(host).post("generate", model="tiny", keep_alive=0)
    return host.engine.runners.loads == 0


@BOUNDS.probe(Capability.EMBED_LOADS, since="0.3.6")
def empty_embed_loads(host: Talk) -> bool:
    seeded(host).post("embed", model="tiny")
    return host.engine.runners.loads == 1


@BOUNDS.probe(Capability.WHOLE_SECONDS, dropped="0.11.8")
def fractions_of_seconds_are_lost(host: Talk) -> bool:
    loaded(host, keep_alive=2.9)
    host.wait(2.5)
    return host.running() == []


@BOUNDS.probe(Capability.UNDER_A_SECOND_IS_ZERO, since="0.3.11", dropped="0.11.8")
def a_short_keep_alive_unloads_at_once(host: Talk) -> bool:
    answer = seeded(host).post("generate", model="tiny", keep_alive="900ms")
    return answer.lines[-1].get("done_reason") == "unload"


@BOUNDS.probe(Capability.CONTEXT_IN_PS, since="0.10.0")
def ps_tells_the_context(host: Talk) -> bool:
    (model,) = loaded(host).running()
    return "context_length" in model


def context(host: Talk) -> int:
    """The context of the model that is in memory."""
    (runner,) = host.engine.runners.listed()
    return runner.context


@BOUNDS.probe(Capability.CONTEXT_IS_EFFECTIVE, since="0.15.5")
def context_is_at_most_the_models(host: Talk) -> bool:
    return context(loaded(host, options={"num_ctx": 100_000})) == 8192


@BOUNDS.probe(Capability.CONTEXT_4096, since="0.6.7")
def context_is_4096_if_nothing_is_said(host: Talk) -> bool:
    return context(loaded(host)) == 4096


@BOUNDS.probe(Capability.PS_WAITS, since="0.32.4")
def ps_does_not_show_what_leaves(host: Talk) -> bool:
    loaded(host).post("generate", model="tiny", keep_alive=0)
    return host.running() == []


@BOUNDS.probe(Capability.NO_EMBEDDINGS_OF_COMPLETION, since="0.30.0")
def completion_models_do_not_embed(host: Talk) -> bool:
    return seeded(host).post("embed", model="tiny", input="hi").status == 501


@BOUNDS.probe(Capability.DONE_REASON_LAST, since="0.12.0")
def reason_comes_after_done(host: Talk) -> bool:
    keys = list(seeded(host).post("chat", model="tiny").json)
    return keys.index("done_reason") > keys.index("done")


@BOUNDS.probe(Capability.FORMAT_ANY_JSON, since="0.5.0")
def format_may_be_a_schema(host: Talk) -> bool:
    answer = seeded(host).post("generate", model="tiny", prompt="hi", format={"type": "object"}, stream=False)
    return answer.status == 200 and answer.json["response"] == "{}"


@BOUNDS.probe(Capability.THINK_LEVELS, since="0.11.0")
def think_takes_levels(host: Talk) -> bool:
    answer = seeded(host).post("generate", model="tiny", prompt="hi", think="nope")
    return answer.error.startswith('invalid think value: "nope"')


@BOUNDS.probe(Capability.THINK_LEVELS_OF_HARMONY, since="0.11.0", dropped="0.17.7")
def levels_are_refused_without_harmony(host: Talk) -> bool:
    host.seed("tiny", capabilities=["completion", "thinking"])
    answer = host.post("generate", model="tiny", prompt="hi", think="low")
    return "error" in answer.lines[-1] and answer.error == 'think value "low" is not supported for this model'


@BOUNDS.probe(Capability.THINK_MAX, since="0.22.0")
def thinking_at_most_is_a_level(host: Talk) -> bool:
    host.seed("tiny", capabilities=["completion", "thinking"])
    return host.post("generate", model="tiny", prompt="hi", think="max").status == 200


@BOUNDS.probe(Capability.THINK_REFUSED_BY_NAME, since="0.12.5")
def thinking_is_refused_by_the_name_called(host: Talk) -> bool:
    return (
        seeded(host).post("generate", model="tiny", prompt="hi", think=True).error == '"tiny" does not support thinking'
    )


@BOUNDS.probe(Capability.CONTEXT_SHIFT, since="0.30.9")
def shift_reloads(host: Talk) -> bool:
    loaded(host).post("generate", model="tiny", shift=False)
    return host.engine.runners.loads == 2


@BOUNDS.probe(Capability.AUTOMATIC_OPTIONS_FLOAT, since="0.30.0")
def unset_context_does_not_reload(host: Talk) -> bool:
    # Asked for what it has by itself, and then for nothing in particular.
    loaded(host, options={"num_ctx": 10_000}).post("generate", model="tiny", options={"num_ctx": 20_000})
    return host.engine.runners.loads == 1


@BOUNDS.probe(Capability.EMBED_DIMENSIONS, since="0.11.11")
def embed_takes_a_number_of_dimensions(host: Talk) -> bool:
    host.seed("tiny", capabilities=["embedding"])
    (vector,) = host.post("embed", model="tiny", input="hi", dimensions=3).json["embeddings"]
    return len(vector) == 3


def option_refused(host: Talk, **option: object) -> bool:
    """Whether the server looks at the option, which is of a wrong type."""
    return seeded(host).post("generate", model="tiny", options=option).status == 500


@BOUNDS.probe(Capability.TFS_Z, dropped="0.5.2")
def tfs_z_is_an_option(host: Talk) -> bool:
    return option_refused(host, tfs_z="x")


@BOUNDS.probe(Capability.PENALIZE_NEWLINE, dropped="0.5.5")
def penalize_newline_is_an_option(host: Talk) -> bool:
    return option_refused(host, penalize_newline="x")


@BOUNDS.probe(Capability.MIROSTAT, dropped="0.7.0")
def mirostat_is_an_option(host: Talk) -> bool:
    return option_refused(host, mirostat="x")


@BOUNDS.probe(Capability.DRAFT_NUM_PREDICT, since="0.30.0")
def draft_num_predict_is_an_option(host: Talk) -> bool:
    return option_refused(host, draft_num_predict="x")


@pytest.mark.parametrize(("probe", "version", "expected"), BOUNDS.cases(), ids=BOUNDS.ids())
def test_behaves_so_on_one_side_of_the_bound(
    host: Callable[..., Talk], probe: Probe, version: str, expected: bool
) -> None:
    assert probe(host(version)) is expected


@pytest.mark.parametrize(("version", "context_length"), [("0.5.12", 2048), ("0.5.13", 1024)])
def test_default_context_can_be_set(host: Callable[..., Talk], version: str, context_length: int) -> None:
    assert context(loaded(host(version, context_length=1024))) == context_length


@pytest.mark.parametrize(
    ("version", "memory", "expected"),
    [
        ("0.15.4", 64 * GIB, 4096),
        ("0.15.5", 22 * GIB, 4096),
        ("0.15.5", 23 * GIB, 32768),
        ("0.15.5", 47 * GIB, 262144),
    ],
)
def test_default_context_depends_on_memory(host: Callable[..., Talk], version: str, memory: int, expected: int) -> None:
    here = host(version, memory=memory)
    here.seed("tiny", context_length=1 << 20)
    here.post("generate", model="tiny")
    assert context(here) == expected


@pytest.mark.parametrize(("version", "expected"), [("0.11.4", 512), ("0.11.5", 2048)])
def test_models_that_see_have_a_longer_context(host: Callable[..., Talk], version: str, expected: int) -> None:
    here = host(version)
    metadata = {"general.architecture": gguf.text("llama")}
    layers = [
        here.engine.store.layer(gguf.write(metadata | {"general.name": gguf.text(kind)}, []), media_type(kind))
        for kind in ("model", "projector")
    ]
    here.engine.store.write(Name.parse("sees"), ImageManifest(Layer(), layers).encoded(newline=False))
    here.post("generate", model="sees", options={"num_ctx": 512})
    assert context(here) == expected


@pytest.mark.parametrize(("version", "listed"), [("0.29.1", 1), ("0.30.0", 0)])
def test_a_loading_model_is_listed_or_not(host: Callable[..., Talk], version: str, listed: int) -> None:
    here = seeded(host(version, load_seconds=10))

    async def case() -> int:
        async with asyncio.TaskGroup() as group:
            load = group.create_task(here.posted("generate", model="tiny"))
            await asyncio.sleep(5)
            seen = len((await here.asked("GET", "/api/ps")).json["models"])
        assert load.result().status == 200
        return seen

    assert here.run(case()) == listed
    assert len(here.running()) == 1


def test_each_capability_is_tried_somewhere() -> None:
    in_tests_of_their_own = {
        Capability.STALL_FIVE_SECONDS,
        Capability.QUANTIZER_LIBRARY,
        Capability.QUANTIZER_EARLY,
        Capability.CONTEXT_SETTING,
        Capability.CONTEXT_BY_MEMORY,
        Capability.VISION_CONTEXT,
        Capability.PS_HIDES_LOADING,
    }
    tables = [
        BOUNDS,
        test_bounds_names.BOUNDS,
        test_bounds_create.BOUNDS,
        test_bounds_store.ALONE,
        test_bounds_store.WITH_REGISTRY,
    ]
    tried = set().union(*(table.capabilities for table in tables))
    assert tried | in_tests_of_their_own == set(Capability) == versions.BOUNDS.keys()

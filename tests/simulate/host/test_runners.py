"""Models in memory: loading, staying, leaving, making room (`ollama-api.md` 11, 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulate.host.talking import Answer, Talk

MIB = 1 << 20


def load(here: Talk, model: str = "tiny", **more: Any) -> Answer:
    return here.post("generate", model=model, **more)


@pytest.fixture
def tiny(host: Callable[..., Talk]) -> Callable[..., Talk]:
    """Makes a host that holds `tiny`, and `alias` of the same weights."""

    def make(version: str = "0.32.15", **settings: Any) -> Talk:
        here = host(version, **settings)
        here.seed("tiny")
        here.seed("alias", system="Be kind.")
        return here

    return make


def test_what_loading_and_ps_say(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    answer = load(here)
    assert list(answer.json) == ["model", "created_at", "response", "done", "done_reason"]
    assert (answer.json["done_reason"], answer.json["response"]) == ("load", "")
    (model,) = here.running()
    assert list(model) == ["name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length"]
    assert (model["name"], model["digest"]) == ("tiny:latest", here.state()["models"]["tiny:latest"]["digest"])
    assert (model["context_length"], model["size_vram"]) == (4096, 0)


def test_the_first_name_counts_for_all_of_the_same_weights(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    load(here, "alias")
    load(here, "tiny")
    assert [model["name"] for model in here.running()] == ["alias:latest"]
    assert here.engine.runners.loads == 1
    assert load(here, "tiny", keep_alive=0).json["done_reason"] == "unload"
    here.wait(0.1)
    assert here.running() == []


def test_a_model_leaves_after_its_time(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    load(here)
    here.wait(299)
    assert len(here.running()) == 1
    here.wait(1.1)
    assert here.running() == []
    assert here.engine.counters["load"] == 1
    assert here.engine.runners.unloads == 1


def test_time_counts_from_the_last_use(tiny: Callable[..., Talk]) -> None:
    here = tiny(keep_alive=100)
    for _ in range(3):
        load(here)
        here.wait(90)
    assert len(here.running()) == 1


@pytest.mark.parametrize("setting", [{"keep_alive": -1}, {}])
def test_for_ever_is_until_2318(tiny: Callable[..., Talk], setting: dict[str, float]) -> None:
    here = tiny(**setting)
    load(here, **({} if setting else {"keep_alive": "-1s"}))
    here.wait(10**7)
    (model,) = here.running()
    assert model["expires_at"][:2] == "23"


@pytest.mark.parametrize("version", ["0.5.4", "0.24.0", "0.32.15"])
def test_another_duration_with_the_same_options_reloads_nothing(tiny: Callable[..., Talk], version: str) -> None:
    here = tiny(version)
    options = {"num_ctx": 1024}
    load(here, keep_alive=-1, options=options)
    (before,) = here.running()
    load(here, keep_alive="5m", options=options)
    (after,) = here.running()
    assert (before["expires_at"][:2], after["expires_at"][:2]) == ("23", "20")
    assert here.engine.runners.loads == 1
    load(here, options=options)
    here.wait(200)
    assert len(here.running()) == 1, "without one of its own a request begins the last duration anew"
    here.wait(200)
    assert here.running() == []
    load(here, keep_alive="5m", options={"num_ctx": 512})
    load(here, keep_alive="5m", options=options)
    assert here.engine.runners.loads == 3


def test_what_is_in_use_stays(tiny: Callable[..., Talk]) -> None:
    here = tiny(load_seconds=50)

    async def case() -> list[Answer]:
        first = asyncio.create_task(here.posted("generate", model="tiny", keep_alive="1s"))
        await asyncio.sleep(20)
        return [await first, await here.asked("GET", "/api/ps")]

    answers = here.run(case())
    assert [model["name"] for model in answers[1].json["models"]] == ["tiny:latest"]


def test_unloading_takes_a_moment(tiny: Callable[..., Talk]) -> None:
    here = tiny("0.24.0", unload_seconds=2)
    load(here)
    load(here, keep_alive=0)
    assert len(here.running()) == 1
    here.wait(2)
    assert here.running() == []


def test_unloading_what_is_not_loaded_loads_nothing(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    assert load(here, keep_alive=0).json["done_reason"] == "unload"
    assert here.post("chat", model="tiny", keep_alive="0s").json["done_reason"] == "unload"
    assert here.state()["counters"] == {"unload": 2}


def test_embedding_leaves_unloading_to_the_end(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    assert here.post("embed", model="tiny", keep_alive=0).json == {"model": "tiny", "embeddings": []}
    assert (here.engine.runners.loads, here.engine.runners.unloads) == (1, 1)


@pytest.mark.parametrize(
    ("options", "loads"),
    [
        ({}, 1),
        ({"temperature": 0.1}, 1),
        ({"num_ctx": 2048}, 2),
        ({"num_ctx": 4096}, 1),
        ({"num_gpu": 5}, 2),
        ({"num_gpu": -1}, 1),
        ({"num_batch": 64}, 2),
        ({"use_mmap": True}, 2),
    ],
)
def test_options_that_reload(tiny: Callable[..., Talk], options: dict[str, Any], loads: int) -> None:
    here = tiny()
    load(here)
    load(here, options=options)
    assert here.engine.runners.loads == loads


def test_a_reload_waits_for_who_is_served(tiny: Callable[..., Talk]) -> None:
    here = tiny(load_seconds=10)

    async def case() -> list[Answer]:
        return list(
            await asyncio.gather(
                here.posted("generate", model="tiny"),
                here.posted("generate", model="tiny", options={"num_ctx": 2048}),
            )
        )

    assert [answer.status for answer in here.run(case())] == [200, 200]
    assert (here.engine.runners.loads, here.running()[0]["context_length"]) == (2, 2048)
    assert here.now == pytest.approx(20, abs=1)


def test_the_shortest_staying_makes_room(host: Callable[..., Talk]) -> None:
    here = host(max_loaded=2)
    for number, keep in enumerate(["10m", "5m", "20m"]):
        here.seed(f"m{number}", seed=number)
        load(here, f"m{number}", keep_alive=keep)
    assert [model["name"] for model in here.running()] == ["m2:latest", "m0:latest"]


def test_memory_makes_room_too(host: Callable[..., Talk]) -> None:
    here = host("0.9.6", memory=300 * MIB)
    for number in range(3):
        here.seed(f"m{number}", seed=number, size=100 * MIB)
        load(here, f"m{number}")
    names = [model["name"] for model in here.running()]
    assert len(names) == 2
    assert "m2:latest" in names
    assert here.running()[0]["size_vram"] == here.running()[0]["size"]


@pytest.mark.parametrize(
    ("memory", "error"),
    [
        (50 * MIB, "model requires more system memory (101.0 MiB) than is available (50.0 MiB)"),
        (2048 * MIB, None),
    ],
)
def test_a_model_larger_than_all_memory(host: Callable[..., Talk], memory: int, error: str | None) -> None:
    here = host(memory=memory)
    here.seed("large", size=100 * MIB)
    answer = load(here, "large")
    assert answer.status == (200 if error is None else 500)
    assert error is None or answer.error == error


def test_gibibytes_in_words(host: Callable[..., Talk]) -> None:
    here = host(memory=1 << 30)
    here.seed("large", size=100 << 30)
    assert load(here, "large").error.endswith("(100.0 GiB) than is available (1.0 GiB)")


def test_a_full_queue_is_503(tiny: Callable[..., Talk]) -> None:
    here = tiny(load_seconds=10, max_queue=1)

    async def case() -> list[Answer]:
        return list(await asyncio.gather(*(here.posted("generate", model="tiny") for _ in range(3))))

    answers = here.run(case())
    assert sorted(answer.status for answer in answers) == [200, 503, 503]
    busy = next(answer for answer in answers if answer.status == 503)
    assert busy.error == "server busy, please try again.  maximum pending requests exceeded"


def test_loading_takes_the_time_of_its_size(host: Callable[..., Talk]) -> None:
    here = host(load_seconds=1, load_rate=10 * MIB)
    here.seed("m", size=100 * MIB)
    load(here, "m")
    assert here.now == pytest.approx(11, abs=0.1)


def test_who_leaves_ends_the_load(tiny: Callable[..., Talk]) -> None:
    here = tiny(load_seconds=60)

    async def case() -> None:
        async with here.client() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await client.post("/api/generate", json={"model": "tiny"})

    here.run(case())
    assert (here.running(), here.engine.runners.loads) == ([], 0)


def test_a_crash_and_a_restart_end_runners(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    load(here)
    here.engine.evict("tiny")
    assert here.running() == []
    load(here)
    here.restart()
    assert here.running() == []
    assert here.state()["running"] == []


def test_deleting_a_model_does_not_end_its_runner(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    load(here)
    here.delete("tiny")
    here.delete("alias")
    assert len(here.running()) == 1
    assert load(here, keep_alive=0).status == 404


def test_adapters_and_sizes_belong_to_the_runner(tiny: Callable[..., Talk]) -> None:
    here = tiny()
    load(here)
    (state,) = here.state()["running"]
    assert state["name"] == "tiny:latest"
    assert state["session_seconds"] == 300

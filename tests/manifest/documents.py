"""Inventories and manifests that Hypothesis draws: sound ones, as values that any YAML writer can write."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import strategies as st

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
HOSTS = ("gpu-1", "gpu-2", "cpu-1", "cpu-2")
LABELS = st.dictionaries(st.sampled_from(["env", "site"]), st.sampled_from(["a", "b"]))
SELECTORS = st.sampled_from(
    ["env=a", "env!=a", "site in (a,b)", "!site", "name=gpu-*", "name=cpu-1", "vram>=40GB", "group=g", "env=a,site=b"]
)
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2, allow_nan=False).map(lambda number: round(number, 3)),
        "seed": st.integers(-5, 5),
        "num_ctx": st.integers(1, 5).map(lambda number: number * 1024),
        "use_mmap": st.booleans(),
        "stop": st.lists(st.sampled_from(["x", "<|end|>", "no", "3.10"]), max_size=2) | st.just("lone"),
    },
)
TEXTS = st.sampled_from(["Answer.", "no", "3.10", "two\nlines\n", "“日本”", "# no comment", "{braces}", " "])
KEEP_ALIVES = st.sampled_from([-1, "5m", "1h30m", "90s"])
WARM = st.booleans() | st.fixed_dictionaries({}, optional={"keep_alive": KEEP_ALIVES, "options": PARAMETERS})
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXTS}), min_size=1, max_size=2
)
CREATE = st.fixed_dictionaries(
    {"from": st.sampled_from(["base", "library/base:latest", "other:7b"])},
    optional={
        "system": TEXTS,
        "template": TEXTS,
        "parameters": PARAMETERS,
        "messages": MESSAGES,
        "license": TEXTS | st.lists(TEXTS, min_size=1, max_size=2),
        "renderer": st.just("qwen3-coder"),
        "requires": st.just("0.14.0"),
        "quantize": st.sampled_from(["q4_k", "Q8_0"]),
    },
)
CHECKS = st.lists(
    st.fixed_dictionaries(
        {"prompt": TEXTS}, optional={"expect": st.just("(?i)ok"), "within": st.just("60s"), "options": PARAMETERS}
    )
    | st.fixed_dictionaries({"chat": MESSAGES}, optional={"format": st.just("json")})
    | st.fixed_dictionaries({"embed": TEXTS}, optional={"dimensions": st.just(768)}),
    min_size=1,
    max_size=2,
)
FLAGS = {
    "warm": WARM,
    "protect": st.booleans(),
    "freeze": st.booleans(),
    "where": SELECTORS,
    "check": CHECKS,
    "replace": st.just("in-place"),
}
PULL = st.fixed_dictionaries(
    {},
    optional={
        "update": st.sampled_from(["missing", "locked", "always"]),
        "from": st.sampled_from(["x:1", "hf.co/o/x"]),
    },
) | st.fixed_dictionaries({"pin": st.just("sha256:" + "0" * 64)}, optional={"update": st.just("locked")})
ENTRIES = st.one_of(
    st.none(),
    st.fixed_dictionaries({"allow_empty": st.just(True)}, optional=FLAGS),
    st.fixed_dictionaries({"create": CREATE, "allow_empty": st.just(True)}, optional=FLAGS),
    st.fixed_dictionaries({"alias": st.just("base"), "allow_empty": st.just(True)}, optional=FLAGS),
    st.fixed_dictionaries({"pull": PULL}),
)
GONE = st.fixed_dictionaries({"absent": st.just(True), "allow_empty": st.just(True)}, optional={"where": SELECTORS})
HOST = st.fixed_dictionaries(
    {"url": st.just("http://{name}.lan")},
    optional={
        "labels": LABELS,
        "group": st.just("g"),
        "capacity": st.fixed_dictionaries(
            {}, optional={"vram": st.just("48GB"), "loaded": st.just(2), "disk": st.just("1TB")}
        ),
        "suspend": st.booleans() | st.just("in repair"),
        "ephemeral": st.booleans(),
        "marker": st.just("marker/a"),
    },
)
INVENTORIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "hosts": st.fixed_dictionaries({name: HOST | st.just(f"{name}.lan") for name in HOSTS}),
        "groups": st.just({"g": {"labels": {"site": "b"}, "capacity": {"vram": "80GB"}}}),
    },
    optional={
        "name": st.sampled_from(["prod", "test"]),
        "policy": st.fixed_dictionaries(
            {},
            optional={
                "max_deletes": st.integers(0, 9),
                "protect": st.just(["keep/*"]),
                "prune": st.sampled_from(["never", "owned", "undeclared"]),
                "update": st.sampled_from(["missing", "locked", "always"]),
            },
        ),
        "registries": st.just(
            {"registry.ollama.ai": {"insecure": True}, "hf.co": {"mirror": "hf.lan", "url": "http://127.0.0.1:9"}}
        ),
    },
)
MODELS = st.dictionaries(st.sampled_from(["a", "b:7b", "acme/c", "d"]), ENTRIES, max_size=4)
MANIFESTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda models, gone: {"version": 1, "models": models | gone},
    MODELS,
    st.dictionaries(st.sampled_from(["old", "test-*", "x/*:7?"]), GONE, max_size=2),
)


def in_yaml(*documents: dict[str, Any]) -> str:
    """The documents as one file, their keys in the order that they have."""
    text: str = yaml.dump_all(documents, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    return text

"""Names: read once, compared and shown as Ollama does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.names import Digest, HostName, InvalidName, ModelName

STEADY = settings(deadline=None)

FIRST = "abzABZ019_"
PART = st.builds("{}{}".format, st.sampled_from(FIRST), st.text(FIRST + "-.", max_size=10))
NAMESPACE = st.builds("{}{}".format, st.sampled_from(FIRST), st.text(FIRST + "-", max_size=10))
REGISTRY = st.builds("{}{}".format, st.sampled_from(FIRST), st.text(FIRST + "-.:", max_size=10))
NAMES = st.builds(
    ModelName,
    st.just("registry.ollama.ai") | REGISTRY,
    st.just("library") | NAMESPACE,
    PART,
    st.just("latest") | PART,
)


@STEADY
@given(NAMES)
def test_what_is_shown_is_read_back(name: ModelName) -> None:
    again = ModelName.parse(str(name))
    assert again == name
    assert str(again) == str(name)
    assert (again.model, again.tag) == (name.model, name.tag)


@pytest.mark.fault("D12")
@STEADY
@given(NAMES)
def test_long_short_and_case_variants_are_one_name(name: ModelName) -> None:
    full = f"{name.registry}/{name.namespace}/{name.model}:{name.tag}"
    spellings = {full, str(name), full.upper(), full.lower(), full.swapcase()}
    if name.tag == "latest":
        spellings.add(str(name).removesuffix(":latest"))
    read = {ModelName.parse(text) for text in spellings}
    assert read == {name}
    assert len({one.key for one in read}) == 1
    assert len({hash(one) for one in read}) == 1


@STEADY
@given(NAMES, NAMES)
def test_names_with_another_part_are_other_names(one: ModelName, other: ModelName) -> None:
    def parts(name: ModelName) -> list[str]:
        return [part.lower() for part in (name.registry, name.namespace, name.model, name.tag)]

    assert (one == other) == (parts(one) == parts(other))
    assert (one < other) + (other < one) + (one == other) == 1


@STEADY
@given(st.text(max_size=60))
def test_any_text_is_a_name_or_an_invalid_one(text: str) -> None:
    try:
        name = ModelName.parse(text)
    except InvalidName:
        return
    assert ModelName.parse(str(name)) == name
    assert str(name).isascii()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("llama3", "llama3:latest"),
        ("Llama3:8b", "Llama3:8b"),
        ("registry.ollama.ai/library/llama3", "llama3:latest"),
        ("registry.ollama.ai/user/m:7b", "user/m:7b"),
        ("library/m", "m:latest"),
        ("hf.co/user/repo:Q4_K_M", "hf.co/user/repo:Q4_K_M"),
        ("localhost:5000/library/m", "localhost:5000/library/m:latest"),
        ("a" * 80 + ":" + "b" * 80, "a" * 80 + ":" + "b" * 80),
    ],
)
def test_names_are_shown_in_their_short_form(text: str, shown: str) -> None:
    assert str(ModelName.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", None),
        ("m:", None),
        ("/m", None),
        ("a//b", None),
        ("a/b/c/d", None),
        (".m", None),
        ("m m", None),
        ("mé", None),
        ("m\n", None),
        ("m:a:b", None),
        ("a" * 81, None),
        ("m:" + "a" * 81, None),
        ("a" * 351 + "/x/m", None),
        ("hf.co/x", "a name with a registry has three parts: `hf.co/NAMESPACE/x`"),
        ("localhost:5000/x", "a name with a registry has three parts: `localhost:5000/NAMESPACE/x`"),
        ("m@sha256:abc", 'write `m` with `pull: {pin: "sha256:…"}`'),
        (f"m:7b@sha256:{'ab' * 32}", f'write `m:7b` with `pull: {{pin: "sha256:{"ab" * 32}"}}`'),
        ("@sha256:abc", None),
        ("https://x/y/z", "write `x/y/z`"),
    ],
)
def test_what_is_no_name_is_refused_with_what_to_write(text: str, hint: str | None) -> None:
    with pytest.raises(InvalidName) as caught:
        ModelName.parse(text)
    assert caught.value.hint == hint


@pytest.mark.fault("H16")
@pytest.mark.parametrize(
    ("text", "reserved"),
    [
        ("m:local", True),
        ("m:Cloud", True),
        ("m:7b-cloud", True),
        ("m:cloudy", False),
        ("m:locale", False),
        ("cloud", False),
    ],
)
def test_tags_that_servers_read_as_marks(text: str, *, reserved: bool) -> None:
    assert ModelName.parse(text).reserved is reserved


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@STEADY
@given(HEX)
def test_a_digest_is_one_value_with_and_without_prefix(digits: str) -> None:
    digest = Digest.parse(digits)
    assert digest == Digest.parse(f"sha256:{digits}") == Digest.parse(str(digest))
    assert digest.short == digits[:12]


@pytest.mark.parametrize(
    "text", ["", "sha256:", "a" * 63, "A" * 64, "sha1:" + "a" * 64, "a" * 64 + "\n", "../" + "a" * 61]
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(InvalidName):
        Digest.parse(text)


@pytest.mark.parametrize("text", ["gpu-1", "a", "_x", "tyo-01.example.net", "a" * 253])
def test_host_names(text: str) -> None:
    assert HostName.parse(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "a b", "a/b", "a" * 254, "é", "a\n"])
def test_what_is_no_host_name(text: str) -> None:
    with pytest.raises(InvalidName):
        HostName.parse(text)

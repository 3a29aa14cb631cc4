from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.endpoint import Endpoint, EndpointError
from fleet.names import InvalidName


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("example.com", "http://example.com:11434"),
        ("example.com:1234", "http://example.com:1234"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("HTTPS://Example.COM", "https://example.com:443"),
        ("https://example.com:8443", "https://example.com:8443"),
        (":1234", "http://127.0.0.1:1234"),
        ("http://", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("[::]", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("http://[2001:DB8::0:1]:80", "http://[2001:db8::1]:80"),
        ("[::ffff:10.0.0.11]", "http://10.0.0.11:11434"),
        ("[64:ff9b::10.0.0.11]", "http://[64:ff9b::a00:b]:11434"),
        ("gpu-1.10g.lan", "http://gpu-1.10g.lan:11434"),
        ("0xgpu", "http://0xgpu:11434"),
        ("a." * 126 + "a", "http://" + "a." * 126 + "a:11434"),
        ("10.0.0.11:11434", "http://10.0.0.11:11434"),
        ("http://example.com/ollama", "http://example.com:80/ollama"),
        ("example.com/ollama", "http://example.com:11434/ollama"),
        ("https://example.com//gpu-b//v1/", "https://example.com:443/gpu-b/v1"),
        ("http://example.com/a%20b", "http://example.com:80/a%20b"),
        ("https://example.com/", "https://example.com:443"),
        ("ollama.com", "https://ollama.com:443"),
        ("  example.com  ", "http://example.com:11434"),
        ('"example.com:1"', "http://example.com:1"),
        ("' http://example.com '", "http://example.com:80"),
        ("gpu_1.internal.", "http://gpu_1.internal.:11434"),
        ("xn--bcher-kva.example", "http://xn--bcher-kva.example:11434"),
    ],
)
def test_an_address_is_read_by_the_rules_of_ollama_host(text: str, url: str) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint.url == url
    assert str(endpoint) == url
    assert endpoint.warnings == ()


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("example.com:99999", 11434),
        ("example.com:-1", 11434),
        ("example.com:0", 11434),
        ("example.com:abc", 11434),
        ("example.com:", 11434),
        ("example.com:\u0661\u0662", 11434),
        ("http://example.com:abc", 80),
        ("https://[::1]:99999", 443),
    ],
)
def test_an_invalid_port_gives_the_default_with_a_warning(text: str, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint.port == port
    assert endpoint.warnings == (f"the port is no number from 1 to 65535: {port} is used",)


FORBIDDEN = "link-local, multicast and metadata addresses"
NUMBER = "does not end in a number"


@pytest.mark.fault("D19")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("http://user:hunter2@example.com", "holds no credentials"),
        ("hunter2@example.com", "holds no credentials"),
        ("http://example.com/?token=hunter2", "no query"),
        ("http://example.com/#hunter2", "no fragment"),
        ("ftp://example.com", "begins with http:// or https://"),
        ("file:///etc/passwd", "begins with http:// or https://"),
        ("http://exa mple.com", "letters, digits"),
        ("http://example.com\r\nX-Evil: 1", "letters, digits"),
        ("http://bücher.example", "letters, digits"),
        ("-o.example", "letters, digits"),
        ("a:b:c", "letters, digits"),
        ("[::1", "is written `[address]`"),
        ("[::1]x", "is written `[address]`"),
        ("http://example.com/../admin", "characters that no path has"),
        ("http://example.com/a b", "characters that no path has"),
        ("http://example.com/%zz", "characters that no path has"),
        ("169.254.169.254", FORBIDDEN),
        ("http://[fe80::1]", FORBIDDEN),
        ("http://[::ffff:169.254.169.254]/", FORBIDDEN),
        ("224.0.0.1", FORBIDDEN),
        ("[64:ff9b::a9fe:a9fe]", FORBIDDEN),
        ("[64:ff9b::169.254.169.254]:80", FORBIDDEN),
        ("[64:ff9b:1::a9fe:a9fe]", FORBIDDEN),
        ("[2002:a9fe:a9fe::]", FORBIDDEN),
        ("[::169.254.169.254]", FORBIDDEN),
        ("[fd00:ec2::254]", FORBIDDEN),
        ("[fd00:0ec2:0::0254]:80", FORBIDDEN),
        ("metadata.google.internal", FORBIDDEN),
        ("http://Metadata.Google.Internal./computeMetadata/v1", FORBIDDEN),
        ("2852039166", NUMBER),
        ("http://0xA9FEA9FE/", NUMBER),
        ("0251.0376.0251.0376", NUMBER),
        ("169.254.43518", NUMBER),
        ("169.254.169.254.", NUMBER),
        ("10.1", NUMBER),
        ("0x7f.1:11434", NUMBER),
        ("gpu.0x", NUMBER),
        ("256.1.1.1", NUMBER),
        ("[x]", "is written `[address]`"),
        ("[10.0.0.1]:80", "is written `[address]`"),
        ("[2001:db8::1%eth0]", "a zone belongs to link-local"),
        ("a." * 126 + "ab", "at most 253"),
        ("http://" + "a" * 64 + ".example", "letters, digits"),
        ("http://example.com/" + "a" * 2000, "at most 2,000 characters"),
        ("http://example.com/a/..", "`..` as a part"),
        ("http://example.com/a/%2e%2E/b", "`..` as a part"),
        ("http://example.com/./b", "`..` as a part"),
    ],
)
def test_what_would_leak_or_mislead_is_refused_without_being_repeated(text: str, fault: str) -> None:
    with pytest.raises(EndpointError) as refused:
        Endpoint.parse(text)
    assert fault in str(refused.value)
    assert "hunter2" not in f"{refused.value}{refused.value.hint}"
    assert isinstance(refused.value, InvalidName)


def test_credentials_in_a_url_are_sent_to_the_inventory() -> None:
    with pytest.raises(EndpointError) as refused:
        Endpoint.parse("http://user:hunter2@example.com")
    assert refused.value.hint == "take them out of the URL and use `auth` in the inventory"


def test_a_warning_does_not_make_another_host() -> None:
    assert Endpoint.parse("example.com:x") == Endpoint.parse("example.com")


@given(st.text(max_size=40))
def test_every_text_is_an_address_or_refused(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except EndpointError:
        return
    assert Endpoint.parse(endpoint.url) == endpoint
    assert "@" not in endpoint.authority

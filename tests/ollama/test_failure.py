from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fleet.codes import Code
from fleet.errors import HostAnswered, OutcomeUnknown
from fleet.names import Digest
from fleet.ollama.answer import Answer, error_line, refusal, retry_after
from fleet.ollama.failure import Doing, ModelMissing, classify, vanished

WHERE = "http://gpu-a:11434/api/x"
SIGNED = "https://r2.example/blob?X-Amz-Signature=s3cr3t"


@pytest.mark.parametrize(
    ("doing", "text", "code"),
    [
        ("pull", "pull model manifest: file does not exist", "NOT_IN_REGISTRY"),
        (
            "pull",
            "pull model manifest: 412: \nThe model you are attempting to pull requires a newer version of Ollama.",
            "NEWER_SERVER_NEEDED",
        ),
        ("pull", "pull model manifest: 401: ", "REGISTRY_UNAUTHORIZED"),
        ("pull", "unauthorized: access denied", "REGISTRY_UNAUTHORIZED"),
        ("pull", 'realm host "huggingface.co" does not match original host "hf.co"', "REGISTRY_UNAUTHORIZED"),
        ("pull", "pull model manifest: 429: <html>Too Many", "REGISTRY_TROUBLE"),
        ("pull", "pull model manifest: 503: ", "REGISTRY_TROUBLE"),
        ("pull", f'max retries exceeded: Get "{SIGNED}": EOF', "REGISTRY_TROUBLE"),
        ("pull", "unexpected EOF", "REGISTRY_TROUBLE"),
        ("pull", "read tcp 10.0.0.1:5->10.0.0.2:443: i/o timeout", "REGISTRY_TROUBLE"),
        (
            "pull",
            'pull model manifest: Get "https://r/v2/": dial tcp: lookup r: server misbehaving',
            "REGISTRY_TROUBLE",
        ),
        ("pull", "EOF", "DOWNLOAD_DAMAGED"),
        ("create", "EOF", "ERROR_LINE"),
        ("pull", "write /models/blobs/sha256-aa-partial: no space left on device", "DISK_FULL"),
        ("pull", "digest mismatch, file must be downloaded again: want sha256:a, got sha256:b", "DIGEST_MISMATCH"),
        ("pull", "http: no Location header in response", "REGISTRY_WITHOUT_REDIRECT"),
        ("pull", "this model requires MLX support, but the MLX runtime is not available", "SERVER_REFUSED"),
        ("pull", "insecure protocol http", "SERVER_REFUSED"),
        ("pull", "something never seen", "ERROR_LINE"),
        ("push", 'unauthorized: unknown ollama key "AAAA"', "REGISTRY_UNAUTHORIZED"),
        ("create", "open /m/blobs/sha256-" + "a" * 64 + ": no such file or directory", "BLOB_VANISHED"),
        ("create", f"open C:\\m\\sha256-{'a' * 64}: The system cannot find the file specified.", "BLOB_VANISHED"),
        ("create", "open /tmp/ollama1/model.safetensors: no such file or directory", "ERROR_LINE"),
        ("create", "failed to validate GGUF with llama-quantize without compatibility patches: x", "SERVER_REFUSED"),
        (
            "create",
            'pull model manifest: Get "https://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
            "SOURCE_NOT_THERE",
        ),
        ("create", "pull model manifest: file does not exist", "NOT_IN_REGISTRY"),
        ("create", "failed to validate GGUF: no space left on device", "DISK_FULL"),
        ("upload", 'digest mismatch, expected "sha256:a", got "sha256:b"', "DIGEST_MISMATCH"),
        ("upload", "no space left on device", "DISK_FULL"),
        ("run", "model requires more system memory (40 GiB) than is available (8 GiB)", "OUT_OF_MEMORY"),
        ("run", "llama runner process has terminated: cudaMalloc failed: out of memory", "OUT_OF_MEMORY"),
        ("run", "llama runner process has terminated: exit status 2", "LOAD_FAILED"),
        ("run", "timed out waiting for llama runner to start - progress 0.00", "LOAD_FAILED"),
        ("run", 'option "num_ctx" must be of type integer', "LOAD_FAILED"),
        ("run", "server busy, please try again.  maximum pending requests exceeded", "BUSY"),
    ],
)
def test_words_of_an_error_line_decide_the_code(doing: str, text: str, code: str) -> None:
    assert classify(text, status=200, doing=Doing(doing)) is Code[code]


def test_the_blob_that_vanished_is_known_by_its_name() -> None:
    assert vanished("open /m/blobs/sha256-" + "a1" * 32 + ": no such file or directory") == Digest("a1" * 32)
    assert vanished("open /m/blobs/sha256-" + "a1" * 30 + ": no such file or directory") is None


def test_the_same_words_under_500_are_the_same_failure() -> None:
    for text in ("something never seen", "quantization is only supported for F16 and F32 models", "EOF"):
        assert classify(text, status=500, doing=Doing.CREATE) is classify(text, status=200, doing=Doing.CREATE)


def test_escapes_in_the_words_do_not_hide_them() -> None:
    text = "\x1b[31mno space left on device\x1b[0m"
    assert classify(text, status=200, doing=Doing.PULL) is Code.DISK_FULL


def answer(status: int, body: object = "", **headers: str) -> Answer:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    pairs = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Answer(status, pairs, raw)


@pytest.mark.parametrize(
    ("status", "body", "code", "told"),
    [
        (400, {"error": "invalid model name"}, "SERVER_REFUSED", "invalid model name"),
        (401, {"error": "who are you"}, "UNAUTHORIZED", "who are you"),
        (401, "", "UNAUTHORIZED", None),
        (403, "", "ORIGIN_REFUSED", None),
        (403, "<h1>Forbidden</h1>", "UNAUTHORIZED", "Forbidden"),
        (404, "404 page not found", "NOT_OLLAMA", "404 page not found"),
        (404, {"detail": "x"}, "NOT_OLLAMA", '{"detail": "x"}'),
        (405, "405 method not allowed", "SERVER_REFUSED", "405 method not allowed"),
        (413, "<html><head><title>413</title><style>a{}</style></head>too large", "SERVER_REFUSED", "413 too large"),
        (408, "", "BUSY", None),
        (418, {"error": "teapot"}, "SERVER_REFUSED", "teapot"),
        (307, {"error": "elsewhere"}, "REDIRECTED", None),
        (403, {"error": "go away"}, "UNAUTHORIZED", "go away"),
        (429, "", "BUSY", None),
        (500, {"error": "boom"}, "SERVER_ERROR", "boom"),
        (500, "", "SERVER_ERROR", None),
        (500, {"error": {"code": 7}}, "SERVER_ERROR", '{"code": 7}'),
        (502, "<html>Bad Gateway</html>", "SERVER_ERROR", "Bad Gateway"),
        (503, {"error": "server busy, please try again."}, "BUSY", "server busy, please try again."),
        (204, "", "NOT_OLLAMA", None),
        (101, "", "NOT_OLLAMA", None),
    ],
)
def test_a_status_is_an_error_with_the_words_of_the_server(
    status: int, body: object, code: str, told: str | None
) -> None:
    error = refusal(answer(status, body), doing=Doing.OBSERVE, where=WHERE, changing=False)
    assert isinstance(error, HostAnswered)
    assert (error.code, error.status, error.told) == (Code[code], status, told)
    assert str(error).startswith(WHERE)
    assert error.hint


def test_a_missing_model_is_told_apart_from_a_missing_ollama() -> None:
    missing = refusal(answer(404, {"error": "model 'x' not found"}), doing=Doing.SHOW, where=WHERE, changing=False)
    nobody = refusal(answer(404, "404 page not found"), doing=Doing.SHOW, where=WHERE, changing=False)
    assert isinstance(missing, ModelMissing)
    assert not isinstance(nobody, ModelMissing)


@pytest.mark.parametrize(("status", "body"), [(500, ""), (502, "<html>"), (504, "Gateway Timeout")])
def test_a_proxy_that_gave_up_leaves_the_outcome_of_a_change_unknown(status: int, body: str) -> None:
    assert isinstance(refusal(answer(status, body), doing=Doing.PULL, where=WHERE, changing=True), OutcomeUnknown)
    assert isinstance(refusal(answer(status, body), doing=Doing.SHOW, where=WHERE, changing=False), HostAnswered)


def test_a_refusal_by_ollama_itself_leaves_no_doubt_about_a_change() -> None:
    assert isinstance(refusal(answer(500, {"error": "x"}), doing=Doing.PULL, where=WHERE, changing=True), HostAnswered)
    assert isinstance(refusal(answer(503, "busy"), doing=Doing.PULL, where=WHERE, changing=True), HostAnswered)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://user:pw@login.example:8443/path?token=s3cr3t", "https://login.example:8443"),
        ("https://login.example/", "https://login.example"),
        ("/login?next=s3cr3t", "another path"),
        ("http://[bad", "an unreadable address"),
        ("http://x:99999999/", "an unreadable address"),
    ],
)
def test_a_redirect_tells_where_to_and_nothing_more(location: str, target: str) -> None:
    error = refusal(answer(307, "", location=location), doing=Doing.OBSERVE, where=WHERE, changing=False)
    assert error.code is Code.REDIRECTED
    assert str(error) == f"{WHERE} redirects to {target}, which is not followed"


def test_words_of_a_server_are_cleaned_and_cut() -> None:
    error = error_line(f"\x1b[31m{SIGNED}\n" + "x" * 9999, "", doing=Doing.PULL, where=WHERE)
    assert error.told is not None
    assert len(error.told) <= 512
    assert "s3cr3t" not in str(error)
    assert "\x1b" not in str(error)
    assert "\n" not in str(error)


def test_an_error_line_may_carry_the_status_that_it_would_have_been() -> None:
    line = error_line("template error: x", "400", doing=Doing.CREATE, where=WHERE)
    assert (line.status, line.code) == (200, Code.SERVER_REFUSED)
    assert error_line("", "", doing=Doing.CREATE, where=WHERE).code is Code.ERROR_LINE


NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 12:01:00 -0000", 60.0),
        ("Mon, 23 Nov 2026 11:59:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("Mon, 99 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(text: str, seconds: float | None) -> None:
    assert retry_after(answer(429, "", retry_after=text), NOW) == seconds
    assert retry_after(answer(429), NOW) is None

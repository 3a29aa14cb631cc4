"""What servers say when something fails, and what waiting does against it: one row for each kind of words."""

from __future__ import annotations

import pytest

from fleet.codes import Code
from fleet.daemon.waiting import class_of
from fleet.ollama.failure import Doing, classify
from fleet.reconcile.step import Action
from fleet.state.attempts import RetryClass

P, T, S, U = RetryClass.P, RetryClass.T, RetryClass.S, RetryClass.U
WORDS = [
    (Doing.PULL, 200, "pull model manifest: file does not exist", P),
    (Doing.PULL, 200, "pull model manifest: 401: ", P),
    (Doing.PULL, 200, "unauthorized: access denied", P),
    (Doing.PULL, 200, 'realm host "huggingface.co" does not match original host "hf.co"', P),
    (Doing.PULL, 200, "pull model manifest: 412: requires a newer version of Ollama", RetryClass.B_VERSION),
    (Doing.PULL, 200, "pull model manifest: 429: slow down", T),
    (Doing.PULL, 200, "pull model manifest: 502: <html>Bad Gateway</html>", T),
    (Doing.PULL, 200, "max retries exceeded: unexpected EOF", T),
    (Doing.PULL, 200, "read tcp 10.0.0.1:5->10.0.0.2:443: i/o timeout", T),
    (Doing.PULL, 200, "dial tcp: lookup registry.ollama.ai: server misbehaving", T),
    (Doing.PULL, 200, "EOF", S),
    (Doing.PULL, 200, "write /models/blobs/x-partial: no space left on device", RetryClass.B_DISK),
    (Doing.PULL, 200, "digest mismatch, file must be downloaded again: want sha256:a, got sha256:b", T),
    (Doing.PULL, 200, "this model requires MLX support, but the MLX runtime is not available", P),
    (Doing.PULL, 200, "insecure protocol http", P),
    (Doing.PULL, 200, "open /models/manifests/x: permission denied", P),
    (Doing.CREATE, 400, "neither 'from' or 'files' was specified", P),
    (Doing.CREATE, 400, "path or Modelfile are required", P),
    (Doing.CREATE, 500, "mkdir /models/blobs: read-only file system", P),
    (Doing.UPLOAD, 400, 'digest mismatch, expected "sha256:a", got "sha256:b"', T),
    (Doing.PULL, 400, "invalid model name", P),
    (Doing.OBSERVE, 403, "", P),
    (Doing.COPY, 404, 'model "a" not found', U),
    (Doing.RUN, 404, "model 'a' not found", U),
    (Doing.OBSERVE, 500, "open /models/manifests/x: no such file or directory", T),
    (Doing.RUN, 503, "server busy, please try again.  maximum pending requests exceeded", T),
    (Doing.RUN, 500, "llama runner process has terminated: cudaMalloc failed: out of memory", RetryClass.B_VRAM),
    (Doing.PULL, 200, "something that nobody ever saw", U),
]


@pytest.mark.parametrize(("doing", "status", "words", "wanted"), WORDS)
def test_words_tell_what_waiting_does(doing: Doing, status: int, words: str, wanted: RetryClass) -> None:
    action = Action(doing.value) if doing.value in set(Action) else Action.LOAD
    assert class_of(classify(words, status=status, doing=doing), action) is wanted


def test_what_a_stranger_does_waits_for_a_person() -> None:
    assert class_of(Code.FOREIGN_WRITER, Action.CREATE) is S

"""Webhooks: who proves to know the secret, and which ref was pushed, whatever else is sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest

from fleet.daemon.hooks import MOST_BYTES, pushed_ref, verify

SECRET = b"a shared secret"
BODY = json.dumps({"ref": "refs/heads/main", "after": "0" * 40}).encode()


def signature(body: bytes = BODY, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("headers", "forge"),
    [
        ({"X-Hub-Signature-256": f"sha256={signature()}"}, "github"),
        ({"x-hub-signature-256": f"sha256={signature()}"}, "github"),
        ({"X-Gitea-Signature": signature(), "X-Hub-Signature-256": f"sha256={signature()}"}, "gitea"),
        ({"X-Forgejo-Signature": signature()}, "forgejo"),
        ({"X-Gitlab-Token": SECRET.decode()}, "gitlab"),
        ({}, None),
        ({"X-Hub-Signature-256": f"sha256={signature(secret=b'another')}"}, None),
        ({"X-Hub-Signature-256": f"sha256={signature(BODY + b' ')}"}, None),
        ({"X-Hub-Signature-256": signature()}, None),
        ({"X-Hub-Signature-256": f"sha256={signature()[:-1]}"}, None),
        ({"X-Hub-Signature-256": "sha256="}, None),
        ({"X-Hub-Signature": f"sha1={hmac.new(SECRET, BODY, hashlib.sha1).hexdigest()}"}, None),
        ({"X-Gitea-Signature": f"sha256={signature()}"}, None),
        ({"X-Gitea-Signature": "ä" * 64}, None),
        ({"X-Gitlab-Token": ""}, None),
        ({"X-Gitlab-Token": SECRET.decode() + " "}, None),
        ({"X-Gitlab-Token": "\udcff"}, None),
        ({"X-Gitlab-Token": signature()}, None),
    ],
)
def test_only_who_knows_the_secret_is_believed(headers: dict[str, str], forge: str | None) -> None:
    assert verify(headers, BODY, SECRET) == forge


@pytest.mark.parametrize(
    "headers",
    [{"X-Hub-Signature-256": f"sha256={signature(secret=b'')}"}, {"X-Gitlab-Token": ""}, {"X-Gitea-Signature": ""}],
)
def test_an_empty_secret_proves_nothing(headers: dict[str, str]) -> None:
    assert verify(headers, BODY, b"") is None


def test_a_body_beyond_the_limit_proves_nothing() -> None:
    body = b" " * (MOST_BYTES + 1)
    assert verify({"X-Hub-Signature-256": f"sha256={signature(body)}"}, body, SECRET) is None
    assert pushed_ref({"X-GitHub-Event": "push"}, body) is None


@pytest.mark.parametrize(
    ("headers", "told", "ref"),
    [
        ({"X-GitHub-Event": "push"}, {"ref": "refs/heads/main"}, "refs/heads/main"),
        ({"X-GitHub-Event": "push"}, {"ref": "refs/tags/v1"}, "refs/tags/v1"),
        ({"X-GitHub-Event": "ping"}, {"ref": "refs/heads/main", "zen": "x"}, None),
        ({"X-GitHub-Event": "create"}, {"ref": "main"}, None),
        ({"X-Gitea-Event": "push", "X-GitHub-Event": "push"}, {"ref": "refs/heads/a/b"}, "refs/heads/a/b"),
        ({"X-Gitea-Event": "issues", "X-GitHub-Event": "push"}, {"ref": "refs/heads/main"}, None),
        ({"X-Forgejo-Event": "push"}, {"ref": "refs/heads/ä"}, "refs/heads/ä"),
        ({"X-Gitlab-Event": "Push Hook"}, {"object_kind": "push", "ref": "refs/heads/main"}, "refs/heads/main"),
        ({"X-Gitlab-Event": "Tag Push Hook"}, {"object_kind": "tag_push", "ref": "refs/tags/v1"}, "refs/tags/v1"),
        ({"X-Gitlab-Event": "System Hook"}, {"event_name": "push", "ref": "refs/heads/main"}, "refs/heads/main"),
        ({"X-Gitlab-Event": "System Hook"}, {"event_name": "user_create", "ref": "refs/heads/main"}, None),
        ({"X-Gitlab-Event": "Note Hook"}, {"object_kind": "note", "ref": "refs/heads/main"}, None),
        ({"X-Gitlab-Event": "Push Hook"}, {"object_kind": ["push"], "ref": "refs/heads/main"}, None),
        ({}, {"ref": "refs/heads/main"}, None),
        ({"X-GitHub-Event": "push"}, {}, None),
        ({"X-GitHub-Event": "push"}, {"ref": "main"}, None),
        ({"X-GitHub-Event": "push"}, {"ref": ["refs/heads/main"]}, None),
        ({"X-GitHub-Event": "push"}, {"ref": "refs/heads/a\nb"}, None),
        ({"X-GitHub-Event": "push"}, {"ref": "refs/heads/\u001b[31m"}, None),
        ({"X-GitHub-Event": "push"}, {"ref": "refs/heads/" + "x" * 2000}, None),
    ],
)
def test_the_ref_of_a_push_and_of_nothing_else(headers: dict[str, str], told: object, ref: str | None) -> None:
    assert pushed_ref(headers, json.dumps(told).encode()) == ref


def test_the_body_may_be_a_form() -> None:
    headers = {"X-GitHub-Event": "push", "Content-Type": "application/x-www-form-urlencoded"}
    assert pushed_ref(headers, urlencode({"payload": BODY.decode()}).encode()) == "refs/heads/main"
    assert pushed_ref(headers, urlencode({"other": BODY.decode()}).encode()) is None
    assert pushed_ref(headers, b"&".join([b"a=b"] * 20)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"ref": ' + b"9" * 5000 + b"}",
        b'{"ref": "refs/heads/\\ud800"}x',
    ],
)
def test_hostile_bodies_tell_nothing(body: bytes) -> None:
    assert pushed_ref({"X-GitHub-Event": "push"}, body) is None

"""Tokens that everybody gets: asked for where the registry or the inventory says, and shown to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fleet.codes import Code
from fleet.registry.places import Place, read_challenge, read_place, read_token
from fleet.registry.served import Published, Served, Unpublished
from tests.ollama.sockets import Request, Script, always, reply, serving
from tests.ollama.sockets import Served as Server
from tests.registry.asking import MANIFEST, TINY, registries, url


def wanting(token: str, challenge: Callable[[], str], *, given: object = None) -> Script:
    """A registry that serves manifests for this token alone, and gives `given` at `/token`."""

    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.path.startswith("/token"):
            writer.write(reply({"token": token} if given is None else given))  # type: ignore[arg-type]
        elif request.headers.get("authorization") == f"Bearer {token}":
            writer.write(reply(MANIFEST))
        else:
            writer.write(reply({"errors": []}, status=401, headers=[f"WWW-Authenticate: {challenge()}"]))
        return True

    return script


def asked(make: Callable[[str], str], *, given: object = None) -> tuple[Served, Server]:
    """A question to a registry whose challenge is made from its own URL."""

    async def run() -> tuple[Served, Server]:
        place: list[str] = []
        async with serving(wanting("t0ken", lambda: make(place[0]), given=given)) as server:
            place.append(url(server))
            async with registries({"reg.test": url(server)}) as asking:
                return await asking.served(TINY), server

    return asyncio.run(run())


def test_a_token_is_asked_for_and_shown() -> None:
    found, server = asked(lambda own: f'Bearer realm="{own}/token",service="reg",scope="repository:team/tiny:pull"')
    assert isinstance(found, Published)
    assert [one.path for one in server.asked] == [
        "/v2/team/tiny/manifests/1",
        "/token?service=reg&scope=repository%3Ateam%2Ftiny%3Apull",
        "/v2/team/tiny/manifests/1",
    ]
    assert [one.headers.get("authorization") for one in server.asked] == [None, None, "Bearer t0ken"]


@pytest.mark.parametrize("given", [{"access_token": "t0ken"}, {"token": "t0ken", "expires_in": 60}])
def test_both_keys_of_a_token_are_read(given: object) -> None:
    found, _ = asked(lambda own: f"bearer Realm={own}/token", given=given)
    assert isinstance(found, Published)


@pytest.mark.parametrize(
    "given", [{}, [], "no", {"token": ""}, {"token": 5}, {"token": "a\nb"}, {"token": "x" * 40_000}]
)
def test_an_answer_without_a_token_ends_the_question(given: object) -> None:
    found, server = asked(lambda own: f'Bearer realm="{own}/token"', given=given)
    assert isinstance(found, Unpublished)
    assert found.code is Code.REGISTRY_UNAUTHORIZED
    assert "/token gives no token" in found.message
    assert len(server.asked) == 2


def test_a_token_that_does_not_help_is_not_asked_for_again() -> None:
    found, server = asked(lambda own: f'Bearer realm="{own}/token"', given={"token": "other"})
    assert isinstance(found, Unpublished)
    assert found.code is Code.REGISTRY_UNAUTHORIZED
    assert len(server.asked) == 3


@pytest.mark.parametrize("challenge", ['Basic realm="x"', "", "Bearer", 'Bearer realm="ftp://x/"', "Negotiate"])
def test_a_challenge_that_wants_credentials_is_not_answered(challenge: str) -> None:
    found, server = asked(lambda _own: challenge)
    assert isinstance(found, Unpublished)
    assert found.code is Code.REGISTRY_UNAUTHORIZED
    assert len(server.asked) == 1


async def elsewhere(*, listed: bool) -> tuple[Served, Server, Server]:
    """A registry that sends to another machine for its token."""
    place: list[str] = []
    other = always(reply({"token": "t0ken"}))
    async with (
        serving(other, host="127.0.0.2") as realm,
        serving(wanting("t0ken", lambda: f'Bearer realm="http://127.0.0.2:{realm.port}/token"')) as server,
    ):
        place.append(url(server))
        addresses = {"reg.test": url(server)}
        if listed:
            addresses[f"127.0.0.2:{realm.port}"] = f"http://127.0.0.2:{realm.port}"
        async with registries(addresses) as asking:
            return await asking.served(TINY), server, realm


def test_a_realm_elsewhere_is_never_asked() -> None:
    found, server, realm = asyncio.run(elsewhere(listed=False))
    assert isinstance(found, Unpublished)
    assert found.code is Code.REGISTRY_UNAUTHORIZED
    assert f"sends to http://127.0.0.2:{realm.port} for a token, which is not asked" in found.message
    assert (len(server.asked), len(realm.asked)) == (1, 0)


def test_a_realm_that_the_inventory_names_is_asked_at_its_address_there() -> None:
    found, _, realm = asyncio.run(elsewhere(listed=True))
    assert isinstance(found, Published)
    assert [one.path for one in realm.asked] == ["/token"]


def test_the_registrys_own_name_as_realm_leads_to_its_url() -> None:
    """A proxy or mirror passes the challenge of the registry behind it on as it came."""

    async def run() -> tuple[Served, Server]:
        challenge = 'Bearer realm="https://reg.test/token"'
        async with (
            serving(wanting("t0ken", lambda: challenge)) as server,
            registries({"reg.test": url(server)}) as asking,
        ):
            return await asking.served(TINY), server

    found, server = asyncio.run(run())
    assert isinstance(found, Published)
    assert [one.path for one in server.asked][1] == "/token"


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ('Bearer realm="https://auth.test/t"', "/t"),
        ('Bearer realm="https://auth.test"', "/"),
        ('Bearer realm="https://auth.test/t?a=b",service="s t"', "/t?a=b&service=s+t"),
        (r'BEARER scope="a\"b", realm="https://auth.test/t"', "/t?scope=a%22b"),
        ('Bearer error="x",realm=https://auth.test/t,realm="https://evil.test/t"', "/t"),
    ],
)
def test_challenges_that_are_read(header: str, path: str) -> None:
    assert read_challenge(header) == Place("https", "auth.test", 443, path)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        'Bearer service="s"',
        'Bearer realm="/token"',
        'Bearer realm="https://user:secret@auth.test/t"',
        'Bearer realm="https://auth.test:99999/t"',
        'Bearer realm="https://[::1/t"',
        'Bearer realm="https://auth.test/t t"',
        'Bearer realm="https://auth.test/ü"',
        f'Bearer realm="https://auth.test/{"x" * 5000}"',
    ],
)
def test_challenges_that_are_none(header: str | None) -> None:
    assert read_challenge(header) is None


def test_places_show_their_origin_alone() -> None:
    place = read_place("/blob?Signature=abc", "HTTPS://CDN.test:443/x")
    assert place is not None
    assert (place.origin, place.path) == ("https://cdn.test", "/blob?Signature=abc")


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 100_000, b'{"token": null, "access_token": {}}'])
def test_tokens_that_are_none(body: bytes) -> None:
    assert read_token(body) is None

"""What resolving gives besides the words of the case files: places, sharing, hosts, fingerprints."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import Any

import pytest

from fleet.manifest.desired import fingerprint, resolve
from fleet.manifest.faults import ManifestErrors
from fleet.manifest.inventory import Auth, Secret
from fleet.manifest.item import Desired
from fleet.manifest.load import load
from fleet.manifest.reach import MOST_SELECTORS
from fleet.manifest.record import Given
from fleet.names import HostName
from fleet.reconcile.backup import NAMESPACE
from tests.manifest.documents import in_yaml


def desired(text: str, **options: Any) -> Desired:
    return resolve(load(["-"], stdin=io.BytesIO(text.encode()), **options))


FLEET = """\
version: 1
name: prod
hosts:
  a: {url: "http://a.lan/x", labels: {env: prod}, suspend: in repair, ephemeral: true, capacity: {vram: 80GB, loaded: 3}}
  b: {group: g, suspend: false}
  c: {group: g}
groups:
  g: {url: "{name}.lan", labels: {env: prod}, suspend: true, ephemeral: true, tls: {server_name: x.lan}}
policy: {max_deletes: 7, protect: [mine, "keep/*"]}
where: env=prod
models:
  m:
    where: name!=c
    overrides:
      - {where: name=b, warm: true}
  n:
  old: {absent: true}
"""


def test_hosts_have_what_they_and_their_groups_say() -> None:
    a, b, c = (wanted.host for wanted in desired(FLEET).hosts.values())
    assert (a.url, b.url, c.url) == ("http://a.lan/x", "b.lan", "c.lan")
    assert (a.suspended, b.suspended, c.suspended) == ("in repair", None, "")
    assert (a.ephemeral, b.ephemeral) == (True, True)
    assert (a.capacity.vram, a.capacity.loaded, b.capacity.vram) == (80 * 10**9, 3, None)
    assert (a.group, b.group, dict(b.labels)) == (None, "g", {"env": "prod"})
    assert b.tls is not None
    assert b.tls.server_name == "x.lan"


def test_secrets_are_named_never_held() -> None:
    text = """\
version: 1
hosts:
  a: {url: a.lan, auth: {basic: {username: me, password_env: PASSWORD}}}
  b: {url: b.lan, auth: {header: {name: X-Key, value_env: KEY}}}
  c: {url: c.lan, auth: {bearer_env: TOKEN}}
"""
    a, b, c = (wanted.host.auth for wanted in desired(text).hosts.values())
    assert a == Auth("basic", Secret(environment="PASSWORD"), username="me")
    assert b == Auth("header", Secret(environment="KEY"), header="X-Key")
    assert c == Auth("bearer", Secret(environment="TOKEN"))


def test_no_more_selectors_than_anybody_has() -> None:
    models = {f"m{number}": {"where": f"x!=y{number}"} for number in range(MOST_SELECTORS + 3)}
    text = in_yaml({"version": 1, "hosts": {"a": "a.lan"}, "models": models})
    with pytest.raises(ManifestErrors) as caught:
        desired(text)
    assert [fault.text for fault in caught.value.faults] == ["more than 5,000 different selectors in all"]


def test_the_names_of_backups_are_for_fleet_alone() -> None:
    with pytest.raises(ManifestErrors) as caught:
        desired(f"version: 1\nhosts: {{a: a.lan}}\nmodels: {{{NAMESPACE}/x: , other.lan/{NAMESPACE}/x: }}\n")
    assert [str(fault) for fault in caught.value.faults] == [
        f"-:3:10: models.{NAMESPACE}/x: names under `{NAMESPACE}/` are for former contents that fleet keeps"
    ]
    desired(f"version: 1\nhosts: {{a: a.lan}}\nmodels: {{{NAMESPACE}/x: {{absent: true}}}}\n")


def test_working_out_ends_after_a_thousand_faults() -> None:
    models = {f"m{number}": {"alias": f"m{number}"} for number in range(1500)}
    with pytest.raises(ManifestErrors) as caught:
        desired(in_yaml({"version": 1, "hosts": {"a": "a.lan"}, "models": models}))
    assert len(caught.value.faults) == 1001


def test_what_makes_no_sense_between_entries_stops_resolving_too() -> None:
    loaded = load(["-"], stdin=io.BytesIO(b"version: 1\nhosts: {a: a.lan}\nmodels: {m: }\n"))
    (entry,) = loaded.entries
    twice = replace(loaded, entries=(entry, replace(entry, gives={"protect": Given(True, entry.place)})))
    with pytest.raises(ManifestErrors, match="declared twice"):
        resolve(twice)


def test_an_item_tells_where_it_was_decided() -> None:
    hosts = desired(FLEET).hosts
    (m_of_a, n_of_a), (m_of_b, _) = hosts[HostName("a")].items, hosts[HostName("b")].items
    assert (str(m_of_a.place), m_of_a.where, m_of_a.overridden) == ("-:12:3", "env=prod,name!=c", ())
    assert [str(place) for place in m_of_b.overridden] == ["-:15:9"]
    assert n_of_a.where == "env=prod"
    (old,) = hosts[HostName("a")].absent
    assert (str(old.place), str(old.exact), old.where) == ("-:17:3", "old:latest", "env=prod")


def test_the_policy_is_carried() -> None:
    policy = desired(FLEET).policy
    assert policy.max_deletes == 7
    assert [pattern.text for pattern in policy.protect] == ["keep/*", "mine"]


def test_hosts_that_are_asked_for_the_same_share_the_same_values() -> None:
    text = "version: 1\nhosts: {'h-[1:9]': '{name}.lan', x: x.lan}\nmodels: {a: , b: {where: name=h-*}}\n"
    hosts = desired(text).hosts
    assert len({id(wanted.items) for wanted in hosts.values()}) == 2
    assert hosts[HostName("x")].items[0] is hosts[HostName("h-1")].items[0]


def test_a_thousand_hosts_are_worked_out_in_far_less_than_a_second() -> None:
    models = {f"m{number}": {"where": "site=a", "warm": True} for number in range(30)}
    models |= {f"c{number}": {"create": {"from": f"m{number}"}, "overrides": [{"where": "name=h-00*", "freeze": True}]} for number in range(10)}  # fmt: skip
    inventory = {"hosts": {"h-[0001:1000]": {"url": "{name}.lan", "labels": {"site": "a"}}}}
    loaded = load(["-"], stdin=io.BytesIO(in_yaml({"version": 1, **inventory, "models": models}).encode()))
    start = time.process_time()
    hosts = resolve(loaded).hosts
    assert time.process_time() - start < 1
    assert sum(len(wanted.items) for wanted in hosts.values()) == 40_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: prod", "name: test"),
        ("http://a.lan/x", "http://a.lan/y"),
        ("suspend: in repair, ", ""),
        ("loaded: 3", "loaded: 2"),
        ("max_deletes: 7", "max_deletes: 8"),
        ('"keep/*"', '"keep/x*"'),
        ("  n:", "  n: {warm: true}"),
        ("  n:", "  n: {freeze: true}"),
        ("  n:", "  n: {alias: o}"),
        ("  n:", "  n: {create: {from: o}}"),
        ("  old:", "  older:"),
        ("policy:", "registries: {registry.ollama.ai: }\npolicy:"),
        ("max_deletes: 7", "max_deletes: 7, update: always"),
        ("max_deletes: 7", "max_deletes: 7, prune: owned"),
        ("loaded: 3", "loaded: 3, disk: 1TB"),
        ("  n:", "  n: {pull: {update: locked}}"),
        ("  n:", f"  n: {{pull: {{pin: {'ab' * 32}}}}}"),
        ("  n:", "  n: {pull: {from: acme/n}}"),
        ("  n:", "  n: {check: [{prompt: x}]}"),
        ("  n:", "  n: {replace: in-place}"),
    ],
)
def test_the_fingerprint_sees_every_change(old: str, new: str) -> None:
    assert old in FLEET
    assert fingerprint(desired(FLEET.replace(old, new, 1))) != fingerprint(desired(FLEET))


MORE = FLEET.replace(
    "policy:", "registries: {registry.ollama.ai: {mirror: m.lan, url: 'https://r.lan'}}\npolicy:"
).replace("  n:", "  acme/n: {create: {from: o, quantize: Q8_0}, push: true, check: [{prompt: x, within: 5s}]}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mirror: m.lan", "mirror: o.lan"),
        ("https://r.lan", "https://s.lan"),
        ("push: true", "push: false"),
        ("quantize: Q8_0", "quantize: Q4_0"),
        ("prompt: x", "embed: x"),
        ("within: 5s", "within: 6s"),
        ("within: 5s", "expect: x"),
        ("within: 5s", "format: json"),
        ("within: 5s", "options: {seed: 1}"),
    ],
)
def test_the_fingerprint_sees_every_change_of_what_is_made_and_asked(old: str, new: str) -> None:
    assert old in MORE
    assert fingerprint(desired(MORE.replace(old, new, 1))) != fingerprint(desired(MORE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  n:", "  library/N:latest:"),
        ("suspend: in repair", "suspend: another reason"),
        ("where: name!=c", "where: name in (a,b)"),
        ("version: 1", "# a comment\nversion: 1"),
        ("labels: {env: prod}, s", "labels: {env: prod, x: y}, s"),
    ],
)
def test_the_fingerprint_sees_nothing_that_asks_for_nothing_else(old: str, new: str) -> None:
    assert old in FLEET
    assert fingerprint(desired(FLEET.replace(old, new, 1))) == fingerprint(desired(FLEET))

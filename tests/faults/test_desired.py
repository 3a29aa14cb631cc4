"""What people write, by mistake or on purpose: nothing of it is done half, crashes the reader, or leads it astray."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.manifest.desired import resolve
from fleet.manifest.faults import ManifestErrors
from fleet.manifest.load import load
from fleet.manifest.secrets import credential_in, looks_random
from tests.fleet_command import FleetCommand

EXHAUSTING = """
import resource, time
from fleet.manifest.faults import Faults, TooManyFaults
from fleet.manifest.reading import read_documents

bomb = "a: &a [x,x,x,x,x,x,x,x,x]\\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\\n" for before, name in zip("abcdefgh", "bcdefghi")
)
hostile = {
    "bomb": bomb, "brackets": "[" * 200_000, "braces": "{a: " * 200_000, "dashes": "- " * 500_000,
    "keys": "".join(f"k{n}: x\\n" for n in range(90_000)), "wide": "[" + "a," * 150_000 + "]",
    "long": "a: " + "x" * 1_000_000, "anchors": "".join(f"- &a{n} x\\n" for n in range(30_000)),
    "quotes": "a: '" + "x" * 1_000_000, "digits": "a: " + "9" * 1_000_000, "same": "a: 1\\n" * 150_000,
    "documents": "--- x\\n" * 50_000, "folded": "a: >\\n" + " x\\n\\n" * 200_000,
}
read_documents(b"a: 1", "f", Faults())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, text in hostile.items():
    faults, begun = Faults(), time.process_time()
    try:
        read_documents(text.encode(), "f", faults)
    except TooManyFaults:
        pass
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(name, f"{time.process_time() - begun:.3f}", grown, len(faults.found))
"""


@pytest.mark.long
@pytest.mark.fault("D3")
def test_documents_made_to_exhaust_the_reader_take_less_than_a_second_and_100_mib() -> None:
    told = subprocess.run([sys.executable, "-c", EXHAUSTING], capture_output=True, text=True, check=True, timeout=60)
    found = {name: (float(seconds), int(grown)) for name, seconds, grown, _ in map(str.split, told.stdout.splitlines())}
    assert len(found) == 13, "it was still there at the end"
    assert {name: each for name, each in found.items() if each[0] >= 1 or each[1] >= 100} == {}


HIDDEN = "h1dd3nVa1ueOfSomebody"
RANDOM = "9fK2mQ7xLp4Zt8WvR3nB6yHd1CjT5sGa"


@pytest.mark.fault("D17")
def test_a_secret_in_a_file_is_a_fault_that_does_not_repeat_it(run_fleet: FleetCommand) -> None:
    token = "ghp_" + "a1B2c3D4" * 4 + "e5F6"
    where = run_fleet.write(
        "fleet.yaml",
        "version: 1\n"
        "hosts:\n"
        f"  a: {{url: a.lan, auth: {HIDDEN}}}\n"
        f"  b: {{url: b.lan, auth: {{token: {HIDDEN}}}}}\n"
        f"  c: {{url: c.lan, api_key: {HIDDEN}}}\n"
        f"  d: {{url: d.lan, labels: {{registry-password: {HIDDEN}}}}}\n"
        f"  e: {{url: e.lan, labels: {{key: {RANDOM}}}}}\n"
        "models:\n"
        f"  m: {{password: {HIDDEN}}}\n",
    )
    ran = run_fleet("validate", "-f", str(where))
    assert (ran.code, ran.stdout) == (4, "")
    faults = [
        line.removeprefix(f"{where}:") for line in ran.stderr.splitlines() if ": " in line and "hint:" not in line
    ]
    never = "a secret is never written in this file"
    assert faults == [
        "3:25: hosts.a.auth: wants a map that says where the secret is, as `bearer_file: PATH`",
        f"4:26: hosts.b.auth.token: {never}",
        f"5:19: hosts.c.api_key: {never}",
        "6:28: hosts.d.labels.registry-password: a label holds no secret: it is shown, and sent to metrics",
        "7:33: hosts.e.labels.key: this looks like a secret, and a label holds none: it is shown, and sent to metrics",
        f"9:7: models.m.password: {never}",
        "error: 6 faults in inventory and manifests",
    ]
    assert HIDDEN not in ran.stderr
    assert RANDOM not in ran.stderr
    assert "hint: put it into a file or an environment variable that `auth` names" in ran.stderr

    run_fleet.write("fleet.yaml", f"version: 1\nmodels:\n  m: {{create: {{from: b, system: 'é, say {token}'}}}}\n")
    ran = run_fleet("validate", "-f", str(where))
    assert f"{where}:3:41: this looks like a token of GitHub: a secret is never written in this file" in ran.stderr
    assert (ran.code, token in ran.stderr) == (4, False)


@pytest.mark.fault("D17")
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("-----BEGIN PRIVATE KEY-----", "a private key"),
        ("-----BEGIN CERTIFICATE-----", None),
        ("AKIA" + "ABCD2345" * 2, "a key of AWS"),
        ("AKIA is a prefix", None),
        ("hf_" + "aB3" * 11 + "x", "a token of Hugging Face"),
        ("hf_transfer", None),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", None),
        ("sk-" + "aB3d" * 9, "an API key"),
        ("risk-based-and-other-lowercase-words-with-dashes", None),
        ("glpat-" + "aB3d" * 5, "a token of GitLab"),
        ("sha256:" + "0a1b2c3d" * 8, None),
    ],
)
def test_forms_of_credentials(text: str, what: str | None) -> None:
    found = credential_in(f"a: {text}\n".encode())
    assert found == (None if what is None else (3, what))


@pytest.mark.fault("D17")
@pytest.mark.parametrize(
    ("text", "random"),
    [
        ("aGVsbG8gd29ybGQgdGhpcyBpcyBhIHRva2Vu", True),
        (RANDOM, True),
        ("0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9", False),
        ("Standard_NC24ads_A100_v4", False),
        ("Rack-12-Row-3-Building-North-Level-2", False),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA1", False),
    ],
)
def test_what_only_a_key_looks_like(text: str, random: bool) -> None:
    assert looks_random(text) is random


NAMES = [f"m{number}" for number in range(6)]


@pytest.mark.fault("D10")
@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({name: st.sampled_from(["", *NAMES]) for name in NAMES}))
def test_aliases_are_refused_exactly_where_they_lead_in_a_circle(aliases: dict[str, str]) -> None:
    def circles(name: str) -> bool:
        seen: list[str] = []
        while name and name not in seen:
            seen.append(name)
            name = aliases[name]
        return bool(name)

    lines = [f"  {name}: {{alias: {of.upper()}:latest}}\n" if of else f"  {name}:\n" for name, of in aliases.items()]
    text = f"version: 1\nmodels:\n{''.join(lines)}"
    faults = ""
    try:
        resolve(load(["-"], stdin=io.BytesIO(text.encode())))
    except ManifestErrors as errors:
        faults = str(errors)
    assert ("circle" in faults or "alias of itself" in faults) is any(map(circles, NAMES)), faults
    assert bool(faults) is any(map(circles, NAMES)), faults

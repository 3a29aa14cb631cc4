"""What hosts say can act on no terminal and make no line of its own, in whatever form it is shown."""

from __future__ import annotations

import json

import pytest

from tests.fleet_command import FleetCommand
from tests.security.hostile import Answer, Heard, Said, origin

EVIL = "\x1b[2J\x1b]0;owned\x07\r\x08\x00\x7f\x9b31m\u202e\u2066abc\u2028\u0085\ud800\ufeff\U000e0041"
DIGEST = "ab" * 32
MODELS = f"""
version: 1
models:
  qwen3:8b:
  acme/made: {{create: {{from: "qwen3:8b", system: "short"}}}}
  there: {{create: {{from: "qwen3:8b", system: "other"}}}}
  "gone-*": {{absent: true}}
  pinned: {{pull: {{pin: "sha256:{DIGEST}"}}}}
"""
DANGEROUS = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u2028\u2029\u200e\u200f\u061c\ufeff"} - {"\n"}
DANGEROUS |= {chr(code) for start, end in ((0x202A, 0x202F), (0x2066, 0x206A)) for code in range(start, end)}


def evil(version: str) -> Answer:
    """A host that lists, shows and tells as badly as it can. Newer servers than it says it is are none of its lies."""
    details = {"family": EVIL, "format": EVIL, "parent_model": EVIL, "quantization_level": EVIL, "families": [EVIL]}
    names = ("there:latest", "gone-1:latest", "pinned:latest", f"bad{EVIL}:latest", "q:1", EVIL)
    listed = [{"name": name, "digest": DIGEST, "size": 5, "modified_at": EVIL, "details": details} for name in names]
    shown = {
        "modelfile": f"FROM {EVIL}\nTEMPLATE {EVIL}\nSYSTEM {EVIL}\n",
        "parameters": f'stop "{EVIL}"\nnum_ctx {EVIL}',
        "template": EVIL,
        "system": EVIL,
        "license": EVIL,
        "details": details,
        "model_info": {EVIL: EVIL, "general.architecture": EVIL},
        "capabilities": [EVIL],
        "messages": [{"role": EVIL, "content": EVIL}],
        "remote_host": EVIL,
    }
    said: dict[str, object] = {
        "/api/version": {"version": version},
        "/api/tags": {"models": listed},
        "/api/ps": {"models": [{**listed[0], "size_vram": 5, "expires_at": EVIL, "context_length": 5}]},
        "/api/show": shown,
    }

    def answer(heard: Heard) -> Said:
        if heard.target in said:
            return Said(200, json.dumps(said[heard.target]).encode(), headers={"Server": "x", "Set-Cookie": "a=b"})
        lines: list[dict[str, object]] = [{"status": EVIL, "digest": EVIL, "total": 9, "completed": 1}, {"error": EVIL}]
        return Said(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines), "application/x-ndjson")

    return answer


def raw(_heard: Heard) -> Said:
    """An error in another language than JSON."""
    return Said(500, EVIL.encode("utf-16", "surrogatepass") + EVIL.encode("utf-8", "surrogatepass"), "text/plain")


def unsafe(text: str) -> list[str]:
    """Lines with something that acts, as code."""
    return [ascii(line) for line in text.split("\n") if set(line) & DANGEROUS]


FORMS = {
    "plan": ("text", "json", "jsonl", "markdown"),
    "apply": ("text", "json", "jsonl", "markdown"),
    "status": ("text", "json"),
    "why": ("text", "json"),
    "doctor": ("text", "json", "markdown"),
    "history": ("text", "json"),
    "snapshot": ("text",),
}


@pytest.mark.invariant("E15")
@pytest.mark.parametrize("verb", ["plan", pytest.param("all", marks=pytest.mark.long)])
def test_no_form_of_any_command_shows_what_acts(verb: str, run_fleet: FleetCommand) -> None:
    run_fleet.write("ollama-fleet.yaml", MODELS)
    environment = {
        "OLLAMA_FLEET_RETRY_TRIES": "1",
        "OLLAMA_FLEET_RETRY_WAIT": "1ms",
        "OLLAMA_FLEET_PULL_TRIES": "1",
        "LANG": "C.UTF-8",
    }
    with origin(evil("0.32.15")) as new, origin(evil("0.3.4")) as old, origin(evil(EVIL)) as odd, origin(raw) as broken:
        urls = {"new": new.url, "old": old.url, "odd": odd.url, "broken": broken.url}
        lines = "".join(f"  {name}: '{url}'\n" for name, url in urls.items())
        run_fleet.write("hosts.yaml", f"version: 1\nhosts:\n{lines}")
        files = ("-i", "hosts.yaml", "-f", "ollama-fleet.yaml")
        for each in FORMS if verb == "all" else ("plan",):
            more = {"why": ("new", "there"), "apply": ("--yes",), "snapshot": ("--out", "x.snapshot")}.get(each, ())
            content = ("--show-content",) if each in {"plan", "apply", "why", "snapshot"} else ()
            for form in FORMS[each] if verb == "all" else ("text",):
                ran = run_fleet(each, "-v", *content, "-o", form, *files, *more, environment=environment)
                assert ran.code in {0, 2, 3, 6, 7}, ran.stderr
                assert unsafe(ran.stdout) == unsafe(ran.stderr) == [], f"{each} -o {form}"
        if verb == "all":
            ran = run_fleet("daemon", "--once", "-v", *files, environment=environment)
            assert unsafe(ran.stdout) == unsafe(ran.stderr) == []
            found = run_fleet("import", f"a={new.url}", "--out", "found", environment=environment)
            written = "".join(path.read_text() for path in (run_fleet.folder / "found").rglob("*") if path.is_file())
            assert unsafe(found.stdout) == unsafe(found.stderr) == unsafe(written) == []
        assert len(new.heard) > 3
        assert len(broken.heard) > 0


@pytest.mark.long
@pytest.mark.invariant("E15")
def test_a_terminal_gets_no_more_than_a_file(run_fleet: FleetCommand) -> None:
    """But for the colours and cursor movements of fleet's own."""
    with origin(evil("0.32.15")) as host:
        run_fleet.write("ollama-fleet.yaml", MODELS)
        _, shown = run_fleet.on_terminal(
            "apply", "--yes", environment={"OLLAMA_HOST": host.url, "NO_COLOR": "1", "OLLAMA_FLEET_PULL_TRIES": "1"}
        )
    assert "owned" in shown
    assert "\x1b]0;owned" not in shown
    assert "\x1b[2J" not in shown
    assert not set(shown) & (DANGEROUS - {"\x1b", "\r", "\x07"})
    assert "\x07" not in shown

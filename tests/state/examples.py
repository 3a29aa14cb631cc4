"""A fleet with something of everything that is remembered."""

from __future__ import annotations

from datetime import UTC, datetime

from fleet.names import Digest, HostName, ModelName
from fleet.state.evidence import Begun, Checked, Evidence, Made, Pushed
from fleet.state.remembered import HostRemembered, Remembered

ALPHA = HostName("alpha")
BETA = HostName("beta")
URL = "http://alpha:11434"
CHAT = ModelName.parse("acme/Chat:8b")
TUNED = ModelName.parse("registry.example/acme/tuned:1")
AT = datetime(2026, 11, 1, 9, 30, 12, 345678, tzinfo=UTC)


def digest(number: int) -> Digest:
    return Digest(f"{number:064x}")


MADE = Evidence(
    {"from": "q:1", "system": "sha256:00 12 bytes", "parameters": '{"num_ctx":8192}'},
    "f" * 64,
    digest(1),
    digest(2),
    "c" * 64,
    frozenset({digest(3), digest(4)}),
    "0.32.15-rc1 (patched)",
    AT,
    "9f3c",
)
ADOPTED = Evidence({}, "e" * 64, digest(5), None, None, frozenset(), "0.9.6", AT, "9f3c", adopted=True)
ASKED = Checked(digest(1), "a" * 64, passed=True, told="", at=AT)
FAILED = Checked(digest(5), "a" * 64, passed=False, told="answered `no`, not `yes` \N{SNOWMAN}", at=AT)
PUBLISHED = Pushed(ALPHA, digest(1), digest(6), "f" * 64, AT)

FULL = Remembered(
    {'[null,["/etc/fleet/é","-"]]': 3, "[null,[]]": 40, '["alpha",[]]': 0},
    {
        ALPHA: HostRemembered(
            URL,
            frozenset({"registry.ollama.ai/library/q:1", CHAT.key, TUNED.key}),
            {CHAT: {"num_ctx": 8192, "temperature": 0.5, "use_mmap": True, "stop": ("a", "b")}, TUNED: {}},
            {CHAT: MADE, TUNED: ADOPTED},
            {CHAT: ASKED, TUNED: FAILED},
            frozenset({ModelName.parse("fleet-backup/chat-0123456789ab:8b")}),
            {CHAT: Made(digest(1), owned=True, at=AT, undone=2), TUNED: Made(digest(5), owned=False, at=AT)},
            {CHAT: Begun("create", digest(7), AT), TUNED: Begun("pull", None, AT)},
        ),
        BETA: HostRemembered("http://beta"),
    },
    {CHAT: PUBLISHED},
    {"[null,[]]": '["inventory.yaml","m\u00f6dels"]'},
)

"""A fleet with a secret of each kind, whose hosts tell back what they are sent, and one host that works."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleet_command import FleetCommand, Ran
from tests.ollama.sockets import self_signed
from tests.private_file import private
from tests.security.hostile import SIGNED, Origin, empty_until_changed, failing, moved, nothing, origin, page
from tests.security.leaks import Secrets, contents

SECRETS = {
    "bearer_file": "mT4xQ9zLr7VbN2cYw8Kd",
    "bearer_env": "pJ6sHf3Gu5XaE1oRi0Tq",
    "basic": "Wd8kVz2MnB7yLc4PxS9h",
    "header": "gU3eRt6YiO1aDf5HjK8l",
    "command": "Zx0cBn9MqW2rTy4UpF7s",
    "git": "Qe5wLp8JhG2kXv6NbM3z",
    "hook": "aR7tYu1IoP4sFg9JkZ2x",
    "listener": "Cv6bNm3QwE8rUi0PlK5j",
    "userinfo": "hD2fGj7KlS4aZc9VbX1n",
    "signed": SIGNED,
}
MODELS = "version: 1\nmodels: {qwen3:8b: }\n"


@dataclass
class World:
    """Everything that was told, and by whom."""

    run_fleet: FleetCommand
    good: str
    origins: dict[str, Origin]
    environment: dict[str, str]
    kept: frozenset[Path]
    """The files in which secrets rightly are."""
    secrets: Secrets
    told: list[tuple[str, bytes]] = field(default_factory=list)

    def run(self, *arguments: str, more: Mapping[str, str] | None = None) -> Ran:
        ran = self.run_fleet(*arguments, environment={**self.environment, **(more or {})})
        assert ran.code != 64, f"{arguments}: {ran.stderr}"
        self.told.append((" ".join(arguments), f"{ran.stdout}\n{ran.stderr}".encode()))
        return ran

    def leaks(self) -> list[str]:
        """Where a secret, or a part of it, came out."""
        found = [f"{what}: {name}" for what, told in self.told for name in sorted(self.secrets.found(told))]
        for path, content in contents(self.run_fleet.folder, self.kept):
            found += [f"{path.name}: {name}" for name in sorted(self.secrets.found(content))]
        for name, served in self.origins.items():
            for heard in served.heard:
                # A host's own secret is for it, in a header; nothing else is for anybody.
                others = self.secrets.found(heard.raw) - {name}
                found += [f"request to {name}: {other}" for other in sorted(others)]
                found += [f"request line or body to {name}" for _ in self.secrets.found(_bare(heard.raw))]
        return found


def _bare(raw: bytes) -> bytes:
    """A request without its headers."""
    head, _, body = raw.partition(b"\n\n")
    return head.partition(b"\n")[0] + b"\n" + body


@contextmanager
def world(run_fleet: FleetCommand, good: str) -> Iterator[World]:
    """`good` is the address of a host that works. Needs the program `openssl`."""
    folder = run_fleet.folder
    key = folder / "server.key"
    self_signed(folder, days=20)
    files = {name: private(folder / f"{name}.secret", f"{SECRETS[name]}\n") for name in SECRETS}
    private(files["git"], f"deploy:{SECRETS['git']}\n")
    vault = private(folder / "vault", f"#!/bin/sh\necho {SECRETS['command']}\necho {SECRETS['command']} >&2\n")
    vault.chmod(0o700)
    (folder / "tmp").mkdir()
    with ExitStack() as stack:
        elsewhere, proxy = stack.enter_context(origin(nothing)), stack.enter_context(origin(failing(502)))
        origins = {
            "bearer_file": stack.enter_context(origin(failing(401))),
            "bearer_env": stack.enter_context(origin(failing(500))),
            "basic": stack.enter_context(origin(page(403))),
            "header": stack.enter_context(origin(moved(elsewhere.url))),
            "command": stack.enter_context(origin(empty_until_changed)),
            "tls": stack.enter_context(origin(nothing)),
            "elsewhere": elsewhere,
            "proxy": proxy,
        }
        auth = {
            "bearer_file": "{bearer_file: bearer_file.secret}",
            "bearer_env": "{bearer_env: GPU_TOKEN}",
            "basic": "{basic: {username: deploy, password_file: basic.secret}}",
            "header": "{header: {name: X-Api-Key, value_file: header.secret}}",
            "command": "{bearer_env: NOT_SET}",
        }
        lines = [f"  {name.replace('_', '-')}: {{url: '{origins[name].url}', auth: {auth[name]}}}" for name in auth]
        secure = origins["tls"].url.replace("http:", "https:")
        tls = "{ca_file: server.pem, cert_file: server.pem, key_file: server.key}"
        lines += [f"  tls: {{url: '{secure}', tls: {tls}}}", f"  good: '{good}'"]
        run_fleet.write("hosts.yaml", "version: 1\nname: secret\nhosts:\n" + "\n".join(lines) + "\n")
        run_fleet.write("ollama-fleet.yaml", MODELS)
        environment = {
            "GPU_TOKEN": SECRETS["bearer_env"],
            "OLLAMA_FLEET_CREDENTIAL_COMMAND": shlex.quote(str(vault)),
            "OLLAMA_FLEET_RETRY_TRIES": "1",
            "OLLAMA_FLEET_PULL_TRIES": "1",
            "OLLAMA_FLEET_TOKEN_FILE": str(files["listener"]),
            "OLLAMA_FLEET_HOOK_SECRET_FILE": str(files["hook"]),
            "TMPDIR": str(folder / "tmp"),
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), proxy.url),
        }
        # Of a key on this curve the 32 bytes from the 36th on are the secret; the rest is in its certificate too.
        pem = "".join(key.read_text().splitlines()[1:-1])[48:90]
        yield World(
            run_fleet,
            good,
            origins,
            environment,
            frozenset({*files.values(), vault, key}),
            Secrets({**SECRETS, "tls": pem}),
        )

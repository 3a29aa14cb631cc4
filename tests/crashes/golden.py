"""The scenarios in which every effect of a run is one before which it is killed: at least one for each thing a run does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.passes.world import published
from tests.simulated import Simulated
from tests.weights import making

Happens = Callable[[Simulated, Path], None]
"""What somebody does between the passes before and the one that is killed; the folder is the command's."""

BASE = '"base:1b": {size: 40KB, seed: base}'
MOVED = '"moved:1b": {size: 40KB, seed: former}'
REGISTRY = """
registry:
  models:
    "base:1b": {size: 40KB, seed: base}
    "moved:1b": {size: 40KB, seed: new}
    "team/other:1": {size: 40KB, seed: other}
    "pinned:1b": {size: 4096, quantization: F16, seed: "0"}
"""


@dataclass(frozen=True, slots=True)
class Golden:
    """One run from one beginning."""

    name: str
    manifest: str
    """The models of the run that is killed, as YAML in one line or more."""
    holds: str = BASE
    """What the hosts hold at first, as the scenario of the simulator writes it."""
    version: str = "0.9.6"
    hosts: tuple[str, ...] = ("alpha",)
    before: tuple[str, ...] = ()
    """The models of earlier runs, which end as desired."""
    happens: tuple[Happens, ...] = ()
    policy: str = ""
    given_up: frozenset[str] = frozenset()
    """Names whose former content the manifest gives up: deleted, or replaced in place."""
    command: tuple[str, ...] = ("apply", "--yes")
    code: int = 0
    further: str = ""
    """Further lines of the simulator's scenario."""
    slow: tuple[tuple[str, float], ...] = ()
    """What the hosts take how many seconds for, while a run is to be killed at some moment."""
    bandwidth: int | None = None
    """Of the registry then, in bytes per second."""

    def scenario(self) -> str:
        hosts = "\n".join(f"  {name}: {{version: {self.version}, models: {{{self.holds}}}}}" for name in self.hosts)
        return f"hosts:\n{hosts}\n{REGISTRY}{self.further}"


def offer(model: str, seed: str) -> Happens:
    """The registry has another content under the name from now on."""
    return lambda fleet, _: _post(fleet, "/registry/add", model=model, size="40KB", seed=seed)


def seed(model: str, content: str) -> Happens:
    """Somebody puts a model on the first host."""
    return lambda fleet, _: _post(
        fleet, f"/hosts/{next(iter(fleet.urls))}/seed", model=model, size="40KB", seed=content
    )


def weights(name: str, called: str) -> Happens:
    """Another file of weights."""

    def write(_: Simulated, folder: Path) -> None:
        (folder / name).write_bytes(making.model(general__name=called))

    return write


def lose(_: Simulated, folder: Path) -> None:
    """What fleet remembers is gone."""
    shutil.rmtree(folder / "state")


def _post(fleet: Simulated, path: str, **body: str) -> None:
    fleet.post(path, dict(body))


PIN: Final = f"sha256:{min(published('pinned:1b', 0))}"
_WRONG: Final = f"sha256:{'0' * 64}"
_MADE = 'acme/made: {create: {from: "base:1b", system: %s}}'
_FILES = "acme/files: {create: {files: [made.gguf], system: Hi%s}}"

GOLDEN: Final = (
    Golden("pull what is absent", '"moved:1b": {}', version="0.32.15"),
    Golden("pull what is absent, old server", '"moved:1b": {}', version="0.3.14"),
    Golden("replace by a pull", '"moved:1b": {pull: {update: always}}', MOVED),
    Golden("replace by a pull, old server", '"moved:1b": {pull: {update: always}}', MOVED, "0.3.14"),
    Golden(
        "replace in place",
        '"moved:1b": {pull: {update: always}, replace: in-place}',
        MOVED,
        given_up=frozenset({"moved:1b"}),
    ),
    Golden(
        "replace what fleet pulled",
        '"moved:1b": {pull: {update: always}}',
        "",
        before=('"moved:1b": {}',),
        happens=(offer("moved:1b", "newer"),),
    ),
    Golden("pull through another name", 'acme/other: {pull: {from: "team/other:1"}}'),
    Golden(
        "replace through another name",
        'acme/other: {pull: {from: "team/other:1", update: always}}',
        '"acme/other": {size: 40KB, seed: former}',
    ),
    Golden(
        "pull through a name that is somebody's",
        'acme/other: {pull: {from: "team/other:1", update: always}}',
        '"team/other:1": {size: 40KB, seed: theirs}',
    ),
    Golden("pull what is pinned", f'"pinned:1b": {{pull: {{pin: "{PIN}"}}}}', version="0.32.15"),
    Golden(
        "replace by what is pinned",
        f'"pinned:1b": {{pull: {{pin: "{PIN}"}}}}',
        '"pinned:1b": {size: 40KB, seed: former}',
        "0.32.15",
    ),
    Golden(
        "a pin that the registry does not serve",
        f'"moved:1b": {{pull: {{pin: "{_WRONG}"}}}}',
        MOVED,
        code=3,
    ),
    Golden("create from a base", _MADE % "Hi", version="0.32.15"),
    Golden("create from a base, old server", _MADE % "Hi", version="0.5.4"),
    Golden("create over what fleet made", _MADE % "New", before=(_MADE % "Hi",)),
    Golden(
        "create over what somebody made", _MADE % "New", f'{BASE}, "acme/made": {{size: 40KB, seed: base, system: Old}}'
    ),
    Golden("create from files", _FILES % ""),
    Golden("create from files, old server", _FILES % "", version="0.5.4"),
    Golden(
        "create from other files",
        _FILES % "",
        before=(_FILES % "",),
        happens=(weights("made.gguf", "two"),),
    ),
    Golden("quantize", "acme/small: {create: {files: [made.gguf], quantize: Q8_0}}"),
    Golden(
        "a base that moved, and what is made from it",
        f'"moved:1b": {{pull: {{update: always}}}}, {(_MADE % "Hi").replace("base", "moved")}, chat: {{alias: acme/made}}',
        MOVED,
        before=(f'"moved:1b": {{}}, {(_MADE % "Hi").replace("base", "moved")}, chat: {{alias: acme/made}}',),
    ),
    Golden("a new alias", 'chat: {alias: "base:1b"}, "base:1b": {}'),
    Golden(
        "an alias of something else",
        'chat: {alias: "base:1b"}, "base:1b": {}',
        f'{BASE}, "chat": {{size: 40KB, seed: former}}',
    ),
    Golden(
        "rename",
        'acme/new: {pull: {from: "team/other:1"}}, acme/old: {absent: true}',
        '"acme/old": {size: 40KB, seed: other}',
        given_up=frozenset({"acme/old:latest"}),
    ),
    Golden("delete", "acme/old: {absent: true}", '"acme/old": {size: 40KB}', given_up=frozenset({"acme/old:latest"})),
    Golden(
        "delete, oldest server",
        "acme/old: {absent: true}",
        '"acme/old": {size: 40KB}',
        "0.3.4",
        given_up=frozenset({"acme/old:latest"}),
    ),
    Golden(
        "delete what is in memory",
        '"moved:1b": {absent: true}',
        before=('"moved:1b": {warm: true}',),
        given_up=frozenset({"moved:1b"}),
    ),
    Golden("load", '"base:1b": {warm: {keep_alive: 24h, options: {num_ctx: 2048}}}'),
    Golden(
        "load with other options",
        '"base:1b": {warm: {options: {num_ctx: 4096}}}',
        before=('"base:1b": {warm: {options: {num_ctx: 2048}}}',),
    ),
    Golden("release", '"base:1b": {}', before=('"base:1b": {warm: true}',)),
    Golden(
        "replace what is in memory",
        '"moved:1b": {pull: {update: always}, warm: true}',
        "",
        before=('"moved:1b": {warm: true}',),
        happens=(offer("moved:1b", "newer"),),
    ),
    Golden(
        "push",
        '"base:1b": {}, "reg.lan:5000/acme/made": {create: {from: "base:1b", system: Hi}, push: true}',
        version="0.32.15",
        further='registries: {"reg.lan:5000": {token: true}}\n',
    ),
    Golden(
        "check before an alias",
        'acme/made: {create: {from: "base:1b", system: Hi}, check: [{prompt: Hi}]}, chat: {alias: acme/made}, "base:1b": {}',
        f'{BASE}, "chat": {{size: 40KB, seed: former}}',
    ),
    Golden(
        "two hosts, deletes last",
        f'"moved:1b": {{pull: {{update: always}}}}, "base:1b": {{}}, {_MADE % "Hi"}, chat: {{alias: acme/made}}, "old-*": {{absent: true}}',
        f'{MOVED}, "old-1": {{size: 40KB}}, "old-2": {{size: 40KB}}',
        hosts=("alpha", "beta"),
        given_up=frozenset({"old-1:latest", "old-2:latest"}),
    ),
    Golden(
        "adopt",
        "acme/small: {create: {files: [made.gguf], quantize: Q8_0}}",
        before=("acme/small: {create: {files: [made.gguf], quantize: Q8_0}}",),
        happens=(lose,),
        command=("adopt",),
    ),
    Golden(
        "prune what fleet put there",
        '"base:1b": {}',
        before=('"moved:1b": {}, "team/other:1": {}, "base:1b": {}',),
        policy="prune: owned",
        given_up=frozenset({"moved:1b", "team/other:1"}),
        command=("apply", "--yes", "--accept-shrunk"),
    ),
)

SLOW: Final = Golden(
    "a run that lasts",
    f'"moved:1b": {{pull: {{update: always}}}}, {(_MADE % "New").replace("base", "moved")}, chat: {{alias: acme/made}},'
    f' {_FILES % ""}, acme/old: {{absent: true}}, "base:1b": {{}}',
    f'{MOVED}, "acme/old": {{size: 40KB}}',
    before=(f'"moved:1b": {{}}, {(_MADE % "Hi").replace("base", "moved")}, chat: {{alias: acme/made}}',),
    given_up=frozenset({"acme/old:latest"}),
    bandwidth=60_000,
    slow=(("create", 0.3), ("copy", 0.06), ("delete", 0.06), ("blob_post", 0.15)),
)
"""For kills at random moments: nearly all of its time goes by in steps."""

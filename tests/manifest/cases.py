"""Case files of `tests/cases/manifest`: files in, what each host is asked for out, or the faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fleet.manifest.inventory import Update
from fleet.manifest.item import Alias, Check, Create, Desired, HostDesired, Item, Message, Pull, Warm
from tests.weights import making

FOLDER = Path(__file__).parent.parent / "cases" / "manifest"


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    files: Mapping[str, str]
    weights: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    inventory: tuple[str, ...] = ()
    self_name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, list[str]] | None = None
    faults: tuple[str, ...] | None = None
    hints: tuple[str, ...] | None = None


def read_cases(file: str) -> list[Case]:
    """The cases of one file, each a YAML document; `files` are written before, `paths` default to all of them."""
    documents = yaml.safe_load_all((FOLDER / file).read_text())
    return [_case(file, document) for document in documents]


def _case(file: str, document: dict[str, Any]) -> Case:
    files = {"fleet.yaml": document.pop("fleet")} if "fleet" in document else document.pop("files")
    inventory = tuple(document.pop("inventory", ()))
    texts = [name for name in files if name.endswith(".yaml") and name not in inventory]
    return Case(
        name=f"{file.removesuffix('.yaml')}: {document['about']}",
        files=files,
        inventory=inventory,
        paths=tuple(document.pop("paths", texts)),
        faults=tuple(document.pop("faults")) if "faults" in document else None,
        hints=tuple(document.pop("hints")) if "hints" in document else None,
        **document,
    )


def write_files(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def write_weights(weights: Mapping[str, str], folder: Path) -> None:
    """Small weights, each path by what is to be there: a GGUF, the pieces of one, or a folder."""
    made = {
        "model": making.model(),
        "adapter": making.adapter(),
        "projector": making.projector(),
        "safetensors": making.safetensors(),
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "json": b"{}",
    }
    for name, kind in weights.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind.startswith("->"):
            path.symlink_to(kind.removeprefix("->").strip())
        elif kind.startswith("folder"):
            making.folder(path, files=int(kind.removeprefix("folder") or 1))
        elif kind.startswith("pieces"):
            for piece, content in making.pieces(int(kind.removeprefix("pieces")), path.name).items():
                (path.parent / piece).write_bytes(content)
        else:
            path.write_bytes(made[kind])


def in_words(desired: Desired) -> dict[str, list[str]]:
    """What each host is asked for, one line an item."""
    return {str(name): _host(wanted) for name, wanted in desired.hosts.items()}


def _host(wanted: HostDesired) -> list[str]:
    return [_item(item) for item in wanted.items] + [f"absent {item.pattern.text}" for item in wanted.absent]


def _item(item: Item) -> str:
    words = [str(item.name)]
    match item.source:
        case Create() as create:
            words += _create(create)
        case Alias(source):
            words.append(f"alias of {source}")
        case Pull() as pull:
            words += _pull(pull)
    words += _warm(item.warm)
    words += [f"check {_check(check)}" for check in item.check]
    words += [flag for flag in ("protect", "freeze", "push", "in_place") if getattr(item, flag)]
    return " ".join(words)


def _pull(pull: Pull) -> list[str]:
    words = ["pull insecure" if pull.insecure else "pull"]
    words += [pull.update.value] if pull.update is not Update.MISSING else []
    words += [f"pin={pull.pin.short}"] if pull.pin else []
    return [*words, f"of {pull.origin}"] if pull.origin else words


def _create(create: Create) -> list[str]:
    words = [f"from {create.base}"] if create.base else []
    words += [
        f"{key}={','.join(file.key for file in files)}"
        for key in ("files", "adapters", "drafts")
        if (files := getattr(create, key))
    ]
    words += [
        f"{key}={value!r}"
        for key in ("quantize", "draft_quantize", "system", "template", "license", "renderer", "parser", "requires")
        if (value := getattr(create, key)) not in {None, ()}
    ]
    words += [f"{message.role}: {message.content}" for message in create.messages]
    return words + [f"{key}={value!r}" for key, value in create.parameters.items()]


def _said(message: Message) -> str:
    return message.content if message.role == "user" else f"{message.role}: {message.content}"


def _check(check: Check) -> str:
    asked = check.prompt or check.embed or " / ".join(map(_said, check.chat))
    values = {
        "expect": check.expect,
        "json": check.json or None,
        "dimensions": check.dimensions,
        "within": check.within,
        **check.options,
    }
    return " ".join([repr(asked), *(f"{key}={value!r}" for key, value in values.items() if value is not None)])


def _warm(warm: Warm | None) -> list[str]:
    if warm is None:
        return []
    duration = "for ever" if warm.keep_alive is None else f"{warm.keep_alive:g}s"
    return [f"warm {duration}", *(f"{key}={value!r}" for key, value in warm.options.items())]

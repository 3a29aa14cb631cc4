"""Hosts that were looked into, out of a few words. Letters stand for digests, of image manifests and of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from fleet.manifest.inventory import Host, Place
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Version
from fleet.reconcile.inside import Inside
from fleet.reconcile.observed import Content, Observed, Present

PLACE = Place("hosts.yaml", 1, 1)


def digest(letter: str) -> Digest:
    return Digest(hashlib.sha256(letter.encode()).hexdigest())


def name(text: str) -> ModelName:
    return ModelName.parse(text)


def host(called: str, group: str | None = None, **labels: str) -> Host:
    return Host(HostName(called), f"http://{called}:11434", PLACE, group, labels)


def content(about: Mapping[str, Any]) -> Content:
    """`weights` are letters; without any, those of `is`."""
    return Content(
        frozenset(digest(letter) for letter in about.get("weights", about["is"])),
        about.get("template", "{{ .Prompt }}"),
        about.get("system", ""),
        about.get("parameters", {}),
        about.get("messages", ()),
        "\n".join(about.get("licences", ())),
        about.get("renderer"),
        about.get("parser"),
        about.get("requires"),
        parent=about.get("parent", ""),
        architecture="llama",
    )


def inside(where: Host | str, models: Mapping[str, Any], version: str = "0.32.15", **odd: Any) -> Inside:
    """A model is what it `is`, or a map with that and what the host shows; `broken`, `remote` and `at` (the second in
    which it was written) too.
    """
    where = host(where) if isinstance(where, str) else where
    told = {listed: about if isinstance(about, Mapping) else {"is": about} for listed, about in models.items()}
    present = {
        name(listed): Present(name(listed), listed, digest(about["is"]), 1, about.get("remote", False))
        for listed, about in told.items()
    }
    observed = Observed(
        where.name,
        Version.parse(version),
        present,
        (),
        {
            name(listed): None if about.get("broken") else content(about)
            for listed, about in told.items()
            if not about.get("remote")
        },
        modified={
            name(listed): f"2026-08-01T00:00:{about['at']:02}Z" for listed, about in told.items() if "at" in about
        },
        **odd,
    )
    return Inside(where, observed, {name(listed): tuple(about.get("licences", ())) for listed, about in told.items()})

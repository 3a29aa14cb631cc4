"""Loads the same manifests as everybody does: by PyYAML's safe loader in C."""

from __future__ import annotations

import yaml
from manifests import FILES, manifests
from spent import spent

contents = manifests()
with spent():
    found = [yaml.load(content, Loader=yaml.CSafeLoader) for content in contents]
assert sum(len(document["models"]) for document in found) == FILES * 50

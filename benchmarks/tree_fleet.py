"""Builds fleet's trees of the manifests, places included."""

from __future__ import annotations

from manifests import FILES, manifests
from spent import spent

from fleet.manifest.faults import Faults
from fleet.manifest.reading import SLOW, read_documents

contents, faults = manifests(), Faults()
with spent():
    found = [read_documents(content, "manifest.yaml", faults) for content in contents]
assert not SLOW, "PyYAML was installed without its C parser"
assert not faults.found
assert sum(map(len, found)) == FILES

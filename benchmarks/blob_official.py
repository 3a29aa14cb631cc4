"""Hashes a file, then uploads it, by Ollama's own client for Python: `blob_official.py FILE URL`."""

from __future__ import annotations

import sys

from ollama import Client
from spent import spent

client = Client(host=sys.argv[2])
with spent():
    digest = client.create_blob(sys.argv[1])
assert digest.startswith("sha256:")

"""The digest of a file as fleet works it out before an upload: `hash_fleet.py FILE`."""

from __future__ import annotations

import asyncio
import sys

from local import local_file
from spent import spent

from fleet.weights.hashing import hash_files

file = local_file(sys.argv[1])
with spent():
    asyncio.run(hash_files([file], None, progress=lambda *_: None))

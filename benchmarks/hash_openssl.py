"""The digest of a file by openssl's own command, whose CPU is not counted here: `hash_openssl.py FILE`."""

from __future__ import annotations

import subprocess
import sys

from spent import spent

with spent():
    subprocess.run(["openssl", "dgst", "-sha256", sys.argv[1]], stdout=subprocess.DEVNULL, check=True)

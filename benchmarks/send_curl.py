"""Uploads a file by curl, so many of them at once: `send_curl.py FILE URL TIMES [CA]`."""

from __future__ import annotations

import subprocess
import sys

from spent import spent

path, url, times, *authority = sys.argv[1:]
command = ["curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", "--upload-file", path]
command += ["--cacert", *authority] if authority else []
with spent():
    curls = [subprocess.Popen([*command, f"{url}/api/blobs/sha256:{'a' * 64}"]) for _ in range(int(times))]
    results = [curl.wait() for curl in curls]
assert results == [0] * int(times)

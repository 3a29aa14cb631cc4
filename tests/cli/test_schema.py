"""`fleet schema` by the installed command."""

from __future__ import annotations

import json
import subprocess
import sys

from fleet.manifest.schema import json_schema


def test_the_schema_is_printed_as_json() -> None:
    done = subprocess.run([sys.executable, "-m", "fleet", "schema"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json_schema()

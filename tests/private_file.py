"""Files as credentials have to be: for their owner alone."""

from __future__ import annotations

from pathlib import Path


def private(path: Path, content: str | bytes) -> Path:
    """Writes it, whatever mask the tests run under."""
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path

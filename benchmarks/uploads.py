"""The figures of uploads: of a file whose digest is known beside curl, and hashed first beside Ollama's own client."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from figures import Figure, ratio, wall
from sides import Spent, serving, side, work

TARGETS = {"plain": 0.85, "tls": 0.9, "four": 1.2}
MEMORY = 64


def uploading(path: Path) -> Iterator[Figure | str]:
    """A text stands for figures that cannot be had on this machine, and says why."""
    if shutil.which("curl") is None:
        yield "uploads beside `curl -T` were not measured: there is no curl here"
    else:
        yield from _beside_curl(path)
    with serving("sink.py", "hash") as port:
        url = f"http://127.0.0.1:{int(port)}"
        spent = work({name: side(f"blob_{name}.py", str(path), url) for name in ("fleet", "official")}, rounds=5)
    about = "hashing 2 GiB, then uploading / the official client, wall"
    yield ratio(about, wall(spent["fleet"]), wall(spent["official"]), 0.95)


def _beside_curl(path: Path) -> Iterator[Figure | str]:
    with serving("sink.py") as port:
        url = f"http://127.0.0.1:{int(port)}"
        plain, four = _sides(path, url, 1, rounds=7), _sides(path, url, 4, rounds=3)
    yield _ratio("uploading 2 GiB / `curl -T`, wall", plain, TARGETS["plain"])
    if shutil.which("openssl") is None:
        yield "an upload over TLS was not measured: there is no openssl here to make a certificate"
    else:
        with _certificate() as folder, serving("sink.py", "tls", str(folder)) as port:
            authority = str(folder / "cert.pem")
            secure = _sides(path, f"https://127.0.0.1:{int(port)}", 1, authority, rounds=7)
        yield _ratio("uploading 2 GiB over TLS / `curl -T`, wall", secure, TARGETS["tls"])
    yield _ratio("four uploads of 2 GiB at once / four `curl -T`, wall", four, TARGETS["four"])
    above = median(each.peak - each.idle for each in four["fleet"]) / 2**20
    yield Figure("highest memory above idle, four uploads of 2 GiB at once", above, MEMORY, "MiB", "")


def _sides(path: Path, url: str, times: int, *authority: str, rounds: int) -> dict[str, list[Spent]]:
    return work(
        {name: side(f"send_{name}.py", str(path), url, str(times), *authority) for name in ("fleet", "curl")}, rounds
    )


def _ratio(about: str, spent: dict[str, list[Spent]], target: float) -> Figure:
    return ratio(about, wall(spent["fleet"]), wall(spent["curl"]), target)


@contextmanager
def _certificate() -> Iterator[Path]:
    """A folder with `cert.pem` and `key.pem` for 127.0.0.1."""
    with tempfile.TemporaryDirectory() as folder:
        files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"]
        subject = ["-subj", "/CN=sink", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(
            ["openssl", "req", "-x509", *curve, "-days", "2", *subject, *files], check=True, capture_output=True
        )
        yield Path(folder)

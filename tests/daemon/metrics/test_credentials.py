"""When files of secrets changed."""

from __future__ import annotations

import os
from pathlib import Path

from fleet.daemon.credentials import changed
from fleet.manifest.inventory import Auth, Host, Place, Secret, Tls
from fleet.names import HostName
from fleet.settings import Settings

HERE = Place("hosts.yaml", 1, 1)


def test_each_file_is_told_by_what_it_is_for(tmp_path: Path) -> None:
    def file(name: str, moment: float) -> str:
        path = tmp_path / name
        path.write_text("secret")
        os.utime(path, (moment, moment))
        return str(path)

    bearer = Auth("bearer", Secret(file("shared", 1_000.0)))
    hosts = [
        Host(HostName("gpu-a"), "http://a", HERE, auth=bearer, tls=Tls(cert_file=file("pem", 2_000.0))),
        Host(HostName("gpu-b"), "http://b", HERE, auth=bearer),
        Host(HostName("gpu-c"), "http://c", HERE, auth=Auth("bearer", Secret(environment="TOKEN"))),
        Host(HostName("gpu-d"), "http://d", HERE, auth=Auth("bearer", Secret(str(tmp_path / "missing")))),
    ]

    assert changed(Settings(token_file=file("token", 3_000.0)), hosts) == {
        ("token_file", ""): 3_000.0,
        ("auth", "gpu-a"): 1_000.0,
        ("tls", "gpu-a"): 2_000.0,
        ("auth", "gpu-b"): 1_000.0,
    }

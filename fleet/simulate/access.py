"""Who may talk to a host: the Origin and Host headers (`ollama-api.md` 1.6)."""

from __future__ import annotations

import ipaddress
import re
import socket

from fleet.simulate.versions import Behaviour, Capability

_LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")
_ORIGIN = re.compile(rf"https?://(?:{'|'.join(map(re.escape, _LOCAL))})(?::.*)?\Z")
_BROWSER_EXTENSIONS = ("chrome-extension://", "safari-extension://", "moz-extension://", "ms-browser-extension://")
_SUFFIXES = (".localhost", ".local", ".internal")


def origin_allowed(origin: str, host: str, behaviour: Behaviour) -> bool:
    """Whether a request with this Origin may be answered; without one, or from the host itself, always."""
    if not origin or origin in {f"http://{host}", f"https://{host}"} or _ORIGIN.match(origin):
        return True
    allowed = ["app://", "file://", "tauri://", *_BROWSER_EXTENSIONS]
    if behaviour.has(Capability.VSCODE_ORIGIN):
        allowed.append("vscode-webview://")
    if behaviour.has(Capability.VSCODE_FILE_ORIGIN):
        allowed.append("vscode-file://")
    return origin.startswith(tuple(allowed))


def host_allowed(header: str, behaviour: Behaviour) -> bool:
    """Whether a server on loopback answers to this Host."""
    host = _without_port(header)
    if behaviour.has(Capability.HOST_CASE_IGNORED):
        host = host.lower()
    own = socket.gethostname()
    if host in {"", "localhost", own.lower() if behaviour.has(Capability.HOST_CASE_IGNORED) else own}:
        return True
    if host.endswith(_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    host, colon, port = header.rpartition(":")
    return host if colon and ":" not in host and port.isdigit() else header

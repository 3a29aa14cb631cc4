"""Addresses of hosts as far as they can be judged offline: what no address may hold, and when two are the same.

The rules are those of OLLAMA_HOST (`ollama-api.md` 1.7).
"""

from __future__ import annotations

import re

from fleet.manifest.faults import Misread, shown

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\Z")
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}


def check_address(text: str) -> str:
    """The address unchanged. Raises `Misread` for a wrong scheme, credentials, a query or a fragment."""
    comparable(text)
    return text


def comparable(text: str) -> str:
    """One spelling for all addresses of one server, for comparing only. Raises `Misread` as `check_address` does."""
    stripped = text.strip().strip("\"'").strip()
    if any(letter.isspace() or not letter.isprintable() for letter in stripped):
        raise Misread("an address holds no blanks or control characters")
    scheme, slashes, rest = stripped.partition("://")
    if not slashes:
        scheme, rest = "", stripped
    if scheme.lower() not in {"", *_PORTS}:
        raise Misread(f"`{shown(scheme)}://` is neither `http://` nor `https://`")
    authority, _, path = rest.partition("/")
    # The text may hold a password, so from here on it is in no message.
    if "@" in authority:
        raise Misread("an address holds no credentials", hint="name a file in `auth` instead")
    if "?" in rest or "#" in rest:
        raise Misread("an address holds no query and no fragment")
    host, port = _host_and_port(authority)
    if not _HOST.match(host):
        raise Misread(f"`{shown(host)}` is no host name and no IP address")
    if host.lower() == "ollama.com" and not scheme:
        scheme = "https"
    standard = _PORTS.get(scheme.lower(), 11434)
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536 else standard
    host = host.strip("[]").lower()
    return f"{scheme.lower() or 'http'}://{_HERE.get(host, host)}:{number}/{path.rstrip('/')}"


def _host_and_port(authority: str) -> tuple[str, str]:
    if authority.startswith("[") or authority.count(":") == 1:
        end = authority.rfind("]") + 1
        host, _, port = authority[end:].partition(":")
        return authority[:end] + host, port
    return authority, ""

"""Addresses of hosts as manifests hold them: judged offline by the rules that the client connects by."""

from __future__ import annotations

from dataclasses import replace

from fleet.endpoint import Endpoint, EndpointError
from fleet.manifest.faults import Misread, shown
from fleet.manifest.ranges import filled_with


def check_address(text: str, *, lenient: bool = False) -> str:
    """The address unchanged. Raises `Misread` for one that no client would connect to.

    Where Ollama would fall back on a default port with a warning, so does a `lenient` reading, as of $OLLAMA_HOST; in
    an inventory it is a fault.
    """
    warnings = _endpoint(text).warnings
    if warnings and not lenient:
        raise Misread("the port is no number from 1 to 65535")
    return text


def check_template(text: str) -> str:
    """An address in which `{name}` and labels may stand, unchanged. Raises `Misread` where no host could fill it in."""
    # A name may stand where no number may, and a number where no name may, as for a port.
    check_address(filled_with(text, "1" if _sound(filled_with(text, "1")) else "x"))
    return text


def registry_url(text: str) -> str:
    """The address at which a registry is asked, in one spelling. Raises `Misread` for more than scheme, host and port."""
    if "://" not in text:
        raise Misread("a registry's address begins with http:// or https://", hint=f"write `https://{shown(text)}`")
    endpoint = _endpoint(check_address(text))
    if endpoint.prefix:
        raise Misread("a registry's address has no path", hint=f"end it as `{endpoint.origin}`")
    return endpoint.origin


def comparable(text: str) -> str:
    """One spelling for all addresses of one server, for comparing only. Raises `Misread` as `check_address` does."""
    endpoint = _endpoint(text)
    host = "127.0.0.1" if endpoint.host == "localhost" else endpoint.host.rstrip(".")
    return replace(endpoint, host=host).url


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except EndpointError as error:
        raise Misread(str(error), hint=error.hint) from None


def _sound(text: str) -> bool:
    try:
        check_address(text)
    except Misread:
        return False
    return True

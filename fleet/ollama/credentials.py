"""What proves fleet to a proxy, and whom fleet trusts: read anew at each use, never shown, never written.

Secrets come from files or environment variables alone. TLS contexts are shared by all hosts of equal trust: loading one
for each of a thousand hosts costs seconds and hundreds of megabytes (`design.md` 13).
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet.codes import Code
from fleet.errors import HostUnreachable
from fleet.foreign import clean
from fleet.masking import hide
from fleet.ollama import asked
from fleet.ollama.hidden import Hidden
from fleet.ollama.last_good import forget, last_good

_LARGEST_SECRET = 64 * 1024
_LARGEST_BUNDLE = 4 * 1024 * 1024
_VISIBLE = re.compile(rb"[\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*\Z")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_TAKEN = frozenset({"host", "content-length", "transfer-encoding", "connection", "origin", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to prove oneself to a host: `kind` is `bearer`, `basic` (with `username`) or `header` (with `header`).

    `file` or `environment` says where the secret is; the values themselves are never kept here.
    """

    kind: str
    file: str | None = None
    environment: str | None = None
    username: str = ""
    header: str = ""
    command: str | None = None
    """Asked for the secret where it is wanted from a variable that is not set (`fleet.ollama.asked`)."""
    handed_over: str | None = None
    """The folder in which the service manager puts credentials, and sees to who may read them."""

    async def ready(self) -> None:
        """To be awaited before `headers`: asks the command, where one is to be asked. Raises `HostUnreachable`."""
        name = self._asked_for()
        if self.command is not None and name is not None:
            await asked.ask(self.command, name)

    def refused(self) -> None:
        """A host took it for none of its own: the next use asks for it anew, and a file that is gone counts as gone."""
        if self.file is not None:
            forget(self.file)
        name = self._asked_for()
        if self.command is not None and name is not None:
            asked.refused(self.command, name)

    def _asked_for(self) -> str | None:
        """The name that the command is asked for, or nothing where the secret is from elsewhere."""
        if self.file is not None or self.environment is None or os.environ.get(self.environment):
            return None
        return self.environment

    def headers(self) -> tuple[tuple[str, Hidden], ...]:
        """Read from the source at each call, so that a rotated token takes effect. Raises `HostUnreachable`."""
        secret = self._secret()
        match self.kind:
            case "bearer":
                return (("Authorization", Hidden(b"Bearer " + secret)),)
            case "basic":
                pair = self.username.encode() + b":" + secret
                return (("Authorization", Hidden(b"Basic " + base64.b64encode(pair))),)
            case "header":
                if not _TOKEN.match(self.header) or self.header.lower() in _TAKEN:
                    raise _unreadable("the header of `auth` has no usable name")
                return ((self.header, Hidden(secret)),)
        raise _unreadable("`auth` is of no known kind")

    def _secret(self) -> bytes:
        if self.file is not None:
            file, source = self.file, f"the file `{clean(self.file)}`"
            found = last_good(file, lambda: _private(file, self.handed_over, _LARGEST_SECRET))
        else:
            name = self.environment or ""
            found, source = os.environ.get(name, "").encode(errors="replace"), f"the variable `{clean(name)}`"
            told = asked.known(self.command, name) if self.command is not None and not found else None
            if told is not None:
                found, source = told.reveal(), f"what `credential_command` tells for `{clean(name)}`"
        found = found.strip()
        if not found:
            raise _unreadable(f"a credential is empty or not there: {source}")
        if self.kind != "basic" and not _VISIBLE.match(found):
            raise _unreadable(f"a credential has characters that a header cannot carry: {source}")
        hide(found)
        return found


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to trust at a host, and with which certificate to show up there; files in PEM form."""

    ca_file: str | None = None
    """Instead of the authorities that this machine trusts."""
    cert_file: str | None = None
    key_file: str | None = None
    """Where the certificate's file does not hold the key itself."""
    server_name: str | None = None
    """The name to ask for and to find in the certificate, where it is not the one in the URL."""
    handed_over: str | None = None
    """The folder in which the service manager puts credentials, and sees to who may read them."""


_CONTEXTS: dict[object, ssl.SSLContext] = {}


def tls_context(trust: Trust | None) -> ssl.SSLContext:
    """One context for all who trust alike; made anew when a file changed. Raises `HostUnreachable`.

    SSL_CERT_FILE and SSL_CERT_DIR are not obeyed: an environment must not decide whom to trust.
    """
    trust = trust or Trust()
    files = (trust.ca_file, trust.cert_file, trust.key_file)
    key = (files, trust.handed_over, tuple(_stamp(file) for file in files))
    return _shared(key, lambda: _trusting(trust))


def plain_context() -> ssl.SSLContext:
    """One context for all hosts without TLS: the HTTP library makes one even there, and an own one is expensive."""
    return _shared("plain", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _shared(key: object, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = _CONTEXTS.get(key)
    if context is None:
        context = _CONTEXTS[key] = make()
    return context


def _trusting(trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if trust.ca_file is not None:
            context.load_verify_locations(cadata=_contents(trust.ca_file).decode("ascii", "replace"))
        else:
            paths = ssl.get_default_verify_paths()
            bundle = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
            context.load_verify_locations(bundle, paths.openssl_capath)
        if trust.cert_file is not None:
            _contents(trust.cert_file)
            _private(trust.key_file or trust.cert_file, trust.handed_over)
            # A key that wants a passphrase must fail, not ask on the terminal.
            context.load_cert_chain(trust.cert_file, trust.key_file, password="")
    except (OSError, ValueError) as fault:
        reason = clean(getattr(fault, "reason", None) or getattr(fault, "strerror", None) or str(fault))
        raise _unreadable(f"the files of `tls` cannot be used: {reason}") from fault
    return context


def _stamp(file: str | None) -> tuple[int, ...]:
    if file is None:
        return ()
    try:
        told = Path(file).stat()
    except OSError:
        return ()
    # The mode too, which a change of rights alone leaves all others as they were.
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_mode


def _private(file: str, handed_over: str | None, largest: int = _LARGEST_BUNDLE) -> bytes:
    """As `_contents`, of a file that its owner alone may read, or that the service manager handed over."""
    by_manager = handed_over is not None and Path(file).parent == Path(handed_over)
    return _contents(file, largest, private=not by_manager)


def _contents(file: str, largest: int = _LARGEST_BUNDLE, *, private: bool = False) -> bytes:
    """The whole of a small regular file. A pipe is refused rather than waited for."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise _unreadable(f"`{clean(file)}` is no regular file")
            if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _unreadable(
                    f"others than its owner may read or change the credential `{clean(file)}`"
                    f" (mode {stat.S_IMODE(mode):04o})",
                    f"`chmod 600 {clean(shlex.quote(file))}`, and replace the secret if somebody may have read it",
                )
            found = opened.read(largest + 1)
    except (OSError, ValueError) as fault:
        raise _unreadable(
            f"`{clean(file)}`: {clean(getattr(fault, 'strerror', None) or 'cannot be opened')}"
        ) from fault
    if len(found) > largest:
        raise _unreadable(f"`{clean(file)}` has more than {largest} bytes")
    return found


def _unreadable(message: str, hint: str | None = None) -> HostUnreachable:
    return HostUnreachable(
        message, code=Code.CREDENTIALS_UNREADABLE, hint=hint or Code.CREDENTIALS_UNREADABLE.value.cure
    )

"""How long and how much a host may take (`reliability.md` A.5, C.0.3): everything that is read has a limit."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. None of them is a total for a long call: pulls and creates may take days while they move."""

    connect: float = 5.0
    """To a connection, TLS included."""
    answer: float = 15.0
    """For a small reply as a whole, from the first byte sent to the last one read."""
    silence: float = 120.0
    """Without a line, in phases that have no limit of their own."""
    verifying: float = 1800.0
    """Without a line after `verifying sha256 digest`, which hashes tens of gigabytes without a word."""
    creating: float = 1800.0
    """Without a line of a create: converting and quantizing say nothing on many versions."""
    stall_window: float = 120.0
    """Over which a transfer must move at least `stall_floor`."""
    stall_floor: int = MIB
    """Bytes; one byte a second is progress to a server, and still a stall."""
    change: float = 60.0
    """For a copy or delete as a whole: removing a large blob takes a slow disk a while."""
    load: float = 600.0
    """For a load as a whole: servers answer when it is done, or give up after five minutes without progress."""
    generate: float = 600.0
    """Without a word of a running generation, or for one without streaming as a whole."""
    upload_silence: float = 120.0
    """Without one block of an upload being taken."""
    after_success: float = 2.0
    """For a connection left open after the last `success`."""
    version_bytes: int = 4 * KIB
    ps_bytes: int = MIB
    tags_bytes: int = 16 * MIB
    tags_models: int = 20_000
    show_bytes: int = 32 * MIB
    answer_bytes: int = 32 * MIB
    """A whole generation, or vectors."""
    error_bytes: int = 64 * KIB
    line_bytes: int = MIB
    """One line of a stream; Ollama's own client allows eight times that."""


@dataclass(frozen=True, slots=True)
class Retries:
    """For requests that change nothing: how often, and how long to wait between (`reliability.md` C.0.3)."""

    tries: int = 3
    first: float = 0.5
    """Seconds before the second try at most; doubled for each further one, a random part of it taken."""
    cap: float = 10.0
    asked: float = 300.0
    """Seconds that a host may make one client wait by `Retry-After`, all together; what asks for more gets our own wait."""


NO_RETRIES = Retries(tries=1)

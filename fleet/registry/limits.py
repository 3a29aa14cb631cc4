"""How long, how often and how much a registry is asked (`reliability.md` C.0.3, C.5): everything has a limit."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and counts."""

    connect: float = 5.0
    """To a connection, TLS included."""
    answer: float = 15.0
    """For each reply as a whole, from the first byte sent to the last one read."""
    question: float = 120.0
    """For one question in all: token, further tries and waits included."""
    at_once: int = 8
    """Requests under way, over all registries."""
    tries: int = 3
    """Of one request that broke off or met an overloaded registry."""
    first: float = 0.5
    """Before the second try at most; doubled for each further one, a random part of it taken."""
    cap: float = 10.0
    waiting: float = 60.0
    """That one registry may have fleet wait by `Retry-After`, in one run and in all."""
    failures: int = 15
    """Of requests in a row, after which a registry is asked no more in this run; of connections, `tries` of them."""
    token_bytes: int = 64 * KIB
    error_bytes: int = 64 * KIB

"""How much the listener takes from anybody, so that no client can hold up the loop or the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds, sizes bytes. The connections of TCP and those of the Unix socket are counted apart."""

    connections: int = 64
    """Beyond it the one that was idle longest makes room; where all are at work, the new one is refused."""
    streams: int = 16
    """Of events, over all connections."""
    head_bytes: int = 16 << 10
    body_bytes: int = 64 << 10
    hook_bytes: int = 1 << 20
    """Of a webhook: a push of many commits is long."""
    head: float = 5.0
    """Until a request's head must be there; a connection that asks nothing is closed as late."""
    body: float = 10.0
    stall: float = 10.0
    """Until a client must have taken what fills its buffer (64 KiB); then it is cut."""
    heartbeat: float = 15.0
    """A comment in a stream of events that is silent otherwise, so that both sides notice a dead connection."""
    gather: float = 0.25
    """Changes closer to each other than that are told together."""
    grace: float = 0.5
    """For answers at work when the listener ends."""

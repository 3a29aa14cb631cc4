"""What a registry has under a name: an image, or a reason why not. One question's outcome is a value."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.codes import Code
from fleet.registry.image import Image


@dataclass(frozen=True, slots=True)
class Published:
    """The registry serves this under the name."""

    image: Image


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Why it is not known what the registry serves.

    `code`: `NOT_IN_REGISTRY`, `REGISTRY_UNAUTHORIZED`, `NO_MODEL_SERVED`, or `REGISTRY_TROUBLE` for all that may pass.
    """

    code: Code
    message: str
    hint: str | None = None


Served = Published | Unpublished


@dataclass(frozen=True, slots=True)
class Blobs:
    """How a registry hands out the blobs of a model (`ollama-api.md` 10.8)."""

    pullable: bool
    """Whether servers can pull from it: they follow nothing but a redirect to another host name."""
    did: str
    """What it did, for people: `answers 200 with the blob itself`."""


class Unanswered(Exception):
    """Carries an outcome up to where the question began."""

    def __init__(self, outcome: Unpublished) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def trouble(message: str, hint: str | None = None) -> Unanswered:
    """For what may pass."""
    return Unanswered(Unpublished(Code.REGISTRY_TROUBLE, message, hint or Code.REGISTRY_TROUBLE.cure))

"""One digest for what a host shows of a model, so that two of its looks can be compared without keeping texts. Pure."""

from __future__ import annotations

import hashlib
import json

from fleet.reconcile.observed import Content


def content_hash(content: Content) -> str:
    """SHA-256 over everything that a model made from this one inherits; parameters' order does not count."""
    told = [
        sorted(digest.hex for digest in content.weights),
        content.template,
        content.system,
        sorted((name, list(values)) for name, values in content.parameters.items()),
        content.messages,
        content.license,
        content.renderer,
        content.parser,
        content.requires,
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()

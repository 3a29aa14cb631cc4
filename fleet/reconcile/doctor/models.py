"""Models of a host that are not as they look. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.codes import Code
from fleet.reconcile.backup import is_backup
from fleet.reconcile.doctor.finding import About, Finding, Severity
from fleet.reconcile.observed import Observed


def of_models(observed: Observed) -> Iterator[Finding]:
    """What is listed and broken, double, elsewhere, nameless or left over. `contents` has all that could be shown."""
    host = observed.host
    for name, present in sorted(observed.models.items()):
        if present.remote:
            yield Finding(
                Severity.NOTE,
                About.MODEL,
                f"`{present.listed}` is a cloud stub: its requests go elsewhere",
                "nothing; fleet neither keeps it warm nor deletes it by a glob",
                host,
                Code.REMOTE_MODEL,
            )
        elif name in observed.contents and observed.contents[name] is None:
            yield Finding(
                Severity.PROBLEM,
                About.MODEL,
                f"`{present.listed}` is listed and not whole: a blob that it needs is missing or cannot be read",
                "pull or create it again there, or delete it",
                host,
                Code.BROKEN_MODEL,
            )
        elif is_backup(name):
            yield Finding(
                Severity.NOTE,
                About.MODEL,
                f"`{present.listed}` is a former content that an interrupted run left",
                "run `fleet apply`: once the model it belongs to is as desired, it goes",
                host,
            )
    for one, other in observed.collisions:
        yield Finding(
            Severity.WARNING,
            About.NAME,
            f"`{one.listed}` and `{other.listed}` are one name to a server, which takes either at random",
            "delete one of them by hand",
            host,
            Code.NAMES_COLLIDE,
        )
    for name in sorted(observed.unreadable):
        yield Finding(
            Severity.WARNING,
            About.NAME,
            f"`{name}` is listed with something that is no digest, so nobody knows as what",
            "look at the server's log, and pull or create it again",
            host,
            Code.NOT_OLLAMA,
        )
    for text in observed.invalid:
        yield Finding(
            Severity.NOTE,
            About.NAME,
            f"`{text}` is listed and is no model name, so fleet leaves it alone",
            "delete it by hand if nobody needs it",
            host,
        )

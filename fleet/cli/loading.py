"""From files to the desired state, told in one way by every verb: nothing is asked of any host."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fleet.cli.streams import talk
from fleet.codes import Code
from fleet.errors import UsageError
from fleet.settings import Settings

if TYPE_CHECKING:
    from fleet.manifest.item import Desired


def desired_of(
    manifests: Sequence[str],
    inventory: Sequence[str],
    self_name: str | None,
    labels: Mapping[str, str],
    settings: Settings,
) -> Desired:
    """Loads manifests and inventory, tells what is to be noted, and works out what is asked of each host.

    Raises `fleet.manifest.faults.ManifestErrors` with every fault, and `UsageError`.
    """
    from fleet.manifest.desired import resolve
    from fleet.manifest.load import load

    if labels and self_name is None:
        raise UsageError("`--label` is about this machine, and needs `--self NAME`", code=Code.USAGE)
    loaded = load(
        manifests,
        inventory=inventory,
        stdin=sys.stdin.buffer if sys.stdin is not None else None,
        self_name=self_name,
        self_labels=labels,
        environ=os.environ,
        credentials_dir=settings.credentials_dir,
    )
    for note in loaded.notes:
        talk(f"note: {note}\n")
    return resolve(loaded)

"""What is pulled for an entry, from where, and which content will do.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.manifest.faults import Faults
from fleet.manifest.inventory import Registry, Update
from fleet.manifest.item import Pull
from fleet.manifest.unsound import unsound
from fleet.manifest.variants import Variant
from fleet.names import ModelName


class Pulling:
    """Makes pulls. `registries` are those that may be used, or nothing where any may; `update` is the fleet's default."""

    def __init__(self, registries: Mapping[str, Registry] | None, update: Update, faults: Faults) -> None:
        self._registries = registries
        self._update = update
        self._faults = faults

    def make(self, variant: Variant, name: ModelName) -> Pull:
        """Raises `Unsound` after it told what is wrong."""
        gives = variant.gives
        other = gives.get("pull.from")
        wanted: ModelName = name if other is None else other.value
        registry = self.allowed(variant, wanted, "" if other is None else "pull.from")
        really = wanted
        insecure = registry is not None and registry.insecure
        if registry is not None and registry.mirror is not None:
            really = ModelName(registry.mirror, wanted.namespace, wanted.model, wanted.tag)
            # A mirror may be used because it is named; what else is to be known of it stands in its own entry.
            mirror = (self._registries or {}).get(registry.mirror)
            insecure = mirror is not None and mirror.insecure
        pin = gives.get("pull.pin")
        return Pull(
            update=self._followed(variant),
            insecure=insecure,
            pin=None if pin is None else pin.value,
            origin=None if really == name else really,
        )

    def allowed(self, variant: Variant, name: ModelName, key: str) -> Registry | None:
        """What the inventory says of the name's registry. Raises `Unsound` where it lists others alone."""
        if self._registries is None:
            return None
        registry = self._registries.get(name.registry.lower())
        if registry is None:
            allowed = ", ".join(f"`{one}`" for one in self._registries) or "none"
            text = f"the registry `{name.registry}` is not among `registries`"
            raise unsound(self._faults, variant, key, text, f"allowed: {allowed}")
        return registry

    def _followed(self, variant: Variant) -> Update:
        said, pin = variant.gives.get("pull.update"), variant.gives.get("pull.pin")
        if pin is None:
            return self._update if said is None else Update(said.value)
        if said is not None and said.value != Update.LOCKED:
            text = f"`pin` says which content counts, `update: {said.value}` says that another may"
            raise unsound(self._faults, variant, "pull.pin", text, "keep one of the two")
        return Update.LOCKED

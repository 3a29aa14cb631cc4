"""Which installed model a request to run one means, and what is said of one that is not there (`ollama-api.md` 3.5)."""

from __future__ import annotations

from fleet.simulate.gotext import quoted
from fleet.simulate.installed import Installed, read_model
from fleet.simulate.modelname import Name, Reference
from fleet.simulate.store import Store
from fleet.simulate.versions import Capability
from fleet.simulate.wire import Refusal


class Finder:
    """Finds models for generate, chat and the embedding endpoints."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._behaviour = store.behaviour

    def at_once(self, called: str, missing: str, *, invalid: int, invalid_text: str = "") -> Installed:
        """The model, looked at before anything else. Raises `Refusal`."""
        name, source = self.name(called)
        if not name.valid:
            if self._behaviour.has(Capability.SOURCE_MARKERS):
                required = invalid_text or missing
                raise Refusal(400 if called.strip() else invalid, "invalid model name" if called.strip() else required)
            raise Refusal(invalid, invalid_text or missing)
        self._refuse_cloud(source)
        model = self.read(self._store.canonical(name, Capability.CASE_FOLDED_ON_READ), missing)
        if source == "local" and model.config.remote_host:
            raise Refusal(404, missing)
        return model

    def scheduled(self, called: str, *, invalid: str = "", folded: bool = True) -> Installed:
        """The model as endpoints get it that leave looking to the scheduler. Raises `Refusal`."""
        name, source = self.name(called)
        missing = f"model {quoted(called)} not found, try pulling it first"
        if not called and not self._behaviour.has(Capability.CHAT_PARSES_NAME):
            raise Refusal(400, "model is required")
        if not name.valid:
            if self._behaviour.has(Capability.SOURCE_MARKERS):
                if not called.strip():
                    raise Refusal(400 if invalid else 404, invalid or f"model '{called}' not found")
                raise Refusal(400, "invalid model name")
            raise Refusal(400 if invalid else 404, invalid or missing)
        self._refuse_cloud(source)
        if folded:
            name = self._store.canonical(name, Capability.CASE_FOLDED_ON_READ)
        return self.read(name, missing)

    def name(self, called: str) -> tuple[Name, str]:
        """The name and its source marker. Raises `Refusal`."""
        if not self._behaviour.has(Capability.SOURCE_MARKERS):
            return Name.parse(called), ""
        try:
            reference = Reference.parse(called)
        except ValueError as fault:
            raise Refusal(400, str(fault)) from None
        return Name.parse(reference.base), reference.source

    def read(self, name: Name, missing: str) -> Installed:
        """The model of exactly this name; `missing` is said where there is none. Raises `Refusal`."""
        try:
            return read_model(self._store, name)
        except FileNotFoundError:
            raise Refusal(404, missing) from None
        except (ValueError, OSError) as fault:
            raise Refusal(500, str(fault)) from None

    @staticmethod
    def _refuse_cloud(source: str) -> None:
        if source == "cloud":
            raise Refusal(502, "remote inference is unavailable")

    @staticmethod
    def refuse_remote(model: Installed, called: str) -> None:
        """Raises `Refusal` for a model that runs elsewhere: a simulated host asks nobody."""
        if model.config.remote_host and model.config.remote_model:
            raise Refusal(502, f"remote model {called} is unavailable")

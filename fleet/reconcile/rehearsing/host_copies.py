"""From a snapshot to the simulated copies of its hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from fleet.foreign import clean
from fleet.manifest.inventory import Capacity
from fleet.names import Digest, HostName, InvalidName, ModelName
from fleet.ollama.versions import Version
from fleet.ollama.wire import moment
from fleet.reconcile.compare import NO_TEMPLATE
from fleet.reconcile.observed import Content
from fleet.reconcile.rehearsing.snapshot import (
    FOR_EVER,
    KeptContent,
    KeptHost,
    KeptModel,
    KeptRunner,
    KeptText,
    Snapshot,
    Value,
)
from fleet.reconcile.rehearsing.texts import Texts
from fleet.registry.image import Image, Layer
from fleet.simulate.copies import HostCopy, ListedCopy, RunnerCopy
from fleet.simulate.image import Layer as SimulatedLayer
from fleet.simulate.recorded import RecordedImage, RecordedModel, RecordedText

_OLDEST = Version(0, 3, 4)
_BESIDES = 2048
"""Bytes of a model that are neither its weights nor its texts, at most: parameters and config."""
_STUB_HOST = "https://ollama.com:443"
_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
_CONTEXT = 131_072
"""The most that weights of which nobody knows anything can take in: nothing is cut short by it."""


class HostCopies:
    """The copies of all hosts. What many hosts list alike is one value."""

    def __init__(self, snapshot: Snapshot, images: Iterable[Image], texts: Texts) -> None:
        """`images` are all that are known; of a model that is one of them the layers are."""
        self._snapshot = snapshot
        self._texts = texts
        self._images = {digest.hex: image for image in images for digest in (image.raw, image.normalised)}
        self._by_digest: dict[str, KeptModel] = {}
        """A line of a listing for each content, one of a model that was shown where there is any."""
        for kept in self._all():
            if kept.shown or kept.digest not in self._by_digest:
                self._by_digest[kept.digest] = kept
        self._weights = self._weight_sizes()
        # Older servers do not tell that a model makes vectors; the same weights on a newer one may have.
        contents = snapshot.contents.values()
        self._embedding = {shown.weights[0] for shown in contents if shown.weights and shown.embeds_only}
        self._models: dict[tuple[str, str | None, int], RecordedModel] = {}

    def host(self, name: HostName, capacity: Capacity) -> HostCopy:
        """One that the snapshot has."""
        kept = self._snapshot.hosts[name]
        return HostCopy(
            # It stands in headers, too.
            clean(kept.version, limit=64).encode("ascii", "replace").decode(),
            _behaves_as(kept),
            tuple(self._listed(kept.models)),
            tuple(_running(each) for each in kept.running),
            disk=capacity.disk,
            memory=capacity.vram,
            loaded=capacity.loaded or 0,
        )

    def offered(self, image: Image, held: KeptModel | None) -> RecordedModel:
        """What a registry serves, with what hosts show of it where one has it."""
        known = held or self._by_digest.get(image.raw.hex) or self._by_digest.get(image.normalised.hex)
        if known is not None:
            return self.model(known)
        return RecordedModel(image.raw.hex, image.size, recorded_image(image), context_length=_CONTEXT)

    def model(self, kept: KeptModel) -> RecordedModel:
        """One line of a listing, with what was shown of it, here or on another host that lists the same."""
        key = kept.digest, kept.shown, kept.size
        if key not in self._models:
            self._models[key] = self._recorded(kept)
        return self._models[key]

    def _listed(self, models: Iterable[KeptModel]) -> Iterator[ListedCopy]:
        for kept in models:
            if speakable(kept.listed):
                yield ListedCopy(kept.listed, self.model(kept), _nanoseconds(kept.modified), not kept.broken)

    def _recorded(self, kept: KeptModel) -> RecordedModel:
        image = self._images.get(kept.digest)
        layers = None if image is None else recorded_image(image)
        shown = self._snapshot.contents.get(kept.shown or self._by_digest[kept.digest].shown or "")
        if kept.remote:
            return RecordedModel(
                kept.digest, kept.size, family=kept.family, remote_model=kept.remote, remote_host=_STUB_HOST
            )
        if shown is None:
            made_up = () if image is not None else _blobs((_made_up(kept.digest),))
            return RecordedModel(
                kept.digest,
                kept.size,
                layers,
                weights=made_up,
                weights_size=max(0, kept.size - _BESIDES),
                family=kept.family,
                parameter_size=kept.parameter_size,
                quantization=kept.quantization,
                context_length=_CONTEXT,
            )
        return RecordedModel(
            kept.digest,
            kept.size,
            layers,
            weights=_blobs(shown.weights),
            weights_size=self._weights.get(shown.weights[0], 0) if shown.weights else 0,
            adapters=_blobs(shown.adapters),
            drafts=_blobs(shown.drafts),
            architecture=shown.architecture,
            context_length=shown.context_length,
            dimensions=dict(shown.dimensions),
            embeds=shown.embeds_only or (bool(shown.weights) and shown.weights[0] in self._embedding),
            model_format=kept.model_format,
            family=kept.family,
            parameter_size=kept.parameter_size,
            quantization=kept.quantization,
            # Servers show this template for a model that has none.
            template=None if self._texts.of(shown.template) == NO_TEMPLATE else self._text(shown.template),
            system=self._text(shown.system),
            licenses=tuple(text for text in map(self._text, shown.licenses) if text is not None),
            parameters={name: _one_or_many(name, values) for name, values in shown.parameters.items()},
            messages=tuple((each.role, self._texts.of(each.content)) for each in shown.messages),
            renderer=shown.renderer or "",
            parser=shown.parser or "",
            requires=shown.requires or "",
            parent=shown.parent,
        )

    def _text(self, kept: KeptText | None) -> RecordedText | None:
        """Of the digest that its layer has, which is that of the text."""
        return None if kept is None else RecordedText(self._texts.of(kept), f"sha256:{kept.sha256}", kept.size)

    def _all(self) -> Iterator[KeptModel]:
        return (model for host in self._snapshot.hosts.values() for model in host.models)

    def _weight_sizes(self) -> dict[str, int]:
        """Bytes of weights by their digest, as far as listings tell: those of the smallest model that has them."""
        found: dict[str, int] = {}
        for kept in self._all():
            shown = self._snapshot.contents.get(kept.shown or "")
            if shown is not None and shown.weights:
                left = max(0, kept.size - _text_sizes(shown) - _BESIDES)
                found[shown.weights[0]] = min(left, found.get(shown.weights[0], left))
        return found


def content_of(kept: KeptContent, texts: Texts) -> Content:
    """What a copy is to show."""
    return Content(
        frozenset(map(Digest, (*kept.weights, *kept.adapters))),
        texts.of(kept.template),
        texts.of(kept.system),
        dict(kept.parameters),
        tuple((each.role, texts.of(each.content)) for each in kept.messages),
        "\n".join(map(texts.of, kept.licenses)),
        kept.renderer,
        kept.parser,
        kept.requires,
        kept.parent,
        kept.architecture,
        kept.context_length,
        kept.embeds_only,
        kept.quantization,
        frozenset(map(Digest, kept.adapters)),
        frozenset(map(Digest, kept.drafts)),
    )


def recorded_image(image: Image) -> RecordedImage:
    """As the simulator has it."""
    return RecordedImage(
        image.raw.hex, image.normalised.hex, _layer(image.config), tuple(_layer(layer) for layer in image.layers)
    )


def speakable(listed: str) -> bool:
    """Whether a listed name is one at all: others are never acted on, and no copy has them."""
    try:
        ModelName.parse(listed)
    except InvalidName:
        return False
    return True


def _layer(layer: Layer) -> SimulatedLayer:
    return SimulatedLayer(layer.media_type, str(layer.digest), layer.size)


def _behaves_as(kept: KeptHost) -> str | None:
    """The release that a copy has to be, where the version that the host told does not say it."""
    version = Version.parse(kept.version)
    if version.known:
        return None if version >= _OLDEST else str(_OLDEST)
    # What `Client.place` can prove: nothing, the newer dialect, the newer dialect with its statuses.
    return {"0.0.0": "0.5.4", "0.5.5": "0.6.8"}.get(kept.proven or "", "999.0.0")


def _running(kept: KeptRunner) -> RunnerCopy:
    if kept.expires_in == FOR_EVER:
        seconds: float | None = None
    else:
        # One that is past is kept by a request that runs; it leaves soon.
        seconds = max(1.0, min(float(kept.expires_in or 0.0), 1e9))
    return RunnerCopy(kept.listed, kept.digest, kept.size, kept.size_vram, seconds, kept.context_length)


def _blobs(hexes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"sha256:{each}" for each in hexes)


def _one_or_many(name: str, values: tuple[Value, ...]) -> Value | list[Value]:
    """As it stands in a model's parameters: `stop` is a list however many there are."""
    return list(values) if name == "stop" or len(values) != 1 else values[0]


def _text_sizes(shown: KeptContent) -> int:
    texts = (shown.template, shown.system, *shown.licenses, *(each.content for each in shown.messages))
    return sum(text.size for text in texts if text is not None)


def _nanoseconds(text: str) -> int:
    found = moment(text)
    if found is None or not _SINCE < found < _SINCE + timedelta(days=365 * 200):
        return 0
    return int((found - _SINCE).total_seconds()) * 10**9


def _made_up(text: str) -> str:
    """The digest of weights of which only the model's own is known, which may be no digest."""
    return sha256(f"weights of {text}".encode(errors="replace")).hexdigest()

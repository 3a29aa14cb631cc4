"""Recordings of real servers: playing them, and bringing answers into a form that can be compared.

Digests are numbered by their first appearance: a play is alike if the same digest appears in the same places.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FOLDER = Path(__file__).parents[2] / "recordings"
VERSIONS = ["0.5.4", "0.9.6", "0.12.6", "0.24.0", "0.32.15"]
REGISTRY = "localhost:5001"
"""The registry of the recordings."""

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SHORT = re.compile(r"(?<=(?:pull|push)ing )[0-9a-f]{12}\b")
_UPLOAD = re.compile(r"\d+ bytes sha256:([0-9a-f]{64})")
_FOLDER = re.compile(r'/[^\s"]*/(?=(?:blobs|manifests)\b)')
_UNREACHABLE = re.compile(r'(?:Get|Head) "https?://.*', re.DOTALL)
_OPTION = re.compile(r'option "\w+" must be of type \w+')
_FREE = {
    "modified_at",
    "created_at",
    "expires_at",
    "size_vram",
    "context",
    "response",
    "content",
    "embedding",
    "embeddings",
}
"""What depends on the time, the machine, or the model's thoughts."""
_UNKNOWN_SIZES = {"size", "total", "completed"}
_NAMES = ("model", "name", "source", "destination", "from")
_TENSORS = 2
"""How many tensors recordings keep of each list."""


@dataclass(frozen=True)
class Recording:
    """One file of recorded exchanges."""

    version: str
    body: Mapping[str, Any]

    @classmethod
    def of(cls, version: str) -> Recording:
        return cls(version, json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8")))

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        return list(self.body["exchanges"])

    @property
    def manifests(self) -> dict[str, str]:
        """The image manifests at the end, by the path of their name."""
        return dict(self.body["manifests_at_end"])

    @cached_property
    def model_names(self) -> set[str]:
        """The last parts of all names of models that requests give."""
        given = {str(_asked(exchange).get(key) or "") for exchange in self.exchanges for key in _NAMES}
        words = {re.split(r"[:@]", name.rpartition("/")[2])[0] for name in given}
        return {word for word in words if word.isalnum() and len(word) > 1 and word != "nope"}

    def renamed(self, suffix: str) -> Recording:
        """The same play with other names of models, in every letter case, and so with other digests."""
        words = "|".join(sorted(map(re.escape, self.model_names)))
        pattern = re.compile(rf"(?<![\w.-])(?<!text/)(?:{words})(?![\w.]|-\d)", re.IGNORECASE)
        exchanges = []
        for exchange in self.exchanges:
            text = json.dumps({key: exchange[key] for key in ("request", "response")}, ensure_ascii=False)
            changed = json.loads(pattern.sub(lambda found: found[0] + suffix, text))
            kept = exchange if "raw" in exchange["request"] else changed
            exchanges.append({"step": exchange["step"], **{key: kept[key] for key in ("request", "response")}})
        return Recording(self.version, {**self.body, "exchanges": exchanges})

    def quantized(self) -> set[str]:
        """Names under which quantized weights were made: their numbers are not computed by the simulator."""
        return {str(_asked(exchange).get("model")) for exchange in self.exchanges if _asked(exchange).get("quantize")}


def _asked(exchange: Mapping[str, Any]) -> Mapping[str, Any]:
    body = exchange["request"].get("json")
    return body if isinstance(body, dict) else {}


def files() -> dict[str, bytes]:
    """The uploaded files by digest."""
    contents = [path.read_bytes() for path in (FOLDER / "files").iterdir()]
    return {hashlib.sha256(content).hexdigest(): content for content in contents}


@dataclass
class Numbers:
    """Numbers digests as they appear."""

    known: dict[str, str] = field(default_factory=dict)

    def number(self, text: str) -> str:
        text = _DIGEST.sub(lambda found: self.known.setdefault(found[0], f"#{len(self.known)}"), text)
        return _SHORT.sub(self._by_start, text)

    def _by_start(self, found: re.Match[str]) -> str:
        whole = next((digest for digest in self.known if digest.startswith(found[0])), None)
        return self.known[whole] if whole else found[0]


@dataclass
class Telling:
    """Brings the answers of one play into a form without what may differ. `sizes` tells whether those are kept."""

    sizes: bool
    numbers: Numbers = field(default_factory=Numbers)

    def told(self, answer: Mapping[str, Any]) -> Any:
        """A recorded or a new answer: status, content type and body. Keys stay in their order."""
        head = [answer["status"], answer["content_type"]]
        if "lines" in answer:
            return [*head, self._story(answer["lines"])]
        if "json" in answer:
            return [*head, self._value(answer["json"], "")]
        return [*head, answer.get("text", "")]

    def _story(self, lines: list[dict[str, Any]]) -> list[Any]:
        """A stream without repetitions; of an inference its end."""
        if "done" in lines[-1]:
            return [self._value(lines[-1], "")]
        story: list[Any] = []
        for line in lines:
            if str(line.get("status")).startswith("pulling ") and "digest" in line:
                # How many lines a download has, and whether it has any, is a matter of speed.
                continue
            self.numbers.number(line.get("digest", ""))
            told = self._value({key: item for key, item in line.items() if key not in {"completed", "_repeated"}}, "")
            if told not in story[-1:] and line.get("digest") != "0000000000000000000":
                story.append(told)
        return story

    def _value(self, value: Any, key: str) -> Any:
        if key in _FREE or (key in _UNKNOWN_SIZES and not self.sizes):
            return "*"
        if isinstance(value, dict):
            running = "size_vram" in value
            shown = {
                name: "*" if running and name == "size" else self._value(item, name)
                for name, item in value.items()
                if not name.endswith(("_duration", "eval_count"))
            }
            return list(shown.items())
        if isinstance(value, list):
            if key == "models":
                value = sorted(value, key=lambda model: str(model["name"]))
            elif key == "tensors":
                value = value[:_TENSORS]
            return [self._value(item, "") for item in value]
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: str) -> str:
        if key in {"modelfile", "parameters"}:
            # A map of parameters has no order.
            text = "\n".join(sorted(text.splitlines()))
        text = _OPTION.sub("option of some type", _FOLDER.sub("…/", _UNREACHABLE.sub("…", text)))
        return self.numbers.number(text)


class Server:
    """A server at a URL. `registry` stands in for the recordings' own."""

    def __init__(self, url: str, registry: str) -> None:
        self._address = urlsplit(url)
        self._registry = registry
        self._files = files()

    def ask(self, step: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a recorded request, and gives the answer as recordings hold it."""
        raw = request.get("raw")
        upload = _UPLOAD.match(raw or "")
        body = None if raw is None else self._files[upload[1]] if upload else raw.encode()
        if "json" in request:
            body = json.dumps(request["json"]).replace(REGISTRY, self._registry).encode()
        headers = {"origin-bad": {"Origin": "http://evil.example"}, "host-bad": {"Host": "evil.example"}}.get(step, {})
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
        try:
            connection.request(request["method"], request["path"], body, headers)
            response = connection.getresponse()
            text = response.read().decode().replace(self._registry, REGISTRY)
        finally:
            connection.close()
        answer: dict[str, Any] = {"status": response.status, "content_type": response.getheader("Content-Type")}
        if answer["content_type"] == "application/x-ndjson":
            return answer | {"lines": [json.loads(line) for line in text.splitlines()]}
        is_json = text and "json" in (answer["content_type"] or "")
        return answer | ({"json": json.loads(text)} if is_json else {"text": text})


def differences(recording: Recording, server: Server, *, sizes: bool) -> Iterator[str]:
    """Plays all exchanges; tells each place of each step where what came is not what was recorded."""
    then, now = Telling(sizes), Telling(sizes)
    for exchange in recording.exchanges:
        step, wanted = exchange["step"], exchange["response"]
        if step == "ps-after-unload":
            # Unloading takes a moment or none: either is right.
            continue
        answer = server.ask(step, exchange["request"])
        if step == "ps-after-unload-1s":
            answer = _before_long(lambda: server.ask(step, exchange["request"]), wanted)  # noqa: B023 - called at once
        was, came = then.told(wanted), now.told(answer)
        yield from (f"{step}{place}" for place in _apart(was, came))


def _apart(was: Any, came: Any) -> Iterator[str]:
    if isinstance(was, list | tuple) and isinstance(came, list | tuple) and len(was) == len(came):
        for index, (old, new) in enumerate(zip(was, came, strict=True)):
            yield from (f".{index}{place}" for place in _apart(old, new))
    elif isinstance(was, str) and was.endswith("…") and isinstance(came, str) and came.startswith(was[:-1]):
        # The recorded server reached no registry but its own; what it says of that hangs on the place.
        return
    elif was != came:
        yield f": recorded {was!r}, here {came!r}"


def _before_long(ask: Callable[[], dict[str, Any]], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What holds a second later at the latest."""
    end = time.monotonic() + 1
    while (answer := ask())["json"] != wanted["json"] and time.monotonic() < end:
        pass
    return answer

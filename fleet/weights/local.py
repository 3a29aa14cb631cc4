"""Values of files on this machine that models are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from fleet.names import Digest


class Format(StrEnum):
    """What a file holds, told by its content and not by its name."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"
    TEXT = "text"
    """What stands beside safetensors: JSON, tokenizers, chat templates."""


class Part(StrEnum):
    """What a GGUF is in the model that it goes into."""

    MODEL = "model"
    PROJECTOR = "projector"
    ADAPTER = "adapter"


class Status(Protocol):
    """What the system tells of a file: the part of `os.stat_result` that counts here."""

    @property
    def st_dev(self) -> int: ...
    @property
    def st_ino(self) -> int: ...
    @property
    def st_size(self) -> int: ...
    @property
    def st_mtime_ns(self) -> int: ...
    @property
    def st_ctime_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a version of a file is told from another one without reading it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, told: Status) -> Stamp:
        return cls(told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns)

    def is_of(self, told: Status) -> bool:
        """Whether it is the stamp of this; asked for every block of an upload, and faster than making another one."""
        return (
            told.st_size == self.size
            and told.st_mtime_ns == self.mtime_ns
            and told.st_ctime_ns == self.ctime_ns
            and told.st_ino == self.inode
            and told.st_dev == self.device
        )


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file as it was looked into when the manifests were read. Equal by what it is, not by where it lies."""

    key: str
    """Its name towards servers: a relative slash path from the folder that was given, or its base name."""
    path: str = field(compare=False)
    """Absolute, links resolved."""
    shown: str = field(compare=False)
    """As the manifest writes it."""
    stamp: Stamp
    format: Format
    part: Part | None = None
    """Of a GGUF."""
    split: tuple[int, int] | None = None
    """Number from 1 and count, of one piece of a split GGUF."""
    tensors_kept: bool = False
    """A GGUF with tensors (vision, audio, MTP) for which servers from 0.30 on keep the file as it is (7.5)."""
    file_type: str | None = None
    """The level of quantization that a GGUF's header tells, as `F16`; nothing where it tells none."""
    sha256: Digest | None = None
    """What the manifest says it is."""
    digest: Digest | None = None
    """What it is; nothing before it was hashed."""

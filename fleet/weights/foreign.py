"""What people have in place of weights: pointers, old formats, archives, pages that tell of an error."""

from __future__ import annotations

from fleet.weights.faults import InvalidWeights

_CONVERT = "convert it to GGUF or safetensors on a machine that you can spare"
_PICKLE = InvalidWeights("PyTorch weights, whose reading may run any code: they are not taken", hint=_CONVERT)
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_LFS = b"version https://git-lfs.github.com/spec/"
_OLD = (b"lmgg", b"fmgg", b"tjgg", b"algg")
"""GGML and its followers until GGUF came, as their little-endian magic numbers lie in files."""
_PAGES = (b"<!doctype html", b"<html", b"<?xml")
_ZIP = b"PK\x03\x04"


def refuse_foreign(head: bytes) -> None:
    """Tells what a file is that begins with `head` and is no weights. Raises `InvalidWeights`, or finds nothing to say."""
    if head.startswith(_LFS):
        raise InvalidWeights("a Git LFS pointer, not the file itself", hint="run `git lfs pull` where it was cloned")
    if head.startswith(_ZIP):
        pickled = b"data.pkl" in head or b"/version" in head
        raise _again(_PICKLE) if pickled else InvalidWeights("a zip archive", hint="unpack it")
    if head.startswith(_PICKLES):
        raise _again(_PICKLE)
    if head.startswith(_OLD):
        raise InvalidWeights("a GGML file from before GGUF, which servers do not read", hint="convert the model anew")
    if head.lstrip().lower().startswith(_PAGES):
        raise InvalidWeights("a web page, not weights", hint="download it again: the page may say why this failed")
    if head.startswith(b"\x1f\x8b"):
        raise InvalidWeights("compressed with gzip", hint="unpack it")
    if not head.strip(b"\0"):
        raise InvalidWeights("nothing but zeros where it begins", hint="copy or download it again")


def _again(fault: InvalidWeights) -> InvalidWeights:
    return InvalidWeights(*fault.args, hint=fault.hint)

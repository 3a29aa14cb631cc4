"""Uploads of blobs to a host: what is taken, refused or known already (`ollama-api.md` 6)."""

from __future__ import annotations

from fleet.simulate.blobs import InvalidDigestError, NoSpaceError
from fleet.simulate.gotext import quoted
from fleet.simulate.store import Store
from fleet.simulate.unread import CUT, Body
from fleet.simulate.wire import Refusal, Reply


class Uploads:
    """HEAD and POST of blobs for one host."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def head(self, digest: str) -> Reply:
        """Raises `Refusal`."""
        self._refuse_malformed(digest)
        if self._store.blobs.find(digest) is None:
            raise Refusal(404, f"blob {quoted(digest)} not found")
        return Reply(200)

    async def take(self, digest: str, body: Body) -> Reply:
        """An upload. A blob that is known is answered without a look at the body; what hashes to another digest is
        kept under that one. A content that exists elsewhere is taken for what it says it is, whatever comes of it.
        Raises `Refusal`.
        """
        if self._store.knows_converted(digest):
            return Reply(200)
        self._refuse_malformed(digest)
        if self._store.blobs.find(digest) is not None:
            return Reply(200)
        blobs = self._store.blobs
        try:
            with blobs.arriving() as intake:
                async for piece in body:
                    blobs.make_room(len(piece), "sha256-upload")
                    intake.add(piece)
            if body.end == CUT:
                raise Refusal(500, "unexpected EOF")
            stand_in = self._store.elsewhere.contents.get(digest)
            if stand_in is not None:
                blobs.add(stand_in, digest)
                return Reply(201)
            blobs.add(intake.content(), intake.digest)
        except NoSpaceError as fault:
            raise Refusal(500, str(fault)) from None
        blobs.touch(intake.digest)
        if intake.digest != digest:
            raise Refusal(400, f"digest mismatch, expected {quoted(digest)}, got {quoted(intake.digest)}")
        return Reply(201)

    def _refuse_malformed(self, digest: str) -> None:
        try:
            self._store.blobs.path(digest)
        except InvalidDigestError as fault:
            raise Refusal(400, str(fault)) from None

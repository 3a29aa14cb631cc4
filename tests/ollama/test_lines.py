from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.ollama.lines import Lines, LineTooLongError


@pytest.mark.fault("S9")
def test_lines_end_at_newlines_alone() -> None:
    text = 'a\u2028b\u2029c\x85d\x0b\x0c"'.encode()
    assert Lines(100).feed(text + b"\nx\r\n\n \r\ny") == [text, b"x"]


def test_what_follows_the_last_newline_is_kept_for_the_end() -> None:
    lines = Lines(100)
    assert lines.feed(b'{"status":') == []
    assert lines.feed(b'"success"}') == []
    assert lines.finish() == b'{"status":"success"}'
    assert lines.finish() == b""


@pytest.mark.fault("S9")
def test_a_line_past_the_limit_is_refused_before_it_ends() -> None:
    lines = Lines(10)
    assert lines.feed(b"0123456789\n") == [b"0123456789"]
    lines.feed(b"01234")
    with pytest.raises(LineTooLongError):
        lines.feed(b"567890")


def test_many_short_lines_are_no_long_one() -> None:
    assert len(Lines(4).feed(b"abc\n" * 1000)) == 1000


@pytest.mark.fault("S9")
@given(st.lists(st.binary(max_size=20)), st.data())
def test_where_chunks_are_cut_makes_no_difference(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    lines = Lines(1000)
    got = [line for chunk in chunks for line in lines.feed(chunk)]
    got += [rest for rest in [lines.finish()] if rest]
    assert got == [piece.strip() for piece in whole.split(b"\n") if piece.strip()]

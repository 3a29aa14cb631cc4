"""Rows of cells as lines of text, each column as wide as its widest cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fleet.render.paint import Paint


def table(rows: Sequence[tuple[str, ...]], *, right: Collection[int] = ()) -> list[str]:
    """A line a row, two spaces between columns and none at the end; the columns in `right` are numbers. Rows are alike
    long.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def headed(rows: Sequence[tuple[str, ...]], paint: Paint) -> list[str]:
    """The same, the first row as the head of the others."""
    head, *rest = table(rows)
    return [paint.strong(head), *rest]

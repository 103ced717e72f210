"""Tables for a terminal: as wide as it is, long names cut. Pure but for the mark of a cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from .terminal import columns_of, cut

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """`least` columns always stay; a column without `least` is never cut."""

    title: str
    least: int | None = None
    to_the_right: bool = False


def layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None
) -> list[str]:
    """Lines of at most `width` columns; as wide as needed where nobody looks at columns."""
    cells = [[column.title for column in columns], *rows]
    widths = [max(columns_of(row[i]) for row in cells) for i in range(len(columns))]
    if width is not None:
        _shrink(widths, columns, width)
    return [_line(columns, widths, row) for row in cells]


def _shrink(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Takes from the widest that may be cut, one by one, so that short ones stay whole."""
    room = width - len(_GAP) * (len(columns) - 1)
    while sum(widths) > room:
        spare = [i for i, column in enumerate(columns) if _can_shrink(column, widths[i])]
        if not spare:
            return
        widths[max(spare, key=lambda i: widths[i])] -= 1


def _can_shrink(column: Column, now: int) -> bool:
    return column.least is not None and now > column.least


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = []
    for column, width, text in zip(columns, widths, row, strict=True):
        shown = cut(text, width)
        blank = " " * (width - columns_of(shown))
        parts.append(blank + shown if column.to_the_right else shown + blank)
    return _GAP.join(parts).rstrip()

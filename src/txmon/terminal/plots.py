"""Counts over time as cells: a braille line over the normal band, or one line of bars, or plain ASCII.

Pure functions from points to cells; who shows them gives the cells their colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from txmon.support.bars import sparkline
from txmon.terminal.history import Point, merge

MARKS: Final = {False: " !^", True: " ·▲"}  # quiet, pending, alert; by whether there is UTF-8
# bits of a braille cell's dots: [row from the top][column]
DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True, slots=True)
class Cell:
    """One character of a drawing."""

    glyph: str
    band: bool  # the normal band covers at least half of it
    mark: int  # worst mark of the points in its column


def points_across(columns: int, utf8: bool) -> int:
    """How many points `columns` characters show."""
    return columns * 2 if utf8 else columns


def top_of(points: Sequence[Point]) -> int:
    """The count at the upper edge of a drawing of `points`."""
    return max([1, *(point.count for point in points), *(point.high for point in points)])


def draw(points: Sequence[Point], columns: int, rows: int, utf8: bool) -> list[list[Cell]]:
    """`points` as `rows` lines of at most `columns` cells from the top down, 0 at the lower edge."""
    top = top_of(points)
    return _braille(points, columns, rows, top) if utf8 else _ascii(points, columns, rows, top)


def _braille(points: Sequence[Point], columns: int, rows: int, top: int) -> list[list[Cell]]:
    height = rows * 4
    level = [round(point.count / top * (height - 1)) for point in points]
    cells = [[0] * columns for _ in range(rows)]
    for x, y in enumerate(level[: columns * 2]):
        before = level[x - 1] if x else y
        # joined to the point before, or a spike would be two loose dots
        low, high = (y, max(y, before - 1)) if before > y else (min(y, before + 1), y)
        for dot in range(low, high + 1):
            row, sub = divmod(height - 1 - dot, 4)
            cells[row][x // 2] |= DOTS[sub][x % 2]
    lines = []
    used = min(columns, (len(points) + 1) // 2)
    pairs = [merge(points[2 * i : 2 * i + 2]) for i in range(used)]
    for row in range(rows):
        line = [
            Cell(
                chr(0x2800 + cells[row][i]) if cells[row][i] else " ", _in_band(pairs[i], row, rows, top), pairs[i].mark
            )
            for i in range(used)
        ]
        lines.append(line)
    return lines


def _ascii(points: Sequence[Point], columns: int, rows: int, top: int) -> list[list[Cell]]:
    shown = points[:columns]
    lines = []
    for row in range(rows):
        line = []
        for point in shown:
            here = row == rows - 1 - min(rows - 1, int(point.count / top * rows))
            band = _in_band(point, row, rows, top)
            glyph = ("#" if point.mark == 2 else "*") if here else ":" if band else " "
            line.append(Cell(glyph, band, point.mark))
        lines.append(line)
    return lines


def _in_band(point: Point, row: int, rows: int, top: int) -> bool:
    middle = (rows - row - 0.5) / rows * top
    return point.low <= middle <= max(point.high, 0.5 / rows * top) and point.high > 0


def marks(points: Sequence[Point], columns: int, utf8: bool) -> str:
    """A line of marks below a drawing: a glyph where something alerted or is not yet normal."""
    each = 2 if utf8 else 1
    groups = [points[i : i + each] for i in range(0, min(len(points), columns * each), each)]
    return "".join(MARKS[utf8][max(point.mark for point in group)] for group in groups).rstrip()


def bar_line(points: Sequence[Point], utf8: bool) -> list[Cell]:
    """`points` as one line of bars, a character each."""
    glyphs = sparkline([point.count for point in points], top_of(points) + 1, ascii_only=not utf8)
    return [Cell(glyph, False, point.mark) for glyph, point in zip(glyphs, points, strict=True)]

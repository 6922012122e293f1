"""Draws counts over time as cells: a braille line over the shaded normal band, one line of bars, or plain ASCII.

All functions are pure: they map points to cells. The caller adds colours. Without colours, shades and marks show the
same.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Final, NamedTuple

from txmon.support.bars import sparkline
from txmon.terminal.history import Point, merge

MARKS: Final = {False: " !^", True: " ·▲"}  # normal, pending, alert; by whether there is UTF-8
SHADE: Final = {False: ":", True: "░"}  # the normal band
TICK: Final = {False: "|", True: "╵"}
# bits of the dots of a braille cell: [row from the top][column]
DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
# seconds between two ticks of the axis
STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 2 * 86400, 7 * 86400, 28 * 86400)
APART: Final = 9  # columns between two labels of the axis


class Cell(NamedTuple):
    """One character of a drawing."""

    glyph: str
    band: bool  # whether it is within the normal band
    mark: int  # worst mark of the points in its column


Slots = Sequence[Point | None]


def points_across(columns: int, utf8: bool) -> int:
    """Return how many points `columns` characters show."""
    return columns * 2 if utf8 else columns


def top_of(points: Slots) -> int:
    """Return the count at the upper edge of a drawing of `points`."""
    return max([1, *(max(point.count, point.high) for point in points if point is not None)])


def draw(points: Slots, columns: int, rows: int, utf8: bool) -> list[list[Cell]]:
    """Return `points` as `rows` lines of at most `columns` cells from the top down, 0 at the lower edge."""
    top = top_of(points)
    return _braille(points, columns, rows, top) if utf8 else _ascii(points, columns, rows, top)


def _braille(points: Slots, columns: int, rows: int, top: int) -> list[list[Cell]]:
    height = rows * 4
    level = [None if point is None else round(point.count / top * (height - 1)) for point in points[: columns * 2]]
    cells = [[0] * columns for _ in range(rows)]
    for x, y in enumerate(level):
        if y is None:
            continue
        before = level[x - 1] if x else y
        before = y if before is None else before
        # connected to the point before, because a spike would otherwise be two separate dots
        low, high = (y, max(y, before - 1)) if before > y else (min(y, before + 1), y)
        for dot in range(low, high + 1):
            row, sub = divmod(height - 1 - dot, 4)
            cells[row][x // 2] |= DOTS[sub][x % 2]
    pairs = _grouped(points, columns, 2)
    lines = []
    for row in range(rows):
        line = []
        for i, pair in enumerate(pairs):
            band = _in_band(pair, row, rows, top)
            glyph = chr(0x2800 + cells[row][i]) if cells[row][i] else SHADE[True] if band else " "
            line.append(Cell(glyph, band, pair.mark if pair is not None else 0))
        lines.append(line)
    return lines


def _ascii(points: Slots, columns: int, rows: int, top: int) -> list[list[Cell]]:
    shown = points[:columns]
    lines = []
    for row in range(rows):
        line = []
        for point in shown:
            here = point is not None and row == rows - 1 - min(rows - 1, int(point.count / top * rows))
            band = _in_band(point, row, rows, top)
            mark = point.mark if point is not None else 0
            glyph = ("#" if mark == 2 else "*") if here else SHADE[False] if band else " "
            line.append(Cell(glyph, band, mark))
        lines.append(line)
    return lines


def _grouped(points: Slots, columns: int, each: int) -> list[Point | None]:
    """Return the points of each column merged into one."""
    found: list[Point | None] = []
    for at in range(0, min(len(points), columns * each), each):
        known = [point for point in points[at : at + each] if point is not None]
        found.append(merge(known) if known else None)
    return found


def _in_band(point: Point | None, row: int, rows: int, top: int) -> bool:
    if point is None or point.high <= 0:
        return False
    middle = (rows - row - 0.5) / rows * top
    return point.low <= middle <= max(point.high, 0.5 / rows * top)


def marks(points: Slots, columns: int, utf8: bool) -> str:
    """Return a line of marks below a drawing: a character under each alert or pending point."""
    grouped = _grouped(points, columns, 2 if utf8 else 1)
    return "".join(MARKS[utf8][point.mark if point is not None else 0] for point in grouped).rstrip()


def bar_line(points: Slots, utf8: bool) -> list[Cell]:
    """Return `points` as one line of bars, one character per point."""
    known = [point.count if point is not None else 0 for point in points]
    glyphs = sparkline(known, max([1, *known]) + 1, ascii_only=not utf8)
    return [
        Cell(" ", False, 0) if point is None else Cell(glyph, False, point.mark)
        for glyph, point in zip(glyphs, points, strict=True)
    ]


def clock_of(tz: tzinfo) -> Callable[[int], str]:
    """Return a function from epoch seconds to `2026-03-02 14:33:00` in `tz`."""
    return lambda time: datetime.fromtimestamp(time, tz).strftime("%Y-%m-%d %H:%M:%S")


def axis(start: int, end: int, columns: int, clock: Callable[[int], str], utf8: bool) -> str:
    """Return one line of times below a drawing of `columns` characters from `start` to before `end`, epoch seconds.

    The first label of each day is its date.
    """
    span = max(1, end - start)
    step = next((s for s in STEPS if s * columns / span >= APART), STEPS[-1])
    offset = _seconds_of_day(clock(start))
    ticks = range(start + -offset % step, end, step)
    line = [" "] * columns
    long = end - start > 86400
    labels = [_label(clock(before), clock(tick), long) for before, tick in pairwise([ticks.start - step, *ticks])]
    for tick, label in zip(ticks, labels, strict=True):
        at = round((tick - start) / span * columns)
        if at + 1 + len(label) <= columns and all(glyph == " " for glyph in line[max(0, at - 1) : at + 1 + len(label)]):
            line[at : at + 1 + len(label)] = TICK[utf8] + label
    return "".join(line).rstrip()


def _seconds_of_day(moment: str) -> int:
    hours, minutes, seconds = moment[11:].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)


def _label(before: str, moment: str, long: bool) -> str:
    return moment[5:10] if long and before[:10] != moment[:10] else moment[11:16]

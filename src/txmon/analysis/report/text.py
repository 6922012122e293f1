"""A report in the terminal: conclusions first, then the charts, then the tables."""

from textwrap import wrap
from typing import TextIO

from rich.text import Text

from txmon.analysis.report.report import HEADINGS, Picture, Report
from txmon.support.bars import Series, bars, chart
from txmon.support.terminal_text import printable
from txmon.terminal.tables import console_of, speaks_unicode, table_of

READING_WIDTH = 100
STYLES = {"finding": "bold red", "doubt": "yellow", "reference": "yellow"}


def print_report(report: Report, stream: TextIO) -> None:
    """Print `report` to `stream`, no wider than its window."""
    console = console_of(stream)
    unicode = speaks_unicode(stream)
    console.print(Text(printable(report.title, None), style="bold"))
    width = min(console.width, READING_WIDTH) - 4
    for kind, heading in HEADINGS.items():
        texts = report.of(kind)
        if texts:
            console.print(Text(f"\n{heading}", style=STYLES.get(kind, "bold")))
        for text in texts:
            for n, line in enumerate(wrap(printable(text, None), max(20, width), break_long_words=False)):
                console.print(Text(("  - " if n == 0 else "    ") + line), soft_wrap=True)
    for picture in report.pictures:
        console.print()
        for line in draw(picture, min(console.width, READING_WIDTH), unicode):
            console.print(Text(line), soft_wrap=True)
    for grid in report.grids:
        console.print(Text(f"\n{printable(grid.title, None)}", style="bold"))
        table = table_of(grid.columns, grid.rows, grid.right, unicode)
        for n in grid.marked:
            table.rows[n].style = "bold red"
        console.print(table)


def draw(picture: Picture, width: int, unicode: bool) -> list[str]:
    """The picture in characters: a bar a place where a day of hours fits, else each line by itself."""
    if len(picture.places) * 3 + 8 > width or not picture.high:
        lines = [printable(picture.title, None)]
        for line in picture.lines:
            lines += chart(Series(printable(line.name, None), line.values), width, 3, not unicode)
        return [*lines, f"from {picture.places[0]} to {picture.places[-1]}, {picture.unit}"]
    return _bars_with_bounds(picture, unicode)


def _bars_with_bounds(picture: Picture, unicode: bool) -> list[str]:
    """Two characters of bar a place, a dash where the normal ends; findings are underlined."""
    height = 10
    seen = next(line for line in picture.lines if line.role == "seen").values
    top = max([*(value or 0.0 for value in seen), *picture.high])
    drawn = bars(seen, height, top, not unicode)
    margin = len(f"{top:.0f}")
    lines = [f"{printable(picture.title, None)} ({picture.unit}; {_edge(unicode)} ends of normal)"]
    for row, text in enumerate(drawn):
        cells = ""
        for n in range(len(picture.places)):
            bar = (text + " " * len(picture.places))[n]
            at = {
                height - 1 - min(height - 1, int(value / top * height)) for value in (picture.low[n], picture.high[n])
            }
            cells += bar * 2 + (_edge(unicode) if row in at else " ")
        label = f"{top:.0f}" if row == 0 else "0" if row == height - 1 else ""
        lines.append(f"{label:>{margin}} {'┤' if unicode else '|'}{cells}".rstrip())
    marks = [" "] * len(picture.places)
    for first, last in picture.spans:
        marks[first : last + 1] = "^" * (last - first + 1)
    if picture.spans:
        lines.append(" " * (margin + 2) + "".join(mark * 2 + " " for mark in marks).rstrip())
    lines.append(" " * (margin + 2) + " ".join(place[:2] for place in picture.places))
    return lines


def _edge(unicode: bool) -> str:
    return "╌" if unicode else "-"

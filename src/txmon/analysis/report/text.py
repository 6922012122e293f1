"""Prints a report in the terminal: conclusions first, then the charts, then the tables."""

from textwrap import wrap
from typing import TextIO

from rich.console import Console
from rich.text import Text

from txmon.analysis.report.report import HEADINGS, Picture, Report
from txmon.support.bars import Series, bars, chart
from txmon.support.terminal_text import printable
from txmon.terminal.tables import console_of, speaks_unicode, table_of

READING_WIDTH = 100
PIPED_WIDTH = 80  # columns if the width is unknown
STYLES = {"finding": "bold red", "doubt": "yellow", "reference": "yellow"}


def print_report(report: Report, stream: TextIO) -> None:
    """Print `report` to `stream`, at most as wide as its window."""
    console = console_of(stream)
    unicode = speaks_unicode(stream)
    console.print(Text(printable(report.title, None), style="bold"))
    wide = min(console.width, READING_WIDTH) if stream.isatty() else PIPED_WIDTH
    width = wide - 4
    _print_summary(report, console, width)
    for kind, heading in HEADINGS.items():
        texts = report.of(kind)
        if texts:
            console.print(Text(f"\n{heading}", style=STYLES.get(kind, "bold")))
        for text in texts:
            for n, line in enumerate(wrap(printable(text, None), max(20, width), break_long_words=False)):
                console.print(Text(("  - " if n == 0 else "    ") + line), soft_wrap=True)
    for picture in report.pictures:
        console.print()
        for line in draw(picture, wide, unicode):
            console.print(Text(line), soft_wrap=True)
    for grid in report.grids:
        console.print(Text(f"\n{printable(grid.title, None)}", style="bold"))
        table = table_of(grid.columns, grid.rows, grid.right, unicode)
        for n in grid.marked:
            table.rows[n].style = "bold red"
        console.print(table)


def _print_summary(report: Report, console: Console, width: int) -> None:
    if report.summary:
        console.print(Text("\nSummary", style="bold"))
    for name, text in report.summary:
        for n, line in enumerate(wrap(printable(f"{name}: {text}", None), max(20, width), break_long_words=False)):
            shown = Text(("  " if n == 0 else "    ") + line)
            if n == 0:
                shown.stylize("bold", 2, 3 + len(name))
            console.print(shown, soft_wrap=True)


def draw(picture: Picture, width: int, unicode: bool) -> list[str]:
    """Return the picture as lines of characters: two characters per place if a day of hours fits, otherwise fewer."""
    if any(line.role == "seen" for line in picture.lines) and len(picture.places) * 3 + 8 > width:
        return _squeezed(picture, width, unicode)
    if not picture.high:
        lines = [printable(picture.title, None)]
        for line in picture.lines:
            lines += chart(Series(printable(line.name, None), line.values), width, 3, not unicode)
        return [*lines, f"from {picture.places[0]} to {picture.places[-1]}, {picture.unit}"]
    return _bars_with_bounds(picture, unicode)


def _bars_with_bounds(picture: Picture, unicode: bool) -> list[str]:
    """Return bars of two characters per place, with a dash at the upper end of normal. Findings are underlined."""
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


def _squeezed(picture: Picture, width: int, unicode: bool) -> list[str]:
    """Return bars of several places each, at their highest, below the upper end of normal. Findings are underlined."""
    height = 4
    seen = next(line for line in picture.lines if line.role == "seen").values
    top = max([1.0, *(value or 0.0 for value in seen), *picture.high])
    label = f"{top:,.0f}"
    columns = min(len(seen), width - len(label) - 2)
    groups = [range(n * len(seen) // columns, (n + 1) * len(seen) // columns) for n in range(columns)]
    drawn = bars([max(seen[n] or 0.0 for n in group) for group in groups], height, top, not unicode)
    ends = [max(picture.high[n] for n in group) for group in groups] if picture.high else []
    lines = [f"{printable(picture.title, None)}" + (f" ({_edge(unicode)} upper end of normal)" if ends else "")]
    for row, text in enumerate(drawn):
        cells = list(text.ljust(columns))
        for n, end in enumerate(ends):
            if cells[n] == " " and end > 0 and row == height - 1 - min(height - 1, int(end / top * height)):
                cells[n] = _edge(unicode)
        scale = label if row == 0 else "0" if row == height - 1 else ""
        lines.append(f"{scale:>{len(label)}} {'┤' if unicode else '|'}{''.join(cells)}".rstrip())
    marks = "".join(
        "^" if any(first <= n <= last for n in group for first, last in picture.spans) else " " for group in groups
    ).rstrip()
    if marks:
        lines.append(" " * (len(label) + 2) + marks)
    return [*lines, f"from {picture.places[0]} to {picture.places[-1]}, {picture.unit}"]


def _edge(unicode: bool) -> str:
    return "╌" if unicode else "-"

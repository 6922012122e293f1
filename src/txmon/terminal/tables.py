"""Draws tables for people with rich, on any stream."""

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from txmon.support.terminal_text import printable

PLAIN_WIDTH = 300  # columns if the output is not a terminal, because the reader of a file or a pipe wraps lines itself


def console_of(stream: TextIO) -> Console:
    """Return a console on `stream`. On a terminal it has colours and the window's width."""
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PLAIN_WIDTH, emoji=False)


def speaks_unicode(stream: TextIO) -> bool:
    """Return whether box-drawing characters can be written to `stream`."""
    return "utf" in (getattr(stream, "encoding", None) or sys.getdefaultencoding()).lower()


def table_of(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool], unicode: bool = True
) -> Table:
    """Return a table of texts. right: whether each column is aligned at the right. Markup in texts has no effect."""
    table = Table(box=box.SIMPLE_HEAD if unicode else box.ASCII, pad_edge=False, show_edge=False)
    for column, numeric in zip(columns, right, strict=True):
        table.add_column(Text(printable(column, None)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell, None)) for cell in row))
    return table


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return `rows`, header first, as lines with the first column aligned at the left, the others at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def decimal(value: float | None, digits: int = 1) -> str:
    """Return `value` with `digits` decimals, or a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"

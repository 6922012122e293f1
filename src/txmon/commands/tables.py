"""Plain tables for standard output: aligned columns that survive a pipe, a log and a mail."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """`rows` (the first is the header) as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def decimal(value: float | None, digits: int = 1) -> str:
    """`value` with so many digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"

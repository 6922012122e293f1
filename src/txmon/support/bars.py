"""Draws numbers as bars of characters: one line of them, or a chart of several lines with a scale.

The terminal, the reports and the notifications use it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

BLOCKS: Final = " ▁▂▃▄▅▆▇█"  # eighths of a character's height
BARS: Final = BLOCKS[1:]
ASCII_BARS: Final = "_.-=+*%#"


@dataclass(frozen=True, slots=True)
class Series:
    """A name and its values over time; NaN or None for missing values."""

    name: str
    values: Sequence[float | None]


def sparkline(counts: Sequence[int], top: int, ascii_only: bool = False, round_up: bool = False) -> str:
    """Return `counts`, each >= 0, as bars of eight heights, one character each.

    top: > 0, and at least the greatest count. With `round_up`, only `top` has a full bar, and every count above 0 is
    higher than the lowest bar. Without it, a full bar starts at 7/8 of `top`.
    """
    glyphs = ASCII_BARS if ascii_only else BARS
    last = len(glyphs) - 1
    if round_up:
        return "".join([glyphs[-(-count * last // top)] for count in counts])
    return "".join([glyphs[min(last, count * len(glyphs) // top)] for count in counts])


def squeeze(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return at most `width` values: the largest of each group, so that a spike of one minute stays visible."""
    if len(values) <= width:
        return list(values)
    groups = [values[n * len(values) // width : (n + 1) * len(values) // width] for n in range(width)]
    return [max((v for v in group if _known(v)), default=None, key=float) for group in groups]  # type: ignore[arg-type]


def _known(value: float | None) -> bool:
    return value is not None and isfinite(value)


def bars(values: Sequence[float | None], height: int, top: float, ascii_only: bool = False) -> list[str]:
    """Return `height` lines of bars, the highest first. top: the value of a full bar. Unknown values are `·` or `.`."""
    lines = []
    for level in range(height - 1, -1, -1):
        line = ""
        for value in values:
            if value is None or not isfinite(value):
                line += (".·"[not ascii_only]) if level == 0 else " "
                continue
            eighths = round(max(0.0, value) / top * height * 8) if top > 0 else 0
            part = min(8, max(0, eighths - level * 8))
            if level == 0 and value > 0:  # a value above 0 must be visible
                part = max(1, part)
            line += ("#" if part >= 4 or (part and level == 0) else " ") if ascii_only else BLOCKS[part]
        lines.append(line.rstrip())
    return lines


def chart(series: Series, width: int, height: int = 6, ascii_only: bool = False) -> list[str]:
    """Return a titled bar chart with its scale at the left, at most `width` characters wide."""
    known = [float(v) for v in series.values if v is not None and isfinite(v)]
    top = max(known, default=0.0)
    scale = [f"{top:,.6g}", "0"]
    margin = max(map(len, scale))
    drawn = bars(squeeze(series.values, max(10, width - margin - 2)), height, top, ascii_only)
    edge = "|" if ascii_only else "┤"
    labels = [scale[0], *[""] * (height - 2), scale[1]] if height > 1 else [scale[0]]
    return [series.name, *(f"{label:>{margin}} {edge}{line}" for label, line in zip(labels, drawn, strict=True))]

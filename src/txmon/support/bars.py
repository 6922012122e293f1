"""Numbers as bars of characters: one line of them, or a chart some lines high with a scale.

The terminal, the reports and the notifications all draw with these.
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
    """One thing over time: a name and its values, NaN or None where there is none."""

    name: str
    values: Sequence[float | None]


def sparkline(counts: Sequence[int], top: int, ascii_only: bool = False, round_up: bool = False) -> str:
    """Return `counts`, each >= 0, as one bar of eight heights each.

    top: > 0, and at least the greatest count. It has a full bar with `round_up`; without it, a full bar begins at 7/8
    of `top`. round_up: every count above 0 is higher than the lowest bar, which then means 0 alone.
    """
    glyphs = ASCII_BARS if ascii_only else BARS
    last = len(glyphs) - 1
    if round_up:
        return "".join([glyphs[-(-count * last // top)] for count in counts])
    return "".join([glyphs[min(last, count * len(glyphs) // top)] for count in counts])


def squeeze(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most `width` values: the largest of each group, so that a spike of a minute is not lost."""
    if len(values) <= width:
        return list(values)
    groups = [values[n * len(values) // width : (n + 1) * len(values) // width] for n in range(width)]
    return [max((v for v in group if _known(v)), default=None, key=float) for group in groups]  # type: ignore[arg-type]


def _known(value: float | None) -> bool:
    return value is not None and isfinite(value)


def bars(values: Sequence[float | None], height: int, top: float, ascii_only: bool = False) -> list[str]:
    """`height` lines of bars, the highest first; `top` is the value of a full bar. Unknown values are `·` or `.`."""
    lines = []
    for level in range(height - 1, -1, -1):
        line = ""
        for value in values:
            if value is None or not isfinite(value):
                line += (".·"[not ascii_only]) if level == 0 else " "
                continue
            eighths = round(max(0.0, value) / top * height * 8) if top > 0 else 0
            part = min(8, max(0, eighths - level * 8))
            if level == 0 and value > 0:  # something is more than nothing
                part = max(1, part)
            line += ("#" if part >= 4 or (part and level == 0) else " ") if ascii_only else BLOCKS[part]
        lines.append(line.rstrip())
    return lines


def chart(series: Series, width: int, height: int = 6, ascii_only: bool = False) -> list[str]:
    """Return a titled bar chart with its scale at the left, `width` characters wide at most."""
    known = [float(v) for v in series.values if v is not None and isfinite(v)]
    top = max(known, default=0.0)
    scale = [f"{top:,.6g}", "0"]
    margin = max(map(len, scale))
    drawn = bars(squeeze(series.values, max(10, width - margin - 2)), height, top, ascii_only)
    edge = "|" if ascii_only else "┤"
    labels = [scale[0], *[""] * (height - 2), scale[1]] if height > 1 else [scale[0]]
    return [series.name, *(f"{label:>{margin}} {edge}{line}" for label, line in zip(labels, drawn, strict=True))]

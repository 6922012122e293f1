"""Draws docs/growth.svg: how the cost of a replay grows with keys, statuses and length.

usage: .venv/bin/python benchmarks/growth.py --json benchmarks/results/growth.json && .venv/bin/python docs/growth.py
"""

import json
import math
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 24, 48
COLOURS = ("#1f6feb", "#c2410c", "#15803d")
MARKS = ("circle", "square", "diamond")
STEPS = (1, 3, 10)


def x_of(value: float) -> float:
    """Return the place of a size, on a logarithmic axis."""
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(value)


def y_of(value: float) -> float:
    """Return the place of a cost, on a logarithmic axis that ends at 12."""
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log10(max(value, 1.0)) / math.log10(12)


def mark(kind: str, x: float, y: float, colour: str) -> str:
    """Return a mark: its shape differs too, for readers who do not see colours."""
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if kind == "diamond" else ""
    return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"{turn}/>'


def line(x1: float, y1: float, x2: float, y2: float, more: str) -> str:
    """Return a line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {more}/>'


def text(x: float, y: float, words: str, more: str = "") -> str:
    """Return a text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#24292f" {more}>{words}</text>'


def drawn(rows: list[dict[str, Any]]) -> str:
    """Return the picture of benchmarks/growth.py's results."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" role="img" aria-label="Cost of a replay by size">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in STEPS:
        grid = 'stroke="#d0d7de"'
        parts.append(line(x_of(step), TOP, x_of(step), HEIGHT - BOTTOM, grid))
        parts.append(line(LEFT, y_of(step), WIDTH - RIGHT, y_of(step), grid))
        parts.append(text(x_of(step), HEIGHT - BOTTOM + 18, f"{step}", 'text-anchor="middle"'))
        parts.append(text(LEFT - 8, y_of(step) + 4, f"{step}", 'text-anchor="end"'))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "times the size", 'text-anchor="middle"'))
    parts.append(text(LEFT - 56, TOP - 8, "times the processor time"))
    parts.append(line(x_of(1), y_of(1), x_of(10), y_of(10), 'stroke="#57606a" stroke-dasharray="4 4"'))
    for place, (row, colour, kind) in enumerate(zip(rows, COLOURS, MARKS, strict=True)):
        points = [(x_of(step), y_of(row[f"{step} times"])) for step in STEPS]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [mark(kind, x, y, colour) for x, y in points]
        y = TOP + 16 + 22 * place
        parts.append(mark(kind, WIDTH - RIGHT + 18, y - 4, colour))
        parts.append(text(WIDTH - RIGHT + 30, y, f"{row['growing']}: {row['10 times']:.1f}"))
    y = TOP + 16 + 22 * len(rows)
    parts.append(line(WIDTH - RIGHT + 10, y - 4, WIDTH - RIGHT + 26, y - 4, 'stroke="#57606a" stroke-dasharray="4 4"'))
    parts.append(text(WIDTH - RIGHT + 30, y, "proportional: 10"))
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    found = json.loads((ROOT / "benchmarks" / "results" / "growth.json").read_text())
    (ROOT / "docs" / "growth.svg").write_text(drawn(found))

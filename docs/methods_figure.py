"""Draws docs/methods.svg, the figure of docs/methods.md: counts of the sample, the normal interval and the scores.

usage: .venv/bin/python docs/methods_figure.py
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from txmon.ingest.rejects import RejectLog
from txmon.model.clock import iso
from txmon.model.verdict import Verdict
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings

ROOT = Path(__file__).parents[1]
STATUS, FIRST, LAST = "denied", "2026-03-02T08:00:00Z", "2026-03-02T18:00:00Z"
WIDTH, LEFT, RIGHT = 840, 60, 820
COUNTS = (30, 230)  # y of the top and the bottom of the upper part
SCORES = (270, 390)

Line = Sequence[tuple[float, float]]


def sample() -> list[Verdict]:
    """Return the verdicts on one status of the sample in the hours that are drawn."""
    settings = Settings()
    reader = reader_of(settings, RejectLog(None, False), datetime.now(UTC).date())
    records = reader.records([str(ROOT / "examples" / "transactions.csv")])
    verdicts = [v for outcome in pipeline_of(settings, live=False).run(records) for v in outcome.verdicts]
    return [v for v in verdicts if v.status == STATUS and FIRST <= iso(v.time) < LAST]


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the function that maps low..high to start..end."""
    return lambda value: round(start + (value - low) / (high - low) * (end - start), 1)


def path(line: Line, style: str) -> str:
    """Return a line of points."""
    return f'<polyline points="{" ".join(f"{x},{y}" for x, y in line)}" fill="none" {style}/>'


def text(x: float, y: float, said: str, more: str = "") -> str:
    """Return a label."""
    return f'<text x="{x}" y="{y}" {more}>{said}</text>'


def main() -> None:
    """Draw the figure."""
    verdicts = sample()
    x = scale(verdicts[0].time, verdicts[-1].time, LEFT, RIGHT)
    top = max(max(v.count, v.high) for v in verdicts)
    y = scale(0, top, COUNTS[1], COUNTS[0])
    most = max(6.0, *[v.score for v in verdicts])
    z = scale(-3, most, SCORES[1], SCORES[0])
    band = [(x(v.time), y(v.high)) for v in verdicts] + [(x(v.time), y(v.low)) for v in reversed(verdicts)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 430" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="430" fill="#fff"/>',
        f'<polygon points="{" ".join(f"{a},{b}" for a, b in band)}" fill="#dce9f7"/>',
        path([(x(v.time), y(v.count)) for v in verdicts], 'stroke="#333" stroke-width="0.8"'),
        path([(x(v.time), y(v.expected)) for v in verdicts], 'stroke="#1668b8" stroke-width="1.5"'),
        path([(x(v.time), z(v.score)) for v in verdicts], 'stroke="#333" stroke-width="0.8"'),
        path([(LEFT, z(0)), (RIGHT, z(0))], 'stroke="#999" stroke-dasharray="2 3"'),
        text(LEFT, 20, f"{STATUS}: count (black), expected count (blue), normal interval (shaded), alerts (red)"),
        text(LEFT, SCORES[0] - 8, "score, sigmas"),
    ]
    alerts = [v for v in verdicts if v.recommendation == "alert"]
    for v in alerts:
        parts += [f'<circle cx="{x(v.time)}" cy="{at}" r="3" fill="#c0262c"/>' for at in (y(v.count), z(v.score))]
    parts += [text(LEFT - 6, place(value) + 4, f"{value:g}", 'text-anchor="end"') for place, value in ticks(y, z, top)]
    for hour in range(8, 19, 2):
        moment = datetime.fromisoformat(f"2026-03-02T{hour:02}:00:00+00:00").timestamp()
        parts.append(text(min(x(moment), RIGHT), 415, f"{hour:02}:00", 'text-anchor="middle"'))
    (ROOT / "docs" / "methods.svg").write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def ticks(
    y: Callable[[float], float], z: Callable[[float], float], top: float
) -> list[tuple[Callable[[float], float], float]]:
    """Return the labels of both axes: where each is drawn, and its value."""
    return [(y, 0.0), (y, float(int(top / 20) * 10)), (z, 0.0), (z, 4.0)]


if __name__ == "__main__":
    main()

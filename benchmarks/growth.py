"""How the cost of a replay grows with keys, statuses and length: CPU seconds of whole processes, less the start.

    .venv/bin/python benchmarks/growth.py [--runs 2] [--json FILE]

Each work is measured at three sizes: once, three times and ten times as large in one respect. The quickest run counts.
`python docs/growth.py` draws docs/growth.svg from benchmarks/results/growth.json.
"""

import random
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from common import START, aggregated, arguments, tell, txmon

STEPS = (1, 3, 10)


def rows_of(keys: int, statuses: int, minutes: int) -> Iterator[str]:
    """A row for each key, status and minute."""
    draw = random.Random(5)
    yield "time,status,merchant,count\n"
    for minute in range(minutes):
        stamp = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:00Z")
        for key in range(keys):
            for status in range(statuses):
                yield f"{stamp},s{status},m{key},{draw.randrange(1, 9)}\n"


def cost(path: Path, runs: int, *words: str) -> float:
    least = path.with_suffix(".least.csv")
    with open(path) as given:
        least.write_text("".join([given.readline(), given.readline()]))

    def quickest(source: Path) -> float:
        work = ("replay", "-q", str(source), "--jobs", "1", "--out", str(path.with_suffix(".out")), *words)
        return min(txmon(*work) for _ in range(runs))

    return quickest(path) - quickest(least)


def keys(path: Path, step: int, runs: int) -> float:
    path.write_text("".join(rows_of(1000 * step, 2, 20)))
    return cost(path, runs, "--group-by", "merchant")


def statuses(path: Path, step: int, runs: int) -> float:
    path.write_text("".join(rows_of(1, 7 * step, 5 * 1440)))
    return cost(path, runs)


def length(path: Path, step: int, runs: int) -> float:
    aggregated(path, 20 * step)
    return cost(path, runs)


WORKS = (
    ("keys", "1,000", keys, 10.5),
    ("statuses", "7", statuses, 10.5),
    ("length", "20 days", length, 10.1),
)


def main() -> None:
    given = arguments(__doc__, runs=2)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, least, measure, most in WORKS:
            spent = [measure(Path(folder) / f"{name}-{step}.csv", step, given.runs) for step in STEPS]
            times = {f"{step} times": seconds / spent[0] for step, seconds in zip(STEPS, spent, strict=True)}
            found.append({"growing": name, "from": least, "seconds": spent[0], **times, "asked for": most})
    tell(found, given.json)


if __name__ == "__main__":
    main()

"""Many series: observations a second and resident bytes a series, and how both grow with the number of series.

A series here is a status of a merchant or a merchant's volume, as `--group-by merchant` makes them. Half of them have a
row a minute, one status a merchant. python benchmarks/series.py [--series 100000] [--minutes 20]
"""

import gc
import random
from pathlib import Path
from typing import Any

from common import arguments, cpu, tell

from txmon.detection.detector import BucketJudge

PAGE = 4096


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def run(series: int, minutes: int) -> dict[str, Any]:
    draw = random.Random(3)
    gc.collect()
    before = resident()
    detector = BucketJudge()
    keys = [(("merchant", f"m{i}"),) for i in range(series // 2)]
    counts = {key: {"approved": 5 + draw.randrange(6)} for key in keys}
    work = sum(cpu(lambda at=at: detector.judge(1772409600 + 60 * at, counts)) for at in range(minutes))
    gc.collect()
    used = resident() - before  # the keys are the detector's own; the counts are the open bucket's
    return {"series": series, "observations": series * minutes, "seconds": work,
            "observations a second": series * minutes / work, "bytes a series": used / series}  # fmt: skip


if __name__ == "__main__":
    given = arguments(__doc__, series=100_000, minutes=20)
    small, large = run(given.series // 10, given.minutes), run(given.series, given.minutes)
    tell(
        [small, large, {"work": "ten times the series", "times the time": large["seconds"] / small["seconds"]}],
        given.json,
    )

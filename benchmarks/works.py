"""Works of fixed size inside one process, for instructions.py: python benchmarks/works.py NAME"""

import random
import sys
from math import log

from txmon.detection.baseline import Baseline
from txmon.detection.detector import BucketJudge
from txmon.detection.judgement import score_all
from txmon.model.scores import Thresholds


def one_series() -> None:
    draw = random.Random(1)
    score_all(
        Baseline(0.955),
        Thresholds(4.2, 3, 1.5, "above"),
        [float(int(-14.0 * log(draw.random()))) for _ in range(30_000)],
    )


def many_series() -> None:
    draw, detector = random.Random(3), BucketJudge()
    counts = {
        (("merchant", f"m{i}"),): {"approved": 5 + draw.randrange(6), "denied": draw.randrange(2)} for i in range(1000)
    }
    for minute in range(15):
        detector.judge(1772409600 + 60 * minute, counts)


if __name__ == "__main__":
    {"one": one_series, "many": many_series}[sys.argv[1]]()

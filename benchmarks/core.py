"""One series: txmon's core (level, MAD, three windows judged, then learned) beside river's EWMean, EWVar and MAD.

Both are called from a Python loop, value by value: score, then learn; and txmon's also the whole series at once, as
compiled parts call each other. python benchmarks/core.py [--values 300000]
"""

import random
from math import log

from common import arguments, cpu, tell
from river import stats

from txmon.detection.baseline import Baseline
from txmon.detection.judgement import judge, score_all
from txmon.model.scores import Thresholds


def txmon(values: list[float]) -> None:
    series, gates = Baseline(0.955), Thresholds(4.2, 3, 1.5, "above")
    for value in values:
        series.observe(value, series.rate())
        judge(series, gates, None, 0.005)
        series.learn(value, 1.0)


def compiled(values: list[float]) -> None:
    score_all(Baseline(0.955), Thresholds(4.2, 3, 1.5, "above"), values)


def river(values: list[float]) -> None:
    mean, variance, deviation = stats.EWMean(0.045), stats.EWVar(0.045), stats.MAD()
    for value in values:
        if (spread := variance.get()) > 0.0:
            _ = (value - mean.get()) / spread**0.5, abs(value - mean.get()) / (deviation.get() or 1.0)
        mean.update(value)
        variance.update(value)
        deviation.update(value)


if __name__ == "__main__":
    given = arguments(__doc__, values=300_000)
    draw = random.Random(1)
    made = [float(int(-14.0 * log(draw.random()))) for _ in range(given.values)]
    ours, theirs, whole = (
        min(cpu(lambda work=work: work(made)) for _ in range(3)) for work in (txmon, river, compiled)
    )
    rows = [
        {"work": name, "seconds": s, "values a second": given.values / s}
        for name, s in (("txmon", ours), ("river", theirs), ("txmon, the whole series at once", whole))
    ]
    tell([*rows, {"work": "ratio", "txmon's speed over river's": theirs / ours, "at once": theirs / whole}], given.json)

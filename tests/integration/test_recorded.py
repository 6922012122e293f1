"""What the detector said of a few streams, kept bucket by bucket: whoever changes the core sees what that changes.

The other tests say what must hold of verdicts; this one holds every figure of some to what it was (to 1e-6, so that
sums may be taken in another order). The streams are made here, the same on every machine. After a change that is meant:
TXMON_GOLDEN=write python -m pytest tests/integration/test_recorded.py, and read the difference.
"""

import json
import os
from collections.abc import Callable, Iterator
from math import cos, exp, pi
from random import Random
from typing import Any

import pytest
from paths import TESTS

from txmon.detection.detector import BucketJudge
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Key
from txmon.model.verdict import Verdict

FOLDER = TESTS / "data" / "recorded"
START = 1772409600  # a Monday, 2026-03-02
USUAL = {"approved": 60.0, "denied": 8.0, "failed": 0.2, "reversed": 1.0}
SHOP: Key = (("merchant", "shop"),)
KIOSK: Key = (("merchant", "kiosk"),)

Counts = dict[Key, dict[str, int]]
Stream = Iterator[tuple[int, Counts]]


def poisson(random: Random, mean: float) -> int:
    """Knuth's count of factors; `random.random` alone is the same in every version of Python."""
    count, product, limit = 0, random.random(), exp(-mean)
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def drawn(random: Random, factor: float = 1.0, **instead: float) -> dict[str, int]:
    means = {status: mean * factor for status, mean in USUAL.items()} | instead
    found = {status: poisson(random, mean) for status, mean in means.items()}
    return {status: count for status, count in found.items() if count}


def incidents() -> Stream:
    """Two keys by the minute: a surge, a silence, a collapse, a relief, a sale, a new status, a level that stays."""
    random = Random(11)
    for minute in range(420):
        factor = 2.0 if 250 <= minute < 270 else 1.0
        instead: dict[str, float] = {}
        if 60 <= minute < 72:
            instead = {"denied": 30.0}
        elif 118 <= minute < 126:  # fades away
            instead = {"denied": 36.0 / (minute - 117)}
        elif 140 <= minute < 150:
            instead = {"approved": 4.0, "denied": 6.0}
        elif 180 <= minute < 240:
            instead = {"denied": 1.0}
        elif minute >= 280:
            lingers = {"approved": 20.0 if minute == 400 else 46.0} if 400 <= minute < 408 else {}
            instead = {"reversed": 9.0, **lingers}
        counts = {SHOP: drawn(random, factor, **instead), KIOSK: drawn(random, 0.05)}
        if minute == 50:  # no status by itself
            counts[SHOP] = {"approved": 45, "denied": 18, "failed": 3, "reversed": 6}
        if 200 <= minute < 203 or minute % 50 == 7:
            counts[SHOP]["stolen"] = 5
        if not counts[KIOSK]:
            del counts[KIOSK]
        yield START + 60 * minute, {} if 100 <= minute < 109 else counts


def days(width: int, many: int) -> Stream:
    """One key's days with a quiet night; on the last but one nothing comes for two hours, on the last twice as much."""
    random = Random(12)
    buckets = 86400 // width
    for i in range(many * buckets):
        hour = i % buckets * width / 3600
        factor = (1.1 - cos(2 * pi * (hour - 4) / 24)) * (2.0 if i >= (many - 1) * buckets else 1.0)
        gone = i // buckets == many - 2 and 10 <= hour < 12
        yield START + width * i, {} if gone else {(): drawn(random, factor)}


def crowd() -> Stream:
    """A key a minute that is never seen again, and one that always is."""
    random = Random(13)
    for minute in range(200):
        yield START + 60 * minute, {((("merchant", f"m{minute}")),): {"denied": 3}, KIOSK: drawn(random, 0.1)}


CASES: dict[str, tuple[DetectorConfig, Callable[[], Stream]]] = {
    "incidents": (DetectorConfig(warmup=1200.0, level_shift=3600.0, budget=1.0), incidents),
    "explained": (DetectorConfig(warmup=1200.0, sigma=3.5, explain=True, rowless=True), incidents),
    "quarters": (DetectorConfig(bucket=900, warmup=7200.0), lambda: days(900, 5)),
    "five-minutes": (DetectorConfig(bucket=300, directions={"denied": "both"}), lambda: days(300, 3)),
    "crowd": (DetectorConfig(max_series=60, idle=3600.0, warmup=600.0), crowd),
}


def summary(time: int, verdicts: list[Verdict]) -> dict[str, Any]:
    """A bucket's verdicts in a line: the sum of every figure, and those that are not ok by name."""
    sums = [
        len(verdicts),
        sum(v.count for v in verdicts),
        sum(v.total for v in verdicts),
        sum(v.expected for v in verdicts),
        sum(v.low for v in verdicts),
        sum(v.high for v in verdicts),
        sum(v.score for v in verdicts),
        sum(v.window for v in verdicts),
        sum(len(v.text) for v in verdicts),
    ]
    said = [
        " ".join([*(value for _, value in v.key), v.status, v.recommendation, *v.reasons, str(v.window)])
        for v in verdicts
        if v.recommendation not in ("ok", "warming") or v.reasons
    ]
    return {"minute": (time - START) // 60, "sums": sums, "said": said}


def play(name: str, restart: int = 0) -> list[dict[str, Any]]:
    """A line a bucket; with `restart`, each so many buckets in a new detector that takes over the old one's state."""
    config, stream = CASES[name]
    detector = BucketJudge(config)
    lines = []
    for i, (time, counts) in enumerate(stream()):
        if name == "incidents" and i in (64, 300, 310):
            detector.exclude(SHOP, ("denied", "reversed", "*", "never seen"))
            detector.exclude((("merchant", "unknown"),), ("denied",))
        if restart and i % restart == restart - 1:
            state = json.loads(json.dumps(detector.snapshot()))
            detector = BucketJudge(config)
            detector.restore(state)
        verdicts = detector.judge(time, counts)
        assert detector.time() == time
        lines.append(summary(time, verdicts))
        asked = [
            detector.assess(time, key, status, counts[key])
            for key in counts
            for status in ("*", "denied", "failed", "stolen")
        ]
        lines[-1]["assessed"] = summary(time, [verdict for verdict in asked if verdict is not None])["sums"]
        if i % 100 == 99:
            lines[-1]["known"] = [
                [len(detector.describe()), detector.sigma()],
                *([s.expected, s.dispersion, s.evidence, s.alerting] for s in detector.describe()[:6]),
            ]
    return lines


@pytest.mark.parametrize("restart", [0, 37])
@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_what_it_was(name: str, restart: int) -> None:
    path = FOLDER / f"{name}.jsonl"
    found = play(name, restart)
    if os.environ.get("TXMON_GOLDEN") == "write":
        rounded = json.loads(json.dumps(found), parse_float=lambda text: float(f"{float(text):.9g}"))
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in rounded))
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(found) == len(kept)
    for new, old in zip(found, kept, strict=True):
        assert new["said"] == old["said"]
        assert new["sums"] == pytest.approx(old["sums"], rel=1e-6, abs=1e-6)
        assert new["assessed"] == pytest.approx(old["assessed"], rel=1e-6, abs=1e-6)
        for mine, theirs in zip(new.get("known", []), old.get("known", []), strict=True):
            assert mine == pytest.approx(theirs, rel=1e-6, abs=1e-6)


def test_the_streams_hold_what_they_are_for() -> None:
    """Every kind of verdict is in the recordings, or they would not notice a change to it."""
    kept = {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in FOLDER.glob("*.jsonl")}
    assert set(kept) == set(CASES)
    said = {word for lines in kept.values() for line in lines for words in line["said"] for word in words.split()}
    assert said >= {"score", "silence", "together", "level", "shift", "alert", "pending", "ok", "1", "5", "15"}
    assert said >= {"*", "approved", "denied", "reversed", "stolen", "kiosk", "shop"}

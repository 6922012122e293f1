"""The public Python API: its doctests, its refusals, and that it gives what the command line gives."""

import csv
import doctest
import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from paths import ROOT

import txmon.api
from txmon import Detector
from txmon.ingest.fields import MAX_COUNT
from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings

SAMPLE = ROOT / "examples" / "transactions.csv"


def test_doctests() -> None:
    found = doctest.testmod(txmon.api)
    assert found.attempted > 8
    assert found.failed == 0


def test_the_sample_gives_the_command_lines_verdicts() -> None:
    detector = Detector()
    verdicts = []
    with SAMPLE.open() as file:
        for row in csv.DictReader(file):
            verdicts += detector.update(row["time"], row["status"], int(row["count"]))
    verdicts += detector.flush()
    reader = reader_of(Settings(), RejectLog(None, False), datetime.now(UTC).date())
    outcomes = pipeline_of(Settings(), live=False).run(reader.records([str(SAMPLE)]))
    assert verdicts == [verdict for outcome in outcomes for verdict in outcome.verdicts]
    assert any(verdict.recommendation == "alert" for verdict in verdicts)


@pytest.mark.parametrize("bucket", ["10s", "5m", "30m", "1h"])
def test_any_series_at_any_width_with_a_day_of_its_own(bucket: str) -> None:
    detector = Detector(bucket=bucket, directions={"value": "both"})
    width = detector.settings.bucket
    rng = np.random.default_rng(4)
    days = 10 if width > 300 else 4 if width == 300 else 1
    n = days * 86400 // width
    at = 4 * n // 5
    alerts = []
    for i in range(n):
        usual = 200 + 150 * np.sin(2 * np.pi * i * width / 86400)
        count = int(rng.poisson(usual * (3 if i == at else 1)))
        alerts += [v for v in detector.update(i * width, "value", count) if v.recommendation == "alert"]
    assert {v.time // width for v in alerts if v.status == "value"} >= {at}
    false = sorted({v.time // width for v in alerts} - set(range(at, at + 4)))
    episodes = [a for a, b in zip(false, [-99, *false], strict=False) if a - b > 3]
    assert len(episodes) <= 1


def test_times_of_every_kind_are_the_same() -> None:
    moment = datetime(2026, 3, 2, 10, tzinfo=UTC)
    verdicts = []
    for time in (moment, moment.replace(tzinfo=None), "2026-03-02T10:00:00Z", moment.timestamp()):
        detector = Detector()
        detector.update(time, "Denied ")
        verdicts.append(detector.flush())
    assert all(found == verdicts[0] for found in verdicts)


def test_refusals() -> None:
    with pytest.raises(TypeError, match="no setting is named 'buget'; did you mean 'budget'"):
        Detector(buget="1/day")
    with pytest.raises(ValueError, match="is not from 10s to 1h"):
        Detector(bucket="2h")
    for time, count in (("noon", 1), (-1, 1), (float("nan"), 1), (0, -1)):
        with pytest.raises(ValueError, match=r"."):
            Detector().update(time, "denied", count)
    with pytest.raises(ValueError, match="no snapshot of a detector"):
        Detector().restore({"buckets": {}})
    json.dumps(Detector().snapshot())


def test_a_bucket_may_be_a_number_of_seconds_and_a_text_needs_its_unit() -> None:
    assert [Detector(bucket=width).settings.bucket for width in (60, 300, "60s", "5m")] == [60, 300, 60, 300]
    with pytest.raises(ValueError, match="'60' has no unit"):
        Detector(bucket="60")


def test_a_snapshot_of_another_bucket_width_is_refused() -> None:
    detector = Detector()
    detector.update(0, "denied")
    with pytest.raises(ValueError, match="the state was saved with buckets of 60 s, not of 300 s"):
        Detector(bucket="5m").restore(detector.snapshot())


def test_counts_with_a_key_and_counts_without_one_go_together() -> None:
    """Without a key is a key like others; all keys as one, which the season is learned from, has the same name."""
    for seed in range(20):
        draw, detector = random.Random(seed), Detector(warmup="10m", sigma=3)
        for step in range(60):
            merchant = draw.randrange(3)
            key = {"merchant": f"m{merchant}"} if merchant else None
            detector.update(
                300 * step, draw.choice(["approved", "denied", "failed"]), draw.choice([0, 3, 40, 5000]), key
            )
        assert detector.flush()


def test_events_are_those_of_the_last_call() -> None:
    detector = Detector()
    opened = []
    for minute in range(100):
        for status, count in (("approved", 100), ("denied", 60 if minute == 90 else 10)):
            detector.update(60 * minute, status, count)
            opened += [(minute, event.state) for event in detector.events]
    assert opened == [(91, "opened"), (96, "resolved")]
    assert detector.events == []


@pytest.mark.parametrize(("arguments", "message"), [
    ((0, "*"), r"status: '\*' stands for all statuses together"),
    ((0, " "), "status: the status is empty"),
    ((0, "s" * 257), "status: a status of 257 characters, at most 256 are accepted"),
    ((0, None), "status: a NoneType is not a status"),
    ((0, "denied", 10**17), "count: 'a huge number' is not a whole number from 0 to 10\\^15"),
    ((0, "denied", -1), "count: '-1' is not a whole number from 0 to 10\\^15"),
    ((0, "denied", 1.5), "count: '1.5' is not a whole number"),
    ((0, "denied", np.float32(1.5)), "count: '1.5' is not a whole number"),
    ((0, "denied", float("nan")), "count: 'nan' is not a whole number"),
    ((0, "denied", None), "count: 'None' is not a whole number"),
    ((0, "denied", 1, {"merchant": "\ud800"}), "encoding: half of a surrogate pair is not a character"),
    ((0, "denied", 1, {}, "\ud800"), "encoding: half of a surrogate pair is not a character"),
    ((-1, "denied"), "'-1' is not between 1970 and 2100"),
    ((1e300, "denied"), "'1e\\+300' is not between 1970 and 2100"),
    ((float("nan"), "denied"), "'nan' is not between 1970 and 2100"),
])  # fmt: skip
def test_a_value_outside_the_limits_is_refused_and_not_counted(arguments: tuple[Any, ...], message: str) -> None:
    detector = Detector(by=("merchant",)) if len(arguments) > 3 else Detector()
    before = detector.snapshot()
    with pytest.raises(ValueError, match=f"^{message}"):
        detector.update(*arguments)
    assert detector.snapshot() == before


def test_a_count_of_another_library_is_a_number() -> None:
    counts: list[Any] = [5, 5.0, np.int64(5), np.uint8(5), np.float32(5), np.float64(5), Decimal(5), MAX_COUNT]
    for count in counts:
        detector = Detector()
        detector.update(0, "denied", count)
        found = {verdict.status: verdict.count for verdict in detector.flush()}
        assert found["denied"] == int(count)

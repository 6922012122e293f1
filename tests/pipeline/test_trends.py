"""Trends against numpy, on every prefix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.pipeline.trends import TrendTracker, name_of


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=60), st.sampled_from([60, 120]))
def test_the_slope_is_numpys_on_every_prefix(counts: list[int], bucket: int) -> None:
    tracker = TrendTracker(bucket)
    length = 18 * 60 // bucket
    for i, count in enumerate(counts):
        trend = tracker.update(i * bucket, "denied", count)
        tail = counts[max(0, i + 1 - length) : i + 1]
        if len(tail) < 3:
            assert trend.slope == 0
            continue
        assert tracker.snapshot()["counts"] == {"denied": tail}
        minutes = np.arange(len(tail)) * bucket / 60
        slope = np.polyfit(minutes, np.array(tail) * 60 / bucket, 1)[0]
        assert trend.slope == pytest.approx(slope, abs=1e-6)


def test_a_gap_is_zeros() -> None:
    tracker, other = TrendTracker(60), TrendTracker(60)
    for time, count in ((0, 5), (60, 6)):
        tracker.update(time, "a", count)
        other.update(time, "a", count)
    for time in (120, 180):
        other.update(time, "a", 0)
    assert tracker.update(240, "a", 9) == other.update(240, "a", 9)


@pytest.mark.parametrize(
    ("slope", "name"),
    [
        (0.41, "rising a lot"),
        (0.4, "rising"),
        (0.1, "stable"),
        (-0.1, "stable"),
        (-0.4, "falling"),
        (-0.5, "falling a lot"),
    ],
)
def test_names(slope: float, name: str) -> None:
    assert name_of(slope) == name

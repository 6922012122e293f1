"""Trend by status: the slope of its counts over the last 18 minutes, and the name of that slope."""

from dataclasses import dataclass
from typing import Final, Literal

TrendName = Literal["rising a lot", "rising", "stable", "falling", "falling a lot"]

SPAN: Final = 18 * 60  # seconds; the original system looked back 0.3 hours
STEEP: Final = 0.4  # transactions a minute per minute, above which a slope is "a lot"
SLIGHT: Final = 0.1  # up to which it is stable


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares slope in transactions a minute per minute, and its name."""

    slope: float
    name: TrendName


def name_of(slope: float) -> TrendName:
    """The name of a slope in transactions a minute per minute."""
    if slope > STEEP:
        return "rising a lot"
    if slope > SLIGHT:
        return "rising"
    if slope >= -SLIGHT:
        return "stable"
    return "falling" if slope >= -STEEP else "falling a lot"


class TrendTracker:
    """Keeps the last 18 minutes of every status; a bucket without its row is a zero."""

    def __init__(self, bucket: int) -> None:
        """bucket: the width of a bucket in seconds."""
        self._bucket = bucket
        self._length = max(3, SPAN // bucket)
        self._counts: dict[str, list[int]] = {}
        self._times: dict[str, int] = {}

    def update(self, time: int, status: str, count: int) -> Trend:
        """Add the bucket that starts at `time` (epoch seconds, later than before) and return the trend with it."""
        counts = self._counts.setdefault(status, [])
        missing = (time - self._times.get(status, time)) // self._bucket - 1
        counts += [0] * min(max(missing, 0), self._length)
        counts.append(count)
        del counts[: -self._length]
        self._times[status] = time
        slope = _slope(counts) * (60 / self._bucket) ** 2
        return Trend(slope, name_of(slope))


def _slope(counts: list[int]) -> float:
    """Of the least-squares line through `counts`, a bucket per bucket; 0 with fewer than three."""
    n = len(counts)
    if n < 3:
        return 0.0
    middle = (n - 1) / 2
    covariance = sum((i - middle) * count for i, count in enumerate(counts))
    return covariance * 12 / (n * (n * n - 1))

"""Records the expected count and normal interval of each status and bucket while the detector judges a file."""

from array import array
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Final

from txmon.model.verdict import Verdict

LONGEST: Final = 2_000_000  # buckets of one status; later ones have no band


class Normal:
    """The expected count and the normal interval of one status over time."""

    __slots__ = ("_expected", "_high", "_low", "_start", "_width")

    def __init__(self, start: int, width: int) -> None:
        """Create it. start: of the first bucket, epoch seconds. width: of a bucket, seconds."""
        self._start = start
        self._width = width
        self._expected = array("d")
        self._low = array("d")
        self._high = array("d")

    def add(self, time: int, expected: float, low: int, high: int) -> None:
        """Add the bucket at `time`. Buckets without a verdict repeat the bucket before them."""
        place = (time - self._start) // self._width
        missing = place - len(self._expected)
        if missing < 0 or place >= LONGEST:
            return
        for values, value in ((self._expected, expected), (self._low, float(low)), (self._high, float(high))):
            if missing and values:
                values.extend([values[-1]] * missing)
            elif missing:
                values.extend([value] * missing)
            values.append(value)

    def over(self, start: int, end: int) -> tuple[float, float, float] | None:
        """Return the expected count from `start` to before `end` and its interval, or None before it is known.

        The deviations of the buckets are added as independent ones.
        """
        a = max(0, (start - self._start) // self._width)
        b = min(len(self._expected), -(-(end - self._start) // self._width))
        if end <= self._start or a >= b:
            return None
        expected, low, high = self._expected[a:b], self._low[a:b], self._high[a:b]
        total = sum(expected)
        above = sqrt(sum((h - e) ** 2 for e, h in zip(expected, high, strict=True)))
        # a bucket's lower bound is at least 0, which makes the sum's lower bound too high
        below = sqrt(sum((e - v if v else h - e) ** 2 for e, v, h in zip(expected, low, high, strict=True)))
        return total, max(0.0, total - below), total + above


class NormalBook:
    """Collects `Normal`s from verdicts. If there are keys, it uses the verdicts for all keys together."""

    def __init__(self, width: int) -> None:
        """Create it. width: of a bucket, seconds."""
        self.by_status: dict[str, Normal] = {}
        self._width = width

    def accept(self, verdicts: Sequence[Verdict]) -> None:
        """Add the verdicts of one bucket."""
        for verdict in _whole(verdicts):
            if verdict.recommendation == "warming":
                continue
            known = self.by_status.get(verdict.status)
            if known is None:
                known = self.by_status[verdict.status] = Normal(verdict.time, self._width)
            known.add(verdict.time, verdict.expected, verdict.low, verdict.high)


def _whole(verdicts: Sequence[Verdict]) -> Iterable[Verdict]:
    return (verdict for verdict in verdicts if not (verdict.key or verdict.partial or verdict.revises))

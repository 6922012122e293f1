"""The detector for programs: counts in, verdicts out, the same as the command line gives.

>>> from txmon import Detector
>>> detector = Detector(bucket="5m", directions={"value": "both"})
>>> for i in range(60):
...     verdicts = detector.update(i * 300, "value", 50 + i % 7)
>>> [verdict] = [v for v in detector.update(60 * 300, "value", 190) + detector.flush() if v.recommendation == "alert"]
>>> verdict.text
'190 value, 53.6 expected (at most 86)'
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, SupportsFloat, SupportsIndex

from txmon.detection.baseline import Baseline
from txmon.detection.judgement import score_all
from txmon.ingest.fields import Fault, count_of, label_of, status_of
from txmon.ingest.records import Record
from txmon.ingest.timestamps import bounded
from txmon.model.outcome import IncidentEvent, Outcome
from txmon.model.scores import Thresholds
from txmon.model.verdict import Verdict
from txmon.runtime.factory import pipeline_of
from txmon.settings.declarations import DECLARATIONS, Settings, present_name
from txmon.support.suggest import nearest

Time = int | float | str | datetime


class Detector:
    """Judges counts by status in event time: each bucket when it closes, before it learns from it.

    bucket: width of a bucket: "10s" to "1h", or seconds. directions: by status, the side on which it alerts: "above",
    "below" or "both" (by default below for approved, above for all others). Every other setting of txmon.toml is a
    keyword too, with the values it has there: `budget="1/day"`, `warmup="1h"`, `min_count=5`, `rule=["count > 9"]`.

    Raises TypeError for an unknown setting, ValueError for a value that is not valid.

    >>> quiet = Detector(budget="1/week", warmup="10m")
    >>> for minute in range(30):
    ...     verdicts = quiet.update(f"2026-03-02T10:{minute:02}:00Z", "denied", 4)
    >>> verdicts[0].recommendation, verdicts[0].count
    ('ok', 4)
    """

    def __init__(self, bucket: str | int = 60, directions: Mapping[str, str] | None = None, **settings: Any) -> None:
        # A text needs its unit, so that nobody takes minutes for seconds. A number is documented as seconds.
        values: dict[str, Any] = {"bucket": bucket if isinstance(bucket, str) else f"{bucket}s", **settings}
        if directions:
            values["direction"] = directions
        parsed: dict[str, Any] = {}
        for given, value in values.items():
            name = present_name(given, value)
            if name not in DECLARATIONS:
                raise TypeError(f"no setting is named {given!r}{nearest(given, DECLARATIONS)}")
            parsed[name] = DECLARATIONS[name].parse(value)
        self.settings = Settings(**parsed)
        self._pipeline = pipeline_of(self.settings, live=False)
        self.events: list[IncidentEvent] = []  # of the last call

    def update(
        self,
        time: Time,
        status: str,
        count: int = 1,
        key: Mapping[str, str] | None = None,
        id: str | None = None,  # noqa: A002
    ) -> list[Verdict]:
        """Count transactions; the verdicts of the buckets that this closes, oldest first (often none).

        time: epoch seconds, ISO 8601 (UTC where it names no zone) or a datetime, from 1970 to 2100. status: 1 to 256
        characters, not "*". count: a whole number from 0 to 10^15. key: the values of dimensions, such as
        {"merchant": "m1"}, judged by themselves. id: a repeat within 15 buckets counts once.
        Raises ValueError, and counts nothing, for a value outside these limits. They are those of the command line.

        >>> Detector().update(0, "*")
        Traceback (most recent call last):
        ValueError: status: '*' stands for all statuses together
        """
        return self.update_many([_record(time, status, count, key or {}, id)])

    def update_many(self, records: Iterable[Record]) -> list[Verdict]:
        """Return the same for many records at once, whose values have to be within the limits that `update` checks."""
        return self._collect(self._pipeline.feed(records))

    def flush(self) -> list[Verdict]:
        """Close the buckets that are open: the stream has ended."""
        return self._collect(self._pipeline.finish())

    def _collect(self, outcomes: Iterator[Outcome]) -> list[Verdict]:
        self.events = []
        verdicts: list[Verdict] = []
        for outcome in outcomes:
            verdicts += outcome.verdicts
            self.events += outcome.events
        return verdicts

    def snapshot(self) -> dict[str, Any]:
        """Return all that was learned and is open, as plain values that JSON takes."""
        return self._pipeline.snapshot()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `snapshot` of a detector with the same settings; ValueError when it is none.

        >>> first, second = Detector(), Detector()
        >>> verdicts = [first.update(60 * minute, "denied", 4) for minute in range(100)]
        >>> second.restore(first.snapshot())
        >>> first.update(6000, "denied", 40) == second.update(6000, "denied", 40)
        True
        """
        try:
            self._pipeline.restore(state)
        except (KeyError, TypeError, AttributeError, IndexError) as bad:
            raise ValueError(f"no snapshot of a detector: {bad!r}") from bad


def score_counts(counts: Iterable[float], half_life: float = 15.0, direction: str = "above") -> list[float]:
    """The scores of one series of counts at equal times, each before it is learned from: sigmas, positive above normal.

    For notebooks: no statuses, no season, no alerts. counts: >= 0, oldest first. half_life: of the level, in counts.
    direction: "above", "below" or "both": whose strongest score over the last 1, 5 and 15 counts is given.
    Raises ValueError for a count below 0 or none, a half life of 0 or less, another direction.

    >>> [round(score, 1) for score in score_counts([20, 22, 19, 21, 20, 60])][-2:]
    [1.3, 5.3]
    """
    values = [float(count) for count in counts]
    if not all(0.0 <= value < inf for value in values):
        raise ValueError("counts are numbers from 0 on")
    if not 0.0 < half_life < inf:
        raise ValueError(f"half_life is {half_life}, not above 0")
    if direction not in ("above", "below", "both"):
        raise ValueError(f"direction is {direction!r}, not above, below or both")
    return score_all(Baseline(0.5 ** (1.0 / half_life)), Thresholds(inf, 0, 1.0, direction), values)


def _record(time: Time, status: str, count: int, key: Mapping[str, str], identity: str | None) -> Record:
    """Return the record; ValueError names the argument that the limits of `txmon.ingest.fields` refuse."""
    try:
        pairs = tuple((label_of(name), label_of(value)) for name, value in key.items())
        return Record(
            _epoch(time), status_of(status), count_of(_number(count)), pairs, None, label_of(identity) or None
        )
    except Fault as fault:
        raise ValueError(f"{fault.kind}: {fault.reason}") from None


def _number(count: object) -> object:
    """Return a number of another library, such as NumPy's, as one of Python's; anything else as it is."""
    if isinstance(count, int | float | str):
        return count
    if isinstance(count, SupportsIndex):
        return count.__index__()
    return float(count) if isinstance(count, SupportsFloat) else count


def _epoch(time: Time) -> int:
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    if isinstance(time, datetime):
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return bounded(time, str(time))

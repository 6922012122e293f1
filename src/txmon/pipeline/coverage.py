"""Which buckets are not judged: txmon could not observe them, or business hours were closed.

txmon tells four situations apart. Zero: transactions come, and none has this status. Silence: the feed delivers nothing
although transactions are expected. Unobserved: txmon was not running or not connected. Closed: nothing is expected.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from txmon.support.frozen import frozen

KEPT: Final = 3600  # seconds for which the time that nobody observed is remembered after it: late records ask for it
PART: Final = 0.1  # of a bucket, from which on the time that nobody observed in it counts

Mark = Literal["unobserved", "closed"]
REASONS: Final[Mapping[Mark, tuple[str, ...]]] = {"unobserved": ("unobserved",), "closed": ("closed",)}


@frozen
class Missed:
    """Time that nobody observed, epoch seconds."""

    begin: int
    end: int  # excluded
    partial: bool  # records in it do not show that it was observed: some were sent again, and others were not


class Coverage:
    """Knows for each bucket whether it can be judged."""

    def __init__(self, width: int, is_closed: Callable[[int], bool] | None = None) -> None:
        """width: of a bucket, seconds. is_closed: whether it is closed at a time (epoch seconds); None for never."""
        self._width = width
        self._is_closed = is_closed
        self._missed: list[Missed] = []

    def miss(self, begin: int, end: int, partial: bool = False) -> None:
        """Note that nobody observed the time from `begin` to before `end`, epoch seconds."""
        if begin < end:
            self._missed.append(Missed(begin, end, partial))

    def mark(self, start: int, empty: bool) -> Mark | None:
        """Return why the bucket at `start` is not judged, None where it is. empty: no record is in it."""
        if self._is_closed is not None and self._is_closed(start):
            return "closed"
        if self._missed:
            least = max(1.0, PART * self._width)
            for missed in self._missed:
                seconds = min(missed.end, start + self._width) - max(missed.begin, start)
                if seconds >= least and (empty or missed.partial):
                    return "unobserved"
        return None

    def passed(self, start: int) -> None:
        """Forget what lies long before the bucket at `start`."""
        if self._missed:
            self._missed = [missed for missed in self._missed if missed.end > start - KEPT]

    def snapshot(self) -> list[list[Any]]:
        """Return the time that nobody observed, as values of JSON."""
        return [[missed.begin, missed.end, missed.partial] for missed in self._missed]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Restore what `snapshot` returned. Raise TypeError or ValueError if it is not valid."""
        self._missed = [Missed(int(begin), int(end), bool(partial)) for begin, end, partial in state]

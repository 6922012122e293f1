"""How long after the end of its bucket a record arrives: where that is often long, buckets must stay open longer.

Some feeds deliver in bursts: nothing for three minutes, then all three minutes at once. Without this, the clock would
close the first two of them empty, and each burst would look like a silence.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from txmon.ingest.aggregate.ledger import Item, Tally

HOUR: Final = 3600  # seconds of arrivals that are remembered
MUCH: Final = 0.25  # of a delivery's records: late, they show that it brought what came in its own time and before
OFTEN: Final = 2  # deliveries within that time, much of them late, from which on lateness is the feed's habit
COVERED: Final = 0.95  # of the records that buckets stay open for
STEP: Final = 5  # seconds; lateness is rounded up to a multiple
MOST: Final = 600  # seconds that buckets stay open at most: an alert of silence must not wait longer


class ArrivalLag:
    """Learns from the arrival of records how many seconds to keep buckets open."""

    def __init__(self, width: int, least: int) -> None:
        """width: of a bucket, seconds. least: the lateness where nothing comes later."""
        self._width = width
        self._least = least
        self._rows: dict[int, int] = {}  # by minute of arrival: records,
        self._late: dict[int, dict[int, int]] = {}  # and those that came late, by seconds after their bucket's end
        self._deliveries: list[int] = []  # when much of a delivery was late, event time
        self._kept = (0, 0)  # a lateness that a state brought, and until when it holds

    def note(self, items: Sequence[Item], now: int) -> None:
        """Take note of records that arrived together when the event clock stood at `now`, epoch seconds."""
        if not items or max([item.time for item in items]) > now + 2 * self._width:
            return  # a backlog that is being read
        minute = now - now % 60
        total = late = 0
        for item in items:
            rows = item.rows if isinstance(item, Tally) else 1
            total += rows
            behind = now - (item.time - item.time % self._width + self._width)
            if behind > self._least:
                late += rows
                bins = self._late.setdefault(minute, {})
                bins[behind] = bins.get(behind, 0) + rows
        self._rows[minute] = self._rows.get(minute, 0) + total
        if late >= MUCH * total and (not self._deliveries or now - self._deliveries[-1] >= self._width):
            self._deliveries.append(now)
        self._forget(now)

    def lateness(self, now: int) -> int:
        """Return for how many seconds buckets should stay open after their end, from `least` to MOST."""
        self._forget(now)
        kept = self._kept[0] if now < self._kept[1] else self._least
        if len(self._deliveries) < OFTEN:
            return max(self._least, kept)
        behind: dict[int, int] = {}
        for bins in self._late.values():
            for seconds, rows in bins.items():
                behind[seconds] = behind.get(seconds, 0) + rows
        left = (1.0 - COVERED) * sum(self._rows.values())
        found = self._least
        for seconds in sorted(behind, reverse=True):
            left -= behind[seconds]
            if left < 0.0:
                found = -(-(seconds + 1) // STEP) * STEP
                break
        return min(MOST, max(self._least, found, kept))

    def _forget(self, now: int) -> None:
        oldest = now - HOUR
        for minute in [minute for minute in self._rows if minute < oldest]:
            del self._rows[minute]
            self._late.pop(minute, None)
        self._deliveries = [time for time in self._deliveries if time >= oldest]

    def learned(self, now: int) -> dict[str, int]:
        """Return the lateness that was learned and until when it holds, as values of JSON."""
        return {"lateness": self.lateness(now), "until": now + HOUR}

    def resume(self, found: Mapping[str, Any]) -> None:
        """Restore what `learned` returned. Raise KeyError, TypeError or ValueError if it is not valid."""
        self._kept = (min(MOST, int(found["lateness"])), int(found["until"]))

"""When the feed is closed: parts of the day in which nothing arrived on the days before.

A shop that closes at night sends nothing then, and that is no silence. For each five minutes of the day it is known on
which of the last fifteen days anything arrived. They are closed where nothing did on the last two days and a week ago,
or a week and two weeks ago, or a week ago while the feed has been empty for an hour now. Only runs of fifteen minutes
count, since five minutes of a small feed may be empty by chance. Nobody opens and closes to the minute, so ten minutes
before and after such a run may be empty, too.
"""

from collections.abc import Sequence
from typing import Final

DAY: Final = 86400
PART: Final = 300  # seconds
PARTS: Final = DAY // PART
RUN: Final = 3  # parts in a row
EDGE: Final = 2  # parts before and after those in which nobody knows whether it is open yet, or still
KEPT: Final = 0xFFFF  # days, a bit each: today is the lowest
HOUR: Final = 3600


class ClosedHours:
    """Learns when nothing arrives, and says whether that is usual."""

    __slots__ = ("_arrived", "_day", "_known", "_last")

    def __init__(self) -> None:
        self._arrived = [0] * PARTS  # on which days anything did
        self._known = [0] * PARTS  # on which days it is known
        self._day = -1  # of the last bucket, in days since the epoch
        self._last = -1  # when anything last arrived, epoch seconds

    def learn(self, time: int, arrived: bool) -> None:
        """Take a bucket: whether anything arrived in it."""
        day = time // DAY
        if day != self._day:
            past = min(16, max(0, day - self._day)) if self._day >= 0 else 0
            self._arrived = [days << past & KEPT for days in self._arrived]
            self._known = [days << past & KEPT for days in self._known]
            self._day = day
        part = time % DAY // PART
        self._known[part] |= 1
        if arrived:
            self._arrived[part] |= 1
            self._last = time

    def closed(self, time: int) -> bool:
        """Return whether it is usual that nothing arrives at `time`; to be asked before that bucket is learned."""
        past = time // DAY - self._day
        if self._last < 0 or past < 0 or past > 1:
            return False
        part = time % DAY // PART
        run = 0
        for place in range(part - RUN - EDGE + 1, part + RUN + EDGE):
            run = run + 1 if self._was_closed(place, past, time - self._last >= HOUR) else 0
            if run >= RUN:
                return True
        return False

    def _was_closed(self, place: int, past: int, empty: bool) -> bool:
        part = place % PARTS
        # the part may be of the day before or after
        shift = past + (place < 0) * -1 + (place >= PARTS)
        known, arrived = self._known[part], self._arrived[part]
        if shift > 0:
            known, arrived = known << shift, arrived << shift
        elif shift < 0:
            known, arrived = known >> 1, arrived >> 1
        shut = known & ~arrived
        daily = shut & 0b110 == 0b110
        if known >> 7 & 1:
            if shut >> 7 & 1:
                return bool(daily or empty or shut >> 14 & 1)
            return daily and bool(shut >> 3 & 1)
        return daily

    def snapshot(self) -> list[int]:
        """Return all of the state, for `restore`."""
        return [self._day, self._last, *self._arrived, *self._known]

    def restore(self, state: Sequence[int]) -> None:
        """Become the hours whose `snapshot` was `state`; ValueError or TypeError where they cannot be."""
        if len(state) != 2 + 2 * PARTS:
            raise ValueError(f"closed hours have {2 + 2 * PARTS} numbers, not {len(state)}")
        self._day, self._last = int(state[0]), int(state[1])
        self._arrived = [int(days) for days in state[2 : 2 + PARTS]]
        self._known = [int(days) for days in state[2 + PARTS :]]

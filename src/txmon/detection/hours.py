"""When the feed is closed: parts of the day in which nothing arrived on the days before.

A shop that closes at night sends nothing then, which is not a silence. For each five minutes of the day it is known on
which of the last fifteen days anything arrived. They are closed where nothing did on the last two days and a week ago,
or a week and two weeks ago, or a week ago while the feed has been empty for an hour now. Only runs of fifteen minutes
count, since five minutes of a small feed may be empty by chance. Nobody opens and closes to the minute, so ten minutes
before and after such a run may be empty, too.

The same holds for each key that is busy enough for a silence of its own. A time in which the whole feed was empty says
nothing of a key. In the first two days of a key, one day before is enough.
"""

from collections.abc import Sequence
from typing import Any, Final

from mypy_extensions import mypyc_attr

DAY: Final = 86400
PART: Final = 300  # seconds
PARTS: Final = DAY // PART
RUN: Final = 3  # parts in a row
EDGE: Final = 2  # parts before and after those in which nobody knows whether it is open yet, or still
KEPT: Final = 0xFFFF  # days, a bit each: today is the lowest
HOUR: Final = 3600
DAYS: Final = 15  # that a key's hours are kept, today among them
FULL: Final = (1 << PARTS) - 1  # a day in which something arrived in every part


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
        return _usually_shut(known & ~arrived, known, empty)

    def days_of(self, part: int, day: int) -> int:
        """Return on which days something arrived in a part of the day, a bit each; the lowest is `day`."""
        past = day - self._day
        return self._arrived[part] << past if past >= 0 else self._arrived[part] >> -past

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


@mypyc_attr(acyclic=True)
class KeyHours:
    """Learns when nothing of one key arrives, and says whether that is usual. The feed's own hours are given to it."""

    __slots__ = ("_answer", "_arrived", "_asked", "_born", "_day", "opened", "shut")

    def __init__(self, born: int) -> None:
        """born: from when on the key is watched, epoch seconds."""
        self._born = born
        self._day = born // DAY  # of the newest of `_arrived`
        self._arrived = [0]  # by day, newest first: a bit for each part in which something arrived
        self.shut = False  # the last bucket was empty, as usual
        self.opened = -1  # when something last arrived after that, epoch seconds
        self._asked = -1  # what was last asked, and the answer: it holds for the whole part
        self._answer = False

    def note(self, time: int) -> bool:
        """Take a bucket in which something arrived. Return whether that ended a time in which it is usually closed."""
        self._turn(time // DAY)
        self._arrived[0] |= 1 << time % DAY // PART
        opens = self.shut
        if opens:
            self.shut, self.opened = False, time
        return opens

    def closed(self, time: int, feed: ClosedHours, empty: bool) -> bool:
        """Return whether it is usual that nothing of the key arrives at `time`.

        feed: the hours of all keys together. empty: nothing of the key has arrived for an hour.
        """
        self.shut = self._ask(time, feed, empty)
        return self.shut

    def near(self, time: int, feed: ClosedHours) -> bool:
        """Return whether the key is usually closed at `time`, or shortly before or after, so that few may come."""
        return self._ask(time, feed, False)

    def _ask(self, time: int, feed: ClosedHours, empty: bool) -> bool:
        asked = time // PART * 2 + (1 if empty else 0)
        if asked != self._asked:
            self._turn(time // DAY)
            self._asked, self._answer = asked, self._closed(time, feed, empty)
        return self._answer

    def _closed(self, time: int, feed: ClosedHours, empty: bool) -> bool:
        part = time % DAY // PART
        run = 0
        for place in range(part - RUN - EDGE + 1, part + RUN + EDGE):
            run = run + 1 if self._was_closed(place, feed, empty) else 0
            if run >= RUN:
                return True
        return False

    def _was_closed(self, place: int, feed: ClosedHours, empty: bool) -> bool:
        day = self._day + (1 if place >= PARTS else -1 if place < 0 else 0)  # of this part
        part = place % PARTS
        known = feed.days_of(part, day)
        shut = 0
        for back in (1, 2, 3, 7, 14):
            if not known >> back & 1 or (day - back) * DAY + part * PART < self._born:
                known &= ~(1 << back)
                continue
            at = self._day - day + back
            if at < len(self._arrived) and not self._arrived[at] >> part & 1:
                shut |= 1 << back
        if known & 0b100 == 0:
            # of the first two days only yesterday is known: a key that closes at night must not wait for a third
            return bool(shut & 0b10)
        return _usually_shut(shut, known, empty)

    def fill(self, day: int, arrived: list[int]) -> None:
        """Take the parts of each day in which something arrived, newest first; day: the newest, since the epoch."""
        self._day, self._arrived = day, arrived

    def _turn(self, day: int) -> None:
        """Begin a new day."""
        if day > self._day:
            past = min(DAYS, day - self._day)
            if self._arrived[0] == FULL:
                self._arrived[0] = FULL  # one number for all such days of all keys
            self._arrived = [*([0] * past), *self._arrived][:DAYS]
            self._day = day

    def snapshot(self) -> list[object]:
        """Return all of the state, for `restore`; days as texts, since they have more bits than JSON's numbers."""
        return [self._born, self._day, self.shut, self.opened, *[format(day, "x") for day in self._arrived]]

    def restore(self, state: Sequence[Any]) -> None:
        """Become the hours whose `snapshot` was `state`; ValueError or TypeError where they cannot be."""
        born, day, shut, opened, *arrived = state
        if not 1 <= len(arrived) <= DAYS:
            raise ValueError(f"the hours of a key have 1 to {DAYS} days, not {len(arrived)}")
        self._born, self._day, self.shut, self.opened = int(born), int(day), bool(shut), int(opened)
        self._arrived = [int(bits, 16) for bits in arrived]
        if max(self._arrived) >> PARTS or min(self._arrived) < 0:
            raise ValueError(f"a day has {PARTS} parts")
        self._asked = -1


def hours_since(begin: int, last: int) -> KeyHours:
    """Return the hours of a key of which something arrived in every bucket from `begin` to `last`, epoch seconds."""
    hours = KeyHours(begin)
    newest = last // DAY
    days = range(newest, max(begin // DAY, newest - DAYS + 1) - 1, -1)
    hours.fill(newest, [_parts(max(begin, day * DAY), min(last, day * DAY + DAY - 1)) for day in days])
    return hours


def _parts(begin: int, end: int) -> int:
    """Return the parts of one day from that of `begin` to that of `end`, a bit each."""
    first, last = begin % DAY // PART, end % DAY // PART
    return FULL if last - first == PARTS - 1 else (1 << last + 1) - (1 << first)


def _usually_shut(shut: int, known: int, empty: bool) -> bool:
    """Return whether a part of the day is usually without rows. Days before have a bit each; the lowest is today."""
    daily = shut & 0b110 == 0b110
    if known >> 7 & 1:
        if shut >> 7 & 1:
            return bool(daily or empty or shut >> 14 & 1)
        return daily and bool(shut >> 3 & 1)
    return daily

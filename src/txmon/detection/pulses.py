"""What recurs: counts that jump, or fall, at the same minute of every hour, of every day or of every week.

A batch at 02:00, a job each quarter of an hour, a queue that is emptied at :05. Of each series the buckets that lie
beyond 3 sigmas are remembered by their place in the hour, the day and the week. What came again becomes usual: three
times in a row for the hour (or four times in a day, where a job is not exact), twice for the day and the week. From
then on anything between the series' level and that height is expected at that place, so neither the pulse nor its
absence is an alert, and what exceeds it is one. A job that comes a bucket too early or too late is expected, too, once
in its hour.

A long incident is not a pulse: only the first buckets of a run of odd ones teach a place in the hour. Nor is an
outage that goes on and off one. What is a problem (too many failures, too little volume) and was not there when the
feed began becomes usual at a place of the hour only after it has come for a whole day.

A pulse that comes less and less is forgotten. There are only as many places as buckets in a week, and at most MOST a
table.
"""

from collections.abc import Sequence
from typing import Any, Final

from mypy_extensions import mypyc_attr

MINUTE: Final = 60  # seconds
HOUR: Final = 3600
DAY: Final = 86400
WEEK: Final = 604800
SPANS: Final = (HOUR, DAY, WEEK)
NAMES: Final = ("hour", "day", "week")
HOURS: Final = 3.0  # in a row in which something came before it is usual
DAYS: Final = 2.0  # or weeks, likewise
CROWD: Final = (24, 300, 400)  # usual places of a table, beyond which none is a pulse
REST: Final = 1440  # buckets in which nothing is remembered then
MOST: Final = 512  # places remembered in a table
RUN: Final = 12  # buckets of a run of odd ones, beyond which it is not a pulse of the hour
ODD: Final = 3.0  # sigmas
AGAIN: Final = 1.5  # sigmas, from which on what is usual came again
KEEP: Final = 0.8  # what one time leaves of the weight of those before
LOST: Final = 0.3  # weight below which a place is forgotten
OFTEN_KEEP: Final = 0.96  # an hour: what comes now and then at a place of the hour is remembered for a day
OFTEN: Final = 3.5  # times in about a day that make it usual
SELDOM: Final = 1.7  # or fewer, after which it is no more
GAIN: Final = 0.3  # of the height and its spread
FIRST_SPREAD: Final = 0.2  # of the height, where it came once
SPREADS: Final = 3.0  # how far beyond its mean height a pulse is usual
IN_A_ROW: Final = 2.4  # weight of three times without a miss
LOOSE: Final = 2  # buckets that a job may be early or late
AT_ONCE: Final = -1  # instead of the time since when a pulse comes: it need not come for a day
FAR: Final = 6.0  # times the level: the square of how far a count is off, below which no job is looked for beside it


@mypyc_attr(acyclic=True)
class Pulse:
    """What came at one place."""

    __slots__ = ("fired", "height", "known", "often", "since", "spread", "times", "weight")

    def __init__(self, height: float, since: int) -> None:
        """since: when it first came, epoch seconds, or AT_ONCE."""
        self.height = height  # transactions beyond the level, below 0 where they are missing
        self.since = since
        self.known = False  # it is usual
        self.fired = -1  # when it came last, at its place or beside it; epoch seconds
        self.spread = FIRST_SPREAD * abs(height)
        self.times = 1.0
        self.weight = 1.0
        self.often = 1.0  # times lately, over a longer time than the weight

    def hit(self, height: float, since: int) -> None:
        """It came again; since: as for a new one, which it is where it came to the other side."""
        if height * self.height < 0.0:
            self.height, self.spread, self.times, self.weight = height, FIRST_SPREAD * abs(height), 1.0, 1.0
            self.since, self.known, self.often = since, False, 1.0
            return
        off = height - self.height
        self.height += GAIN * off
        self.spread += GAIN * (abs(off) - self.spread)
        self.times += 1.0
        self.weight = KEEP * self.weight + 1.0
        self.often = OFTEN_KEEP * self.often + 1.0

    def miss(self) -> None:
        """It did not come."""
        self.weight *= KEEP
        self.often *= OFTEN_KEEP

    def is_usual(self, span: int, time: int) -> bool:
        """Whether it came often enough at `time` (epoch seconds).

        span: 0 for the hour, 1 for the day, 2 for the week.
        """
        if span > 0:
            return self.times >= DAYS
        # three hours in a row, or now and then for a day; an outage on and off must not be taken for a job
        in_a_row = self.times >= HOURS and self.weight > IN_A_ROW
        return (in_a_row or self.often >= OFTEN) and (self.since == AT_ONCE or time - self.since >= DAY)

    def is_over(self, span: int) -> bool:
        """Whether it is to be forgotten."""
        if span > 0:
            return self.weight < LOST or self.times < DAYS
        return self.often < (SELDOM if self.known else LOST)

    def reach(self) -> float:
        """How far from the level it is usual, with the sign of its height."""
        reach = abs(self.height) + SPREADS * self.spread
        return reach if self.height > 0.0 else -reach


class Pulses:
    """The pulses of one series."""

    __slots__ = ("_day", "_hour", "_minutes", "_now", "_rest", "_run", "_week", "named")

    def __init__(self) -> None:
        self._hour: dict[int, Pulse] = {}  # by place in the hour, and so on
        self._day: dict[int, Pulse] = {}
        self._week: dict[int, Pulse] = {}
        self._rest = 0  # buckets until something is remembered again
        self._run = 0  # odd buckets in a row
        # most buckets have no place that is remembered: this tells them without a look at three tables
        self._now = -1  # an hour, in hours since the epoch
        self._minutes = 0  # of its minutes those that may have a place, a bit each
        self.named = ""  # of the pulse that `usual` found: hour, day, week, or empty

    def usual(self, time: int, count: float, level: float, width: int = 60) -> float:
        """Return what is expected at `time` (epoch seconds): of all that is usual there the nearest to `count`.

        width: of a bucket, seconds.
        """
        self.named = ""
        if not self._remembers(time):
            return self._beside(time, count, level, width)
        hour, day, week = self._hour.get(time % HOUR), self._day.get(time % DAY), self._week.get(time % WEEK)
        if hour is None and day is None and week is None:
            return self._beside(time, count, level, width)  # so it is of most buckets
        high, low = 0.0, 0.0
        name = ""
        for i in range(3):
            pulse = hour if i == 0 else day if i == 1 else week
            if pulse is None or not pulse.known:
                continue
            reach = pulse.reach()
            if reach > high:
                high, name = reach, NAMES[i]
            elif reach < low:
                low, name = reach, NAMES[i]
        if (count > level and high > 0.0) or (count < level and low < 0.0):
            self.named = name
            return min(level + high, max(0.0, level + low, count))
        return self._beside(time, count, level, width)

    def _beside(self, time: int, count: float, level: float, width: int) -> float:
        """Return what is expected at `time` where a job of the bucket before or after is late or early."""
        off = abs(count - level) - 1.0
        if off <= 0.0 or off * off < FAR * level or len(self._hour) + len(self._day) == 0:
            return level
        for i in range(2):
            pulse = self._near(i, time, count - level, width)
            if pulse is not None and pulse.known:
                reach = pulse.reach()
                self.named = NAMES[i]
                return min(level + reach, count) if reach > 0.0 else max(0.0, level + reach, count)
        return level

    def _near(self, i: int, time: int, height: float, width: int) -> Pulse | None:
        """The pulse of a place near to that of `time`, to the same side, that did not come there yet; None for none."""
        table, span = self._table(i), SPANS[i]
        for step in range(1, LOOSE + 1):
            for at in (time - step * width, time + step * width):
                pulse = table.get(at % span)
                if pulse is not None and pulse.height * height > 0.0 and abs(at - pulse.fired) > 2 * LOOSE * width:
                    return pulse
        return None

    def note(self, time: int, height: float, score: float, at_once: bool = True, width: int = 60) -> bool:
        """Take the bucket at `time`, so far from the level, in transactions and in sigmas.

        width: of a bucket, seconds. at_once: the deviation is not a problem, or existed when the feed began. Returns
        whether that made it usual.
        """
        if self._rest > 0:
            self._rest -= 1
        odd = abs(score) >= ODD
        self._run = self._run + 1 if odd else 0
        if not odd and not self._remembers(time):
            return False
        return self._note(time, height, abs(score), AT_ONCE if at_once else time, width)

    def _remembers(self, time: int) -> bool:
        """Whether something may have come at a place of `time` before: not in most buckets."""
        if time // HOUR != self._now:
            self._now = time // HOUR
            self._minutes = self._minutes_of(time - time % HOUR)
        return self._minutes >> time % HOUR // MINUTE & 1 != 0

    def _minutes_of(self, begin: int) -> int:
        """Of the hour that begins at `begin`, the minutes that have a place, a bit each."""
        minutes = 0
        for i in range(3):
            for place in self._table(i):
                past = (place - begin) % SPANS[i]
                if past < HOUR:
                    minutes |= 1 << past // MINUTE
        return minutes

    def _note(self, time: int, height: float, score: float, since: int, width: int) -> bool:
        usual = False
        for i in range(3):
            table = self._table(i)
            place = time % SPANS[i]
            pulse = table.get(place)
            odd = score >= (AGAIN if pulse is not None and pulse.known else ODD)
            if odd and self._rest == 0 and (i > 0 or self._run <= RUN):
                if pulse is None and i < 2:
                    pulse = self._near(i, time, height, width)
                if pulse is not None:
                    pulse.hit(height, since)
                    pulse.fired = time
                    if not pulse.known and pulse.is_usual(i, time):
                        usual = pulse.known = True
                        if self._crowd(i) > CROWD[i]:
                            # where so much is odd nothing stands out: it is how the feed comes
                            table.clear()
                            self._rest = REST
                elif len(table) < MOST:
                    pulse = table[place] = Pulse(height, since)
                    pulse.fired = time
                    self._minutes |= 1 << time % HOUR // MINUTE
            elif pulse is not None and abs(time - pulse.fired) > LOOSE * width:
                pulse.miss()
                if pulse.is_over(i):
                    del table[place]
        return usual

    def _table(self, i: int) -> dict[int, Pulse]:
        """The table of the hour, the day or the week: 0, 1 or 2."""
        return self._hour if i == 0 else self._day if i == 1 else self._week

    def _crowd(self, i: int) -> int:
        """How many places of a table are usual."""
        found = 0
        for pulse in self._table(i).values():
            found += pulse.known
        return found

    def snapshot(self) -> list[object]:
        """Return all of the state, as values of JSON, for `restore`."""
        tables = [
            [
                [place, one.height, one.spread, one.times, one.weight, one.since, int(one.known), one.fired, one.often]
                for place, one in table.items()
            ]
            for table in (self._hour, self._day, self._week)
        ]
        return [self._run, self._rest, *tables]

    def restore(self, state: Sequence[Any]) -> None:
        """Become the pulses whose `snapshot` was `state`; ValueError or TypeError where they cannot be."""
        run, rest, *tables = state
        if len(tables) != len(SPANS):
            raise ValueError(f"pulses have {len(SPANS)} tables, not {len(tables)}")
        self._run, self._rest, self._now = int(run), int(rest), -1
        wanted = (HOURS, DAYS, DAYS)
        for table, rows, times_wanted in zip((self._hour, self._day, self._week), tables, wanted, strict=True):
            table.clear()
            for place, height, spread, times, weight, *rest in rows:
                one = table[int(place)] = Pulse(float(height), AT_ONCE)
                one.spread, one.times, one.weight = float(spread), float(times), float(weight)
                # not in older states, in which what came often enough was usual
                one.known = float(times) >= times_wanted
                for since, known, fired, often in [rest] if rest else []:
                    one.since, one.known, one.fired, one.often = int(since), bool(known), int(fired), float(often)

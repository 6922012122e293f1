"""Counts lines that begin with their time. It looks up the text after the time as a whole.

The lines of a stream have different times, but after the time most of them repeat one of a few thousand texts.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from txmon.ingest.aggregate.ledger import Ledger, Status
from txmon.model.keys import Key
from txmon.model.money import NO_AMOUNT

RESTS: Final = 1 << 14  # ends of lines that are remembered
LONGEST_REST: Final = 256  # bytes; a longer end is not remembered
LONGEST_TIME: Final = 64  # bytes


@mypyc_attr(acyclic=True)
class Rest:
    """The meaning of the text after a line's time, shared by all lines with that text."""

    __slots__ = ("count", "key", "status", "units")

    def __init__(self, status: Status, key: Key, count: int, units: int = NO_AMOUNT) -> None:
        self.status = status
        self.key = key
        self.count = count
        self.units = units  # amount, in units of `model.money`


class EndingAggregator:
    """Counts lines of one format in a ledger. Each subclass reads one format."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.max_line = ledger.parser.options.max_line
        self.repeating = True  # whether ends of lines repeat often enough to be worth a look-up
        self.rests: dict[bytes, Rest] = {}
        self._missed = 0  # ends that were not known, since line number `_since`
        self._since = 0

    def start(self, raw: bytes) -> bytes:
        """Return a line up to the text after its time, or b"" if the line does not begin with a time."""
        raise NotImplementedError

    def time_in(self, start: bytes) -> bytes:
        """Return the time at the end of `start`."""
        raise NotImplementedError

    def read(self, rest: bytes) -> Rest | None:
        """Return the meaning of the text after the time, or None if the parser must read the whole line."""
        raise NotImplementedError

    def add_one(self, raw: bytes) -> None:
        """Count a line that the look-up cannot handle."""
        raise NotImplementedError

    def add_by_rest(self, lines: list[bytes]) -> None:
        """Count `lines` by looking up the text after each time. This is fast if those texts repeat."""
        ledger, rests, longest = self.ledger, self.rests, self.max_line
        parser = ledger.parser
        start, time = b"", -1
        size: i64 = 0  # length of `start`, which the lines of this time share; 0 if unknown
        for raw in lines:
            if size == 0 or not raw.startswith(start):
                start, time = self.start(raw), -1
                size = len(start)
            rest = raw[size:]
            found = rests.get(rest)
            if found is None and size > 0:
                found = self._learn(rest)
            fits = found is not None and size > 0 and len(raw) <= longest
            # read the time last: the parser reads no time of a bad line, and a time without a date changes the
            # parser's date
            if fits and time < 0:
                time = ledger.cell_time(self.time_in(start))
            if found is None or not fits or time < 0:
                self.add_one(raw)
                size = 0
            else:
                parser.lines += 1
                if found.units == NO_AMOUNT:
                    ledger.add(time, found.status, found.key, found.count)
                else:
                    ledger.add_amount(time, found.status, found.key, found.count, found.units)

    def _learn(self, rest: bytes) -> Rest | None:
        found = self.read(rest)
        if found is None:
            return None
        self._missed += 1
        if self._missed >= RESTS:
            # if few ends repeat, splitting many lines together is faster
            self.repeating = self.ledger.parser.lines - self._since > 2 * self._missed
            self._missed, self._since = 0, self.ledger.parser.lines
            self.rests.clear()
        if self.repeating and len(rest) <= LONGEST_REST:
            self.rests[rest] = found
        return found


def find(raw: bytes, byte: i64, at: i64) -> i64:
    """Return the position of `byte` in `raw` from `at` on, within LONGEST_TIME bytes, or -1."""
    for i in range(at, min(len(raw), at + LONGEST_TIME)):
        if raw[i] == byte:
            return i
    return -1

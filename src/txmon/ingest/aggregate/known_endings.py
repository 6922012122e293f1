"""Lines that begin with their time to counts: what follows the time is looked up as a whole.

The lines of a stream differ in their times, and say of them one of a few thousand things.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from txmon.ingest.aggregate.ledger import Ledger, Status
from txmon.model.keys import Key
from txmon.model.money import NO_AMOUNT

RESTS: Final = 1 << 14  # ends of lines remembered,
LONGEST_REST: Final = 256  # as far as they have no more bytes than this
LONGEST_TIME: Final = 64  # bytes


@mypyc_attr(acyclic=True)
class Rest:
    """What a line says after its time; the same for all lines that end so."""

    __slots__ = ("count", "key", "status", "units")

    def __init__(self, status: Status, key: Key, count: int, units: int = NO_AMOUNT) -> None:
        self.status = status
        self.key = key
        self.count = count
        self.units = units  # of its amount


class EndingAggregator:
    """Counts lines of one kind in a ledger; which kind, its subclasses say."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.max_line = ledger.parser.options.max_line
        self.repeating = True  # whether ends come again
        self.rests: dict[bytes, Rest] = {}
        self._missed = 0  # ends that had not come before, since the line `_since`
        self._since = 0

    def start(self, raw: bytes) -> bytes:
        """Return a line up to what follows its time; empty where it does not begin with a time."""
        raise NotImplementedError

    def time_in(self, start: bytes) -> bytes:
        """Return the time at the end of `start`."""
        raise NotImplementedError

    def read(self, rest: bytes) -> Rest | None:
        """Return what the end of a line says; None where the line must be read as a whole."""
        raise NotImplementedError

    def add_one(self, raw: bytes) -> None:
        """Count a line as a whole."""
        raise NotImplementedError

    def add_by_rest(self, lines: list[bytes]) -> None:
        """Count `lines`; best where what follows their times has come before."""
        ledger, rests, longest = self.ledger, self.rests, self.max_line
        parser = ledger.parser
        start, time = b"", -1
        size: i64 = 0  # of `start`, with which lines of this time begin; 0: not known
        for raw in lines:
            if size == 0 or not raw.startswith(start):
                start, time = self.start(raw), -1
                size = len(start)
            rest = raw[size:]
            found = rests.get(rest)
            if found is None and size > 0:
                found = self._learn(rest)
            fits = found is not None and size > 0 and len(raw) <= longest
            # the time last: the parser sees none where anything else is wrong, and one without a date moves its clock
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
            # where few come again, lines are better taken apart together
            self.repeating = self.ledger.parser.lines - self._since > 2 * self._missed
            self._missed, self._since = 0, self.ledger.parser.lines
            self.rests.clear()
        if self.repeating and len(rest) <= LONGEST_REST:
            self.rests[rest] = found
        return found


def find(raw: bytes, byte: i64, at: i64) -> i64:
    """Return where `byte` is in `raw` from `at` on, as near as the end of a time; -1 where it is not."""
    for i in range(at, min(len(raw), at + LONGEST_TIME)):
        if raw[i] == byte:
            return i
    return -1

"""Counts CSV lines. Where the text after a line's time is new, it splits the cells of many lines at once."""

from typing import Final

from mypy_extensions import i64

from txmon.ingest.aggregate.known_endings import EndingAggregator, Rest, find
from txmon.ingest.aggregate.ledger import Ledger
from txmon.ingest.fields import amount_of
from txmon.ingest.records import CsvLayout
from txmon.model.keys import Key
from txmon.model.money import NO_AMOUNT, units_of

QUOTE: Final = ord('"')  # an int, because a search for a byte in bytes first raises and catches an error inside CPython
RETURN: Final = ord("\r")
MINUS: Final = ord("-")
POINT: Final = ord(".")
FEW: Final = 64  # lines processed together when some of them have quotes or other irregular text


class CsvAggregator(EndingAggregator):
    """Counts CSV lines in a ledger."""

    def __init__(self, ledger: Ledger, layout: CsvLayout) -> None:
        super().__init__(ledger)
        self._layout = layout
        self._delimiter = layout.delimiter
        columns = (layout.status, layout.count, layout.amount, layout.id, *layout.by)
        # a line with an id is different from every other, so remembering its end saves nothing
        self._time_first = layout.time == 0 and 0 not in columns and layout.id < 0

    def add(self, lines: list[bytes]) -> None:
        """Count `lines`."""
        if self._time_first and self.repeating:
            self.add_by_rest(lines)
        else:
            self._add_together(lines)

    def start(self, raw: bytes) -> bytes:
        """Return the line up to its second cell."""
        return raw[: find(raw, self._delimiter[0], 0) + 1]

    def time_in(self, start: bytes) -> bytes:
        """Return the first cell."""
        return start[:-1]

    def read(self, rest: bytes) -> Rest | None:
        """Return the meaning of the cells after the first."""
        layout = self._layout
        if QUOTE in rest or not _is_text(rest):
            return None
        cells: list[bytes] = [b"", *rest.rstrip(b"\r\n").split(self._delimiter)]
        if len(cells) != layout.width:
            return None
        status = self.ledger.statuses.get(cells[layout.status])
        count = _number(cells[layout.count]) if layout.count >= 0 else 1
        if status is None or count < 0:
            return None
        units = _units(cells[layout.amount]) if layout.amount >= 0 else NO_AMOUNT
        return Rest(status, self._key(cells, 0) if layout.by else (), count, units)

    def add_one(self, raw: bytes) -> None:
        """Count a line cell by cell."""
        self._add_together([raw])

    def _add_together(self, lines: list[bytes]) -> None:
        """Count lines together. Where some of them have quotes or other irregular text, count smaller parts."""
        together = self._delimiter.join(lines)
        fits = len(together) <= self.max_line or max(map(len, lines)) <= self.max_line
        if fits and QUOTE not in together and _is_text(together):
            if RETURN not in together:
                self._add_rows(lines, lines, together)
            else:
                # this copy is only inspected: a reject keeps the line as it arrived, with its carriage return
                texts = [raw.rstrip(b"\r\n") for raw in lines]
                self._add_rows(lines, texts, self._delimiter.join(texts))
        elif len(lines) == 1:
            self.ledger.one(lines[0])
        else:
            step = FEW if len(lines) > FEW else 1
            for start in range(0, len(lines), step):
                self._add_together(lines[start : start + step])

    def _add_rows(self, lines: list[bytes], texts: list[bytes], together: bytes) -> None:
        """Count lines without quotes. texts: the lines without line ends. together: `texts` joined by the delimiter."""
        ledger, layout, delimiter = self.ledger, self._layout, self._delimiter
        at_time: i64 = layout.time
        at_status: i64 = layout.status
        at_count: i64 = layout.count
        at_id: i64 = layout.id
        at_amount: i64 = layout.amount
        width: i64 = layout.width
        parser, statuses = ledger.parser, ledger.statuses
        last, time, count, units = b"\n", -1, 1, NO_AMOUNT
        cells: list[bytes] = together.split(delimiter)
        at: i64 = 0  # place of the line's first cell in `cells`
        for i in range(len(lines)):
            text = texts[i]
            if _length(cells, at, width) != len(text):
                ledger.one(lines[i])
                last, time = b"\n", -1
                at += text.count(delimiter) + 1
                continue
            cell = cells[at + at_time]
            if cell != last:
                time = ledger.cell_time(cell)
                last = cell
            cell = cells[at + at_status]
            status = statuses.get(cell)
            if at_count >= 0:
                count = _number(cells[at + at_count])
            if status is None or time < 0 or count < 0:
                ledger.one(lines[i], cell)
                last, time = b"\n", -1
            else:
                parser.lines += 1
                identity = cells[at + at_id].decode().strip() if at_id >= 0 else ""
                if at_amount >= 0:
                    units = _units(cells[at + at_amount])
                if identity:
                    ledger.add_marked(time, status, self._key(cells, at) if layout.by else (), count, identity, units)
                elif units != NO_AMOUNT:
                    ledger.add_amount(time, status, self._key(cells, at) if layout.by else (), count, units)
                else:
                    ledger.add(time, status, self._key(cells, at) if layout.by else (), count)
            at += width

    def _key(self, cells: list[bytes], at: i64) -> Key:
        """Return the key of the row whose cells begin at `at`."""
        by = self._layout.by
        cell = cells[at + by[0]] if len(by) == 1 else self._delimiter.join([cells[at + column] for column in by])
        key = self.ledger.key(cell)
        if key is None:
            key = self.ledger.new_key(cell, [cells[at + column].decode() for column in by])
        return key


def _length(cells: list[bytes], at: i64, width: i64) -> i64:
    """Return the length in bytes of `width` cells and the delimiters between them, or -1 if there are fewer cells."""
    end = at + width
    if end > len(cells):
        return -1
    found = width - 1
    while at < end:
        found += len(cells[at])
        at += 1
    return found


def _number(cell: bytes) -> int:
    """Return the number in a cell, or -1 if the parser must read it."""
    size: i64 = len(cell)
    if size == 0 or size > 15:
        return -1
    found: i64 = 0
    for i in range(size):
        digit: i64 = cell[i] - 48
        if digit < 0 or digit > 9:
            return -1
        found = found * 10 + digit
    return found


def _units(cell: bytes) -> int:
    """Return the amount in a cell, in units of `model.money`, or NO_AMOUNT if it contains none."""
    size: i64 = len(cell)
    at: i64 = 1 if size > 0 and cell[0] == MINUS else 0
    found: i64 = 0
    places: i64 = -1  # digits after the point; -1 before the point
    if size == at or size > 16:
        return _other_units(cell)
    negative = at == 1
    while at < size:
        digit: i64 = cell[at] - 48
        if 0 <= digit <= 9 and places < 4:
            found = found * 10 + digit
            if places >= 0:
                places += 1
        elif cell[at] == POINT and places < 0:
            places = 0
        else:
            return _other_units(cell)
        at += 1
    if places < 0:
        places = 0
    while places < 4:
        found *= 10
        places += 1
    return -found if negative else found


def _other_units(cell: bytes) -> int:
    """Return the amount in a cell as the parser reads it, in the same units."""
    amount = amount_of(cell.decode())
    return NO_AMOUNT if amount is None else units_of(amount)


def _is_text(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True

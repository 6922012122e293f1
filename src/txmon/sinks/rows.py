"""Turns outcomes into rows of tables for databases and Parquet files.

A row has an identity: time, key and status for a verdict; time, kind, id and state for an event. Of all rows with one
identity the newest replaces the others. A run that is killed and repeated, and a line that revises another, therefore
leave one row.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from txmon.model.drivers import Drivers
from txmon.model.keys import Key
from txmon.model.money import Money
from txmon.model.outcome import Outcome, deviates
from txmon.model.verdict import Verdict
from txmon.sinks.lines import event_line, rise_line

Kind = Literal["time", "text", "name", "whole", "number", "flag", "texts", "json"]
Row = tuple[object, ...]
Place = tuple[object, ...]

# name: place that distinguish rows are of the kind "name"
VERDICTS: Final[Mapping[str, Kind]] = {
    "time": "time", "key": "name", "status": "name", "count": "whole", "total": "whole", "expected": "number",
    "low": "whole", "high": "whole", "score": "number", "window": "whole", "recommendation": "text",
    "reasons": "texts", "text": "text", "incident": "text", "partial": "flag", "revises": "flag", "drivers": "json",
    "money": "json",
}  # fmt: skip
EVENTS: Final[Mapping[str, Kind]] = {
    "time": "time", "event": "name", "id": "name", "state": "name", "statuses": "texts", "key": "json",
    "label": "text", "severity": "text", "root": "text", "start": "time", "peak": "time", "observed": "whole",
    "expected": "number", "excess": "number", "low": "whole", "high": "whole", "total": "whole", "text": "text",
    "line": "json",
}  # fmt: skip
VERDICT_PLACE: Final = 3  # leading columns that form the identity of a row
EVENT_PLACE: Final = 4
PARTIAL: Final = list(VERDICTS).index("partial")


@dataclass(slots=True)
class Rows:
    """Rows that wait to be written, one for each identity."""

    verdicts: dict[Place, Row] = field(default_factory=dict)
    events: dict[Place, Row] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.verdicts) + len(self.events)

    def add(self, outcome: Outcome, only_alerts: bool) -> None:
        """Add an outcome.

        only_alerts: leave out verdicts that are neither alert nor pending and correct no other verdict.
        """
        for verdict in (*outcome.verdicts, *outcome.parts):
            if not only_alerts or verdict.revises or deviates(verdict):
                self.put(verdict_row(verdict))
        for line in (*map(event_line, outcome.events), *map(rise_line, outcome.rises)):
            row = event_row(line)
            self.events[row[:EVENT_PLACE]] = row

    def put(self, row: Row) -> None:
        """Add the row of a verdict. An early verdict never replaces one of a whole bucket."""
        place = row[:VERDICT_PLACE]
        before = self.verdicts.get(place)
        if before is None or before[PARTIAL] or not row[PARTIAL]:
            self.verdicts[place] = row

    def first(self, most: int) -> "Rows":
        """Return at most `most` rows, oldest first, without removing them."""
        verdicts = dict(list(self.verdicts.items())[:most])
        return Rows(verdicts, dict(list(self.events.items())[: most - len(verdicts)]))

    def drop(self, written: "Rows") -> None:
        """Remove the rows that were written, except those that have changed since."""
        for own, theirs in ((self.verdicts, written.verdicts), (self.events, written.events)):
            for place, row in theirs.items():
                if own.get(place) is row:
                    del own[place]

    def drop_oldest(self, most: int) -> int:
        """Remove the oldest rows beyond `most`. Return how many were removed."""
        many = max(0, len(self) - most)
        for place in list(self.verdicts)[:many]:
            del self.verdicts[place]
        return many


def verdict_row(v: Verdict) -> Row:
    """Return a verdict as the columns of VERDICTS: times in epoch seconds, reasons as a tuple."""
    expected = float(f"{v.expected:.4g}")  # as in its JSON line
    return (
        v.time, key_text(v.key), v.status, v.count, v.total, expected, v.low, v.high, round(v.score, 2), v.window,
        v.recommendation, v.reasons, v.text, v.incident, v.partial, v.revises,
        None if v.drivers is None else _json(v.drivers), _json(v.money) if v.money else None,
    )  # fmt: skip


def _json(found: Drivers | tuple[Money, ...]) -> str:
    return json.dumps([one.row() for one in found], ensure_ascii=False)


def key_text(key: Key) -> str:
    """Return a key as JSON; `{}` for all keys together."""
    return json.dumps(dict(key), ensure_ascii=False)


def event_row(line: str) -> Row:
    """Return an incident line or a trend line as the columns of EVENTS."""
    found = json.loads(line)
    trend = found["event"] == "trend"
    values: dict[str, object] = {
        **found,
        "id": found["status"] if trend else found["id"],
        "state": found["trend"] if trend else found["state"],
        "statuses": (found["status"],) if trend else tuple(found["statuses"]),
        "key": json.dumps(found.get("key", {}), ensure_ascii=False),
        "line": line,
    }
    for name, kind in EVENTS.items():
        if kind == "time" and name in values:
            values[name] = _epoch(str(values[name]))
    return tuple([values.get(name) for name in EVENTS])


def _epoch(text: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp())


def packed(rows: Rows) -> list[list[list[object]]]:
    """Return rows as values that JSON can represent."""
    return [[list(row) for row in rows.verdicts.values()], [list(row) for row in rows.events.values()]]


def unpacked(found: Sequence[Sequence[Sequence[object]]]) -> Rows:
    """Return the rows that `packed` converted. Raise TypeError or ValueError for any other value."""
    rows = Rows()
    verdicts, events = found
    for one in verdicts:
        rows.put(_row(one, VERDICTS))
    for one in events:
        row = _row(one, EVENTS)
        rows.events[row[:EVENT_PLACE]] = row
    return rows


def _row(values: Sequence[object], columns: Mapping[str, Kind]) -> Row:
    if len(values) != len(columns):
        raise ValueError("a row of another version")
    return tuple([tuple(value) if isinstance(value, list) else value for value in values])

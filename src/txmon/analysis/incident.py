"""Describes one past incident on one page: what happened, its size, its location, its cost, and who was notified.

All of it comes from the folder that `--log DIR` keeps.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from txmon.errors import BadData, NoInput
from txmon.model.clock import iso
from txmon.model.drivers import Driver, drivers_text
from txmon.model.keys import TOTAL
from txmon.model.money import Money
from txmon.model.statuses import shown
from txmon.support.bars import sparkline
from txmon.support.durations import duration_text
from txmon.support.suggest import nearest

AROUND: Final = 600  # seconds of counts before and after the incident
MOST_ROWS: Final = 40  # rows of the table of counts; in a longer one, several buckets are added up
NEWEST: Final = 5  # incidents that are named if the requested one is missing
LAST: Final = "last"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IncidentStory:
    """What the log of a run contains about one incident."""

    id: str
    folder: str
    events: Sequence[Row]  # its lines, oldest first
    verdicts: Sequence[Row]  # of its root status and key, from before to after it, oldest first
    bucket: int  # seconds

    @property
    def newest(self) -> Row:
        """Return its newest line."""
        return self.events[-1]

    def to_dict(self) -> dict[str, object]:
        """Return the story as values that JSON can represent."""
        return {
            "id": self.id,
            "incident": dict(self.newest),
            "events": [dict(row) for row in self.events],
            "counts": [
                {name: row[name] for name in ("time", "count", "expected", "low", "high", "score", "recommendation")}
                for row in self.verdicts
            ],
            "sql": sql_of(self),
        }


def read_story(identity: str, folder: str) -> IncidentStory:
    """Return what the folder of a `--log` contains about an incident. The identity `last` is the newest one.

    Raise NoInput if the folder cannot be read or contains no log, BadData if it has no such incident.
    """
    known: dict[str, list[Row]] = {}
    for row in _rows(folder, "incidents", None):
        if row.get("event") == "incident" and isinstance(row.get("id"), str):
            known.setdefault(row["id"], []).append(row)
    if not known:
        raise NoInput(f"{folder}: no incidents in it. Use the folder of --log.")
    if identity == LAST:
        identity = max(known, key=lambda one: str(known[one][0]["time"]))
    events = known.get(identity)
    if events is None:
        names = ", ".join(sorted(known, key=lambda one: str(known[one][0]["time"]))[-NEWEST:])
        raise BadData(f"{folder}: no incident {identity!r}{nearest(identity, known)}. The newest are {names}.")
    events.sort(key=lambda row: str(row["time"]))
    newest = events[-1]
    first, last = _epoch(newest["start"]) - AROUND, _epoch(newest["time"]) + AROUND
    found: dict[str, Row] = {}
    for row in _rows(folder, "verdicts", (first, last)):
        same = row.get("status") == newest.get("root") and row.get("key", {}) == newest.get("key", {})
        if same and not row.get("partial") and first <= _epoch(row["time"]) <= last:
            found[row["time"]] = row  # a revised verdict replaces the first one
    verdicts = [found[time] for time in sorted(found)]
    times = [_epoch(row["time"]) for row in verdicts]
    steps = [after - before for before, after in pairwise(times)]
    return IncidentStory(identity, folder, events, verdicts, min(steps, default=60))


def _rows(folder: str, kind: str, span: tuple[int, int] | None) -> Iterator[Row]:
    """Yield the lines of one kind from the hours that overlap `span`; None: from all hours."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(f"{kind}-") and name.endswith(".jsonl"))
    except OSError as bad:
        raise NoInput(f"{folder}: {bad.strerror}. Use the folder of --log.") from bad
    for name in names:
        if span is not None:
            hour = name[len(kind) + 1 : -len(".jsonl")]
            if not _hour(span[0]) <= hour <= _hour(span[1]):
                continue
        try:
            text = (Path(folder) / name).read_text("utf-8", "replace")
        except OSError as bad:
            raise NoInput(f"{folder}/{name}: {bad.strerror}") from bad
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the incomplete last line of a run that was killed
            if isinstance(row, dict) and isinstance(row.get("time"), str):
                yield row


def _hour(time: int) -> str:
    return iso(time)[:13].replace("-", "")


def _epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def sql_of(story: IncidentStory) -> str:
    """Return the query for `txmon query` that shows the incident's counts next to normal."""
    newest = story.newest
    where = [f"status = {_quoted(str(newest.get('root', TOTAL)))}"]
    first, last = _epoch(newest["start"]) - AROUND, _epoch(newest["time"]) + AROUND
    where.append(f"time BETWEEN '{iso(first)[:19].replace('T', ' ')}' AND '{iso(last)[:19].replace('T', ' ')}'")
    key = newest.get("key", {})
    where += [f"json_extract_string(key, {_quoted('$.' + name)}) = {_quoted(value)}" for name, value in key.items()]
    columns = "time, count, expected, low, high, score, recommendation"
    return f"SELECT {columns} FROM verdicts WHERE {' AND '.join(where)} ORDER BY time"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def page_of(story: IncidentStory, tz: tzinfo = UTC) -> str:
    """Return the story as one page of Markdown; times are shown in `tz`."""
    newest = story.newest
    page = _Page(story, tz)
    parts = [f"# Incident {story.id}: {newest['label']}", page.summary()]
    parts += ["## Timeline", page.timeline(), "## Counts against normal", page.counts()]
    if "drivers" in newest:
        parts += ["## Where", page.drivers()]
    if "keys" in newest:
        parts += ["## Keys", page.keys()]
    if "money" in newest:
        parts += ["## Money", page.money()]
    parts += ["## Notifications", page.told()]
    parts += ["## Reproduce it", f"```sql\n{sql_of(story)}\n```"]
    parts.append(f'Run it with `txmon query "..." {story.folder}`.')
    return "\n\n".join(parts) + "\n"


class _Page:
    """Builds the sections of the page."""

    def __init__(self, story: IncidentStory, tz: tzinfo) -> None:
        self._story = story
        self._tz = tz

    def _moment(self, text: str) -> datetime:
        return datetime.fromtimestamp(_epoch(text), self._tz)

    def _clock(self, text: str) -> str:
        return self._moment(text).strftime("%H:%M")

    def summary(self) -> str:
        row = self._story.newest
        root = str(row.get("root", TOTAL))
        name = "transactions" if root == TOTAL else shown(root)
        begun = self._moment(row["start"])
        lasted = duration_text(max(0, _epoch(row["time"]) - _epoch(row["start"])))
        end = f"to {self._moment(row['time']):%H:%M %Z}, {lasted}"
        if row["state"] != "resolved":
            end = f"still open at {self._moment(row['time']):%H:%M %Z}"
        normal = f"normal is {row['low']} to {row['high']}" if "low" in row else f"{row['expected']} expected"
        side = "above" if row["excess"] >= 0 else "below"
        key = "".join(f", {column} {value}" for column, value in row.get("key", {}).items())
        lines = [
            f"{begun:%Y-%m-%d %H:%M} {end}. Severity {row.get('severity', 'warning')}{key}.",
            f"At the worst, at {self._clock(row['peak'])}: {row['observed']} {name}, {normal}.",
            f"In all: {abs(row['excess']):,.0f} {name} {side} normal.",
        ]
        if row.get("note"):
            lines.append(f"Note: {row['note']}.")
        return "\n".join(lines)

    def timeline(self) -> str:
        lines = []
        for row in self._story.events:
            silenced = ", silenced" if "silent_until" in row else ""
            parts = str(row["text"]).split("; ")
            lines.append(f"- {self._clock(row['time'])} {row['state']}{silenced}: {'; '.join(parts[:2])}")
        return "\n".join(lines)

    def counts(self) -> str:
        rows = self._grouped()
        if not rows:
            return "The log has no verdicts of this status and time."
        bars = sparkline([row[1] for row in rows], max(1, *(row[1] for row in rows)), round_up=True)
        table = ["| time | count | expected | normal | score | |", "| --- | --- | --- | --- | --- | --- |"]
        for time, count, expected, low, high, score, mark in rows:
            limits = f"{low} to {high}" if low >= 0 else ""
            table.append(f"| {time} | {count} | {expected:.1f} | {limits} | {score:+.1f} | {mark} |")
        each = self._story.bucket * self._step()
        return f"`{bars}` one bar per {duration_text(each)}\n\n" + "\n".join(table)

    def _step(self) -> int:
        return max(1, -(-len(self._story.verdicts) // MOST_ROWS))

    def _grouped(self) -> list[tuple[str, int, float, int, int, float, str]]:
        found = []
        rows, step = self._story.verdicts, self._step()
        for at in range(0, len(rows), step):
            some = rows[at : at + step]
            strongest = max(some, key=lambda row: abs(row["score"]))
            marks = {row["recommendation"] for row in some}
            mark = next((one for one in ("alert", "pending") if one in marks), "")
            alone = some[0] if len(some) == 1 else {"low": -1, "high": -1}
            found.append(
                (
                    self._clock(some[0]["time"]),
                    sum([row["count"] for row in some]),
                    sum([row["expected"] for row in some]),
                    alone["low"],
                    alone["high"],
                    strongest["score"],
                    mark,
                )
            )
        return found

    def drivers(self) -> str:
        rows = self._story.newest["drivers"]
        drivers = [Driver([*one["values"].items()], one["seen"], one["expected"], one["share"]) for one in rows]
        text = drivers_text(tuple(drivers))
        return text[:1].upper() + text[1:] + "."

    def keys(self) -> str:
        row = self._story.newest
        lines = [f"- {'/'.join(one['key'].values())}: {one['excess']:+,.0f} transactions" for one in row["keys"]]
        more = row["key_count"] - len(row["keys"])
        return "\n".join([*lines, f"- and {more} more"] if more > 0 else lines)

    def money(self) -> str:
        lines = []
        for one in self._story.newest["money"]:
            # the line has the interval, but not the data that it was computed from
            error = (one["high"] - one["low"]) / 2
            money = Money(one.get("currency", ""), one["seen"], one["expected"], (error / 1.96) ** 2, 0.0)
            lines.append(f"- {money.text()}")
        return "\n".join(lines)

    def told(self) -> str:
        steps = [row for row in self._story.events if "silent_until" not in row]
        if not steps:
            return "None: the incident was silenced."
        named = ", ".join(f"{row['state']} {self._clock(row['time'])}" for row in steps)
        return f"Where notifications are set up: {named}. The log does not hold what a receiver answered."

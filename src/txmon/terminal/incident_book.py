"""Lists the incidents of a run: open ones with their current numbers, and closed ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from txmon.model.drivers import drivers_text
from txmon.model.keys import TOTAL, Series
from txmon.model.outcome import MARKS, SEVERITIES, IncidentEvent, Outcome
from txmon.model.statuses import shown
from txmon.model.verdict import Verdict
from txmon.support.terminal_text import printable

MOST_CLOSED: Final = 500  # closed incidents that are listed; the largest are kept
WEIGHT: Final = {name: n for n, name in enumerate(SEVERITIES)}


@dataclass(slots=True)
class Followed:
    """One incident since its start. Times are epoch seconds."""

    event: IncidentEvent  # the newest event
    end: int = 0  # 0 while it is open
    since: float = 0.0  # transactions above normal since that event
    seen: int = 0  # the newest bucket that is included

    @property
    def excess(self) -> float:
        """Return the transactions above normal so far (negative: missing)."""
        return self.event.excess + self.since

    @property
    def root(self) -> Series:
        """Return the series that its numbers belong to."""
        return self.event.key, self.event.root or (self.event.statuses[0] if self.event.statuses else TOTAL)


class IncidentBook:
    """Follows incidents by their events and verdicts."""

    def __init__(self) -> None:
        self.open: dict[str, Followed] = {}
        self.closed: dict[str, Followed] = {}  # closed incidents, in the order in which they ended
        self.count = 0  # all incidents so far
        self._members: dict[Series, Followed] = {}  # the series of the open incidents

    def accept(self, outcome: Outcome) -> None:
        """Update the book with one bucket's outcome."""
        if self.open:
            for verdict in outcome.verdicts:
                if MARKS[verdict.recommendation] and verdict.incident in self.open:
                    self._add(self.open[verdict.incident], verdict)
        for event in outcome.events:
            self._step(event)
        if outcome.events:
            self._members = {(i.event.key, status): i for i in self.open.values() for status in i.event.statuses}

    def _add(self, incident: Followed, verdict: Verdict) -> None:
        fresh = not (verdict.partial or verdict.revises) and verdict.time > max(incident.seen, incident.event.time)
        if fresh and (verdict.key, verdict.status) == incident.root:
            incident.since += verdict.count - verdict.expected
            incident.seen = verdict.time

    def _step(self, event: IncidentEvent) -> None:
        known = self.open.pop(event.id, None) or self.closed.pop(event.id, None)
        if known is None:
            self.count += 1
        if event.state != "resolved":
            self.open[event.id] = Followed(event)
        elif not event.parent:  # the platform incident reports the incidents that became part of it
            self.closed[event.id] = Followed(event, event.time)
            if len(self.closed) > MOST_CLOSED:
                least = min(self.closed, key=lambda name: abs(self.closed[name].event.excess))
                del self.closed[least]
        elif known is not None:
            self.count -= 1

    def ranked(self) -> list[Followed]:
        """Return the open incidents, most severe first, then newest first."""
        return sorted(self.open.values(), key=lambda one: (-WEIGHT[one.event.severity], -one.event.start, one.event.id))

    def all(self) -> list[Followed]:
        """Return the open incidents as `ranked` does, then the closed ones, newest first."""
        over = sorted(self.closed.values(), key=lambda one: (-one.event.start, one.event.id))
        return [*self.ranked(), *over]

    def of(self, series: Series) -> Followed | None:
        """Return the open incident that contains a series, or None."""
        return self._members.get(series)


def number(value: float) -> str:
    """Return a count, or an expected count, in its shortest readable form: 1,234 or 31 or 4.5."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def named(status: str) -> str:
    """Return a status with the meaning of its code, on one line."""
    return "transactions" if status == TOTAL else printable(shown(status), 40)


def numbers_of(incident: Followed, newest: Mapping[Series, Verdict], clock: str, time: int) -> str:
    """Return the numbers of an open incident: the current ones, its peak, and its total against normal.

    clock: a function from epoch seconds to text. time: the newest bucket, epoch seconds.
    """
    event = incident.event
    status = named(incident.root[1])
    verdict = newest.get(incident.root)
    parts = []
    if event.no_data_since:
        parts.append("no data comes")
    elif verdict is not None:
        bound = f"at least {verdict.low:,}" if incident.excess < 0 else f"at most {verdict.high:,}"
        count = verdict.count if verdict.time >= time else 0
        parts.append(f"{count:,} {status} now, {number(verdict.expected)} expected ({bound})")
    if event.usual:
        parts.append(f"level changed to {event.usual:.2g} times the usual")
    parts.append(f"peak {event.observed:,} at {clock}, {number(event.expected)} expected")
    side = "missing" if incident.excess < 0 else "above normal"
    parts.append(f"{number(abs(round(incident.excess)))} {side} so far")
    if event.money:
        parts.append(printable(event.money[0].text(), 80))
    if event.drivers:
        parts.append(printable(drivers_text(event.drivers), 160))
    if event.key_count > 1:
        parts.append(f"{event.key_count} keys")
    if event.note:
        parts.append(printable(event.note, 80))
    return "; ".join(parts)

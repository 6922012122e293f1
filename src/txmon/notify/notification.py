"""Holds a notification before it gets the words and the format of a channel."""

import hashlib
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from txmon.model.clock import iso
from txmon.model.keys import Key
from txmon.model.outcome import SEVERITIES, IncidentEvent, Severity, Trend
from txmon.support.frozen import frozen

Kind = Literal[
    "opened",
    "reopened",
    "worsened",
    "no data",
    "changed level",
    "reminder",
    "resolved",
    "escalated",
    "trend",
    "digest",
    "test",
]
Series = tuple[str, Key]  # (status, key)


@frozen
class Recent:
    """Holds the newest counts of some series, for a sparkline; all of the same length, oldest first."""

    width: int = 60  # seconds a count covers
    counts: Mapping[Series, tuple[int, ...]] = field(default_factory=dict)
    over_all_keys: bool = False  # too many series to keep apart: the key of every series is ()

    def of(self, status: str, key: Key) -> tuple[int, ...]:
        """Return the counts of one series; of its status over all keys where only those are kept; () when unknown."""
        return self.counts.get((status, () if self.over_all_keys else key), ())


@frozen
class Day:
    """Holds the figures of a daily summary. Times are epoch seconds."""

    since: int
    until: int
    totals: Mapping[str, int]  # transactions by status
    opened: int  # incidents begun
    still_open: int
    silenced: int  # incidents that a maintenance window kept back
    trends: int  # trend notifications


@frozen
class Notification:
    """Holds incidents that took the same step together, a trend, a daily summary, a digest, or a test."""

    kind: Kind
    time: int  # event time, epoch seconds
    # the worst first; of a digest, the day's worst, or those that were too many for the hour
    events: tuple[IncidentEvent, ...] = ()
    recent: Recent = field(default_factory=Recent)
    trends: Mapping[str, Trend] = field(default_factory=dict)
    link: str | None = None  # of the live page
    day: Day | None = None  # of a digest
    held: bool = False  # kept back by quiet hours or a maintenance window until now
    # steps that were overtaken while the receiver was away, and are sent together with this one: (step, event time)
    earlier: tuple[tuple[str, int], ...] = ()

    @property
    def severity(self) -> Severity:
        """Return the worst of its incidents; info where it has none."""
        return max((event.severity for event in self.events), key=SEVERITIES.index, default="info")

    @property
    def id(self) -> str:
        """Return an id that is the same in each process for the same content; safe as a file's name."""
        parts = [self.kind, *sorted(f"{e.id} {e.state} {e.time}" for e in self.events)]
        if not self.events:
            parts += sorted(self.trends)
        digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{iso(self.time).replace('-', '').replace(':', '')}-{self.kind.replace(' ', '_')}-{digest[:12]}"


def worst_first(events: list[IncidentEvent]) -> tuple[IncidentEvent, ...]:
    """Return events by severity, then by how many transactions are off normal, most first."""
    return tuple(sorted(events, key=lambda event: (-SEVERITIES.index(event.severity), -abs(event.excess), event.id)))

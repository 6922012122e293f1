"""Verdicts and incident events: the values that leave the core, and the JSON line each becomes.

The line's shape is the contract of docs/verdict.schema.json: keys in the order written here, optional ones absent where
they do not apply. Times are epoch seconds (UTC) inside and ISO 8601 with `Z` on the line.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from .trend import Rise, Trend

Recommendation = Literal["ok", "warming", "pending", "alert"]
IncidentState = Literal["opened", "escalated", "reminder", "resolved"]
Key = tuple[tuple[str, str], ...]  # ((dimension, value), ...) in the order of --by; () without it

TOTAL = "*"  # the status of a key's total volume, and of silence


@dataclass(slots=True, init=False)
class Verdict:
    """What was seen of one series in one bucket, what was expected, and what to do about it.

    A value like the others here, and nobody may change one. It is not frozen, and writes its own `__init__`, because
    there is one for every series and bucket: a frozen dataclass sets 16 attributes through `object.__setattr__`.
    """

    time: int  # start of the bucket, epoch seconds
    status: str
    key: Key
    count: int  # transactions in the bucket
    total: int  # transactions of all statuses of this key in the bucket
    expected: float  # transactions expected in the bucket
    low: int  # the bucket's normal interval, inclusive
    high: int
    score: float  # sigmas; positive above the expectation, negative below
    window: int  # buckets summed by the strongest score
    recommendation: Recommendation
    reasons: tuple[str, ...]  # why it is not ok: "score", "silence", "rule:NAME"; empty when ok
    text: str  # the same for people
    incident: str | None
    partial: bool  # the bucket is still open
    revises: bool  # replaces an earlier verdict of the same bucket

    def __init__(
        self,
        time: int,
        status: str,
        key: Key,
        count: int,
        total: int,
        expected: float,
        low: int,
        high: int,
        score: float,
        window: int,
        recommendation: Recommendation,
        reasons: tuple[str, ...],
        text: str,
        incident: str | None = None,
        partial: bool = False,
        revises: bool = False,
    ) -> None:
        self.time = time
        self.status = status
        self.key = key
        self.count = count
        self.total = total
        self.expected = expected
        self.low = low
        self.high = high
        self.score = score
        self.window = window
        self.recommendation = recommendation
        self.reasons = reasons
        self.text = text
        self.incident = incident
        self.partial = partial
        self.revises = revises


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """A step in an incident's life."""

    time: int  # of the bucket that caused the step, epoch seconds
    state: IncidentState
    id: str
    statuses: tuple[str, ...]
    key: Key
    label: str  # volume loss, issuer declines, reversal wave, failures, silence
    start: int  # first alerting bucket
    peak: int  # bucket with the strongest score so far
    observed: int  # transactions in the alerting series at the peak
    expected: float  # expected there
    excess: float  # transactions above normal so far (negative: missing)
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that closing one bucket brought: what every sink receives, bucket after bucket."""

    time: int  # start of the bucket, epoch seconds
    verdicts: Sequence[Verdict]
    events: Sequence[IncidentEvent] = ()
    trends: Mapping[str, Trend] = field(default_factory=dict)  # by status, over all keys
    rises: Sequence[Rise] = ()  # statuses that began to rise a lot


@lru_cache(maxsize=4096)
def iso(seconds: int) -> str:
    """`seconds` since the epoch as `2026-03-02T14:33:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_text = json.encoder.encode_basestring  # JSON string, non-ASCII left as it is


def _key(key: Key) -> str:
    return "{" + ", ".join(f"{_text(name)}: {_text(value)}" for name, value in key) + "}"


def _number(value: float) -> str:
    """`value` with four significant digits and no exponent that a whole number can do without."""
    return f"{value:.4g}" if value < 9999.5 else f"{value:.0f}"


def verdict_line(v: Verdict) -> str:
    """`v` as its JSON line, without the newline. Written by hand: json.dumps takes three times as long."""
    key = f'"key": {_key(v.key)}, ' if v.key else ""
    reasons = ", ".join(map(_text, v.reasons))
    line = (
        f'{{"time": "{iso(v.time)}", "status": {_text(v.status)}, {key}"count": {v.count}, "total": {v.total}, '
        f'"expected": {_number(v.expected)}, "low": {v.low}, "high": {v.high}, "score": {v.score:.2f}, '
        f'"window": {v.window}, "recommendation": "{v.recommendation}", "reasons": [{reasons}], "text": {_text(v.text)}'
    )
    if v.incident is not None:
        line += f', "incident": {_text(v.incident)}'
    if v.partial:
        line += ', "partial": true'
    if v.revises:
        line += ', "revises": true'
    return line + "}"


def event_line(e: IncidentEvent) -> str:
    """`e` as its JSON line, without the newline."""
    row: dict[str, object] = {"time": iso(e.time), "event": "incident", "state": e.state, "id": e.id}
    row["statuses"] = list(e.statuses)
    if e.key:
        row["key"] = dict(e.key)
    row |= {"label": e.label, "start": iso(e.start), "peak": iso(e.peak), "observed": e.observed}
    row |= {"expected": round(e.expected, 2), "excess": round(e.excess, 1), "text": e.text}
    return json.dumps(row, ensure_ascii=False)


def rise_line(rise: Rise) -> str:
    """`rise` as its JSON line, without the newline."""
    row = {"time": iso(rise.time), "event": "trend", "status": rise.status, "trend": "rising a lot"}
    text = f"{rise.status} is rising a lot: {rise.slope:.1f} a minute more every minute, {rise.count} now"
    return json.dumps(row | {"slope": round(rise.slope, 2), "count": rise.count, "text": text}, ensure_ascii=False)

"""Verdicts and incident events: the values that leave the core, and the JSON line each becomes.

The line's shape is the contract of docs/verdict.schema.json: keys in the order written here, optional ones absent where
they do not apply. Times are epoch seconds (UTC) inside and ISO 8601 with `Z` on the line.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from .decimals import TWO, fixed, significant, whole
from .limits import Thresholds, normal_interval
from .trend import Rise, Trend

Recommendation = Literal["ok", "warming", "pending", "alert"]
IncidentState = Literal["opened", "escalated", "reminder", "resolved"]
Key = tuple[tuple[str, str], ...]  # ((dimension, value), ...) in the order of --by; () without it

TOTAL: Final = "*"  # the status of a key's total volume, and of silence
CACHED: Final = 4096  # texts remembered of a kind
NO_TRENDS: Final[Mapping[str, Trend]] = {}
# the middle of a line that finds nothing, by window
OK: Final = [f', "window": {window}, "recommendation": "ok", "reasons": [], "text": ' for window in range(16)]
_quoted: Final = json.encoder.encode_basestring  # JSON string, non-ASCII left as it is
_midnights: Final[dict[int, str]] = {}
_names: Final[dict[str, str]] = {}


@mypyc_attr(acyclic=True)
class Verdict:
    """What was seen of one series in one bucket, what was expected, and what to do about it.

    A value, and nobody may change one: `changed` makes another. Its normal interval and its text follow from the rest,
    and are worked out when they are asked for: there is a verdict for every series and bucket, and few are looked at.
    """

    __slots__ = (
        "_gate", "_gates", "_high", "_low", "_mean", "_said", "_seen", "_spread", "_text", "_together", "count",
        "expected", "incident", "key", "partial", "reasons", "recommendation", "revises", "score", "status", "time",
        "total", "window",
    )  # fmt: skip

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
        text: str | None,
        incident: str | None = None,
        partial: bool = False,
        revises: bool = False,
    ) -> None:
        self.time = time  # start of the bucket, epoch seconds
        self.status = status
        self.key = key
        self.count = count  # transactions in the bucket
        self.total = total  # transactions of all statuses of this key in the bucket
        self.expected = expected  # transactions expected in the bucket
        self._low = low  # below 0 until it is asked for
        self._high = high
        self.score = score  # sigmas; positive above the expectation, negative below
        self.window = window  # buckets summed by the strongest score
        self.recommendation: Recommendation = recommendation
        self.reasons = reasons  # why it is not ok: "score", "silence", "rule:NAME"; empty when ok
        self._text = text  # None until it is asked for
        self.incident = incident
        self.partial = partial  # the bucket is still open
        self.revises = revises  # replaces an earlier verdict of the same bucket
        # what interval and text follow from, see `reason`
        self._gates: Thresholds | None = None
        self._spread = 0.0
        self._seen = 0.0
        self._mean = 0.0
        self._gate = ""
        self._together = False
        self._said = ""

    def reason(
        self, gates: Thresholds, excess: float, seen: float, mean: float, gate: str, together: bool, said: str
    ) -> None:
        """Say what interval and text follow from, once, where the verdict was made with neither.

        excess: squared relative error of `expected`. seen, mean: transactions in the window, and expected in it.
        gate: what held back a score over its threshold. together: all statuses together are odd. said: added to it.
        """
        self._gates, self._spread = gates, excess
        self._seen, self._mean, self._gate, self._together, self._said = seen, mean, gate, together, said

    @property
    def low(self) -> int:
        """The fewest transactions in this bucket that are normal."""
        if self._low < 0:
            self._bound()
        return self._low

    @property
    def high(self) -> int:
        """The most that are."""
        if self._high < 0:
            self._bound()
        return self._high

    def _bound(self) -> None:
        assert self._gates is not None
        self._low, self._high = normal_interval(self.expected, self._spread, self._gates)

    @property
    def text(self) -> str:
        """The verdict for people, in one line."""
        found = self._text
        if found is None:
            found = self._explain()
            if self._said:
                found += f"; {self._said}"
            self._text = found
        return found

    def is_plain(self) -> bool:
        """Whether the text is made of numbers, the status, and nothing that others said."""
        return self._gates is not None and not self._said

    def _explain(self) -> str:
        """What was seen, what was expected, and which gate decided."""
        if self.reasons and "silence" in self.reasons:
            return f"nothing arrived, {number(self.expected)} transactions expected"
        name = self.status if self.status != TOTAL else "transaction" if self.count == 1 else "transactions"
        if self.recommendation == "warming":
            return f"warming up: {whole(self.count)} {name}"
        expected = number(self.expected)
        if self.score < 0.0:
            text = f"{whole(self.count)} {name}, {expected} expected (at least {whole(self.low)})"
        else:
            text = f"{whole(self.count)} {name}, {expected} expected (at most {whole(self.high)})"
        if self.reasons and "level shift" in self.reasons:
            return f"{text}; it has lasted long enough to be the new normal"
        return text if self._together else text + self._remark()

    def _remark(self) -> str:
        """What the numbers of the one bucket do not say."""
        if self.recommendation == "alert":
            if self.window == 1:
                return ""
            return f"; {fixed(self._seen, 0)} in {self.window} buckets, {number(self._mean)} expected"
        if self.recommendation == "pending":
            return "; not back to normal yet"
        if self._gate == "count":
            return "; unusual, but too few to alert"
        return "; significant, but too near the expectation to alert" if self._gate == "ratio" else ""

    def changed(
        self,
        recommendation: Recommendation | None = None,
        reasons: tuple[str, ...] | None = None,
        text: str | None = None,
        incident: str | None = None,
        partial: bool = False,
        revises: bool = False,
    ) -> "Verdict":
        """A verdict that differs in what is given; `partial` and `revises` can only be added."""
        return Verdict(
            self.time, self.status, self.key, self.count, self.total, self.expected, self.low, self.high, self.score,
            self.window, recommendation or self.recommendation, self.reasons if reasons is None else reasons,
            text or self.text, incident or self.incident, partial or self.partial, revises or self.revises,
        )  # fmt: skip

    def __repr__(self) -> str:
        """The verdict as its JSON line."""
        return f"Verdict({verdict_line(self)})"

    def __eq__(self, other: object) -> bool:
        """Verdicts that read alike are alike."""
        return isinstance(other, Verdict) and verdict_line(self) == verdict_line(other)

    def __hash__(self) -> int:
        """Goes with __eq__."""
        return hash((self.time, self.status, self.key))


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


@mypyc_attr(acyclic=True)
class Outcome:
    """All that closing one bucket brought: what every sink receives, bucket after bucket."""

    __slots__ = ("events", "rises", "time", "trends", "verdicts")

    def __init__(
        self,
        time: int,
        verdicts: Sequence[Verdict],
        events: Sequence[IncidentEvent] = (),
        trends: Mapping[str, Trend] = NO_TRENDS,
        rises: Sequence[Rise] = (),
    ) -> None:
        self.time = time  # start of the bucket, epoch seconds
        self.verdicts = verdicts
        self.events = events
        self.trends = trends  # by status, over all keys
        self.rises = rises  # statuses that began to rise a lot

    def alerted(self) -> bool:
        """Whether one of the verdicts recommends an alert."""
        for verdict in self.verdicts:  # noqa: SIM110 - a generator is slower, and there is a bucket a minute
            if verdict.recommendation == "alert":
                return True
        return False


def number(value: float) -> str:
    """`value` as an analyst would write it: 0.04, 1.4, 320."""
    if value >= 99.5:
        return fixed(value, 0)
    return fixed(value, 1) if value >= 0.95 else significant(value, 2)


def iso(seconds: int) -> str:
    """`seconds` since the epoch as `2026-03-02T14:33:00Z`."""
    day = seconds // 86400
    midnight = _midnights.get(day)
    if midnight is None:
        if len(_midnights) >= CACHED:
            _midnights.clear()
        midnight = _midnights[day] = datetime.fromtimestamp(day * 86400, UTC).strftime("%Y-%m-%dT")
    second = seconds - day * 86400
    return f"{midnight}{TWO[second // 3600]}:{TWO[second // 60 % 60]}:{TWO[second % 60]}Z"


def _quoted_name(name: str) -> str:
    """A status in quotes: there are few, and each is written often."""
    found = _names.get(name)
    if found is None:
        if len(_names) >= CACHED:
            _names.clear()
        found = _names[name] = _quoted(name)
    return found


def _key(key: Key) -> str:
    return "{" + ", ".join([f"{_quoted(name)}: {_quoted(value)}" for name, value in key]) + "}"


def verdict_line(v: Verdict) -> str:
    """`v` as its JSON line, without the newline."""
    return verdict_line_from(v, line_start(v.time))


def line_start(time: int) -> str:
    """How the line of every verdict of the bucket at `time` begins."""
    return f'{{"time": "{iso(time)}", "status": '


def verdict_line_from(v: Verdict, start: str) -> str:
    """The same where the caller knows `line_start(v.time)`. Written by hand: json.dumps takes many times as long."""
    status = _quoted_name(v.status)
    key = f'"key": {_key(v.key)}, ' if v.key else ""
    if v.recommendation == "ok" and not v.reasons:
        said = OK[v.window] if v.window < len(OK) else OK[0].replace("0", whole(v.window))
    else:
        reasons = ", ".join([_quoted(reason) for reason in v.reasons])
        said = (
            f', "window": {whole(v.window)}, "recommendation": "{v.recommendation}", "reasons": [{reasons}], "text": '
        )
    # what a text is made of needs no escapes, but for the status and what others said
    text = f'"{v.text}"' if v.is_plain() and len(status) == len(v.status) + 2 else _quoted(v.text)
    # four significant digits, and no exponent that a whole number can do without
    expected = significant(v.expected, 4) if v.expected < 9999.5 else format(v.expected, ".0f")
    # no format specification in this text: mypyc compiles such a text to a plain concatenation
    line = (
        f'{start}{status}, {key}"count": {whole(v.count)}, "total": {whole(v.total)}, "expected": {expected}, '
        f'"low": {whole(v.low)}, "high": {whole(v.high)}, "score": {fixed(v.score, 2)}{said}{text}'
    )
    if v.incident is not None:
        line += f', "incident": {_quoted(v.incident)}'
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

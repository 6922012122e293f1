"""Defines verdicts, and the evidence that each of them is made from. Times are epoch seconds (UTC)."""

from typing import Final, Literal

from librt.strings import BytesWriter
from mypy_extensions import mypyc_attr, u8

from txmon.model.drivers import Drivers, drivers_text
from txmon.model.encoding import decoded, quoted, utf8, write_fixed, write_number, write_whole
from txmon.model.keys import TOTAL, Key
from txmon.model.money import Money, money_text
from txmon.model.scores import Thresholds, normal_interval
from txmon.model.statuses import meaning_of

Recommendation = Literal["ok", "warming", "pending", "alert"]
BLANK: Final[u8] = 32
BRACKET: Final[u8] = 41


@mypyc_attr(acyclic=True)
class Evidence:
    """The basis for judging one series in one bucket. A verdict's interval and text are derived from it."""

    __slots__ = ("excess", "gate", "mean", "note", "seen", "thresholds", "together")

    def __init__(
        self, thresholds: Thresholds, excess: float, seen: float, mean: float, gate: str, together: bool, note: str
    ) -> None:
        self.thresholds = thresholds
        self.excess = excess  # squared relative error of the expected count of the bucket
        self.seen = seen  # transactions in the window of the strongest score
        self.mean = mean  # transactions expected in that window
        # what prevented an alert although the score exceeded its threshold: "count", "ratio", "over", or ""
        self.gate = gate
        self.together = together  # whether all statuses together deviate
        self.note = note  # added to the text; may be empty


@mypyc_attr(acyclic=True)
class Stated:
    """An interval and a text that are already known: those of a verdict that was read or changed."""

    __slots__ = ("excess", "high", "low", "text")

    def __init__(self, low: int, high: int, text: str, excess: float = 0.0) -> None:
        self.excess = excess  # squared relative error of the expected count of the bucket
        self.low = low  # the fewest transactions that are normal
        self.high = high  # the most transactions that are normal
        self.text = text


@mypyc_attr(acyclic=True)
class Verdict:
    """The observed and expected count of one series in one bucket, and the recommendation.

    A verdict is a value: `changed` returns a new one. Its normal interval and its text are computed from its evidence
    when they are first used, because every series has a verdict in every bucket and few are read.
    """

    __slots__ = (
        "_evidence", "_high", "_is_bounded", "_low", "_text", "count", "drivers", "expected", "incident", "key",
        "money", "partial", "rarity", "reasons", "recommendation", "revises", "score", "status", "time", "total",
        "window",
    )  # fmt: skip

    def __init__(
        self,
        time: int,
        status: str,
        key: Key,
        count: int,
        total: int,
        expected: float,
        score: float,
        window: int,
        recommendation: Recommendation,
        reasons: tuple[str, ...],
        evidence: Evidence | Stated,
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
        self.score = score  # sigmas; positive above the expectation, negative below
        self.window = window  # buckets summed by the strongest score
        self.recommendation: Recommendation = recommendation
        self.reasons = reasons  # why it is not ok: "score", "silence", "rule:NAME"; empty if it is ok
        self.incident = incident
        self.partial = partial  # whether the bucket is still open
        self.revises = revises  # whether it replaces an earlier verdict of the same bucket
        self.money: tuple[Money, ...] = ()  # against normal; the largest currency first
        self.drivers: Drivers | None = None  # what explains the excess; None if no driver columns are configured
        self.rarity = 0.0  # false alarms a year to expect if all series alerted at this score; 0 where nobody needs it
        self._evidence = evidence
        # computed from the evidence at first use, then cached
        self._is_bounded = False
        self._low = 0
        self._high = 0
        self._text: str | None = None

    @property
    def window_expected(self) -> float:
        """Return the transactions expected in all buckets of the window."""
        evidence = self._evidence
        if self.window > 1 and isinstance(evidence, Evidence):
            return evidence.mean
        return self.expected * self.window

    @property
    def window_excess(self) -> float:
        """Return the transactions above the expected ones in all buckets of the window.

        It is negative if some are missing.
        """
        evidence = self._evidence
        if self.window > 1 and isinstance(evidence, Evidence):
            return evidence.seen - evidence.mean
        return (self.count - self.expected) * self.window

    @property
    def relative_variance(self) -> float:
        """Return the squared relative error of the expected count of the bucket."""
        evidence = self._evidence
        return evidence.excess

    @property
    def low(self) -> int:
        """Return the fewest transactions in this bucket that are normal."""
        if not self._is_bounded:
            self._bound()
        return self._low

    @property
    def high(self) -> int:
        """Return the most transactions in this bucket that are normal."""
        if not self._is_bounded:
            self._bound()
        return self._high

    def _bound(self) -> None:
        evidence = self._evidence
        if isinstance(evidence, Stated):
            self._low, self._high = evidence.low, evidence.high
        else:
            self._low, self._high = normal_interval(self.expected, evidence.excess, evidence.thresholds)
        self._is_bounded = True

    @property
    def text(self) -> str:
        """Return the text of the verdict for people, in one line."""
        found = self._text
        if found is None:
            evidence = self._evidence
            if isinstance(evidence, Stated):
                return evidence.text
            out = BytesWriter()
            self._explain(out, evidence, utf8(self.status), json=False)
            found = self._text = decoded(out.getvalue())
        return found

    def write_text(self, out: BytesWriter, status: bytes, json: bool) -> None:
        """Write the text as UTF-8. json: escaped for a JSON string, as `status`, its own status, already is."""
        evidence = self._evidence
        if isinstance(evidence, Stated):
            out.write(_within(evidence.text, json))
        else:
            self._explain(out, evidence, status, json)

    def _explain(self, out: BytesWriter, evidence: Evidence, status: bytes, json: bool) -> None:
        """Write the observed and expected counts, the gate that decided, and the note."""
        if self.reasons and "silence" in self.reasons:
            out.write(b"nothing arrived, ")
            write_number(out, self.expected)
            out.write(b" transactions expected")
        elif self.recommendation == "warming":
            out.write(b"warming up: ")
            self._write_count(out, status)
        else:
            self._compare(out, evidence, status)
        if evidence.note:
            out.write(b"; ")
            out.write(_within(evidence.note, json))

    def _compare(self, out: BytesWriter, evidence: Evidence, status: bytes) -> None:
        """Write the observed count next to the expected count."""
        self._write_count(out, status)
        out.write(b", ")
        write_number(out, self.expected)
        if self.score < 0.0:
            out.write(b" expected (at least ")
            write_whole(out, self.low)
        else:
            out.write(b" expected (at most ")
            write_whole(out, self.high)
        out.append(BRACKET)
        if self.reasons and "level shift" in self.reasons:
            out.write(b"; it has lasted long enough to be the new normal")
        elif not evidence.together:
            self._remark(out, evidence)

    def _write_count(self, out: BytesWriter, status: bytes) -> None:
        """Write the observed count."""
        write_whole(out, self.count)
        if self.status != TOTAL:
            out.append(BLANK)
            out.write(status)
            meaning = meaning_of(self.status)
            if meaning:  # of a response code
                out.append(BLANK)
                out.write(meaning.encode())
        else:
            out.write(b" transaction" if self.count == 1 else b" transactions")

    def _remark(self, out: BytesWriter, evidence: Evidence) -> None:
        """Write what the numbers of this one bucket do not show."""
        if self.recommendation == "alert":
            if self.window != 1:
                out.write(b"; ")
                write_fixed(out, evidence.seen, 0)
                out.write(b" in ")
                write_whole(out, self.window)
                out.write(b" buckets, ")
                write_number(out, evidence.mean)
                out.write(b" expected")
        elif self.recommendation == "pending":
            out.write(b"; not back to normal yet")
        elif evidence.gate == "count":
            out.write(b"; unusual, but too few to alert")
        elif evidence.gate == "ratio":
            out.write(b"; significant, but too near the expectation to alert")

    def changed(
        self,
        recommendation: Recommendation | None = None,
        reasons: tuple[str, ...] | None = None,
        text: str | None = None,
        incident: str | None = None,
        partial: bool = False,
        revises: bool = False,
    ) -> "Verdict":
        """Return a verdict with the given changes. `partial` and `revises` can only be set."""
        other = Verdict(
            self.time, self.status, self.key, self.count, self.total, self.expected, self.score, self.window,
            recommendation or self.recommendation, self.reasons if reasons is None else reasons,
            Stated(self.low, self.high, text or self.text, self.relative_variance), incident or self.incident,
            partial or self.partial, revises or self.revises,
        )  # fmt: skip
        other.money, other.drivers, other.rarity = self.money, self.drivers, self.rarity
        return other

    def explained(self, money: tuple[Money, ...], drivers: Drivers | None) -> "Verdict":
        """Return a verdict that also states its money and its drivers, in its text too."""
        parts = [self.text]
        if drivers is not None:
            parts.append(drivers_text(drivers))
        if money:
            parts.append(money_text(money))
        other = self.changed(text="; ".join(parts))
        other.money, other.drivers = money, drivers
        return other

    def values(self) -> tuple[object, ...]:
        """Return all fields of the verdict, in the order of its line."""
        return (
            self.time, self.status, self.key, self.count, self.total, self.expected, self.low, self.high, self.score,
            self.window, self.recommendation, self.reasons, self.text, self.incident, self.partial, self.revises,
            self.drivers, self.money, self.rarity,
        )  # fmt: skip

    def __repr__(self) -> str:
        """Return all fields of the verdict as text."""
        return f"Verdict{self.values()}"

    def __eq__(self, other: object) -> bool:
        """Return whether the other object is a verdict with the same content."""
        return isinstance(other, Verdict) and self.values() == other.values()

    def __hash__(self) -> int:
        """Return a hash that agrees with __eq__."""
        return hash((self.time, self.status, self.key))


def _within(text: str, json: bool) -> bytes:
    """Return `text` as UTF-8. json: escaped for a JSON string."""
    return quoted(text)[1:-1] if json else utf8(text)

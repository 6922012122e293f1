"""Verdicts and incident events: the values that leave the core. Times are epoch seconds (UTC)."""

from typing import Final, Literal

from librt.strings import BytesWriter
from mypy_extensions import mypyc_attr, u8

from txmon.model.encoding import decoded, quoted, utf8, write_fixed, write_number, write_whole
from txmon.model.keys import TOTAL, Key
from txmon.model.scores import Thresholds, normal_interval

Recommendation = Literal["ok", "warming", "pending", "alert"]
BLANK: Final[u8] = 32
BRACKET: Final[u8] = 41


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
            out = BytesWriter()
            self.write_text(out, utf8(self.status), json=False)
            found = self._text = decoded(out.getvalue())
        return found

    def write_text(self, out: BytesWriter, status: bytes, json: bool) -> None:
        """Write the text as UTF-8; json: as it stands within a JSON string, as `status`, its own, already does."""
        if self._text is not None:
            out.write(_within(self._text, json))
            return
        self._explain(out, status)
        if self._said:
            out.write(b"; ")
            out.write(_within(self._said, json))

    def _explain(self, out: BytesWriter, status: bytes) -> None:
        """Write what was seen, what was expected, and which gate decided."""
        if self.reasons and "silence" in self.reasons:
            out.write(b"nothing arrived, ")
            write_number(out, self.expected)
            out.write(b" transactions expected")
            return
        if self.recommendation == "warming":
            out.write(b"warming up: ")
            self._write_count(out, status)
            return
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
        elif not self._together:
            self._remark(out)

    def _write_count(self, out: BytesWriter, status: bytes) -> None:
        """Write what was seen."""
        write_whole(out, self.count)
        if self.status != TOTAL:
            out.append(BLANK)
            out.write(status)
        else:
            out.write(b" transaction" if self.count == 1 else b" transactions")

    def _remark(self, out: BytesWriter) -> None:
        """Write what the numbers of the one bucket do not say."""
        if self.recommendation == "alert":
            if self.window != 1:
                out.write(b"; ")
                write_fixed(out, self._seen, 0)
                out.write(b" in ")
                write_whole(out, self.window)
                out.write(b" buckets, ")
                write_number(out, self._mean)
                out.write(b" expected")
        elif self.recommendation == "pending":
            out.write(b"; not back to normal yet")
        elif self._gate == "count":
            out.write(b"; unusual, but too few to alert")
        elif self._gate == "ratio":
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
        """A verdict that differs in what is given; `partial` and `revises` can only be added."""
        return Verdict(
            self.time, self.status, self.key, self.count, self.total, self.expected, self.low, self.high, self.score,
            self.window, recommendation or self.recommendation, self.reasons if reasons is None else reasons,
            text or self.text, incident or self.incident, partial or self.partial, revises or self.revises,
        )  # fmt: skip

    def values(self) -> tuple[object, ...]:
        """All that the verdict says, in the order in which `Verdict` takes it."""
        return (
            self.time, self.status, self.key, self.count, self.total, self.expected, self.low, self.high, self.score,
            self.window, self.recommendation, self.reasons, self.text, self.incident, self.partial, self.revises,
        )  # fmt: skip

    def __repr__(self) -> str:
        """All that the verdict says."""
        return f"Verdict{self.values()}"

    def __eq__(self, other: object) -> bool:
        """Verdicts that say the same are the same."""
        return isinstance(other, Verdict) and self.values() == other.values()

    def __hash__(self) -> int:
        """Goes with __eq__."""
        return hash((self.time, self.status, self.key))


def _within(text: str, json: bool) -> bytes:
    """`text` as UTF-8; json: as it stands within a JSON string."""
    return quoted(text)[1:-1] if json else utf8(text)

"""Verdicts and incident events as JSON lines."""

from collections.abc import Sequence
from typing import Final, Protocol

from ..lines import event_line, line_start, rise_line, verdict_line_from
from ..verdict import Outcome, Verdict

MANY: Final = 4096  # lines written at a time


class Writable(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> int:
        """Write `text`."""

    def flush(self) -> None:
        """Hand on what was written."""


class JsonLines:
    """Writes each outcome's lines to a text stream, which stays the caller's to close."""

    def __init__(self, stream: Writable, only_alerts: bool = False, flush: bool = False) -> None:
        """only_alerts: leave out verdicts that are neither alert nor pending. flush: after every outcome."""
        self._stream = stream
        self._only_alerts = only_alerts
        self._flush = flush

    def accept(self, outcome: Outcome) -> None:
        """Write the outcome's verdicts, then its incident events and rises."""
        verdicts = outcome.verdicts
        if self._only_alerts:
            verdicts = [verdict for verdict in verdicts if is_told(verdict)]
        others = [*map(event_line, outcome.events), *map(rise_line, outcome.rises)]
        self.write(outcome.time, verdicts, others)
        if self._flush and (verdicts or others):
            self._stream.flush()

    def write(self, time: int, verdicts: Sequence[Verdict], others: Sequence[str]) -> None:
        """Write the verdicts of the bucket at `time`, then `others`, lines already; not all in memory at once."""
        start = line_start(time)
        lines: list[str] = []
        for verdict in verdicts:
            lines.append(verdict_line_from(verdict, start))
            if len(lines) >= MANY:
                self._stream.write("\n".join(lines) + "\n")
                lines.clear()
        lines += others
        if lines:
            self._stream.write("\n".join(lines) + "\n")


def is_told(verdict: Verdict) -> bool:
    """Whether a verdict is written where only alerts are."""
    return verdict.recommendation == "alert" or verdict.recommendation == "pending"

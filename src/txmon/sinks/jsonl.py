"""Verdicts and incident events as JSON lines."""

from typing import Protocol

from ..verdict import Outcome, event_line, line_start, rise_line, verdict_line_from


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
        start = line_start(outcome.time)
        lines = [
            verdict_line_from(verdict, start)
            for verdict in outcome.verdicts
            if not self._only_alerts or verdict.recommendation in ("alert", "pending")
        ]
        lines += map(event_line, outcome.events)
        lines += map(rise_line, outcome.rises)
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            if self._flush:
                self._stream.flush()

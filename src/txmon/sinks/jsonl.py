"""Writes verdicts and incident events as JSON lines."""

from collections.abc import Sequence
from typing import Final, Protocol

from librt.strings import BytesWriter
from mypy_extensions import u8

from txmon.model.encoding import utf8
from txmon.model.outcome import Outcome, deviates
from txmon.model.verdict import Verdict
from txmon.sinks.lines import event_line, line_start, rise_line, write_verdict

MANY: Final = 1 << 18  # bytes written at a time
NEWLINE: Final[u8] = 10


class Writable(Protocol):
    """A stream that lines are written to."""

    def write(self, data: bytes, /) -> int:
        """Write `data`, which consists of whole lines."""

    def flush(self) -> None:
        """Flush written data."""


class JsonLines:
    """Writes the lines of each outcome, in UTF-8, to a binary stream. The caller closes the stream."""

    def __init__(self, stream: Writable, only_alerts: bool = False, flush: bool = False) -> None:
        """Create it. only_alerts: leave out verdicts that are neither alert nor pending. flush: after every outcome."""
        self._stream = stream
        self._only_alerts = only_alerts
        self._flush = flush
        self._out = BytesWriter()  # bytes not written yet

    def accept(self, outcome: Outcome) -> None:
        """Write the verdicts of an outcome, then its incident events and rises."""
        verdicts = outcome.verdicts if not outcome.parts else [*outcome.verdicts, *outcome.parts]
        if self._only_alerts:
            verdicts = [verdict for verdict in verdicts if deviates(verdict)]
        others: list[str] = []
        if outcome.events or outcome.rises:
            others = [*map(event_line, outcome.events), *map(rise_line, outcome.rises)]
        self.write(outcome.time, verdicts, others)
        if self._flush and (verdicts or others):
            self._stream.flush()

    def write(self, time: int, verdicts: Sequence[Verdict], others: Sequence[str]) -> None:
        """Write the verdicts of the bucket at `time`, then `others`, which are lines already. Memory stays bounded."""
        start = line_start(time)
        out = self._out
        for verdict in verdicts:
            write_verdict(out, verdict, start)
            out.append(NEWLINE)
            if len(out) >= MANY:
                self._hand_on()
        for line in others:
            out.write(utf8(line))
            out.append(NEWLINE)
        if len(out):
            self._hand_on()

    def _hand_on(self) -> None:
        data = self._out.getvalue()
        self._out.truncate(0)  # cleared first, so that nothing is written twice if a write fails
        self._stream.write(data)

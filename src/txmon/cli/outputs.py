"""Sends the outcomes of a run to its outputs: lines, chart and summary, notifications, the log folder."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final

import click

from txmon.cli.display import Display, wanted
from txmon.cli.messages import tell
from txmon.cli.tables_out import LEFT, TableOut, is_table
from txmon.cli.unroled import RoleNotice
from txmon.errors import ConfigError, IoFailure
from txmon.model.outcome import Outcome
from txmon.notify.setup import NotificationSink, notifications
from txmon.runtime.pace import Pace
from txmon.runtime.reader import Reader
from txmon.settings.declarations import Settings
from txmon.sinks.forked import ForkedLines
from txmon.sinks.jsonl import JsonLines, Writable
from txmon.sinks.log_folder import LogFolder
from txmon.support.line_file import LineFile
from txmon.support.safe_open import create_bytes
from txmon.support.terminal_text import Screen, printable

TELLING = (
    "teams_webhook_file", "teams_format", "webhook_file", "webhook_secret_file", "apprise_file", "exec",
    "alertmanager", "route", "mention", "notify_timeout", "max_age", "max_cards", "link", "digest", "quiet_hours",
    "silence", "trend_every", "spool", "flush_timeout",
)  # fmt: skip
NOTIFICATIONS: Final = "notifications:"  # a name among the sources of a state; a file is unlikely to have it
LINES: Final = "lines:"  # another such name: lines that wait for disk space of --out


class Outputs:
    """All sinks of one run as one sink. They are closed when `stack` closes."""

    def __init__(
        self,
        settings: Settings,
        stack: ExitStack,
        notify: bool,
        live: bool,
        reader: Reader | None,
        jobs: int = 1,
        pace: Pace | None = None,
        typed: bool = False,
    ) -> None:
        """Create it. live: lines are flushed, and appended to the file of --out.

        reader: its progress is shown by the chart.

        typed: the input comes from the keyboard. jobs: 2 to format and write the lines in a second process. pace: of a
        replay, which keys change.
        """
        self.buckets = 0  # buckets judged so far
        self.alerting = 0  # buckets with an alert
        self.pause: Callable[[], None] = _go_on  # called from time to time while many lines are written
        self._out: LineFile | None = None
        self._log: LogFolder | None = None
        sinks: list[Callable[[Outcome], None]] = []
        shown = wanted(settings, typed)
        # on a terminal the chart replaces the lines
        out = None if settings.out == "-" else settings.out
        self._table: TableOut | None = None
        has_lines = bool(settings.out) or not (shown and sys.stdout.isatty())
        self._lines_shown = has_lines and out is None and sys.stdout.isatty()
        if out is not None and is_table(out):
            self._table = TableOut(out, settings.only == "alerts", live, stack, lambda line: tell([line]))
            sinks.append(self._table.accept)
        elif has_lines:
            flush = live or settings.speed is not None
            stream, only_alerts = self._stream(out, stack, live, settings.speed is not None), settings.only == "alerts"
            if jobs > 1 and not flush:
                lines = ForkedLines(stream, only_alerts)
                stack.callback(lines.close)
                sinks.append(lines.accept)
            else:
                sinks.append(JsonLines(_Pausing(stream, self), only_alerts, flush).accept)
        if settings.log:
            log = self._log = LogFolder(settings.log, settings.log_keep)
            stack.callback(lambda: tell(log.summary()))
            stack.callback(log.close)  # closed last, because the stack closes in reverse order
            sinks.append(log.accept)
        self._telling: NotificationSink | None = None
        if notify:
            if not live:  # after everything that closing may still send
                stack.callback(self._show_sent)
            self._telling = notifications(settings, os.environ, stack, lambda line: tell([line]), live)
        if self._telling is not None:
            sinks.append(self._telling.accept)
        self.display = stack.enter_context(Display(settings, reader, pace, typed)) if shown else None
        if self.display is not None:
            sinks.append(self.display.accept)
        self._sinks = sinks
        self._roles = RoleNotice(settings)
        stack.callback(lambda: tell(self._roles.finish()))

    def _stream(self, out: str | None, stack: ExitStack, live: bool, paced: bool) -> Writable:
        """Return the stream for the lines. A live run continues when its disk is full, but a replay fails."""
        if out is None:
            return Screen(sys.stdout) if sys.stdout.isatty() else sys.stdout.buffer
        if not live:
            return stack.enter_context(create_bytes(out, at_once=paced))
        try:
            self._out = LineFile(out, lambda line: tell([line]))
        except OSError as bad:
            raise IoFailure(f"{out}: {bad.strerror}") from bad
        stack.callback(self._out.close)
        stack.callback(lambda: tell(self._out.summary() if self._out is not None else []))
        return self._out

    def _show_sent(self) -> None:
        """Show the notifications of a replay as a table."""
        if self._telling is not None:
            for line in self._telling.sent.lines():
                with suppress(OSError):
                    click.echo(printable(line, None), err=True)

    def hear(self, ended: Callable[[Collection[str], str, str, str], None]) -> None:
        """Call `ended` with the result of each notification: incidents, event, channel, result."""
        if self._telling is not None:
            self._telling.hear(ended)

    @property
    def on_screen(self) -> bool:
        """Return whether the chart or the lines are on the terminal, so that nothing else may draw there."""
        return self.display is not None or self._lines_shown

    @property
    def quitting(self) -> bool:
        """Return whether the user asked to quit."""
        return self.display is not None and self.display.quitting

    @property
    def alerted(self) -> bool:
        """Return whether anything alerted."""
        return self.alerting > 0

    @property
    def lost(self) -> bool:
        """Return whether lines of --out were lost. Valid after everything is closed."""
        if self._table is not None:
            return self._table.lost > 0
        return self._out is not None and self._out.lost > 0

    def accept(self, outcome: Outcome) -> None:
        """Process one bucket's outcome."""
        self.buckets += 1
        self.alerting += outcome.alerted()
        said = self._roles.accept(outcome)
        if said:
            tell(said)
        for sink in self._sinks:
            sink(outcome)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Process the outcomes of several buckets."""
        for outcome in outcomes:
            self.accept(outcome)

    def reopen(self) -> None:
        """Reopen the files, which may have been renamed. Raise IoFailure if that fails."""
        try:
            if self._out is not None:
                self._out.reopen()
        except OSError as bad:
            raise IoFailure(f"--out: {bad.strerror}") from bad
        if self._log is not None:
            self._log.close()  # each of its files is reopened at the next write

    def positions(self) -> dict[str, Any]:
        """Return data for a state file, by name: unsent notifications, and waiting lines."""
        found: dict[str, Any] = {} if self._telling is None else {NOTIFICATIONS: self._telling.snapshot()}
        lines = self._out.waiting() if self._out is not None else ""
        if self._table is not None:
            found |= self._table.positions()
        return found | ({LINES: lines} if lines else {})

    def kept(self, kept: bool) -> None:
        """Note whether a state file contains the newest `positions`.

        If so, no notification must be sent in haste at the end.
        """
        if self._table is not None:
            self._table.keep(kept)
        if self._telling is not None:
            self._telling.keep(kept)

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Restore the `positions` found in the file `state`. Raise ConfigError if they are not valid."""
        if self._table is not None and LEFT in found:
            self._table.restore(found[LEFT], state)
        if self._out is not None and isinstance(found.get(LINES), str):
            self._out.take_back(found[LINES])
        if self._telling is None or NOTIFICATIONS not in found:
            return
        try:
            self._telling.restore(found[NOTIFICATIONS])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as bad:
            raise ConfigError(f"{state}: the notifications in it are damaged ({bad!r})") from bad

    @property
    def trouble(self) -> str:
        """Return why lines are waiting, or "" if none are."""
        found = (self._out.trouble if self._out is not None else "", self._log.trouble if self._log is not None else "")
        return "; ".join(filter(None, found))

    def tick(self) -> None:
        """Refresh the screen, and write waiting lines."""
        if self._out is not None:
            self._out.retry()
        if self._log is not None:
            self._log.retry()
        if self.display is not None:
            self.display.tick()


def _go_on() -> None:
    """Do nothing."""


class _Pausing:
    """A stream that calls a function between two blocks of lines."""

    def __init__(self, stream: Writable, outputs: Outputs) -> None:
        self._stream = stream
        self._outputs = outputs

    def write(self, data: bytes) -> int:
        """Write `data`, which consists of whole lines."""
        written = self._stream.write(data)
        self._outputs.pause()
        return written

    def flush(self) -> None:
        """Flush written data."""
        self._stream.flush()

"""Where the outcomes of a run go: lines, chart and summary, notifications, the log folder."""

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
NOTIFICATIONS: Final = "notifications:"  # among the sources of a state: no file is likely to be called that
LINES: Final = "lines:"  # there too: what waits for space on the disk of --out


class Outputs:
    """All sinks of one run as one. They are closed as `stack` closes."""

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
        """live: lines are flushed and added to what --out holds. reader: whose progress the chart shows.

        typed: the input comes from the keyboard.
        jobs: 2 to have the lines made and written by a second process. pace: of a replay, which keys change.
        """
        self.buckets = 0  # judged so far
        self.alerting = 0  # of these, with an alert
        self.pause: Callable[[], None] = _go_on  # called now and then while many lines are written
        self._out: LineFile | None = None
        self._log: LogFolder | None = None
        sinks: list[Callable[[Outcome], None]] = []
        shown = wanted(settings, typed)
        # on a terminal the chart takes the place of the lines
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
            stack.callback(log.close)  # first
            sinks.append(log.accept)
        self._telling: NotificationSink | None = None
        if notify:
            if not live:  # after all that closing still sends
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
        """What the lines are written to: a live run goes on when its disk is full, a replay is no use without."""
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
        """Show what a replay told, as a table."""
        if self._telling is not None:
            for line in self._telling.sent.lines():
                with suppress(OSError):
                    click.echo(printable(line, None), err=True)

    def hear(self, ended: Callable[[Collection[str], str, str, str], None]) -> None:
        """Let `ended` hear what becomes of each notification: incidents, step, channel, outcome."""
        if self._telling is not None:
            self._telling.hear(ended)

    @property
    def on_screen(self) -> bool:
        """Whether the chart or the lines are on the terminal, so that nothing else may draw there."""
        return self.display is not None or self._lines_shown

    @property
    def quitting(self) -> bool:
        """Whether somebody wants to see no more."""
        return self.display is not None and self.display.quitting

    @property
    def alerted(self) -> bool:
        """Whether anything alerted."""
        return self.alerting > 0

    @property
    def lost(self) -> bool:
        """Whether lines that --out should hold were lost; after all is closed."""
        if self._table is not None:
            return self._table.lost > 0
        return self._out is not None and self._out.lost > 0

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self.buckets += 1
        self.alerting += outcome.alerted()
        said = self._roles.accept(outcome)
        if said:
            tell(said)
        for sink in self._sinks:
            sink(outcome)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take several buckets' outcomes."""
        for outcome in outcomes:
            self.accept(outcome)

    def reopen(self) -> None:
        """Open the files anew, which may have been renamed; IoFailure where that cannot be."""
        try:
            if self._out is not None:
                self._out.reopen()
        except OSError as bad:
            raise IoFailure(f"--out: {bad.strerror}") from bad
        if self._log is not None:
            self._log.close()  # each of its files is opened when it is next written to

    def positions(self) -> dict[str, Any]:
        """For a state file, by name: what is left to tell, and the lines that wait for space."""
        found: dict[str, Any] = {} if self._telling is None else {NOTIFICATIONS: self._telling.snapshot()}
        lines = self._out.waiting() if self._out is not None else ""
        if self._table is not None:
            found |= self._table.positions()
        return found | ({LINES: lines} if lines else {})

    def kept(self, kept: bool) -> None:
        """Whether a state file holds the newest `positions`: then nothing need be told in haste at the end."""
        if self._table is not None:
            self._table.keep(kept)
        if self._telling is not None:
            self._telling.keep(kept)

    def restore(self, found: Mapping[str, Any], state: str) -> None:
        """Take over the `positions` found in the file `state`; ConfigError where that cannot be."""
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
        """Why lines wait to be written; empty while none do."""
        found = (self._out.trouble if self._out is not None else "", self._log.trouble if self._log is not None else "")
        return "; ".join(filter(None, found))

    def tick(self) -> None:
        """Keep the screen alive, and write what waits for space."""
        if self._out is not None:
            self._out.retry()
        if self._log is not None:
            self._log.retry()
        if self.display is not None:
            self.display.tick()


def _go_on() -> None:
    """Do nothing."""


class _Pausing:
    """A stream that lets others do something between two blocks of lines."""

    def __init__(self, stream: Writable, outputs: Outputs) -> None:
        self._stream = stream
        self._outputs = outputs

    def write(self, data: bytes) -> int:
        """Write `data`, whole lines."""
        written = self._stream.write(data)
        self._outputs.pause()
        return written

    def flush(self) -> None:
        """Hand on what was written."""
        self._stream.flush()

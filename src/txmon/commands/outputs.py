"""Where the outcomes of a run go: lines, chart and summary, notifications, the log folder."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

import click

from ..assembly import Reader
from ..notifying import notifications
from ..settings import Settings
from ..sinks.jsonl import JsonLines
from ..sinks.log import LogFolder
from ..verdict import Outcome
from .display import Display, wanted
from .output import append, create

TELLING = (
    "teams_webhook_file", "teams_format", "webhook_file", "webhook_secret_file", "apprise_file", "exec", "link",
    "digest", "quiet", "silence", "trend_every", "spool", "drain",
)  # fmt: skip


class Outputs:
    """All sinks of one run as one. They are closed as `stack` closes."""

    def __init__(self, settings: Settings, stack: ExitStack, notify: bool, live: bool, reader: Reader | None) -> None:
        """live: lines are flushed and added to what --out holds. reader: whose progress the chart shows."""
        self.alerted = False
        sinks: list[Callable[[Outcome], None]] = []
        shown = wanted(settings)
        # on a terminal the chart takes the place of the lines
        if settings.out or not (shown and sys.stdout.isatty()):
            opened = (append if live else create)(settings.out) if settings.out else None
            stream = stack.enter_context(opened) if opened is not None else sys.stdout
            flush = live or settings.speed is not None
            sinks.append(JsonLines(stream, settings.only == "alerts", flush).accept)
        if settings.log:
            log = LogFolder(settings.log, settings.log_keep)
            stack.callback(lambda: tell(log.summary()))
            stack.callback(log.close)
            sinks.append(log.accept)
        if notify:
            sinks.append(notifications(settings, os.environ, stack, lambda line: tell([line])).accept)
        self.display = stack.enter_context(Display(settings, reader)) if shown else None
        if self.display is not None:
            sinks.append(self.display.accept)
        self._sinks = sinks

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        self.alerted = self.alerted or any(verdict.recommendation == "alert" for verdict in outcome.verdicts)
        for sink in self._sinks:
            sink(outcome)

    def tick(self) -> None:
        """Keep the screen alive."""
        if self.display is not None:
            self.display.tick()


def tell(lines: list[str]) -> None:
    """Say something on standard error, a line each."""
    for line in lines:
        click.echo(f"txmon: {line}", err=True)

"""`txmon replay`: judge files as fast as they can be read."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import click

from ..assembly import pipeline_of, reader_of
from ..errors import ExitCode
from ..pace import Pace
from ..pipeline import Pipeline
from ..records import Record
from ..rejects import RejectLog
from ..sinks.jsonl import JsonLines
from ..verdict import Outcome
from .display import Display, wanted
from .options import load_config, options
from .output import create

READING = ("format", "map", "date", "tz", "by", "strict", "rejects", "max_line")
JUDGING = (
    "bucket", "lateness", "half_life", "mix_half_life", "warmup", "budget", "sigma", "min_count", "min_ratio",
    "direction", "level_shift", "rule", "mode", "explain", "idle", "max_series", "confirm", "clear", "join", "repeat",
)  # fmt: skip


@click.command(short_help="Judge files as fast as they can be read.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options(*READING, *JUDGING, "out", "only", "fail_on", "chart", "speed")
@click.option("--partial", is_flag=True, help="Alert early too, while a minute is still open, as watch does.")
def replay(files: tuple[str, ...], partial: bool, **flags: object) -> ExitCode:
    """Judge FILE... (- is standard input) as one stream, as fast as it can be read; gzip and zstd are unpacked.

    On a terminal the live chart takes the place of the lines, which --out FILE or a pipe still gets.

    Example: txmon replay transactions_1.csv transactions_2.csv --date 2026-03-02 --only alerts
    """
    settings = load_config(flags).settings
    alerted = False
    with ExitStack() as stack:
        log = RejectLog(settings.rejects, settings.strict)
        stack.callback(log.close)
        pipeline = pipeline_of(settings, live=False, partial=partial)
        stack.callback(_report, log, pipeline)
        reader = reader_of(settings, log, datetime.now(UTC).date())
        lines = None
        shown = wanted(settings)
        if settings.out or not (shown and sys.stdout.isatty()):
            stream = stack.enter_context(create(settings.out)) if settings.out else sys.stdout
            lines = JsonLines(stream, settings.only == "alerts", flush=settings.speed is not None)
        display = stack.enter_context(Display(settings, reader)) if shown else None
        pace = Pace(settings.speed, time.monotonic, time.sleep) if settings.speed else None
        for outcome in (_peeking if partial else Pipeline.run)(pipeline, reader.records(files)):
            if pace is not None:
                pace.wait(outcome.time, display.tick if display else lambda: None)
            alerted = alerted or any(verdict.recommendation == "alert" for verdict in outcome.verdicts)
            if lines is not None:
                lines.accept(outcome)
            if display is not None:
                display.accept(outcome)
    return ExitCode.ALERTED if alerted and settings.fail_on == "alert" else ExitCode.OK


def _peeking(pipeline: Pipeline, records: Iterable[Record]) -> Iterator[Outcome]:
    """All outcomes, with a look at the open buckets after every record."""
    for record in records:
        yield from pipeline.feed([record])
        yield from pipeline.peek()
    yield from pipeline.finish()


def _report(log: RejectLog, pipeline: Pipeline) -> None:
    """Say what was left out, a line a kind."""
    for line in [*log.summary(), *pipeline.bucketer.summary()]:
        click.echo(f"txmon: {line}", err=True)

"""`txmon replay`: judge files as fast as they can be read."""

import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import click

from ..assembly import pipeline_of, reader_of
from ..errors import ExitCode
from ..pace import Pace
from ..pipeline import Pipeline
from ..rejects import RejectLog
from ..sinks.jsonl import JsonLines
from .display import Display, wanted
from .experiment import Experiment
from .options import load_config, options
from .output import create

READING = ("format", "map", "date", "tz", "by", "strict", "rejects", "max_line")
JUDGING = (
    "bucket", "lateness", "half_life", "mix_half_life", "warmup", "budget", "sigma", "min_count", "min_ratio",
    "direction", "level_shift", "clear", "join", "repeat",
)  # fmt: skip


@click.command(short_help="Judge files as fast as they can be read.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options(*READING, *JUDGING, "out", "only", "fail_on", "chart", "speed")
@click.option("--inject", multiple=True, metavar="SPEC", help="What if? Adds an incident, as simulate's (repeatable).")
def replay(files: tuple[str, ...], inject: tuple[str, ...], **flags: object) -> ExitCode:
    """Judge FILE... (- is standard input) as one stream, as fast as it can be read; gzip and zstd are unpacked.

    On a terminal the live chart takes the place of the lines, which --out FILE or a pipe still gets.

    --inject denied:x2@14:00/20m adds what did not happen, and says whether and how soon it would have been caught.

    Example: txmon replay transactions_1.csv transactions_2.csv --date 2026-03-02 --only alerts
    """
    settings = load_config(flags).settings
    alerted = False
    today = datetime.now(UTC).date()
    experiment = Experiment(inject, settings, files, today)
    with ExitStack() as stack:
        stack.callback(experiment.report)
        log = RejectLog(settings.rejects, settings.strict)
        stack.callback(log.close)
        pipeline = pipeline_of(settings, live=False)
        stack.callback(_report, log, pipeline)
        reader = reader_of(settings, log, today)
        lines = None
        shown = wanted(settings)
        if settings.out or not (shown and sys.stdout.isatty()):
            stream = stack.enter_context(create(settings.out)) if settings.out else sys.stdout
            lines = JsonLines(stream, settings.only == "alerts", flush=settings.speed is not None)
        display = stack.enter_context(Display(settings, reader)) if shown else None
        pace = Pace(settings.speed, time.monotonic, time.sleep) if settings.speed else None
        for outcome in experiment.run(pipeline, reader.records(files)):
            if pace is not None:
                pace.wait(outcome.time, display.tick if display else lambda: None)
            alerted = alerted or any(verdict.recommendation == "alert" for verdict in outcome.verdicts)
            if lines is not None:
                lines.accept(outcome)
            if display is not None:
                display.accept(outcome)
    return ExitCode.ALERTED if alerted and settings.fail_on == "alert" else ExitCode.OK


def _report(log: RejectLog, pipeline: Pipeline) -> None:
    """Say what was left out, a line a kind."""
    for line in [*log.summary(), *pipeline.bucketer.summary()]:
        click.echo(f"txmon: {line}", err=True)

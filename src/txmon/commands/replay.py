"""`txmon replay`: judge files as fast as they can be read."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TextIO
from zoneinfo import ZoneInfo

import click

from ..buckets import Bucketer
from ..detector import Detector, DetectorConfig
from ..errors import IoFailure
from ..incidents import IncidentPolicy, IncidentTracker
from ..pipeline import Pipeline
from ..records import ParseOptions, Record, RecordParser, Reject
from ..rejects import RejectLog
from ..sinks.jsonl import JsonLines
from ..sources.file import FileSource
from ..times import TimeParser


@click.command(short_help="Judge files as fast as they can be read.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--out", metavar="FILE", help="Write the verdict lines there instead of to standard output.")
@click.option("--only", type=click.Choice(["all", "alerts"]), default="all", help="Which verdicts to write.")
@click.option("--rejects", metavar="FILE", help="Keep bad records there, whole and with their reason.")
@click.option("--strict", is_flag=True, help="Stop at the first bad record (exit 65).")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Date of times that have none (default: today).")
@click.option("--tz", default="UTC", help="Zone of times that name none.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Column that holds a field.")
@click.option("--by", default="", metavar="COLUMN,...", help="Judge every value of these columns by itself.")
@click.option("--format", "kind", type=click.Choice(["auto", "csv", "jsonl"]), default="auto")
def replay(files, out, only, rejects, strict, day, tz, mapping, by, kind):  # type: ignore[no-untyped-def]
    """Judge FILE... (- for standard input) as one stream; gzip and zstd are unpacked.

    Example: txmon replay transactions_1.csv transactions_2.csv --date 2026-03-02
    """
    first = day.date() if day else datetime.now(UTC).date()
    options = ParseOptions(kind, dict(pair.split("=", 1) for pair in mapping), tuple(filter(None, by.split(","))))
    log = RejectLog(rejects, strict)
    pipeline = Pipeline(Bucketer(60), Detector(DetectorConfig()), IncidentTracker(IncidentPolicy()))
    with ExitStack() as stack:
        stack.callback(log.close)
        stack.callback(_report, log, pipeline)
        sink = JsonLines(stack.enter_context(_open(out)) if out else sys.stdout, only == "alerts")
        for outcome in pipeline.feed(_records(files, options, TimeParser(ZoneInfo(tz), first), log)):
            sink.accept(outcome)
        for outcome in pipeline.finish():
            sink.accept(outcome)


def _records(files: tuple[str, ...], options: ParseOptions, times: TimeParser, log: RejectLog) -> Iterator[Record]:
    for path in files:
        with FileSource(path) as source:
            parser = RecordParser(source.name, options, times)
            for lines in source:
                for record in parser.parse(lines):
                    if isinstance(record, Reject):
                        log.add(record)
                    else:
                        yield record
            parser.finish()


def _open(path: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as bad:
        raise IoFailure(f"{path}: {bad.strerror}") from bad


def _report(log: RejectLog, pipeline: Pipeline) -> None:
    for line in log.summary():
        print(f"txmon: {line}", file=sys.stderr)
    late = pipeline.bucketer.late
    if late:
        print(f"txmon: {late} late records", file=sys.stderr)

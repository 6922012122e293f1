"""`txmon replay`: judges files as fast as they can be read."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

import click

from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, option
from txmon.cli.messages import tell
from txmon.cli.options import DRIVING, JUDGING, READING, WRITING, load_config, options
from txmon.cli.outputs import TELLING, Outputs
from txmon.cli.own_inputs import files_of, outputs_of, spare_inputs
from txmon.cli.progress_bar import progress, reading
from txmon.cli.sources import NAMES, source_of, source_options
from txmon.cli.understanding import understood
from txmon.cli.unseen_statuses import misspelt
from txmon.cli.verbose import Verbose
from txmon.errors import ExitCode, UsageError
from txmon.ingest.asked import Asked, PartlyObserved
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.model.clock import iso
from txmon.model.outcome import Outcome
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime.factory import pipeline_of
from txmon.runtime.pace import Pace
from txmon.runtime.readable import refuse_repeats
from txmon.runtime.reader import names_of, reader_of
from txmon.settings.declarations import Settings

T = TypeVar("T")
if TYPE_CHECKING:
    from txmon.detection.detail import DetailCounts

Judge = Callable[[Pipeline, Iterable[Record]], Iterator[Outcome]]
LARGE = 32 << 20  # bytes of files


@click.command(
    cls=Command,
    short_help="Judge files.",
    common=("map", "tz", "group_by", "bucket", "budget", "rule", "out", "only", "fail_on", "notify"),
)
@click.argument("files", nargs=-1, metavar="FILE...", shell_complete=a_file)
@source_options(live=False)
@options(*READING, *JUDGING, *DRIVING, *WRITING, "speed")
@option("--partial", section="Detection", is_flag=True, help="Also alert while a bucket is still open, as watch does.")
@option(
    "--inject",
    section="Input",
    multiple=True,
    metavar="SPEC",
    help="Add an incident that did not happen, as simulate does (repeatable).",
)
@option(
    "--detail",
    section="Input",
    metavar="FILE",
    help="Explain alerts by this second table of counts, for example by response code: time, code, count.",
)
@option(
    "--jobs",
    section="Output",
    type=click.IntRange(1, 2),
    help="Processes. With 2, one reads and judges and one writes. [default: 2 for large files]",
)
@option(
    "--notify",
    section="Notifications",
    is_flag=True,
    help="Notify people of incidents. Test it with `txmon notify --test`.",
)
@options(*TELLING)
def replay(
    files: tuple[str, ...],
    partial: bool,
    inject: tuple[str, ...],
    detail: str | None,
    jobs: int | None,
    notify: bool,
    **flags: object,
) -> ExitCode:
    """Judge FILE... (- is standard input) as one stream, as fast as it can be read. gzip and zstd are unpacked.

    On a terminal txmon shows a live chart instead of the lines. --out FILE or a pipe still receives the lines. Keys of
    the chart: q quits, ? lists all keys, i lists the incidents, t changes the range, arrows and Enter show one status,
    / filters, space pauses, + and - change the speed. At the end txmon lists the incidents.

    --inject denied:x2@14:00/20m adds an incident to the input, and reports whether and how soon txmon detects it.

    \b
    Examples:
      txmon replay transactions.csv --only alerts
      txmon replay monday.csv.gz tuesday.csv.gz --date 2026-03-02 --out verdicts.jsonl
      txmon replay transactions.csv --detail auth_codes.csv --only alerts
      txmon replay transactions.csv --inject denied:x2@14:00/20m --only alerts
      txmon replay --sql sqlite:///shop.db --query "SELECT created_at, status FROM payments"
    """
    taken = {name: flags.pop(name, None) for name in NAMES}
    config = load_config(flags)
    settings = config.settings
    verbose = Verbose(config)
    spare_inputs([*files, *([detail] if detail else []), *files_of(taken)], outputs_of(settings), settings)
    source = source_of(taken, settings, live=False)
    if not files and source is None:
        raise UsageError("Missing argument 'FILE...'. Name a file, or - for standard input.")
    if files and source is not None:
        raise UsageError("--sql and --prometheus replace FILE... Leave the files out.")
    if "-" in files and sys.stdin.isatty():
        tell(["reading from the keyboard. Ctrl-D ends it."])
    inputs: Sequence[str | Asked] = files if source is None else (source.rows(lambda line: tell([line])),)
    today = datetime.now(ZoneInfo(settings.tz)).date()
    _check(inject)  # before the input is opened
    with ExitStack() as stack:
        log = RejectLog(settings.rejects, settings.strict)
        stack.callback(log.close)
        reader = reader_of(settings, log, today, detailed=not inject)
        settings = understood(config, reader, inputs)
        judge = _judge(inject, settings, files, today, stack, _peeking if partial else Pipeline.run)
        pipeline = pipeline_of(settings, live=False, partial=partial, detailed=not inject)
        if detail is not None:
            pipeline.detail = _detail(detail, settings, log, today)
        stack.callback(
            lambda: tell([*log.summary(), *reader.summary(), *pipeline.summary(), *misspelt(settings, pipeline)])
        )
        pace = Pace(settings.speed, time.monotonic, time.sleep)
        typed = "-" in files and sys.stdin.isatty()
        outputs = Outputs(
            settings, stack, notify, live=False, reader=reader, jobs=jobs or _jobs(files), pace=pace, typed=typed
        )
        if inject or partial:  # experiments change single records, and early alerts follow single records
            from txmon.ingest.order import in_time_order

            outcomes = judge(pipeline, _noting(in_time_order(reader.records(inputs)), inputs, pipeline))
        else:
            outcomes = pipeline.run(_noting(reader.tallies(inputs, settings.bucket), inputs, pipeline))
        stack.enter_context(progress(reading(reader), wanted=not outputs.on_screen))
        for outcome in outcomes:
            pace.wait(outcome.time, outputs.tick)
            outputs.accept(outcome)
            if outputs.quitting:
                tell([f"ended by q at {iso(outcome.time)}. The rest of the input was not judged."])
                return _code(outputs, settings)
        verbose.finish(reader.read, outputs.buckets, outputs.alerting)
    if "id" not in settings.map:
        refuse_repeats(names_of(inputs), pipeline.bucketer.repeated, reader.read)
    reader.check(inputs)
    return _code(outputs, settings)


def _detail(path: str, settings: Settings, log: RejectLog, today: date) -> "DetailCounts":
    """Return the counts of a second table, whose column of statuses contains details that explain alerts."""
    from txmon.detection.detail import DetailCounts

    plain = replace(settings, map={}, group_by=(), drivers=(), wide=())
    reader = reader_of(plain, log, today)
    (reading,) = reader.readings([path])
    if not settings.no_reading:
        tell([reading.statement()])
    tallies = reader.tallies([path], settings.bucket)
    counts = ((tally.start, tally.counts.get((), {})) for tally in tallies)
    return DetailCounts(reading.columns.get("status", "detail"), counts)


def _code(outputs: Outputs, settings: Settings) -> ExitCode:
    return ExitCode.ALERTED if outputs.alerted and settings.fail_on == "alert" else ExitCode.OK


def _noting(items: Iterable[T], inputs: Iterable[object], pipeline: Pipeline) -> Iterable[T]:
    """Return `items`, and tell the pipeline which times were not observed, if an input knows that."""
    asked = [one.unobserved for one in inputs if isinstance(one, PartlyObserved)]
    return _noted(items, asked, pipeline) if asked else items


def _noted(items: Iterable[T], asked: Sequence[Callable[[], list[tuple[int, int]]]], pipeline: Pipeline) -> Iterator[T]:
    for item in items:
        for begin, end in (times for ask in asked for times in ask()):
            pipeline.coverage.miss(begin, end)
        yield item


def _check(specs: Sequence[str]) -> None:
    """Raise UsageError if one of `specs` is not a valid incident."""
    if specs:
        from txmon.evaluation.incident_spec import parse_incident

        for spec in specs:
            parse_incident(spec)


def _judge(
    specs: Sequence[str], settings: Settings, files: Sequence[str], today: date, stack: ExitStack, judge: Judge
) -> Judge:
    """Return `judge` with the incidents of `specs` added to its input.

    Their report is printed at the end of `stack`.
    """
    if not specs:
        return judge
    from txmon.cli.experiment import Experiment  # imported here because few replays inject incidents

    experiment = Experiment(specs, settings, files, today)
    stack.callback(experiment.report)
    return lambda pipeline, records: experiment.run(pipeline, records, judge)


def _jobs(files: tuple[str, ...]) -> int:
    """Return how many processes to use. Below LARGE bytes, starting a second one takes as long as it saves."""
    size = sum(os.path.getsize(path) for path in files if os.path.isfile(path))
    return 2 if size >= LARGE and len(os.sched_getaffinity(0)) > 1 else 1


def _peeking(pipeline: Pipeline, records: Iterable[Record]) -> Iterator[Outcome]:
    """Yield all outcomes, and look at the open buckets after every record."""
    for record in records:
        yield from pipeline.feed([record])
        yield from pipeline.peek()
    yield from pipeline.finish()

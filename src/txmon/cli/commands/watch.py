"""`txmon watch`: judges a live stream and resumes after a restart."""

import math
import os
import signal
import sys
import time
from contextlib import ExitStack
from fnmatch import fnmatch
from typing import Final
from zoneinfo import ZoneInfo

import click

from txmon.cli.help_page import Command, option
from txmon.cli.live_controls import LiveControls
from txmon.cli.messages import tell
from txmon.cli.options import DRIVING, JUDGING, READING, WRITING, load_config, options
from txmon.cli.outputs import TELLING, Outputs
from txmon.cli.own_inputs import files_of, is_pattern, outputs_of, spare_inputs
from txmon.cli.sources import NAMES, Source, source_of, source_options
from txmon.cli.verbose import Verbose
from txmon.errors import ExitCode, UsageError
from txmon.ingest.follow import PipeSource
from txmon.ingest.kafka import KafkaSource
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.factory import pipeline_of
from txmon.runtime.heartbeat import Vitals
from txmon.runtime.readable import check_readable
from txmon.runtime.reader import hints_of
from txmon.runtime.session import LiveSession, uptime
from txmon.runtime.signals import Stop, stopping
from txmon.runtime.state_lock import owned
from txmon.runtime.waiting import Waiting
from txmon.settings.declarations import Settings
from txmon.support.kafka_address import topic_of

FRAME: Final = 0.15  # seconds between two frames of the chart
IDLE: Final = 0.5  # seconds between two looks at the clock, without a chart


class _Watch(Command):
    """A command that suggests --follow or replay if a file is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments as click does. Raise UsageError."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as wrong:
            if "unexpected extra argument" not in wrong.message:
                raise
            hint = "--follow FILE reads a file as it grows, `txmon replay FILE` as it is"
            raise click.UsageError(f"{wrong.message}; {hint}", ctx) from None


@click.command(
    cls=_Watch,
    short_help="Judge a live stream.",
    common=("paths", "kafka", "begin", "group_by", "budget", "rule", "out", "only", "state", "notify"),
)
@option(
    "--follow",
    "paths",
    section="Source",
    multiple=True,
    metavar="FILE",
    help="Read this file as it grows (repeatable).",
)
@option(
    "--from",
    "begin",
    section="Source",
    metavar="start|end|TIME",
    help="Where to start without a state.  [default: start]",
)
@option(
    "--kafka",
    section="Source",
    metavar="SERVERS/TOPIC",
    help="Read this Kafka topic, one JSON object per message (txmon[kafka]).",
)
@option(
    "--group",
    section="Source",
    default="txmon",
    show_default=True,
    metavar="NAME",
    help="The consumer group for --kafka.",
)
@source_options(live=True)
@options(*READING, "max_ahead", *JUDGING, *DRIVING, "state", *WRITING, "heartbeat")
@option(
    "--notify",
    section="Notifications",
    is_flag=True,
    help="Notify people of incidents. Test it with `txmon notify --test`.",
)
@options(*TELLING)
def watch(
    paths: tuple[str, ...], begin: str | None, kafka: str | None, group: str, notify: bool, **flags: object
) -> ExitCode:
    """Judge a live stream: standard input or growing files. A strong deviation alerts before its minute closes.

    With --state FILE, a restart continues where the last run stopped: at the same row of followed files, with the same
    baselines, open minutes and incidents. SIGHUP reads the settings again, reopens the outputs and writes the state.
    SIGUSR1 prints statistics. SIGTERM writes the state and ends.

    On a terminal txmon shows a live chart. Its keys: q quits, ? lists all keys, i lists the incidents, t changes the
    range, arrows and Enter show one status, / filters, space pauses the picture.

    \b
    Examples:
      cat transactions.csv | txmon watch --only alerts
      txmon watch --follow app.jsonl --state txmon.state --out verdicts.jsonl
      txmon watch --kafka broker:9092/transactions --state txmon.state
      txmon watch --sql postgresql://me@db/shop --query "SELECT created_at, status FROM payments" --state s
    """
    taken = {name: flags.pop(name, None) for name in NAMES}
    config = load_config(flags)
    settings = config.settings
    verbose = Verbose(config)
    inputs = paths or (() if kafka or taken["query"] else ("-",))
    spare_inputs([*inputs, *files_of(taken)], outputs_of(settings), settings)
    other = source_of(taken, settings, live=True)
    if other is not None and (paths or kafka):
        raise UsageError("--sql and --prometheus cannot be combined with --follow or --kafka. Run a watch for each.")
    if len(set(paths)) < len(paths):
        raise UsageError("--follow names a file twice. Name each file once.")
    with ExitStack() as stack:
        stop = stack.enter_context(stopping())
        lock = stack.enter_context(owned(settings.state))
        session = _session(settings, stack)
        _begin(session, begin, paths, kafka)
        _open(session, paths, (kafka, group) if kafka else None, other, stack)
        typed = inputs == ("-",) and other is None and sys.stdin.isatty()
        outputs = Outputs(settings, stack, notify, live=True, reader=None, typed=typed)
        session.remember(session.feeds)
        session.remember(outputs)
        live = LiveControls(session, outputs, flags, lock=lock)
        vitals = Vitals(settings.heartbeat, os.environ, lambda line: tell([line]))
        vitals.start()
        stack.callback(vitals.stop)
        _loop(session, outputs, stop, live, vitals)
        verbose.finish(session.read, outputs.buckets, outputs.alerting)
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        # a run that was stopped, or that continues from a state, may have had no new rows
        nothing = not session.read and not stop.signal and settings.state is None
        unread = nothing or session.log.count > session.read
    if unread:
        names = ", ".join(feed.source.name for feed in session.feeds.all)
        check_readable(names, session.read, session.log)
    if outputs.lost:
        return ExitCode.IO
    return ExitCode.ALERTED if outputs.alerted and settings.fail_on == "alert" else ExitCode.OK


def _session(settings: Settings, stack: ExitStack) -> LiveSession:
    log = RejectLog(settings.rejects, settings.strict, lambda line: tell([line]))
    stack.callback(log.close)
    pipeline = pipeline_of(settings, live=True, partial=True, detailed=True)
    session = LiveSession(settings, pipeline, log, time.time, uptime, warn=lambda line: tell([line]))
    stack.callback(lambda: tell(session.summary()))
    session.restore()
    return session


def _open(
    session: LiveSession,
    paths: tuple[str, ...],
    topic: tuple[str, str] | None,
    other: Source | None,
    stack: ExitStack,
) -> None:
    """Open the sources. topic: SERVERS/TOPIC and the group."""
    kafka = _topic(session, *topic) if topic is not None else None
    patterns = [path for path in paths if is_pattern(path)]
    files = [session.follow(path) for path in paths if path not in patterns]
    for pattern in patterns:
        session.follow_pattern(pattern)
        if not any(fnmatch(feed.source.name, pattern) for feed in session.feeds.all):
            tell([f"{pattern}: no file matches yet; waiting for one"])
    tell([line for file in files for line in file.awaits()])
    if kafka is not None:
        stack.callback(kafka.close)
        session.read_from(kafka, kind="jsonl")  # a message has no header
    if other is not None:
        source = other.live(lambda line: tell([line]), session.position, hints_of(session.settings))
        stack.callback(source.close)
        feed = session.read_from(source, kind="jsonl")
        feed.taken = session.position(source.name)  # until a newer position is known
    piped = not session.feeds.all and not patterns
    if piped:
        if sys.stdin.isatty():
            tell(["reading from the keyboard. Ctrl-D ends it. --follow FILE reads a file."])
        session.read_from(PipeSource(0))
    session.begin(deaf=piped)


def _begin(session: LiveSession, begin: str | None, paths: tuple[str, ...], kafka: str | None) -> None:
    """Start where --from says. Raise UsageError if that is not possible."""
    if begin in (None, "start"):
        return
    if begin == "end":
        if not paths or kafka:
            raise UsageError("--from end needs --follow FILE.")
        session.from_end = True
        return
    try:
        times = TimeParser(ZoneInfo(session.settings.tz), session.settings.date)
        session.feeds.since = times.parse(str(begin))
    except ValueError:
        reason = f"--from {begin!r} is not valid. Use start, end, or a time like 2026-03-02T10:00Z."
        raise UsageError(reason) from None


def _topic(session: LiveSession, address: str, group: str) -> KafkaSource:
    place = topic_of(address)
    if place is None:
        raise UsageError(f"--kafka {address!r} is not SERVERS/TOPIC. Use for example broker:9092/transactions.")
    return KafkaSource(*place, group, session.position(f"kafka:{address}"))


def _loop(session: LiveSession, outputs: Outputs, stop: Stop, live: LiveControls, vitals: Vitals) -> None:
    """Run until every source has ended or a signal requests the end."""
    display, came = outputs.display, False
    sources = [feed.source for feed in session.feeds.all]
    keyboard = display.descriptor if display is not None else None
    others = (stop.reader, keyboard)
    with Waiting(sources, others, IDLE if display is None else FRAME, session.feeds.open_ended) as waiting:
        session.awake(math.inf)  # opening the sources does not count as an absence, even if it took long
        while not stop.signal and not session.feeds.ended():
            patience = waiting.patience(came)
            ready = waiting.wait(patience)
            session.awake(patience)
            if stop.signal or outputs.quitting:
                break
            if keyboard is not None and display is not None and display.descriptor is None:
                waiting.forget(keyboard)
            if stop.hangup():
                live.reload()
            if stop.statistics():
                live.report()
            came, outcomes = session.poll(ready)
            outputs.take(outcomes)
            if not came:
                outputs.take(session.tick())
            live.look()
            session.checkpoint()
            vitals.alive(session.troubles.text)
    session.keep()
    if session.settings.state is None and not stop.signal:
        outputs.take(session.finish())

"""`txmon watch`: judge a stream as it comes, and never lose its place."""

import os
import selectors
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from txmon.cli.options import JUDGING, READING, WRITING, load_config, options
from txmon.cli.outputs import TELLING, Outputs, tell
from txmon.errors import ExitCode, IoFailure, UsageError
from txmon.ingest.follow import FollowSource, LiveSource, PipeSource
from txmon.ingest.kafka import KafkaSource
from txmon.ingest.records import ParseOptions, RecordParser
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.model.outcome import Outcome
from txmon.runtime.acknowledgements import take_acknowledgements
from txmon.runtime.factory import pipeline_of, restore, save
from txmon.runtime.live import Feed, LiveRun, go_on
from txmon.runtime.state_file import Saver
from txmon.settings.declarations import Settings
from txmon.support.kafka_address import topic_of
from txmon.terminal.keyboard import Keys

IDLE: Final = 0.1  # seconds between two looks at a followed file, or two frames
FRAME: Final = 0.15
AWAY: Final = 2.0  # seconds that a turn of the loop takes only when something held txmon up
CATCH_UP: Final = 5.0  # seconds then given to whoever feeds it


class _Watch(click.Command):
    """Says what to do instead where a file is given as to replay."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; UsageError."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as wrong:
            if "unexpected extra argument" not in wrong.message:
                raise
            hint = "--follow FILE reads a file as it grows, `txmon replay FILE` as it is"
            raise click.UsageError(f"{wrong.message}; {hint}", ctx) from None


@click.command(cls=_Watch, short_help="Judge a stream as it comes.")
@click.option("--follow", "paths", multiple=True, metavar="FILE", help="Read this file as it grows (repeatable).")
@click.option("--kafka", metavar="SERVERS/TOPIC", help="Read this Kafka topic, a JSON object a message (txmon[kafka]).")
@click.option("--group", default="txmon", show_default=True, metavar="NAME", help="The consumer group for --kafka.")
@options(*READING, "max_ahead", *JUDGING, "state", *WRITING)
@click.option("--notify", is_flag=True, help="Tell people of incidents (txmon notify --test tries it).")
@options(*TELLING)
def watch(paths: tuple[str, ...], kafka: str | None, group: str, notify: bool, **flags: object) -> ExitCode:
    """Judge standard input, or files as they grow, live: each minute as it closes, and at once what is beyond its line.

    With --state FILE a restart goes on where the last run stopped: at the same row of followed files, with the same
    baselines, open minutes and incidents.

    \b
    Examples:
      cat transactions.csv | txmon watch --only alerts
      txmon watch --follow app.jsonl --state txmon.state --out verdicts.jsonl
      txmon watch --kafka broker:9092/transactions --state txmon.state
    """
    settings = load_config(flags).settings
    if len(set(paths)) < len(paths):
        raise UsageError("--follow names a file twice")
    with ExitStack() as stack:
        stop = stack.enter_context(_signals())
        watcher = _Watcher(settings, paths, (kafka, group) if kafka else None, notify, stack)
        watcher.loop(stop)
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
    if watcher.outputs.lost:
        return ExitCode.IO
    return ExitCode.ALERTED if watcher.outputs.alerted and settings.fail_on == "alert" else ExitCode.OK


class _Stop:
    """Whether a signal asked for the end, with a pipe that wakes whoever waits."""

    def __init__(self) -> None:
        self.signal = 0
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def ask(self, number: int, frame: object) -> None:
        """End soon; the second time, at once: a reader that takes nothing must not keep txmon for ever."""
        if self.signal:
            os._exit(128 + number)
        self.signal = number
        os.write(self._writer, b"x")

    def close(self) -> None:
        os.close(self.reader)
        os.close(self._writer)


@contextmanager
def _signals() -> Iterator[_Stop]:
    stop = _Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()


class _Watcher:
    """The parts of one live run, and the loop that turns them."""

    def __init__(
        self, settings: Settings, paths: tuple[str, ...], topic: tuple[str, str] | None, notify: bool, stack: ExitStack
    ) -> None:
        """topic: SERVERS/TOPIC and the group."""
        self._settings = settings
        self._log = RejectLog(settings.rejects, settings.strict, lambda line: tell([line]))
        stack.callback(self._log.close)
        self._pipeline = pipeline_of(settings, live=True, partial=True)
        stack.callback(lambda: tell([*self._log.summary(), *self._pipeline.summary()]))
        found = restore(self._pipeline, settings, settings.state) if settings.state else {}
        self._topic = _topic(*topic, found) if topic is not None else None
        files = [FollowSource(path, found.get(path)) for path in paths]
        tell([awaited for file in files if (awaited := file.awaits())])
        feeds = [self._feed(file, found.get(file.name)) for file in files]
        if self._topic is not None:
            stack.callback(self._topic.close)
            feeds.append(self._feed(self._topic, None))
        if not feeds:
            feeds.append(self._feed(PipeSource(0), None))
        self._run = LiveRun(
            self._pipeline, feeds, self._log, settings.max_ahead, time.time, time.monotonic
        )  # fmt: skip
        self.outputs = Outputs(settings, stack, notify, live=True, reader=None)
        self.outputs.restore(found, settings.state or "")
        self._keys = stack.enter_context(Keys()) if self.outputs.display is not None else None
        self._saver = Saver(time.monotonic())
        self._always: set[int] = set()
        self._warned = False
        self._until = 0.0  # monotonic seconds before which the clock closes nothing

    def _feed(self, source: LiveSource, position: dict[str, Any] | None) -> Feed:
        settings = self._settings
        # a message has no header
        kind = settings.format if source is not self._topic else "jsonl"
        kinds = ParseOptions(kind, settings.map, settings.by, settings.max_line)
        zone = ZoneInfo(settings.tz)
        now = datetime.now(zone)
        times = TimeParser(zone, settings.date or now.date(), None if settings.date else int(now.timestamp()))
        parser = RecordParser(source.name, kinds, times)
        if position is not None:
            go_on(parser, position, settings.state)
        return Feed(source, parser, position)

    def loop(self, stop: _Stop) -> None:
        """Go on until every source has ended or a signal asks for the end."""
        with selectors.DefaultSelector() as selector:
            selector.register(stop.reader, selectors.EVENT_READ)
            if self._keys is not None and self._keys.descriptor is not None:
                selector.register(self._keys.descriptor, selectors.EVENT_READ)
            self._always = self._register(selector)
            came, looked = False, time.monotonic()
            while not stop.signal and not self._run.ended():
                patience = self._patience(came)
                waited = {key.fd for key, _ in selector.select(patience)}
                looked = self._note_absence(looked, patience)
                if stop.signal or (self._keys is not None and self._keys.quit(waited, self._chart_keys)):
                    break
                came, outcomes = self._run.poll(waited | self._always)
                self._give(outcomes)
                if not came and looked >= self._until:
                    self._give(self._run.tick())
                self._between()
        self._finish(interrupted=bool(stop.signal))

    def _note_absence(self, looked: float, patience: float) -> float:
        """After having been stopped (Ctrl-Z, a paused machine), wait for the source to catch up; the time now.

        Who feeds us was stopped with us as often as not: its silence meanwhile is none of the stream's.
        """
        now = time.monotonic()
        if now - looked > patience + AWAY:
            self._until = now + CATCH_UP
        return now

    def _register(self, selector: selectors.BaseSelector) -> set[int]:
        """Wait for the sources that can be waited for; the descriptors that are always ready."""
        always = set()
        for feed in self._run.feeds:
            descriptor = feed.source.fileno()
            if descriptor is None:
                continue
            try:
                selector.register(descriptor, selectors.EVENT_READ)
            except PermissionError:  # a regular file as standard input
                always.add(descriptor)
        return always

    def _patience(self, came: bool) -> float:
        """Seconds to wait for something to come."""
        polled = any(feed.source.fileno() is None for feed in self._run.feeds)
        if self._always or (polled and came) or any(feed.source.holds() for feed in self._run.feeds):
            return 0.0
        if polled:
            return IDLE
        return FRAME if self.outputs.display is not None else 0.5

    def _give(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.outputs.accept(outcome)

    def _between(self) -> None:
        """What is done now and then: frames, acknowledgements, the state."""
        self.outputs.tick()
        now = time.monotonic()
        if (self._settings.state or self._topic) and self._saver.due(now):
            self._keep()
            self._saver.wrote(now, time.monotonic())

    def _keep(self) -> None:
        """Write the state, and only then tell Kafka that what is in it is read; without a state, that it is judged."""
        if self._settings.state:
            self._acknowledge()
            self._save()
        place = self._run.positions().get(self._topic.name) if self._topic is not None and not self._warned else None
        if self._topic is not None and place is not None:
            self._topic.saved(place)

    def _acknowledge(self) -> None:
        assert self._settings.state is not None
        for identity, normal in take_acknowledgements(self._settings.state):
            self._pipeline.acknowledge(identity, normal)

    def _save(self) -> None:
        """Write the state; where that fails, say so once and go on: detection is worth more than its memory."""
        assert self._settings.state is not None
        try:
            positions = {**self._run.positions(), **self.outputs.positions()}
            save(self._pipeline, self._settings, self._settings.state, positions)
            self._warned = False
        except IoFailure as bad:
            if not self._warned:
                tell([f"{bad}; going on without"])
            self._warned = True
        self.outputs.kept(not self._warned)

    def _finish(self, interrupted: bool) -> None:
        # the open minute is in the state, for the rows that are still to come
        self._keep()
        if self._settings.state:
            return
        if not interrupted:
            self._give(list(self._pipeline.finish()))

    def _chart_keys(self, key: str) -> None:
        assert self.outputs.display is not None
        self.outputs.display.press(key)


def _topic(address: str, group: str, found: Mapping[str, Any]) -> KafkaSource:
    place = topic_of(address)
    if place is None:
        raise UsageError(f"--kafka {address!r} is no SERVERS/TOPIC, like broker:9092/transactions")
    return KafkaSource(*place, group, found.get(f"kafka:{address}"))

"""A live session tells a feed that is silent from time that nobody observed, and from records that come late."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from txmon.ingest.follow import PipeSource
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.runtime.factory import pipeline_of
from txmon.runtime.session import CATCH_UP, STARVED, LiveSession
from txmon.server.engine import Engine
from txmon.settings.declarations import Settings

NOON = 1772452800  # 2026-03-02T12:00:00Z
MINUTE = 60


class World:
    """A live session with a pipe, and clocks that only the test moves."""

    def __init__(self, settings: Settings, now: float, live_only: bool = False) -> None:
        self.now = now
        self.told: list[str] = []
        self.outcomes: list[Outcome] = []
        pipeline = pipeline_of(settings, live=True, partial=True)
        self.session = LiveSession(
            settings, pipeline, RejectLog(), lambda: self.now, lambda: self.now, live_only, self._tell
        )
        self.session.restore()
        reader, self._writer = os.pipe()
        self._reader = reader
        self.source = PipeSource(reader)
        self.session.read_from(self.source)
        self.session.remember(self.session.feeds)
        self.send("time,status,count\n")

    def _tell(self, line: str) -> None:
        if not line.startswith("<stdin>: CSV"):  # how the input is read is not what these tests are about
            self.told.append(line)

    def send(self, text: str) -> None:
        os.write(self._writer, text.encode())
        self.outcomes += self.session.poll({self._reader})[1]

    def rows(self, begin: float, end: float, every: int = 10) -> None:
        """Send what happened between two moments: ten approved each ten seconds."""
        times = range(int(begin), int(end), every)
        self.send("".join(f"{time},approved,10\n{time},failed,1\n" for time in times))

    def wait(self, seconds: float) -> None:
        """Let time pass with a turn of the loop each second."""
        until = self.now + seconds
        while self.now < until:
            self.now += 1.0
            self.session.awake(1.0)
            self.outcomes += self.session.tick()

    def live(self, seconds: int) -> None:
        """Let time pass in which records come every ten seconds."""
        for _ in range(seconds // 10):
            self.rows(self.now, self.now + 1)
            self.wait(10)

    def reasons(self) -> dict[int, tuple[str, ...]]:
        """By minute since noon, why the total volume's final verdict is not an ordinary one."""
        found = {}
        for outcome in self.outcomes:
            for verdict in outcome.verdicts:
                if verdict.status == "*" and not verdict.partial:
                    found[(verdict.time - NOON) // MINUTE] = verdict.reasons
        return {minute: reasons for minute, reasons in found.items() if reasons}

    def alerts(self) -> int:
        return sum(v.recommendation == "alert" for o in self.outcomes for v in o.verdicts if not v.revises)

    def close(self) -> None:
        os.close(self._writer)
        os.close(self._reader)


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.close()


def world(worlds: list[World], settings: Settings | None = None, now: float = NOON, live_only: bool = False) -> World:
    worlds.append(World(settings or Settings(), now, live_only))
    return worlds[-1]


def test_a_feed_that_falls_silent_is_silent(worlds: list[World]) -> None:
    run = world(worlds)
    run.rows(NOON - 3600, NOON)
    run.live(300)
    run.wait(300)
    assert set(run.reasons().values()) == {("silence",)}
    assert min(run.reasons()) == 5


@pytest.mark.parametrize("rows_per_minute", [6, 1])
def test_a_record_ahead_of_the_wall_clock_closes_nothing(worlds: list[World], rows_per_minute: int) -> None:
    run = world(worlds)
    run.rows(NOON - 3600, NOON)
    for _ in range(10):
        ahead = run.now + 110
        run.send(f"{int(ahead)},approved,1\n" * 4)
        run.rows(run.now, run.now + 1)
        run.wait(60 // rows_per_minute)
    newest = max(outcome.time for outcome in run.outcomes if not outcome.verdicts[0].partial)
    assert newest + MINUTE <= run.now
    assert run.session.pipeline.bucketer.late == 0


def test_a_record_more_than_two_minutes_ahead_is_rejected_and_counted(worlds: list[World]) -> None:
    run = world(worlds)
    run.rows(NOON - 600, NOON)
    run.send(f"{NOON + 3540},approved,1\n")
    assert "future" in run.session.log.summary()[0]
    assert run.session.pipeline.bucketer.late == 0


def test_the_time_in_which_the_process_was_stopped_is_unobserved_for_a_pipe(worlds: list[World]) -> None:
    run = world(worlds)
    run.session.begin(deaf=True)
    run.rows(NOON - 3600, NOON)
    run.live(300)
    run.now += 600  # Ctrl-Z, and its writer dropped what it could not write
    run.session.awake(1.0)
    run.live(180)
    marked = run.reasons()
    assert set(marked.values()) == {("unobserved",)}
    assert (min(marked), max(marked)) == (5, 14)
    assert run.alerts() == 0


def test_a_followed_files_silence_is_real_though_the_process_was_stopped(worlds: list[World]) -> None:
    run = world(worlds)
    run.session.begin(deaf=False)
    run.rows(NOON - 3600, NOON)
    run.live(300)
    run.now += 600
    run.session.awake(1.0)
    run.live(180)
    assert set(run.reasons().values()) >= {("silence",)}


def test_between_two_pipes_nobody_listened_and_later_gaps_are_silence(worlds: list[World], tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    first = world(worlds, settings, NOON + 7200)
    first.session.begin(deaf=True)
    first.rows(NOON - 3600, NOON)
    first.session.keep()
    second = world(worlds, settings, NOON + 7201)
    second.session.begin(deaf=True)
    second.rows(NOON + 900, NOON + 1800)
    second.rows(NOON + 2400, NOON + 2700)
    marked = second.reasons()
    assert {m for m, reasons in marked.items() if reasons == ("unobserved",)} == set(range(15))
    assert {m for m, reasons in marked.items() if reasons == ("silence",)} == set(range(30, 40))


def test_a_pipe_that_goes_on_at_once_is_as_if_it_had_not_ended(worlds: list[World], tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    for begin, end in ((NOON - 3600, NOON - 20), (NOON - 20, NOON + 600)):
        run = world(worlds, settings, NOON + 7200)
        run.session.begin(deaf=True)
        run.rows(begin, end)
        run.session.keep()
        assert run.reasons() == {}


def test_while_a_server_did_not_run_nobody_listened(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    clock = [float(NOON)]

    def served() -> Engine:
        engine = Engine(settings, pipeline_of(settings, live=True, partial=True), lambda: clock[0])
        engine.session.restore()
        engine.session.remember(engine)
        return engine

    def post(engine: Engine, begin: int, end: int) -> list[Outcome]:
        records = [Record(t, s, n) for t in range(begin, end, 10) for s, n in (("approved", 10), ("failed", 1))]
        return list(engine.session.feed(records))

    before = served()
    post(before, NOON - 3600, NOON)
    clock[0] += 20  # the minute is a third over when it stops
    post(before, NOON, NOON + 20)
    assert before.save()
    clock[0] += 840
    after = served()
    clock[0] = NOON + 1200
    outcomes = post(after, NOON + 900, NOON + 1200)
    marks = {(v.time - NOON) // 60: v.reasons for o in outcomes for v in o.verdicts if v.status == "*" and v.reasons}
    assert marks == dict.fromkeys(range(15), ("unobserved",))
    assert [e for o in outcomes for e in o.events] == []


def test_delivery_in_bursts_is_learned_and_said_once(worlds: list[World]) -> None:
    run = world(worlds)
    run.rows(NOON - 3600, NOON)
    for n in range(12):
        before = run.alerts()
        run.wait(180)
        run.rows(run.now - 180, run.now)
        if n > 2:
            assert run.alerts() == before, n
    assert [line for line in run.told if "bursts" in line] == run.told
    assert len(run.told) == 1
    assert "--lateness" in run.told[0]
    assert run.session.pipeline.bucketer.lateness >= 115


def test_with_a_lateness_of_ones_own_it_is_only_said(worlds: list[World]) -> None:
    run = world(worlds, Settings(lateness=5))
    run.rows(NOON - 3600, NOON)
    for _ in range(6):
        run.wait(180)
        run.rows(run.now - 180, run.now)
    assert len(run.told) == 1
    assert "use --lateness" in run.told[0]
    assert run.session.pipeline.bucketer.lateness == 5


def test_a_source_without_a_connection_is_not_silent(worlds: list[World]) -> None:
    run = world(worlds)
    run.rows(NOON - 3600, NOON)
    run.live(300)
    run.source.connected = False  # type: ignore[attr-defined]
    run.wait(900)
    assert run.reasons() == {}
    assert "not connected" in run.session.troubles.text
    run.source.connected = True  # type: ignore[attr-defined]
    run.wait(1)
    run.rows(NOON + 300, run.now)  # the topic delivers what it held
    run.wait(CATCH_UP + 60)
    assert run.session.troubles.text == ""
    assert [minute for minute in run.reasons() if minute < 20] == []
    assert run.session.pipeline.bucketer.late == 0


def test_after_an_hour_without_a_connection_minutes_are_unobserved(worlds: list[World]) -> None:
    run = world(worlds)
    run.rows(NOON - 3600, NOON)
    run.live(300)
    run.source.connected = False  # type: ignore[attr-defined]
    run.wait(STARVED + 120)
    marked = run.reasons()
    assert set(marked.values()) == {("unobserved",)}
    assert len(marked) > 55
    assert run.alerts() == 0

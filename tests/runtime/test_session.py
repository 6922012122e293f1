"""The live session that `watch` and `serve` share: its state, its clocks, its troubles, and what it does with time."""

import gzip
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from txmon.errors import ConfigError
from txmon.ingest.follow import PipeSource
from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.runtime.acknowledgements import Word, leave_word
from txmon.runtime.event_clock import EventClock
from txmon.runtime.factory import pipeline_of
from txmon.runtime.session import SERVE, LiveSession, Troubles
from txmon.server.engine import Engine
from txmon.settings.declarations import Settings
from txmon.sinks.lines import verdict_line

START = 1772409600  # 2026-03-02T00:00:00Z


class Time:
    """A clock that only the test moves."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def session(
    settings: Settings, wall: Time, moment: Time, live_only: bool = False, warn: Callable[[str], None] | None = None
) -> LiveSession:
    return LiveSession(settings, pipeline_of(settings, live=True), RejectLog(), wall, moment, live_only, warn)


def rows(first: int, last: int) -> list[bytes]:
    """Rows of the minutes from `first` on; from the 60th minute on, much fails."""
    return [
        f"2026-03-02T{minute // 60:02}:{minute % 60:02}:00Z,{status},{count}\n".encode()
        for minute in range(first, last)
        for status, count in (("approved", 100 + minute % 3), ("failed", 60 if minute >= 60 else 1 + minute % 2))
    ]


def lines_of(outcomes: list[Outcome]) -> list[str]:
    return [verdict_line(verdict) for outcome in outcomes for verdict in outcome.verdicts]


def drain(run: LiveSession) -> list[str]:
    lines: list[str] = []
    came = True
    while came:
        came, outcomes = run.poll(())
        lines += lines_of(outcomes)
    return lines


def test_a_restart_at_any_moment_gives_the_verdicts_of_a_run_without_one(tmp_path: Path) -> None:
    log = tmp_path / "app.csv"
    parts = [rows(0, 31), rows(31, 62), rows(62, 90)]

    def verdicts(restarts: bool) -> list[str]:
        log.write_bytes(b"time,status,count\n")
        settings = Settings(state=str(tmp_path / f"state-{restarts}"))
        found: list[str] = []
        run: LiveSession | None = None
        for part in parts:
            with log.open("ab") as file:
                file.writelines(part)
            if run is None or restarts:
                run = session(settings, Time(START + 7200), Time(0.0))  # after all rows: none is from the future
                run.restore()
                run.follow(str(log))
                run.remember(run.feeds)
            found += drain(run)
            run.keep()
        return found

    straight = verdicts(restarts=False)
    assert any('"alert"' in line for line in straight)
    assert verdicts(restarts=True) == straight


def test_serve_and_watch_continue_in_a_file_from_each_others_state(tmp_path: Path) -> None:
    log = tmp_path / "app.csv"
    settings = Settings(state=str(tmp_path / "state"))
    log.write_bytes(b"time,status,count\n" + b"".join(rows(0, 1)))
    watching = session(settings, Time(START + 600), Time(0.0))
    watching.restore()
    watching.follow(str(log))
    watching.remember(watching.feeds)
    drain(watching)
    watching.keep()
    for first in (1, 2):  # from the state of watch, then from its own
        with log.open("ab") as file:
            file.writelines(rows(first, first + 1))
        engine = Engine(settings, pipeline_of(settings, live=True, partial=True), Time(START + 600))
        engine.session.restore()
        engine.session.remember(engine)
        engine.session.follow(str(log))
        drain(engine.session)
        assert engine.save()
    with log.open("ab") as file:
        file.writelines(rows(3, 5))
    watching = session(settings, Time(START + 600), Time(0.0))
    watching.restore()
    watching.follow(str(log))
    closed = [json.loads(line) for line in drain(watching)]
    assert [line["count"] for line in closed if line["status"] == "approved"] == [101, 102]
    assert watching.pipeline.bucketer.late == 0


@pytest.mark.parametrize("own", [{"positions": 3}, [], "x", {"positions": {}}])
def test_a_file_called_as_the_servers_part_of_the_state_is_not_taken_for_it(own: object, tmp_path: Path) -> None:
    run = session(Settings(), Time(START), Time(0.0))
    run._found = {SERVE: own, "f": {"offset": 1}}
    assert run.position("f") == {"offset": 1}
    assert run.position("g") is None
    if own == {"positions": {}}:
        assert run.position(SERVE) is None


def test_the_clock_closes_nothing_while_the_run_may_have_missed_records() -> None:
    wall, moment = Time(START), Time(100.0)
    run = session(Settings(), wall, moment)
    reader, writer = os.pipe()
    run.read_from(PipeSource(reader))
    os.write(writer, b"time,status,count\n" + rows(0, 1)[0])
    run.awake(1.0)
    run.poll({reader})
    moment.now += 70.0  # the process was stopped
    run.awake(1.0)
    assert list(run.tick()) == []
    moment.now += 4.0
    run.awake(4.0)
    assert list(run.tick()) == []
    moment.now += 1.0
    run.awake(1.0)
    assert [outcome.time for outcome in run.tick()] == [START]
    assert run.changed
    os.close(writer)
    run.poll({reader})
    assert run.feeds.ended()
    os.close(reader)


def test_a_server_hurries_no_past_that_is_posted() -> None:
    wall = Time(START + 86400.0)
    run = session(Settings(), wall, wall, live_only=True)
    reader, writer = os.pipe()
    run.read_from(PipeSource(reader))
    os.write(writer, b"time,status,count\n" + rows(0, 1)[0])
    run.poll({reader})
    wall.now += 3600
    assert (run.live, list(run.tick())) == (False, [])
    os.close(writer)
    os.close(reader)


def test_a_state_that_cannot_be_written_is_told_once_and_again_after_it_worked(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    told: list[str] = []
    kept: list[bool] = []
    run = session(Settings(state=str(folder / "state")), Time(START), Time(0.0), warn=told.append)

    class Part:
        def positions(self) -> Mapping[str, Any]:
            return {"part": 1}

        def restore(self, found: Mapping[str, Any], state: str) -> None:
            assert not found

        def kept(self, written: bool) -> None:
            kept.append(written)

    run.remember(Part())
    assert [run.save(), run.save()] == [False, False]
    assert "cannot be written" in run.troubles.text
    assert run.changed
    folder.mkdir()
    assert run.save()
    assert (run.troubles.text, run.saved, run.save_failures) == ("", START, 2)
    assert json.loads(gzip.decompress((folder / "state").read_bytes()))["sources"]["part"] == 1
    (folder / "state").unlink()
    folder.rmdir()
    assert not run.save()
    assert [line.endswith(". txmon continues without it") for line in told] == [True, True]
    assert kept == [False, False, True, False]


def test_a_part_that_the_state_does_not_fit_ends_the_run(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    run = session(settings, Time(START), Time(0.0))
    run.keep()
    path = tmp_path / "state"
    row = json.loads(gzip.decompress(path.read_bytes()))
    row["sources"][SERVE] = {"newest": "x"}
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    engine = Engine(settings, pipeline_of(settings, live=True, partial=True), Time(START))
    engine.session.restore()
    with pytest.raises(ConfigError, match="is damaged"):
        engine.session.remember(engine)


def test_what_ack_left_is_taken_when_the_state_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "app.csv"
    log.write_bytes(b"time,status,count\n" + b"".join(rows(0, 70)))
    settings = Settings(state=str(tmp_path / "state"))
    run = session(settings, Time(START + 7200), Time(0.0))
    run.follow(str(log))
    run.remember(run.feeds)
    drain(run)
    (incident,) = run.pipeline.tracker.open()
    leave_word(settings.state or "", Word("ack", incident.id))
    run.keep()
    assert [one.acknowledged for one in run.pipeline.tracker.open()] == [True]


def test_what_was_acknowledged_while_nothing_ran_counts_before_the_first_record(tmp_path: Path) -> None:
    log = tmp_path / "app.csv"
    log.write_bytes(b"time,status,count\n" + b"".join(rows(0, 70)))
    settings = Settings(state=str(tmp_path / "state"))
    run = session(settings, Time(START + 7200), Time(0.0))
    run.follow(str(log))
    run.remember(run.feeds)
    drain(run)
    run.keep()
    (incident,) = run.pipeline.tracker.open()
    leave_word(settings.state or "", Word("ack", incident.id, "ana", "known"))
    again = session(settings, Time(START + 7200), Time(0.0))
    again.restore()
    [one] = again.pipeline.tracker.open()
    assert (one.acknowledged, one.by, one.note) == (True, "ana", "known")


def test_the_event_clock_goes_on_after_a_restart() -> None:
    clock, again = EventClock(), EventClock()
    again.restore(clock.snapshot())
    assert again.now(5.0) is None
    clock.note(1000, 5000.0, 5.0)
    again.restore(clock.snapshot())
    assert again.now(65.0) == 1060
    with pytest.raises(ValueError, match="could not convert"):
        again.restore("x")  # type: ignore[arg-type]


def test_troubles_are_counted_from_several_threads() -> None:
    troubles = Troubles()
    new: list[bool] = []
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        for _ in range(500):
            new.append(troubles.add("state", "full"))
            assert troubles.text in ("", "full")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert new.count(True) == 1
    troubles.add("output", "gone")
    assert troubles.text == "full; gone"
    troubles.clear("state")
    troubles.clear("state")
    assert ("state" in troubles, "output" in troubles, troubles.text) == (False, True, "gone")

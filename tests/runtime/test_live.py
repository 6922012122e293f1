"""Live sources: growing, renamed, cut, torn and merged files; the clock; the keys; acknowledgements."""

import gzip
import os
import random
from datetime import UTC, date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txmon.errors import IoFailure
from txmon.ingest.follow import FollowSource, PipeSource
from txmon.ingest.records import ParseOptions, RecordParser
from txmon.ingest.rejects import RejectLog
from txmon.ingest.rotation import rotated
from txmon.ingest.timestamps import TimeParser
from txmon.model.outcome import Outcome
from txmon.runtime.acknowledgements import Word, leave_word, take_words, words_left
from txmon.runtime.actions import do
from txmon.runtime.event_clock import EventClock
from txmon.runtime.factory import pipeline_of
from txmon.runtime.session import LiveSession
from txmon.settings.declarations import Settings
from txmon.sinks.lines import verdict_line
from txmon.support.line_file import LineFile

NOW = 1772500000.0


def parser(name: str = "f") -> RecordParser:
    return RecordParser(name, ParseOptions(), TimeParser(UTC, date(2026, 3, 2)))


def drain(source: FollowSource) -> list[bytes]:
    lines = []
    while (chunk := source.read()) is not None:
        lines += chunk.lines
    return lines


def test_a_file_that_is_not_there_yet_grows_and_ends_in_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    source = FollowSource(str(path))
    assert source.read() is None
    with path.open("ab", buffering=0) as file:
        file.write(b"one\ntw")
        assert drain(source) == [b"one"]
        file.write(b"o\nthree\n")
        assert drain(source) == [b"two", b"three"]
    position = source.position(14)
    assert position is not None
    assert [(p["inode"], p["offset"], p["begins"]) for p in position["files"]] == [(path.stat().st_ino, 14, False)]


def test_a_file_that_stays_away_is_reported_and_so_is_its_return(tmp_path: Path) -> None:
    path, moment, said = tmp_path / "app.log", [0.0], list[str]()
    path.write_bytes(b"one\n")
    source = FollowSource(str(path), say=said.append, monotonic=lambda: moment[0])
    matched = FollowSource(str(path), say=said.append, lasting=False, monotonic=lambda: moment[0])
    assert drain(source) == drain(matched) == [b"one"]
    path.unlink()
    for moment[0] in (1.0, 10.0):  # a rotation takes less
        assert (drain(source), drain(matched), said, source.awaits()) == ([], [], [], "")
    moment[0] = 12.0
    assert drain(source) == drain(matched) == []
    gone = f"{path}: no such file any more; waiting for a new one"
    assert (said, source.awaits(), matched.awaits()) == ([gone], gone, "")
    path.write_bytes(b"two\n")
    assert drain(source) == [b"two"]
    assert (said[1:], source.awaits()) == ([f"{path}: exists again"], "")


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("packs", [False, True])
def test_a_rotation_between_two_looks_at_the_folder_hides_no_file(
    at: int, packs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two copies are rotated before anybody looked, and a third one after the folder was listed for the `at`th time."""
    path, said, listed = tmp_path / "app.log", list[str](), [0]
    path.write_bytes(b"".join(b"line %d of the file\n" % n for n in range(100)))
    source = FollowSource(str(path), say=said.append)
    assert len(drain(source)) == 100

    def rotate(line: bytes) -> None:
        for number in range(5, 0, -1):
            old = tmp_path / f"app.log.{number}"
            if old.exists():
                old.rename(tmp_path / f"app.log.{number + 1}")
        (tmp_path / "app.log.1").write_bytes(path.read_bytes())
        path.write_bytes(line)

    def list_and_rotate(name: str) -> list[Path]:
        found = rotated(name)
        listed[0] += 1
        if listed[0] == at + 1:
            second = tmp_path / "app.log.2"
            if packs and second.exists():
                second.with_name("app.log.2.gz").write_bytes(gzip.compress(second.read_bytes()))
                os.utime(second.with_name("app.log.2.gz"), ns=(second.stat().st_atime_ns, second.stat().st_mtime_ns))
                second.unlink()
            else:
                rotate(b"four\n")
        return found

    rotate(b"two\n")
    rotate(b"three\n")
    monkeypatch.setattr("txmon.ingest.follow.rotated", list_and_rotate)
    lines = drain(source)
    if not packs and listed[0] > at:
        lines += drain(source)
        assert lines == [b"two", b"three", b"four"]
    else:
        assert (lines, said) == ([b"two", b"three"], [])


def test_a_file_that_is_truncated_and_then_renamed_before_anybody_looks_is_read(tmp_path: Path) -> None:
    path, said = tmp_path / "app.log", list[str]()
    path.write_bytes(b"".join(b"line %d of the file\n" % n for n in range(100)))
    source = FollowSource(str(path), say=said.append)
    assert len(drain(source)) == 100
    (tmp_path / "app.log.2").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    with path.open("ab") as file:
        file.write(b"two\n")
    path.rename(tmp_path / "app.log.1")
    path.write_bytes(b"three\n")
    assert (drain(source), said) == ([b"two", b"three"], [])


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    moment = [0.0]
    source = FollowSource(str(path), monotonic=lambda: moment[0])
    assert drain(source) == [b"one"]
    with path.open("ab", buffering=0) as old:
        path.rename(tmp_path / "app.log.1")
        old.write(b"two\nlast")
    assert drain(source) == [b"two"]
    path.write_bytes(b"three\n")
    assert drain(source) == [b"three"]
    moment[0] = 6.0  # nobody goes on with the line that the renamed file ends with
    assert drain(source) == [b"last"]


def test_a_file_cut_short_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    source = FollowSource(str(path))
    assert drain(source) == [b"one", b"two"]
    path.write_bytes(b"new\n")
    chunk = source.read()
    assert chunk is not None
    assert (chunk.lines, chunk.begins) == ([b"new"], True)


@pytest.mark.parametrize("renamed", [False, True])
def test_a_restart_goes_on_where_it_was(renamed: bool, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    first = FollowSource(str(path))
    first.read()
    position = first.position(4)
    if renamed:
        path.rename(tmp_path / "app.log.1")
        path.write_bytes(b"four\n")
    again = FollowSource(str(path), position)
    assert drain(again) == [b"two", b"three", *([b"four"] if renamed else [])]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_place_of_an_older_version_is_understood(renamed: bool, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"time,status\n2026-03-02T10:00Z,denied\n2026-03-02T10:01Z,denied\n")
    first = parser(str(path))
    assert len(list(first.parse([b"time,status", b"2026-03-02T10:00Z,denied"]))) == 1
    position = {"inode": path.stat().st_ino, "offset": 37, "begins": False, "parser": first.snapshot()}
    if renamed:
        path.rename(tmp_path / "app.log.1")
        path.write_bytes(b"status,time\ndenied,2026-03-02T10:02Z\n")
    run = run_of([path], {str(path): position}, [0.0])
    found = []
    for _ in range(3):
        for batch in run.feeds.read(())[1]:
            found += [item for item in batch.records if item.time]
    assert len(found) == 1 + renamed
    assert not run.log.count


def test_a_header_is_met_again_in_every_new_file() -> None:
    reader = parser()
    assert len(list(reader.parse([b"time,status,count", b"10:00,denied,1"]))) == 1
    reader.begin()
    assert len(list(reader.parse([b"time,status,count", b"10:01,denied,1"]))) == 1
    reader.begin()
    assert len(list(reader.parse([b"10:02,denied,1"]))) == 1
    other = parser()
    other.restore(reader.snapshot())
    assert list(other.parse([b"10:03,denied,4"])) == list(reader.parse([b"10:03,denied,4"]))


def test_rows_from_the_future_are_rejected_but_a_files_own_day_is_not() -> None:
    reader = parser()
    reader.admit(1772409600, 3600)  # midnight
    rows = [f"{hour:02}:00,denied,1".encode() for hour in range(24) for _ in range(2)]
    kinds = [getattr(r, "kind", "") for r in reader.parse([b"time,status,count", *rows, b"2099-01-01,denied,1"])]
    assert kinds == [""] * 48 + ["future"]


def run_of(
    paths: list[Path], positions: dict[str, object], monotonic: list[float], wall: list[float] | None = None
) -> LiveSession:
    wanted = Settings()
    run = LiveSession(
        wanted, pipeline_of(wanted, live=True), RejectLog(), lambda: NOW if wall is None else wall[0],
        lambda: monotonic[0],
    )  # fmt: skip
    for path in paths:
        position = positions.get(str(path))
        found = position if isinstance(position, dict) else None
        feed = run.read_from(FollowSource(str(path), found), parser(str(path)))
        if found is not None:
            feed.resume(found, None)
    return run


def minutes(count: int, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    rows = []
    for minute in range(count):
        moment = f"2026-03-02T{minute // 60:02}:{minute % 60:02}:{rng.randrange(60):02}Z"
        rows.append(f"{moment},approved,{rng.randint(80, 120)}".encode())
        rows.append(f"{moment},denied,{40 if 80 <= minute < 90 else rng.randint(5, 15)}".encode())
    return rows


def lines_of(outcomes: list[Outcome]) -> list[str]:
    return [verdict_line(verdict) for outcome in outcomes for verdict in outcome.verdicts if not verdict.partial]


def everything(run: LiveSession) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while True:
        came, more = run.poll(())
        if not came:
            return outcomes
        outcomes += more


@given(cuts=st.lists(st.integers(1, 5000), max_size=8), restarts=st.lists(st.booleans(), min_size=9, max_size=9))
@settings(max_examples=20, deadline=None)
def test_any_growth_and_any_restart_give_the_same(
    cuts: list[int], restarts: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("follow")
    whole = folder / "whole.csv"
    raw = b"\n".join([b"time,status,count", *minutes(120, 1)]) + b"\n"
    whole.write_bytes(raw)
    expected = lines_of(everything(run_of([whole], {}, [0.0])))
    growing = folder / "growing.csv"
    growing.write_bytes(b"")
    run = run_of([growing], {}, [0.0])
    found: list[str] = []
    for (a, b), restart in zip(pairwise(sorted({0, *cuts, len(raw)})), restarts, strict=False):
        with growing.open("ab") as file:
            file.write(raw[a:b])
        found += lines_of(everything(run))
        if restart:
            state, positions = run.pipeline.snapshot(), run.feeds.positions()
            run = run_of([growing], positions, [0.0])
            run.pipeline.restore(state)
    assert found == expected


def test_two_files_with_a_backlog_are_one_stream(tmp_path: Path) -> None:
    rows = minutes(1440, 2)
    both, denied, approved = (tmp_path / name for name in ("both.csv", "denied.csv", "approved.csv"))
    header = b"time,status,count\n"
    both.write_bytes(header + b"\n".join(rows) + b"\n")
    denied.write_bytes(header + b"\n".join(row for row in rows if b"denied" in row) + b"\n")
    # the same rows, but in a file so large that it is read in many blocks
    padded = [row + b" " * 400 for row in rows if b"approved" in row]
    approved.write_bytes(header + b"\n".join(padded) + b"\n")
    expected = lines_of(everything(run_of([both], {}, [0.0])))
    run = run_of([denied, approved], {}, [0.0])
    found = lines_of(everything(run))
    assert sorted(found) == sorted(expected)
    assert run.pipeline.bucketer.late == 0


def test_the_event_clock_goes_on_between_rows_and_never_back() -> None:
    clock = EventClock()
    assert clock.now(5.0) is None
    clock.note(1000, 5000.0, 5.0)
    assert [clock.now(5.0), clock.now(65.0)] == [1000, 1060]
    clock.note(1010, 5060.0, 65.0)  # a row that came late
    assert clock.now(65.0) == 1060
    clock.note(1100, 5060.0, 65.0)
    assert clock.now(66.0) == 1101


def test_a_row_from_the_future_sets_no_clock_ahead() -> None:
    clock = EventClock()
    clock.note(9000, 5000.0, 5.0)
    assert clock.now(5.0) == 5000
    clock.note(5060, 5060.0, 65.0)
    assert clock.now(65.0) == 5060


def test_after_the_time_of_a_row_from_the_future_rows_are_on_time_again(tmp_path: Path) -> None:
    """Until then all others are late; then the clock must not close minutes ahead of the stream."""
    path = tmp_path / "f.csv"
    path.write_bytes(b"time,status\n")
    start = 1772409600  # 2026-03-02T00:00:00Z
    monotonic, wall = [0.0], [float(start)]
    run = run_of([path], {}, monotonic, wall)

    def row(minute: int) -> None:
        with path.open("ab") as file:
            file.write(b"2026-03-02T00:%02d:00Z,denied\n" % minute)
        everything(run)

    for minute in [*range(10), *range(21, 30)]:
        monotonic[0] = 60.0 * minute + 1
        wall[0] = start + monotonic[0]
        row(minute)
        if minute == 9:
            row(20)
        monotonic[0] += 40
        run.tick()
    assert run.pipeline.bucketer.late == 0


def test_a_feed_that_stops_is_silence_within_two_buckets(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"time,status,count\n" + b"\n".join(minutes(60, 3)) + b"\n")
    monotonic = [0.0]
    run = run_of([path], {}, monotonic)
    everything(run)
    found = None
    for second in range(0, 200, 5):
        monotonic[0] = float(second)
        for outcome in run.tick():
            if any("silence" in verdict.reasons for verdict in outcome.verdicts) and found is None:
                found = second
    assert found is not None
    assert found <= 125 + 5


def test_a_pipe_gives_its_last_line_without_a_newline_and_packed_data() -> None:
    import gzip

    for data in (b"one\ntwo", gzip.compress(b"one\ntwo")):
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        source = PipeSource(reader)
        lines = []
        while not source.ended:
            chunk = source.read()
            lines += chunk.lines if chunk else []
        assert lines == [b"one", b"two"]
        os.close(reader)
    reader, writer = os.pipe()
    os.write(writer, gzip.compress(b"one\ntwo\n" * 1000)[:-9])
    os.close(writer)
    source = PipeSource(reader)
    assert source.read() is not None
    with pytest.raises(IoFailure, match="ends too early"):
        source.read()
    os.close(reader)


def test_acknowledgements_are_taken_once_and_nonsense_is_skipped(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert take_words(state) == []
    leave_word(state, Word("ack", "a"))
    leave_word(state, Word("ignore", "b"))
    leave_word(state, Word("silence", "", "ana", "load test", "denied", (("merchant", "m1"),), 1772445600))
    with open(f"{state}.ack", "a") as file:
        file.write("nonsense\n[]\n{}\n" + '{"action": "sing"}\n{"action": "ack", "key": 3}\n')
        file.write('{"id": "c", "normal": false}\n{"id": "d", "normal": true}\n')  # as an earlier version left it
    left = words_left(state)
    assert left == [
        Word("ack", "a"), Word("ignore", "b"),
        Word("silence", "", "ana", "load test", "denied", (("merchant", "m1"),), 1772445600), Word("ack", "c"),
        Word("ignore", "d"),
    ]  # fmt: skip
    assert take_words(state) == left
    assert words_left(state) == []
    assert take_words(state) == []
    with pytest.raises(IoFailure):
        leave_word(str(tmp_path / "no" / "state"), Word("ack", "a"))


def test_what_is_acknowledged_as_normal_teaches_nothing() -> None:
    from txmon.ingest.records import Record

    def play(normal: bool) -> tuple[float, list[str]]:
        pipeline = pipeline_of(Settings(), live=True)
        events: list[str] = []
        for minute in range(200):
            denied = 60 if 100 <= minute < 160 else 10
            rows = [Record(60 * minute, "approved", 100), Record(60 * minute, "denied", denied)]
            for outcome in pipeline.feed(rows):
                events += [event.state for event in outcome.events]
            if minute == 120:
                [incident] = pipeline.tracker.open()
                word = Word("ignore" if normal else "ack", incident.id)
                assert do(word, pipeline)
                pipeline.restore(pipeline.snapshot())
        assert not do(Word("ignore" if normal else "ack", "none"), pipeline)
        [expected] = [one.expected for one in pipeline.detector.describe() if one.status == "denied"]
        return expected, events

    (plain, _), (excluded, events) = play(False), play(True)
    assert events == ["opened", "resolved"]  # and its end is no loss of volume
    assert excluded == pytest.approx(10, abs=0.6)
    assert plain > excluded


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (b"one\n", b"one\n"), (b"one\ntor", b"one\n"), (b"tor", b""), (b"a\n" + b"x" * 200000, b"a\n")],
)
def test_output_goes_on_after_the_last_whole_line(before: bytes, after: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(before)
    said: list[str] = []
    file = LineFile(str(path), said.append)
    file.write(b"next\n")
    file.close()
    assert path.read_bytes() == after + b"next\n"
    device = LineFile("/dev/null", said.append)
    device.write(b"x\n")
    device.close()
    assert said == []


def test_what_is_accepted_is_expected_from_then_on() -> None:
    from txmon.ingest.records import Record

    pipeline = pipeline_of(Settings(), live=True)
    events = []
    for minute in range(200):
        denied = 60 if minute >= 100 else 10
        rows = [Record(60 * minute, "approved", 100), Record(60 * minute, "denied", denied)]
        for outcome in pipeline.feed(rows):
            events += [(event.state, event.time // 60, event.note) for event in outcome.events]
        if minute == 130:
            [incident] = pipeline.tracker.open()
            assert do(Word("accept", incident.id, "ana", "a new issuer"), pipeline)
            pipeline.restore(pipeline.snapshot())
    assert not do(Word("accept", "none"), pipeline)
    assert events == [("opened", 100, ""), ("resolved", 129, "accepted as normal by ana: a new issuer")]
    [expected] = [one.expected for one in pipeline.detector.describe() if one.status == "denied"]
    assert expected == pytest.approx(60, rel=0.15)

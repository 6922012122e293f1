"""The log folder: what is kept, for how long, and that a query never meets half a row."""

import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from paths import ROOT

from txmon.errors import IoFailure
from txmon.ingest.rejects import RejectLog
from txmon.model.outcome import Outcome
from txmon.model.verdict import Stated, Verdict
from txmon.query.database import open_database
from txmon.query.files import expand
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.sinks.lines import event_line, verdict_line
from txmon.sinks.log_folder import LogFolder

SAMPLE = ROOT / "examples" / "transactions.csv"
HOUR = 3600
START = 1772409600  # 2026-03-02T00:00:00Z


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    settings = Settings()
    reader = reader_of(settings, RejectLog(), date(2026, 3, 2))
    return list(pipeline_of(settings, live=False).run(reader.records([str(SAMPLE)])))


def verdict(time: int, count: int, status: str = "approved", **more: object) -> Verdict:
    return Verdict(time, status, (), count, count, 0.0, 0.0, 1, "ok", (), Stated(0, 2, "x")).changed(**more)  # type: ignore[arg-type]


def write(folder: Path, outcomes: Iterable[Outcome], keep: int | None = None) -> LogFolder:
    log = LogFolder(str(folder), keep)
    for outcome in outcomes:
        log.accept(outcome)
    log.close()
    return log


def lines(folder: Path, kind: str) -> list[str]:
    return [line for path in sorted(folder.glob(f"{kind}-*.jsonl")) for line in path.read_text().splitlines()]


def rows(sql: str, folder: Path) -> list[tuple[object, ...]]:
    with closing(open_database([str(folder)])) as database:
        return list(database.run(sql))


def test_every_line_is_kept_in_its_hour(outcomes: list[Outcome], tmp_path: Path) -> None:
    write(tmp_path / "log", outcomes)
    folder = tmp_path / "log"
    assert lines(folder, "verdicts") == [verdict_line(v) for o in outcomes for v in o.verdicts]
    assert lines(folder, "incidents") == [event_line(e) for o in outcomes for e in o.events]
    names = sorted(path.name for path in folder.glob("verdicts-*"))
    assert names == [f"verdicts-20260302T{hour:02d}.jsonl" for hour in range(24)]
    for name in names:
        assert all(line[21:23] == name[18:20] for line in (folder / name).read_text().splitlines())
    assert (folder / names[0]).stat().st_mode & 0o777 == 0o600


def test_a_query_of_the_folder_gives_the_files_own_sums(outcomes: list[Outcome], tmp_path: Path) -> None:
    write(tmp_path, outcomes)
    expected: dict[str, int] = {}
    for line in SAMPLE.read_text().splitlines()[1:]:
        _, status, count = line.split(",")
        expected[status] = expected.get(status, 0) + int(count)
    assert dict(rows("SELECT status, sum(count)::INT FROM transactions GROUP BY 1", tmp_path)) == expected  # type: ignore[arg-type]
    opened = sum(event.state == "opened" for outcome in outcomes for event in outcome.events)
    assert rows("SELECT count(*) FROM incidents WHERE state = 'opened'", tmp_path) == [(opened,)]


def test_a_correction_adds_what_came_late_and_a_partial_line_nothing(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            Outcome(START, [verdict(START, 3, partial=True)]),
            Outcome(START, [verdict(START, 7), verdict(START, 7, "*")]),
            Outcome(START, [verdict(START, 9, revises=True)]),
        ],
    )
    assert [json.loads(line)["count"] for line in lines(tmp_path, "counts")] == [7, 2]


def test_retention_lets_old_hours_go_and_nothing_else(tmp_path: Path) -> None:
    other = tmp_path / "verdicts-of-mine.jsonl"
    other.write_text("{}\n")
    (tmp_path / "verdicts-20200101T00.txt").write_text("x")
    write(tmp_path, [Outcome(START + n * HOUR, [verdict(START + n * HOUR, 1)]) for n in range(10)], keep=3 * HOUR)
    kept = sorted(path.name for path in tmp_path.glob("verdicts-2026*"))
    assert kept == [f"verdicts-20260302T{hour:02d}.jsonl" for hour in (6, 7, 8, 9)]
    assert other.exists()
    assert (tmp_path / "verdicts-20200101T00.txt").exists()


def test_after_a_kill_in_mid_line_the_next_line_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "verdicts-20260302T00.jsonl"
    path.write_text(verdict_line(verdict(START, 5)) + "\n" + verdict_line(verdict(START + 60, 6))[:40])
    write(tmp_path, [Outcome(START + 120, [verdict(START + 120, 7)])])
    assert rows("SELECT count FROM verdicts ORDER BY time", tmp_path) == [(5,), (7,)]


def test_a_failed_write_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "counts-20260302T00.jsonl").mkdir()
    log = write(tmp_path, [Outcome(START + 60 * n, [verdict(START + 60 * n, 1)]) for n in range(3)])
    assert log.lost == 3
    assert log.summary() == [f"{tmp_path}: 3 lines could not be written (Is a directory)"]
    assert len(lines(tmp_path, "verdicts")) == 3


def test_a_full_disk_leaves_no_line_glued_to_half_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFolder(str(tmp_path))
    log.accept(Outcome(START, [verdict(START, 1)]))
    true_write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 31:
            raise OSError(28, os.strerror(28))
        return true_write(descriptor, data[:30])

    monkeypatch.setattr("txmon.support.line_file.os.write", full)
    log.accept(Outcome(START + 60, [verdict(START + 60, 2)]))
    assert "No space left" in log.trouble
    monkeypatch.undo()
    log.accept(Outcome(START + 120, [verdict(START + 120, 3)]))
    log.close()
    assert (log.lost, log.summary()) == (0, [])
    assert rows("SELECT count FROM verdicts ORDER BY time", tmp_path) == [(1,), (2,), (3,)]


def test_a_correction_after_a_restart_is_not_counted_twice(tmp_path: Path) -> None:
    write(tmp_path, [Outcome(START, [verdict(START, 5)])])
    write(tmp_path, [Outcome(START + HOUR, [verdict(START + HOUR, 1)]), Outcome(START, [verdict(START, 7)])])
    counts = [json.loads(line)["count"] for line in (tmp_path / "counts-20260302T00.jsonl").read_text().splitlines()]
    assert counts == [5, 2]


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IoFailure):
        LogFolder(str(tmp_path / "file" / "log"))


def test_a_query_while_it_is_written_meets_whole_rows_only(outcomes: list[Outcome], tmp_path: Path) -> None:
    log = LogFolder(str(tmp_path))
    log.accept(outcomes[0])
    failures: list[BaseException] = []
    done = threading.Event()

    def write_on() -> None:
        try:
            for outcome in outcomes[1:800]:
                log.accept(outcome)
                time.sleep(0.001)
        except BaseException as failure:
            failures.append(failure)
        finally:
            done.set()

    writer = threading.Thread(target=write_on)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(rows("SELECT count(*), count(time), count(text), count(total) FROM verdicts", tmp_path)[0])
    writer.join()
    log.close()
    seen.append(rows("SELECT count(*), count(time), count(text), count(total) FROM verdicts", tmp_path)[0])
    assert not failures
    assert all(len(set(counts)) == 1 for counts in seen)
    assert seen[0] < seen[-1]


def test_an_hour_that_goes_while_the_folder_is_read_is_no_error(
    outcomes: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, outcomes[:120])
    gone = [tmp_path / "verdicts-20260302T00.jsonl"]

    def expand_then_lose_one(paths: Sequence[str]) -> list[str]:
        listed = expand(paths)
        while gone:
            gone.pop().unlink()
        return listed

    monkeypatch.setattr("txmon.query.database.expand", expand_then_lose_one)
    assert rows("SELECT DISTINCT hour(time) FROM verdicts", tmp_path) == [(1,)]

"""The detector on real Spark, local[2]: the same lines as replay, whatever happens to the job in between."""

import gc
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

pytest.importorskip("pyspark")

from broker import Cluster

from txmon.cli.main import run as txmon
from txmon.errors import ConfigError, NoInput, UsageError
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import LATEST
from txmon.model.outcome import Outcome
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.settings.rule import parse_rules
from txmon.sinks.jsonl import JsonLines
from txmon.sinks.lines import event_line
from txmon.spark.job import Job, files, run, session, state_reading
from txmon.spark.job import read as read_stream
from txmon.spark.rows import canonical
from txmon.spark.shards import file_of, plan_of
from txmon.spark.streaming import backfill, detect

pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")]
SAMPLE = ROOT / "examples" / "transactions.csv"
EXACT = Settings(group_by=("merchant",), sigma=4.5, lateness=0, no_reading=True)
SHARDS = 4


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    found = session(SHARDS, {"spark.master": "local[2]", "spark.sql.shuffle.partitions": "2"})
    yield found
    with warnings.catch_warnings(action="ignore"):  # PySpark leaves its sockets to the garbage collector
        found.stop()
        gc.collect()


def simulated(folder: Path, span: str, incident: str) -> Path:
    """So many days of 200 merchants, a row a transaction, with a wave of failures."""
    path = folder / "merchants.csv"
    arguments = [
        "simulate",
        *span.split(),
        "--events",
        "--merchants",
        "200",
        "--incident",
        incident,
        "--out",
        str(path),
    ]
    assert txmon(arguments) == 0
    return path


@pytest.fixture(scope="module")
def merchants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three quarters of an hour."""
    span = "--start 2026-03-02T08:00:00Z --days 0.0319 --peak 400 --seed 3"
    return simulated(tmp_path_factory.mktemp("stream"), span, "failed:+30@08:34/8m")


def replayed(path: Path, settings: Settings, platform: bool = False) -> list[str]:
    """The lines of `txmon replay`, by key and of the platform without, but for what docs/cluster.md says differs.

    No shard sees the keys of the others. So no incidents of keys become one, and no rare series share a threshold.
    Rules are asked of keys only. platform: with all of that, as one process judges keys and all of them together.
    """
    lines: list[str] = []
    whole = [] if platform or not settings.group_by else [replace(settings, group_by=(), rule=())]
    for one in [settings, *whole]:
        out = io.BytesIO()
        sink = JsonLines(out)
        reader = reader_of(one, RejectLog(), date(2026, 3, 2))
        for outcome in pipeline_of(one, live=False, platform=platform).run(reader.records([str(path)])):
            sink.accept(outcome)
        lines += out.getvalue().decode().splitlines()
    # a trend is of a status over all keys: replay says the same one with and without --group-by, Spark says it once
    trends = {line for line in lines if '"event": "trend"' in line}
    return [line for line in lines if line not in trends] + sorted(trends)


def split(path: Path, folder: Path, parts: int) -> Path:
    """The lines of `path` in so many files, each with the header, oldest first."""
    header, *lines = path.read_text().splitlines()
    size = -(-len(lines) // parts)
    for part in range(parts):
        put(folder, part, "\n".join([header, *lines[part * size : (part + 1) * size], ""]).encode())
    return folder


def put(folder: Path, number: int, content: bytes) -> None:
    """A file that Spark reads as the `number`th."""
    folder.mkdir(exist_ok=True)
    hidden = folder / f".{number:04d}"
    hidden.write_bytes(content)
    os.utime(hidden, (1e9 + number, 1e9 + number))
    hidden.rename(folder / f"{number:04d}.csv")


def drain(spark: Any, folder: Path, settings: Settings, at: Path, **more: Any) -> list[str]:
    """Run the job over what is in `folder`, a file a batch; what it said."""
    said: list[str] = []
    plan = plan_of(settings, more.pop("shards", SHARDS), more.pop("series", None), start=more.pop("start", None))
    run(spark, Job(f"files:{folder}", f"{at}/state", f"{at}/out", every=0, files=1, **more), plan, said.append)
    return said


def written(at: Path, kind: str = "*") -> list[str]:
    """All lines in the sink's folder, by a plain glob."""
    return [line for path in at.glob(f"out/batch=*/kind={kind}/*.txt") for line in path.read_text().splitlines()]


def closed(lines: Sequence[str]) -> list[str]:
    """The lines of all buckets but the last, sorted: a stream does not end, so its last bucket stays open."""
    last = max(map(start_of, lines))
    return sorted(line for line in lines if start_of(line) < last)


def start_of(line: str) -> str:
    return str(json.loads(line)["time"])


def differences(got: Sequence[str], wanted: Sequence[str]) -> str:
    missing, extra = Counter(wanted) - Counter(got), Counter(got) - Counter(wanted)
    return f"{missing.total()} missing, {extra.total()} too many; {[*missing][:2]} {[*extra][:2]}"


def test_merchants_in_micro_batches_equal_replay(spark: Any, merchants: Path, tmp_path: Path) -> None:
    wanted = replayed(merchants, EXACT)
    assert drain(spark, split(merchants, tmp_path / "in", 5), EXACT, tmp_path) == []
    got = written(tmp_path)
    assert sorted(got) == closed(wanted), differences(got, closed(wanted))
    assert any('"merchant"' in line and '"alert"' in line for line in got)
    assert written(tmp_path, "incident")


def test_a_static_frame_equals_replay_to_the_last_line(spark: Any, merchants: Path, tmp_path: Path) -> None:
    lines = files(spark, str(split(merchants, tmp_path / "in", 3)), stream=False)
    got = [row.line for row in detect(lines, EXACT, shards=7).select("line").collect()]
    wanted = replayed(merchants, EXACT)
    assert sorted(got) == sorted(wanted), differences(got, wanted)


def test_the_sample_in_micro_batches_equals_replay(spark: Any, tmp_path: Path) -> None:
    settings = Settings(lateness=0, no_reading=True)  # the platform alone: its budget is its own
    drain(spark, split(SAMPLE, tmp_path / "in", 6), settings, tmp_path)
    got, wanted = written(tmp_path), closed(replayed(SAMPLE, settings))
    assert sorted(got) == wanted, differences(got, wanted)
    assert written(tmp_path, "incident")


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days and three hours, the wave on the last day."""
    span = "--start 2026-03-02T00:00:00Z --days 2.125 --peak 25 --seed 8"
    return simulated(tmp_path_factory.mktemp("days"), span, "failed:+30@10:40/40m")


def test_two_days_without_a_sigma_equal_replay(spark: Any, two_days: Path, tmp_path: Path) -> None:
    # from the second day on the season counts; 600 series and more share the budget; the slope is of all keys
    rule = parse_rules("failed: slope > 0.02 and count > 10")
    settings = Settings(group_by=("merchant",), bucket=600, lateness=0, rule=rule, no_reading=True)
    wanted = closed(replayed(two_days, settings))
    assert any("rule:" in line and '"merchant"' in line for line in wanted)
    assert drain(spark, split(two_days, tmp_path / "in", 4), settings, tmp_path) == []
    got = written(tmp_path)
    assert Counter(got) == Counter(wanted), differences(got, wanted)
    # with what differs, the thresholds of rare series, no other recommendation
    assert recommended(got) == recommended(closed(replayed(two_days, settings, platform=True)))


def recommended(lines: Sequence[str]) -> Counter[tuple[str, ...]]:
    """What verdicts come to, by time, status and key."""
    rows = [json.loads(line) for line in lines if '"event"' not in line]
    return Counter((row["time"], row["status"], str(row.get("key")), row["recommendation"]) for row in rows)


def dated(path: Path, day: str) -> list[str]:
    """The rows of one of the real files, whose times have no date."""
    return [f"{day}T{line[:2]}:{line[4:6]}:00Z{line[6:]}" for line in path.read_text().splitlines()[1:]]


def test_the_real_files_in_micro_batches_equal_replay(spark: Any, tmp_path: Path) -> None:
    data = ROOT.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the real files are not here")
    rows = dated(data / "transactions_1.csv", "2026-03-02") + dated(data / "transactions_2.csv", "2026-03-03")
    whole = tmp_path / "whole.csv"
    whole.write_text("\n".join(["time,status,F1", *rows, ""]))
    settings = Settings(lateness=0, no_reading=True)
    drain(spark, split(whole, tmp_path / "in", 7), settings, tmp_path)
    got, wanted = written(tmp_path), closed(replayed(whole, settings))
    assert len(wanted) > 10_000
    assert Counter(got) == Counter(wanted), differences(got, wanted)


HEADER = b"time,status,count,merchant\n"


def minutes(first: int, last: int) -> bytes:
    """Three merchants' rows of the minutes first <= m < last of an hour."""
    dice = random.Random(first)
    rows = [
        f"2026-03-02T{10 + m // 60}:{m % 60:02d}:0{n},{status},{dice.randint(4, 6) * many},m{n}"
        for m in range(first, last)
        for n in range(3)
        for status, many in (("approved", 10), ("failed", 1))
    ]
    return ("\n".join(rows) + "\n").encode()


def test_late_rows_correct_verdicts_as_in_replay(spark: Any, tmp_path: Path) -> None:
    late = b"2026-03-02T10:45:30,failed,60,m1\n2026-03-02T10:45:31,failed,1,m-never-seen\n"
    too_late = b"2026-03-02T10:05:30,failed,60,m1\n"
    parts = [minutes(0, 50), late, minutes(50, 60), too_late, minutes(60, 65)]
    for number, part in enumerate(parts):
        put(tmp_path / "in", number, HEADER + part)
    whole = tmp_path / "whole.csv"
    whole.write_bytes(HEADER + b"".join(parts))
    said = drain(spark, tmp_path / "in", EXACT, tmp_path)
    got, wanted = written(tmp_path), closed(replayed(whole, EXACT))
    assert sorted(got) == wanted, differences(got, wanted)
    revised = [json.loads(line) for line in got if '"revises": true' in line]
    assert {(row["time"][11:16], row["recommendation"]) for row in revised if row["status"] == "failed"} == {
        ("10:45", "alert"), ("10:45", "warming"),
    }  # fmt: skip
    assert [line for line in said if "too late to correct" in line]


def test_poison_goes_to_the_rejects_and_the_job_lives(spark: Any, tmp_path: Path) -> None:
    bad = b'2026-03-02T10:50:00,failed,many,m1\n\xff\xfe,,,\n"2026\n2026-03-02T10:50:09,failed,1,m0,more\n'
    parts = [minutes(0, 50), bad + minutes(50, 55)]
    for number, part in enumerate(parts):
        put(tmp_path / "in", number, HEADER + part)
    put(tmp_path / "in", 2, b"PK\x03\x04\0\0binary\nand more of it\n")
    put(tmp_path / "in", 3, HEADER + minutes(55, 60))
    said = drain(spark, tmp_path / "in", EXACT, tmp_path)
    whole = tmp_path / "whole.csv"
    whole.write_bytes(HEADER + b"".join(parts) + minutes(55, 60))
    rejects = [json.loads(line) for line in written(tmp_path, "reject")]
    found = sorted((Path(row["source"]).name, row["line"], row["kind"]) for row in rejects)
    assert found == [
        ("0001.csv", 2, "count"), ("0001.csv", 3, "encoding"), ("0001.csv", 4, "columns"), ("0001.csv", 5, "columns"),
        ("0002.csv", 0, "source"), ("0002.csv", 0, "source"),
    ]  # fmt: skip
    assert {row["raw"] for row in rejects} >= {"2026-03-02T10:50:00,failed,many,m1", "and more of it"}
    assert [line.split(",")[0] for line in said] == ["batch 1: 4 bad records", "batch 2: 2 bad records"]
    got = [line for line in written(tmp_path) if '"raw"' not in line]
    wanted = closed(replayed(whole, EXACT))
    assert sorted(got) == wanted, differences(got, wanted)


def test_the_far_future_and_half_characters_are_refused(spark: Any, tmp_path: Path) -> None:
    def rows(first: int, last: int) -> list[str]:
        lines = minutes(first, last).decode().splitlines()
        cells = [line.split(",") for line in lines]
        return [json.dumps({"time": t, "status": s, "count": int(n), "merchant": m}) for t, s, n, m in cells]

    future = '{"time": "2099-01-01T00:00:00Z", "status": "failed", "merchant": "m1"}'
    lone = '{"time": "2026-03-02T10:50:00Z", "status": "failed", "merchant": "\\ud800"}'
    good = [*rows(0, 50), *rows(50, 60)]
    put(tmp_path / "in", 0, "\n".join([*rows(0, 50), future, lone, ""]).encode())
    put(tmp_path / "in", 1, "\n".join([*rows(50, 60), ""]).encode())
    said = drain(spark, tmp_path / "in", EXACT, tmp_path)
    assert said == [f"batch 0: 2 bad records, in {tmp_path}/out/batch=0/kind=reject"]
    rejects = [json.loads(line) for line in written(tmp_path, "reject")]
    assert sorted((row["kind"], "2099" in row["raw"] or "ud800" in row["raw"]) for row in rejects) == [
        ("encoding", True), ("future", False),
    ]  # fmt: skip
    whole = tmp_path / "whole.jsonl"
    whole.write_text("\n".join([*good, ""]))
    got, wanted = [line for line in written(tmp_path) if '"raw"' not in line], closed(replayed(whole, EXACT))
    assert sorted(got) == wanted, differences(got, wanted)


def test_a_typed_frame_gives_typed_columns_and_its_bad_rows_back(spark: Any) -> None:
    begin = datetime(2026, 3, 2, 10, tzinfo=UTC)
    rows = [(begin.replace(minute=m), "Failed", 5, f"m{n}") for m in range(40) for n in range(2)]
    bad = [(None, "failed", 1, "m0"), (begin, "", 1, "m0"), (begin, "failed", -1, "m0"), (begin, "failed", None, "m0")]
    frame = spark.createDataFrame(rows + bad, "time timestamp, status string, count long, merchant string")
    found = detect(frame, Settings(sigma=4.0), by=("merchant",), totals=False)
    types = dict(found.dtypes)
    assert [types[name] for name in ("time", "key", "count", "expected", "reasons", "recommendation", "line")] == [
        "timestamp", "map<string,string>", "bigint", "double", "array<string>", "string", "string",
    ]  # fmt: skip
    result = found.collect()
    verdicts = [row for row in result if row.kind == "verdict"]
    assert len(verdicts) == 2 * 2 * 40
    for row in verdicts:
        line = json.loads(row.line)
        assert line["key"] == row.key
        assert (line["status"], line["count"], line["score"]) == (row.status, row["count"], row.score)
    assert sorted(json.loads(row.line)["kind"] for row in result if row.kind == "reject") == [
        "count", "count", "status", "time",
    ]  # fmt: skip


def test_a_missing_column_is_named(spark: Any) -> None:
    frame = spark.createDataFrame([(1, "failed")], "time long, status string")
    with pytest.raises(UsageError, match="no column 'merchant'; columns found: time, status"):
        detect(frame, EXACT)
    with pytest.raises(UsageError, match="cast it to a timestamp"):
        detect(frame.selectExpr("'10:00' as time", "status"), Settings())


def test_changed_settings_are_said_and_hold_from_then_on(spark: Any, tmp_path: Path) -> None:
    put(tmp_path / "in", 0, HEADER + minutes(0, 45))
    assert drain(spark, tmp_path / "in", EXACT, tmp_path) == []
    put(tmp_path / "in", 1, HEADER + minutes(45, 60))
    other = replace(EXACT, sigma=8.0)
    assert drain(spark, tmp_path / "in", other, tmp_path) == ["sigma was 4.5, is 8 from here on"]
    whole = tmp_path / "whole.csv"
    whole.write_bytes(HEADER + minutes(0, 45) + minutes(45, 60))
    before, after = (closed(replayed(whole, settings)) for settings in (EXACT, other))
    # the minute that was open when the job ended is judged by the new settings: it closed under them
    switch = "2026-03-02T10:44:00Z"
    wanted = [line for line in before if start_of(line) < switch] + [line for line in after if start_of(line) >= switch]
    got = written(tmp_path)
    assert sorted(got) == sorted(wanted), differences(got, wanted)
    assert set(before) != set(after)


@pytest.mark.parametrize(
    ("settings", "shards", "reason"),
    [
        (replace(EXACT, group_by=("status",)), SHARDS, "was begun with group_by 'merchant', not 'status'"),
        (replace(EXACT, bucket=120), SHARDS, "was begun with bucket '1m', not '2m'"),
        (EXACT, 5, "was begun with shards 4, not 5"),
    ],
)
def test_what_a_checkpoint_cannot_change_is_refused(
    spark: Any, tmp_path: Path, settings: Settings, shards: int, reason: str
) -> None:
    put(tmp_path / "in", 0, HEADER)
    drain(spark, tmp_path / "in", EXACT, tmp_path)
    with pytest.raises(ConfigError, match=reason):
        drain(spark, tmp_path / "in", settings, tmp_path, shards=shards)


def test_a_state_of_another_version_stops_the_job_and_says_so(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "shards").write_text("4\n")
    old = gzip.compress(b'{"txmon": 0, "written_by": "0.0.1"}')
    for shard in range(-1, 4):
        Path(file_of(str(tmp_path / "saved"), shard)).write_bytes(old)
    put(tmp_path / "in", 0, HEADER + minutes(0, 5))
    with pytest.raises(ConfigError, match=r"has format 0, written by txmon 0\.0\.1; this one reads format"):
        drain(spark, tmp_path / "in", EXACT, tmp_path, start=str(tmp_path / "saved"))


@pytest.mark.parametrize(
    ("source", "error", "reason"),
    [
        ("kafka:127.0.0.1:9/topic", ConfigError, "no Kafka connector: start with spark-submit --packages"),
        ("kafka:topic", UsageError, "is not files:DIR, kafka"),
        ("filse:x", UsageError, "did you mean 'files'"),
        ("files:/no/such", NoInput, "/no/such: no such folder"),
    ],
)
def test_a_source_that_cannot_be_read_is_said(
    spark: Any, tmp_path: Path, source: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        run(spark, Job(source, f"{tmp_path}/state", f"{tmp_path}/out", every=0), plan_of(EXACT, 2), print)


def test_made_up_rows_are_judged(spark: Any, tmp_path: Path) -> None:
    from txmon.spark.job import read

    stream = read(spark, Job("rate:50", f"{tmp_path}/state", f"{tmp_path}/out"))
    query = stream.writeStream.format("memory").queryName("made").trigger(processingTime="1 second").start()
    try:
        deadline = time.monotonic() + 60
        while not (rows := spark.sql("select cast(value as string) value from made").collect()):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        query.stop()
    assert {"time", "status", "merchant"} == set(json.loads(rows[0].value))


def moved(path: Path, folder: Path, at: Path, parts: int, first: int) -> None:
    """The files of `folder` from the `first` on, out of it into `at`."""
    at.mkdir()
    for number in range(first, parts):
        (folder / f"{number:04d}.csv").rename(at / f"{number:04d}.csv")


def test_a_job_goes_on_with_more_shards_as_if_it_had_never_stopped(
    spark: Any, merchants: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = split(merchants, tmp_path / "in", 4)
    moved(merchants, folder, tmp_path / "later", 4, 3)
    drain(spark, folder, EXACT, tmp_path / "old")
    for part in sorted((tmp_path / "later").iterdir()):
        part.rename(folder / part.name)
    new = str(tmp_path / "states")
    assert txmon(["spark", "rebalance", str(tmp_path / "old" / "state"), "--shards", "7", "--to", new]) == 0
    assert drain(spark, folder, EXACT, tmp_path / "new", shards=7, start=new) == []
    got, wanted = written(tmp_path / "old") + written(tmp_path / "new"), closed(replayed(merchants, EXACT))
    assert sorted(got) == wanted, differences(got, wanted)
    # what the old job had read is not read again: without an id its rows would be counted twice
    again = read_stream(spark, Job(f"files:{folder}", "", ""), new).writeStream.format("memory").queryName("again")
    again.trigger(availableNow=True).start().awaitTermination()
    names = {row.source for row in spark.sql("select distinct source from again").collect()}
    assert {Path(name).name for name in names} == {"0003.csv"}
    with pytest.raises(ConfigError, match="holds the state of 7 shards, not of 4: rebalance it, or use 7"):
        drain(spark, folder, EXACT, tmp_path / "other", start=new)
    with pytest.raises(ConfigError, match="holds the batches of another checkpoint"):
        run(spark, Job(f"files:{folder}", f"{tmp_path}/third", f"{tmp_path}/new/out"), plan_of(EXACT, 7), print)


def test_people_are_told_of_incidents_and_of_no_batch_twice(spark: Any, merchants: Path, tmp_path: Path) -> None:
    folder = split(merchants, tmp_path / "in", 2)
    told: list[Outcome] = []
    for kind in ("json", "parquet"):
        told.clear()
        at = tmp_path / kind
        job = Job(f"files:{folder}", f"{at}/state", f"{at}/out", kind=kind, every=0)
        run(spark, job, plan_of(EXACT, SHARDS), print, told.append)
        events = [event_line(event) for outcome in told for event in outcome.events]
        wanted = [line for line in closed(replayed(merchants, EXACT)) if '"event": "incident"' in line]
        assert sorted(events) == wanted
        assert all(verdict.incident for outcome in told for verdict in outcome.verdicts)
        assert [outcome.time for outcome in told] == sorted(outcome.time for outcome in told)
        # as if it had crashed after the telling, before Spark took note of the batch
        told.clear()
        done = max((int(path.name) for path in (at / "state" / "commits").glob("[0-9]*")), default=0)
        for path in (at / "state" / "commits").glob(f"*{done}*"):
            path.unlink()
        run(spark, job, plan_of(EXACT, SHARDS), print, told.append)
        assert told == []


def test_a_backfill_is_where_the_stream_begins(spark: Any, merchants: Path, tmp_path: Path) -> None:
    folder = split(merchants, tmp_path / "in", 4)
    moved(merchants, folder, tmp_path / "later", 4, 2)
    learned = str(tmp_path / "states")
    history = files(spark, str(folder), stream=False)
    assert backfill(history, learned, EXACT, shards=SHARDS) == SHARDS + 1
    drain(spark, tmp_path / "later", EXACT, tmp_path, start=learned)
    wanted = closed(replayed(merchants, EXACT))
    begin = min(map(start_of, written(tmp_path, "verdict")))
    wanted = [line for line in wanted if start_of(line) >= begin]
    got = written(tmp_path)
    assert len(wanted) > 5000
    assert '"warming"' not in "".join(line for line in got if start_of(line) > "2026-03-02T08:45")
    assert sorted(got) == wanted, differences(got, wanted)


class Driver:
    """`txmon spark` in a process group of its own, to be killed."""

    def __init__(self, folder: Path, at: Path, out: str | None = None) -> None:
        arguments = f"--source files:{folder} --group-by merchant --sigma 4.5 --lateness 0 --shards {SHARDS} --once"
        places = ["--checkpoint", f"{at}/state", "--out", out or f"{at}/out", "--files-a-batch", "1"]
        self.at = at
        self.process = subprocess.Popen(
            [sys.executable, "-m", "txmon", "spark", *arguments.split(), *places],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            env=os.environ | {"SPARK_SUBMIT_OPTS": "-Dspark.master=local[2] -Dspark.sql.shuffle.partitions=2"},
        )  # fmt: skip

    def planned(self) -> int:
        """Batches that the checkpoint knows of."""
        return len([path for path in self.at.glob("state/offsets/*") if path.name.isdecimal()])

    def kill(self, with_jvm: bool) -> None:
        """kill -9, of the driver's Python alone or of the JVM too; return once both are gone."""
        if with_jvm:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.communicate()
        deadline = time.monotonic() + 60
        while alive(self.process.pid):
            assert time.monotonic() < deadline, "the JVM outlives its driver"
            time.sleep(0.1)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def until(driver: Driver, condition: Callable[[], bool]) -> bool:
    """Wait for `condition`; False when the driver ended first."""
    while not condition():
        if driver.process.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def test_a_driver_killed_at_random_moments_loses_and_changes_nothing(merchants: Path, tmp_path: Path) -> None:
    folder = split(merchants, tmp_path / "in", 8)
    seed = int(os.environ.get("KILLS_SEED", "0")) or random.randrange(1, 10**6)
    dice = random.Random(seed)
    kills = 0
    for round_ in range(int(os.environ.get("KILLS", "2"))):
        driver = Driver(folder, tmp_path)
        batches = driver.planned() + 1 + dice.randrange(3)
        if not until(driver, lambda goal=batches: driver.planned() >= goal):  # type: ignore[misc]  # noqa: B023
            break
        time.sleep(dice.random() * 1.5)
        kills += driver.process.poll() is None
        driver.kill(with_jvm=round_ % 2 == 0)
    last = Driver(folder, tmp_path)
    _, said = last.process.communicate(timeout=170)
    assert last.process.returncode == 0, said.decode()
    assert kills >= 2, f"seed {seed}"
    got, wanted = written(tmp_path), closed(replayed(merchants, EXACT))
    assert sorted(got) == wanted, f"seed {seed}: {differences(got, wanted)}"


def test_a_kafka_topic_gets_every_line_and_after_a_crash_some_twice_with_the_same_key(
    merchants: Path, tmp_path: Path
) -> None:
    cluster = Cluster()
    topic = cluster.topic()
    folder = split(merchants, tmp_path / "in", 3)
    out = f"kafka:{cluster.servers}/{topic}"
    driver = Driver(folder, tmp_path, out)

    def sending() -> bool:
        return any(cluster.sizes(topic)) and driver.planned() == 2 and len(list(committed.glob("[0-9]*"))) == 1

    committed = tmp_path / "state" / "commits"
    assert until(driver, sending)  # a batch is being sent, or has been, and Spark has not taken note of it
    driver.kill(with_jvm=True)
    last = Driver(folder, tmp_path, out)
    _, said = last.process.communicate(timeout=170)
    assert last.process.returncode == 0, said.decode()
    messages: dict[tuple[bytes, bytes], set[str]] = {}
    for message in cluster.messages(topic):
        place = (message.key() or b"", dict(message.headers() or [])["batch"])
        messages.setdefault(place, set()).add((message.value() or b"").decode())
    assert all(len(values) == 1 for values in messages.values())
    got, wanted = [value for values in messages.values() for value in values], closed(replayed(merchants, EXACT))
    assert sorted(got) == wanted, differences(got, wanted)


def test_people_and_a_kafka_topic_hear_of_the_same(spark: Any, merchants: Path, tmp_path: Path) -> None:
    cluster = Cluster()
    topic = cluster.topic()
    folder = split(merchants, tmp_path / "in", 2)
    put(folder, 2, b"time,status,merchant\n2026-03-02T09:00:00,,m1\n")
    told: list[Outcome] = []
    said: list[str] = []
    out = f"kafka:{cluster.servers}/{topic}"
    job = Job(f"files:{folder}", f"{tmp_path}/state", out, every=0, files=1)
    run(spark, job, plan_of(EXACT, SHARDS), said.append, told.append)
    found = [(message.value() or b"").decode() for message in cluster.messages(topic)]
    events = [event_line(event) for outcome in told for event in outcome.events]
    assert events
    assert sorted(events) == sorted(line for line in found if '"event": "incident"' in line)
    assert said == [f"batch 2: 1 bad record, in {out}"]
    assert len([line for line in found if '"raw"' in line]) == 1


def test_a_kafka_topic_that_cannot_be_written_ends_the_job(spark: Any, tmp_path: Path) -> None:
    put(tmp_path / "in", 0, HEADER + minutes(0, 2))
    plan = plan_of(EXACT, SHARDS)
    source, checkpoint = f"files:{tmp_path}/in", f"{tmp_path}/state"
    with pytest.raises(UsageError, match="is not kafka:SERVERS/TOPIC"):
        run(spark, Job(source, checkpoint, "kafka:topic", every=0), plan, print)
    with pytest.raises(UsageError, match="a Kafka topic takes only JSON lines"):
        run(spark, Job(source, checkpoint, "kafka:b:9/topic", "parquet", every=0), plan, print)


def test_nothing_but_a_running_job_imports_spark() -> None:
    code = (
        "import sys, txmon.cli.commands.spark, txmon.spark, txmon.spark.job;"
        "import txmon.spark.checkpoint, txmon.spark.rebalance;"
        "sys.exit(' '.join({'pyspark', 'pandas', 'pyarrow', 'confluent_kafka'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).stderr.decode().strip() == ""


def test_what_shards_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 series: use at least 1"):
        plan_of(replace(EXACT, sigma=None), 4, series=0)
    with pytest.raises(ConfigError, match="0 shards"):
        plan_of(EXACT, 0)
    with pytest.raises(ConfigError, match="is not a folder with states of shards"):
        plan_of(EXACT, 4, start="/no/such")


def test_a_typed_frame_has_the_limits_of_lines(spark: Any) -> None:
    begin = 1772445600
    rows = [
        (begin, "s" * 256, "1"), (begin, "failed", str(10**15)), (begin, "failed", "0"),
        (begin, "s" * 257, "1"), (begin, "*", "1"), (begin, "", "1"), (begin, None, "1"), (begin, "failed", "1e17"),
        (begin, "failed", "-1"), (begin, "failed", "1.5"), (begin, "failed", "many"), (begin, "failed", None),
        (-1, "failed", "1"), (LATEST + 1, "failed", "1"),
    ]  # fmt: skip
    for kind in ("string", "double"):
        frame = spark.createDataFrame(rows, "time long, status string, count string")
        typed = canonical(frame.selectExpr("time", "status", f"try_cast(count as {kind}) as count"), ())
        found = typed.collect()
        assert [(row.status, row["count"]) for row in found if row.reject is None] == [
            ("s" * 256, 1), ("failed", 10**15), ("failed", 0),
        ]  # fmt: skip
        rejects = [json.loads(row.reject) for row in found if row.reject is not None]
        huge, below, part = ("1e17", "-1", "1.5") if kind == "string" else ("1.0E17", "-1.0", "1.5")
        whole = "is not a whole number from 0 to 10^15"
        assert [(row["kind"], row["reason"]) for row in rejects] == [
            ("status", "a status of 257 characters, at most 256 are accepted"),
            ("status", "'*' stands for all statuses together"),
            ("status", "the status is empty"),
            ("status", "no status"),
            ("count", f"'{huge}' {whole}"),
            ("count", f"'{below}' {whole}"),
            ("count", f"'{part}' {whole}"),
            ("count", f"'many' {whole}" if kind == "string" else "no count"),
            ("count", "no count"),
            ("time", "the time is not between 1970 and 2100"),
            ("time", "the time is not between 1970 and 2100"),
        ]


def test_rows_of_a_typed_frame_with_an_empty_id_are_no_repeats(spark: Any) -> None:
    frame = spark.createDataFrame([(1772445600, "failed", found) for found in ("", " ", None, " a ")],
                                  "time long, status string, id string")  # fmt: skip
    assert [row.id for row in canonical(frame, ()).collect()] == [None, None, None, "a"]


def test_the_driver_states_how_each_file_is_read(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,status,count\n" + "2026-03-02 10:00,ok,3\n2026-03-02 10:01,ok,4\n" * 20)
    (tmp_path / "b.csv").write_text("time,status,count\n05/03/2024 10:00,ok,3\n")
    said: list[str] = []
    job = Job(f"files:{tmp_path}", "checkpoint", "out")
    state_reading(spark, job, Settings(), said.append)
    assert said[0] == "a.csv: CSV; time=time (UTC), status=status, count=count"
    assert said[1].startswith("b.csv: no row decides whether the dates in 'time' are day-first or month-first")
    assert len(said) == 2
    said.clear()
    (tmp_path / "empty").mkdir()
    state_reading(spark, Job(f"files:{tmp_path}/empty", "checkpoint", "out"), Settings(), said.append)
    assert said == [f"{tmp_path}/empty: no files yet, so the reading of their lines cannot be stated"]

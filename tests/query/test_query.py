"""`txmon query`: what becomes of files, and what SQL may not reach."""

import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import pytest
import zstandard
from paths import ROOT

from txmon.errors import BadData, NoInput, TxmonError, UsageError
from txmon.ingest.reading import Hints
from txmon.query.database import Database, shipped

SAMPLE = ROOT / "examples" / "transactions.csv"
TXMON = str(Path(sys.executable).with_name("txmon"))
DAY = date(2026, 3, 2)


def rows(sql: str, *paths: Path, tz: str = "UTC") -> list[tuple[object, ...]]:
    with closing(Database([str(path) for path in paths], Hints(tz=tz, date=DAY))) as database:
        return list(database.run(sql))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return make


def txmon(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([TXMON, *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False)


# --- files become tables ---


def test_sums_are_the_files_own() -> None:
    lines = [line.split(",") for line in SAMPLE.read_text().splitlines()[1:]]
    expected: dict[str, int] = {}
    for _, status, count in lines:
        expected[status] = expected.get(status, 0) + int(count)
    found = rows("SELECT status, sum(count)::BIGINT FROM transactions GROUP BY 1", SAMPLE)
    assert dict(found) == expected  # type: ignore[arg-type]
    assert rows("SELECT sum(total)::BIGINT FROM per_minute", SAMPLE) == [(sum(expected.values()),)]
    assert rows("SELECT sum(total)::BIGINT FROM per_hour", SAMPLE) == [(sum(expected.values()),)]


def test_the_same_rows_whatever_the_packing(tmp_path: Path) -> None:
    sql = "SELECT * FROM transactions"
    expected = rows(sql, SAMPLE)
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    zipped = tmp_path / "t.csv.zst"
    zipped.write_bytes(zstandard.compress(SAMPLE.read_bytes()))
    lines = SAMPLE.read_text().splitlines()[1:]
    as_json = tmp_path / "t.jsonl"
    as_json.write_text(
        "".join(json.dumps(dict(zip(("time", "state", "n"), line.split(","), strict=True))) + "\n" for line in lines)
    )
    with closing(Database([str(SAMPLE)])) as database:
        database.write_parquet(sql, str(tmp_path / "t.parquet"))
    for path in (packed, zipped, as_json, tmp_path / "t.parquet"):
        assert rows(sql, path) == expected, path


def test_times_are_read_as_replay_reads_them(write: Callable[[str, str], Path]) -> None:
    texts = [
        "00h 05", "14h05", "14h", "14:05", "14:05:59.5", "2026-03-02T14:33:00Z", "2026-03-02T14:33:00+02:00",
        "2026-03-02 14:33", "1772461980", "1772461980000", "20260302",
    ]  # fmt: skip
    path = write("t.csv", "time,status\n" + "".join(f"{text},approved\n" for text in texts))
    from txmon.ingest.timestamps import TimeParser

    for tz in ("UTC", "America/Sao_Paulo"):
        from zoneinfo import ZoneInfo

        parser = TimeParser(ZoneInfo(tz), DAY)
        expected = [parser.parse(text) for text in texts]
        assert rows("SELECT epoch(time)::BIGINT FROM transactions", path, tz=tz) == [(time,) for time in expected]


def test_midnight_begins_the_next_day(write: Callable[[str, str], Path]) -> None:
    first = write("a.csv", "time,status,count\n23h 59,a,1\n00h 00,a,1\n23h 59,late,1\n00h 01,a,1\n")
    second = write("b.csv", "time,status,count\n22h 00,a,1\n00h 30,a,1\n")
    assert rows("SELECT strftime(time, '%d %H:%M') FROM transactions", first, second) == [
        ("02 23:59",), ("03 00:00",), ("02 23:59",), ("03 00:01",), ("02 22:00",), ("03 00:30",),
    ]  # fmt: skip


def test_other_columns_can_be_used_and_names_are_clean(write: Callable[[str, str], Path]) -> None:
    path = write("t.csv", 'TIME;Status;F1;Merchant;Amount\n00h 01;Denied;2;"m;1";3.5\n')
    assert rows("SELECT status, count, merchant, amount FROM transactions", path) == [("denied", 2, "m;1", 3.5)]


def test_a_silent_minute_has_a_row_and_no_share(write: Callable[[str, str], Path]) -> None:
    path = write("t.csv", "time,status,count\n00h 00,approved,3\n00h 00,odd one,1\n00h 02,denied,1\n")
    sql = 'SELECT total, approved, "odd one", approved_share, failed_share FROM per_minute'
    assert rows(sql, path) == [(4, 3, 1, 0.75, 0.0), (0, 0, 0, None, None), (1, 0, 0, 0.0, 0.0)]


def test_rows_that_are_none_are_counted(write: Callable[[str, str], Path]) -> None:
    text = "time,status,count\n00h 00,a,3\n25h 00,a,1\n00h 01,,1\n00h 01,a,-1\n00h 01,a,1.5\n00h 01,a\n00h 02,a,4\n"
    path = write("t.csv", text)
    with closing(Database([str(path)])) as database:
        assert list(database.run("SELECT sum(count)::INT FROM transactions")) == [(7,)]
        found = {bad.reason: bad.count for bad in database.rejected}
    assert found == {
        "a line that is not a row": 1, "a time that cannot be read": 1, "no status": 1,
        "a count that is not a whole number": 2,
    }  # fmt: skip


def test_a_torn_line_is_left_out(write: Callable[[str, str], Path]) -> None:
    path = write(
        "t.jsonl", '{"time": "00h 01", "status": "a", "count": 12}\n{"time": "00h 02", "status": "a", "count": 1'
    )
    with closing(Database([str(path)])) as database:
        assert list(database.run("SELECT count FROM transactions")) == [(12,)]
        assert [bad.count for bad in database.rejected] == [1]


def test_verdicts_and_incidents(tmp_path: Path) -> None:
    out = tmp_path / "v.jsonl"
    rows_of = SAMPLE.read_text().splitlines()
    keyed = tmp_path / "keyed.csv"  # as many keys as statuses
    keyed.write_text("\n".join(["time,status,count,part", *(f"{row},{row.split(',')[1]}" for row in rows_of[1:]), ""]))
    assert txmon("replay", str(keyed), "--group-by", "part", "--out", str(out)).returncode == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    opened = [line for line in lines if line.get("state") == "opened"]
    assert rows("SELECT count(*) FROM verdicts", out) == [(sum("recommendation" in line for line in lines),)]
    found = rows("SELECT id, statuses, start FROM incidents WHERE state = 'opened' ORDER BY ALL", out)
    assert found == sorted((i["id"], i["statuses"], datetime.fromisoformat(i["start"][:-1])) for i in opened)
    assert len(found) >= 3
    alerts = rows("SELECT count(*) FROM verdicts WHERE recommendation = 'alert' AND key->>'part' = 'failed'", out)
    wanted = sum(line.get("recommendation") == "alert" and line.get("key") == {"part": "failed"} for line in lines)
    assert alerts == [(wanted,)]


def test_verdicts_and_incidents_come_back_from_parquet(tmp_path: Path) -> None:
    out = tmp_path / "v.jsonl"
    assert txmon("replay", str(SAMPLE), "--out", str(out)).returncode == 0
    kept = []
    for table in ("verdicts", "incidents"):
        sql = f"SELECT * FROM {table} ORDER BY time, text"
        kept.append(tmp_path / f"{table}.parquet")
        with closing(Database([str(out)])) as database:
            database.write_parquet(sql, str(kept[-1]))
        assert rows(sql, kept[-1]) == rows(sql, out) != []
    timeline = shipped()["incident-timeline"]
    assert rows(timeline, *kept) == rows(timeline, out)


def test_other_files_are_tables_of_their_names(write: Callable[[str, str], Path]) -> None:
    path = write("my-list.csv", "name,limit,since\nx,1.5,2026-03-02\ny,2,2026-03-03\n")
    sql = 'SELECT m."limit" * 2, m.since::DATE FROM my_list m'
    assert rows(sql, path) == [(3.0, date(2026, 3, 2)), (4.0, date(2026, 3, 3))]


@pytest.mark.parametrize("name", ["[ab].csv", "a*.csv", "?.csv", "it's.csv", "~.csv"])
def test_a_name_is_a_name_and_no_pattern(name: str, write: Callable[[str, str], Path]) -> None:
    write("a.csv", "time,status\n00h 00,another\n")
    assert rows("SELECT status FROM transactions", write(name, "time,status\n00h 00,mine\n")) == [("mine",)]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_byte_order_mark_hides_nothing(name: str, tmp_path: Path) -> None:
    text = "time,status\n00h 00,a\n" if name.endswith("csv") else '{"time": "00h 00", "status": "a"}\n'
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    with closing(Database([str(tmp_path / name)])) as database:
        assert list(database.run("SELECT status FROM transactions")) == [("a",)]
        assert not database.rejected


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a\0b", b"\x1f\x8b\x08 torn"])
def test_what_is_no_table_is_a_clear_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(data)
    with pytest.raises(TxmonError) as bad:
        Database([str(path)])
    assert str(path) in str(bad.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000000) a",
        "SELECT a.time FROM transactions a, transactions b, transactions c",
    ],
    ids=["no rows for long", "many rows"],
)
def test_an_interrupt_ends_a_long_query_with_130(sql: str, tmp_path: Path) -> None:
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a CI may have it ignored
        "from txmon.cli.main import run\nsys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "query", sql, str(SAMPLE), "--out", str(tmp_path / "o.csv")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.strip() == b"txmon: interrupted"


def test_checkouts(write: Callable[[str, str], Path]) -> None:
    path = write("c.csv", "time,today,yesterday\n00h,1,2.5\n01h,3,4\n")
    assert rows("SELECT * FROM checkouts", path) == [("c.csv", 0, 1.0, 2.5), ("c.csv", 1, 3.0, 4.0)]


# --- what SQL may not do ---

FORBIDDEN = [
    "SELECT * FROM '{other}'",
    "SELECT * FROM read_csv('{other}')",
    "SELECT * FROM read_text('{other}')",
    "SELECT * FROM read_blob('{named}')",
    "SELECT * FROM sniff_csv('{other}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_json('{other}')",
    "SELECT * FROM parquet_metadata('{other}')",
    "COPY transactions TO '{new}'",
    "COPY transactions FROM '{other}'",
    "EXPORT DATABASE '{new}'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{new}' AS x",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{other}'",
    "SELECT * FROM 'https://127.0.0.1:9/x.csv'",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "CREATE SECRET s (TYPE s3)",
    "SET enable_external_access=true",
    "RESET enable_external_access",
    "SET lock_configuration=false",
    "SET allowed_directories=['/']",
    "SET temp_directory='{new}'",
    "SET profiling_output='{new}'",
    "PRAGMA enable_profiling='json'",
    "CALL enable_logging(storage='file', storage_config={{'path': '{new}'}})",
    "SELECT getenv('HOME')",
    "SELECT * FROM secret_frame",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_sql_reaches_nothing_but_the_tables(sql: str, tmp_path: Path) -> None:
    import pandas as pd

    secret_frame = pd.DataFrame({"a": [1]})
    other = tmp_path / "other.csv"
    other.write_text("secret\n42\n")
    before = sorted(tmp_path.iterdir())
    text = sql.format(other=other, folder=tmp_path, new=tmp_path / "new", named=SAMPLE)
    with closing(Database([str(SAMPLE)])) as database, pytest.raises(UsageError):
        list(database.run(text))
    assert sorted(tmp_path.iterdir()) == before
    assert other.read_text() == "secret\n42\n"
    assert len(secret_frame) == 1


def test_the_same_statements_run_where_nothing_is_locked(tmp_path: Path) -> None:
    """The list above would prove nothing if duckdb refused these anyway."""
    import duckdb

    other = tmp_path / "other.csv"
    other.write_text("secret\n42\n")
    connection = duckdb.connect()
    connection.execute("CREATE TABLE transactions (secret INT)")
    ran = 0
    for sql in FORBIDDEN[:12]:
        text = sql.format(other=other, folder=tmp_path, new=tmp_path / "new", named=SAMPLE)
        try:
            connection.execute(text).fetchall()
            ran += 1
        except duckdb.Error:
            pass
    assert ran >= 6  # reading, listing and writing; the rest stumbles over what is in these files


def test_what_is_named_twice_or_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NoInput):
        Database([str(tmp_path / "none.csv")])
    with pytest.raises(NoInput, match="a folder without"):
        Database([str(tmp_path)])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadData):
        Database([str(tmp_path / "bad.parquet")])


@pytest.mark.parametrize("sql", ["", "SELEC 1", "SELECT * FROM nope", "SELECT 'x'::INT", "SELECT 1/0; SELECT nope"])
def test_bad_sql_is_an_error_of_ours(sql: str) -> None:
    with closing(Database([str(SAMPLE)])) as database, pytest.raises(TxmonError):
        list(database.run(sql))


def test_a_moment_with_a_zone_is_shown_in_utc() -> None:
    sql = "SELECT '2026-03-02T14:00:00+02:00'::TIMESTAMPTZ AS t, 1 AS n"
    assert rows(sql, SAMPLE) == [(datetime(2026, 3, 2, 12), 1)]


# --- shipped queries, and outputs ---


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_queries_find_something(name: str, tmp_path: Path) -> None:
    sql = shipped()[name]
    assert sql.startswith("-- ")
    paths = [SAMPLE]
    if "FROM incidents" in sql:
        assert txmon("replay", str(SAMPLE), "--out", str(tmp_path / "v.jsonl")).returncode == 0
        paths = [tmp_path / "v.jsonl"]
    elif "FROM checkouts" in sql:
        columns = "time,today,yesterday,same_day_last_week,avg_last_week,avg_last_month"
        (tmp_path / "c.csv").write_text(columns + "\n" + "".join(f"{h:02d}h,{h},9,9,9.5,9.25\n" for h in range(24)))
        paths = [tmp_path / "c.csv"]
    assert rows(sql, *paths)


def test_above_normal_finds_the_labelled_reversals() -> None:
    found = rows(shipped()["above-normal"], SAMPLE)
    reversed_at = [time for time, status, *_ in found if status == "reversed" and isinstance(time, datetime)]
    assert any(time.hour == 11 and 20 <= time.minute < 32 for time in reversed_at)
    assert len(found) < 120


def test_outputs(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    path = write("t.csv", "time,status,count\n00h 00,\"=cmd|'/c calc'!A1\",3\n00h 01,\x1b[31mred,4\n")
    sql = "SELECT status, count, -count AS minus, NULL AS nothing FROM transactions"
    as_csv = txmon("query", sql, str(path), "--format", "csv").stdout
    assert as_csv.splitlines()[:2] == ["status,count,minus,nothing", "'=cmd|'/c calc'!a1,3,-3,"]
    as_json = txmon("query", sql, str(path), "--format", "jsonl").stdout.splitlines()
    assert json.loads(as_json[1]) == {"status": "\x1b[31mred", "count": 4, "minus": -4, "nothing": None}
    table = txmon("query", sql, str(path)).stdout
    assert "\x1b" not in table
    assert "?[31mred" in table
    out = tmp_path / "o.parquet"
    assert txmon("query", sql, str(path), "--out", str(out)).returncode == 0
    assert rows("SELECT minus FROM o", out) == [(-3,), (-4,)]


def test_sql_from_standard_input_and_chart() -> None:
    done = txmon("query", "-", str(SAMPLE), "--chart", stdin="SELECT hour, total FROM per_hour")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("total\n")
    assert "█" in done.stdout


def test_a_file_that_grows_is_never_read_in_half(tmp_path: Path) -> None:
    path = tmp_path / "growing.jsonl"
    line = json.dumps({"time": "00h 01", "status": "approved", "count": 1234567}) + "\n"
    path.write_text(line)
    stop = threading.Event()

    def grow() -> None:
        with path.open("a", buffering=1 << 20) as file:
            while not stop.is_set():
                for part in (line[:20], line[20:40], line[40:]):  # torn on purpose
                    file.write(part)
                    file.flush()
                    time.sleep(0.0002)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        seen = [rows("SELECT count(*), min(count), max(count) FROM transactions", path)[0] for _ in range(12)]
    finally:
        stop.set()
        writer.join()
    assert all(least == most == 1234567 for _, least, most in seen)
    assert seen[-1][0] > seen[0][0] >= 1  # type: ignore[operator]

"""`txmon query` counts what `txmon replay` counts, whatever the shape of the file."""

import gzip
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from txmon.query.database import Database

TXMON = str(Path(sys.executable).with_name("txmon"))
PAIRS = [(f"2024-03-{13 + n % 3:02}T10:{n % 60:02}:00Z", ("approved", "denied", "failed")[n % 3]) for n in range(60)]
EXPECTED = Counter(status for _, status in PAIRS)


def written(kind: str) -> bytes:
    if kind == "month first":
        lines = ["Date,Status", *(f"3/{t[8:10]}/2024 {t[11:16]},{s}" for t, s in PAIRS)]
    elif kind == "utc words":
        lines = ["time,status", *(f"{t[:10]} {t[11:19]} UTC,{s}" for t, s in PAIRS)]
    elif kind == "compact":
        lines = ["time,status", *(t.translate({45: None, 58: None, 84: None, 90: None}) + f",{s}" for t, s in PAIRS)]
    elif kind == "newlines in quotes":
        lines = ["time,status,note", *(f'{t},{s},"a\nb, c"' for t, s in PAIRS)]
    elif kind == "trailing commas":
        lines = ["time,status,count,", *(f"{t},{s},1," for t, s in PAIRS)]
    elif kind == "amounts":
        lines = ["time,status,amount", *(f'{t},{s},"1,250.00"' for t, s in PAIRS)]
    elif kind == "array":
        lines = [json.dumps([{"time": t, "status": s, "shop": {"name": "x"}} for t, s in PAIRS])]
    elif kind == "nested":
        lines = [json.dumps({"at": {"time": t}, "payment": {"status": s}}) for t, s in PAIRS]
    elif kind == "wide":
        lines = ["time,approved,denied,failed"]
        lines += [f"{t},{','.join(str(int(s == one)) for one in EXPECTED)}" for t, s in PAIRS]
    else:
        lines = ["time,status,shop", *(f"{t},{s},x" for t, s in PAIRS)]
    return "\n".join([*lines, ""]).encode()


KINDS = ("plain", "month first", "utc words", "compact", "newlines in quotes", "trailing commas", "amounts", "array",
         "nested", "wide")  # fmt: skip


@pytest.mark.parametrize("packing", ["none", "gzip", "zip", "utf-16"])
@pytest.mark.parametrize("kind", KINDS)
def test_totals_are_those_of_the_rows(tmp_path: Path, kind: str, packing: str) -> None:
    data, path = written(kind), tmp_path / "t.txt"
    if packing == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t.csv", data)
    else:
        utf_16 = data.decode().encode("utf-16")
        path.write_bytes({"none": data, "gzip": gzip.compress(data), "utf-16": utf_16}[packing])
    with closing(Database([str(path)])) as database:
        sums = database.run("SELECT status, sum(count)::INT FROM transactions GROUP BY 1 HAVING sum(count) > 0")
        found = {status: count for status, count in sums}  # noqa: C416 - rows of any length, to the checker
        days = list(database.run("SELECT count(DISTINCT date_trunc('day', time)) FROM transactions WHERE count > 0"))
        assert not database.rejected
    assert (found, days) == (EXPECTED, [(3,)])


def test_other_columns_are_there_too(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(written("array"))
    (tmp_path / "b.csv").write_bytes(written("newlines in quotes"))
    (tmp_path / "c.csv").write_bytes(
        written("utc words").replace(b"status", b"status,shop").replace(b"denied", b"denied,x")
    )
    with closing(Database([str(tmp_path / "b.csv")])) as database:
        assert list(database.run("SELECT DISTINCT note FROM transactions")) == [("a\nb, c",)]
    with closing(Database([str(tmp_path / "a.json")])) as database:
        columns = [column for table in database.tables() if table.name == "transactions" for column, _ in table.columns]
        assert "shop.name" in columns or "shop" in columns


@pytest.mark.parametrize("kind", ["month first", "array", "wide"])
def test_replay_has_the_same_totals(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(written(kind))
    done = subprocess.run([TXMON, "replay", str(path)], capture_output=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = Counter[str]()
    for line in lines:
        if "event" not in line and line["status"] != "*":
            found[line["status"]] += line["count"]
    assert found == EXPECTED


def asked(tmp_path: Path, data: bytes, *flags: str, name: str = "t.csv") -> subprocess.CompletedProcess[str]:
    path = tmp_path / name
    path.write_bytes(data)
    sql = "SELECT status, sum(count)::INT AS n FROM transactions GROUP BY 1 ORDER BY 1"
    return subprocess.run(
        [TXMON, "query", sql, str(path), "--format", "csv", *flags], capture_output=True, text=True, timeout=60,
        check=False, env={name: value for name, value in os.environ.items() if name != "TXMON_NO_READING"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "flags", "says"),
    [
        ("time,status,count\n05/03/2024 10:00,ok,3\n", ("--day-first",), "time=time (day-first, UTC)"),
        ("time,status,count\n05h03 2024-03-05,ok,3\n", ("--time-format", "%Hh%M %Y-%m-%d"), "%Hh%M %Y-%m-%d"),
        ("time;status;count\n2024-03-05 10:00;ok;1.003\n2024-03-05 10:01;ok;-\n", (), "count=count"),
        ("t,s,n\n2024-03-05 10:00,ok,3\n", ("--map", "time=t", "--map", "status=s", "--map", "count=n"), "count=n"),
        ("time,ok,x\n2024-03-05 10:00,3,4\n", ("--wide", "ok"), "counts=ok"),
        ("data,hora,status,count\n2024-03-05,10:00,ok,3\n", ("--date-column", "data"), "time=hora + data"),
    ],
)
def test_query_takes_the_flags_of_replay(tmp_path: Path, text: str, flags: tuple[str, ...], says: str) -> None:
    done = asked(tmp_path, text.encode(), *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() in (["status,n", "ok,3"], ["status,n", "ok,1003"])
    assert says in done.stderr
    assert asked(tmp_path, text.encode(), *flags, "--no-reading").stderr.count("time=") == 0


def test_query_without_the_flag_is_the_same_choice(tmp_path: Path) -> None:
    done = asked(tmp_path, b"time,status,count\n05/03/2024 10:00,ok,3\n")
    assert done.returncode == 65
    assert "5 March 2024 with --day-first" in done.stderr


def test_parquet_is_read_as_replay_reads_it(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "t.parquet"
    duckdb.sql(
        "COPY (SELECT TIMESTAMP '2024-03-05 10:00' + to_minutes(i) AS minuto, 118 AS approved, 6 AS denied"
        f" FROM range(9) t(i)) TO '{path}' (FORMAT parquet)"
    )
    with closing(Database([str(path)])) as database:
        sums = list(database.run("SELECT status, sum(count)::INT FROM transactions GROUP BY 1 ORDER BY 1"))
    assert sums == [("approved", 1062), ("denied", 54)]

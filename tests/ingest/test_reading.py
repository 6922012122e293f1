"""How real exports are read: what the reading says, and that no count is lost or invented on the way."""

import codecs
import csv
import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import SHARED

from txmon.errors import BadData
from txmon.ingest.decision import read_plan
from txmon.ingest.formats.opened import OpenedSource
from txmon.ingest.reading import Hints
from txmon.ingest.records import ParseOptions, Record
from txmon.ingest.rejects import RejectLog
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.sinks.lines import verdict_line

TXMON = Path(sys.executable).with_name("txmon")
Row = tuple[datetime, str, int]
START = datetime(2024, 3, 5, 10, 0)
CASES = SHARED / "cases" / "input"
MINUTES = [
    (START + timedelta(minutes=i), status, count)
    for i in range(9)
    for status, count in (("approved", 118), ("denied", 6), ("failed", 1))
]


def read(path: Path, hints: Hints | None = None) -> Counter[tuple[int, str]]:
    """The counts of `path` by time and status."""
    found: Counter[tuple[int, str]] = Counter()
    with OpenedSource(str(path), hints or Hints()) as source:
        parser = source.parser(TimeParser(UTC, date(2024, 1, 1)))
        for lines in source:
            for record in parser.parse(lines):
                assert isinstance(record, Record), record
                found[record.time, record.status] += record.count
    return +found


def counts(rows: Sequence[Row]) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for moment, status, count in rows:
        found[int(moment.replace(tzinfo=UTC).timestamp()), status] += count
    return +found


def case(name: str) -> Path:
    path = CASES / name / "input"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def table(
    rows: Sequence[Row], write: Callable[[datetime], str] = str, delimiter: str = ",", count: str = "count"
) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["time", "status", count])
    writer.writerows((write(moment), status, number) for moment, status, number in rows)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["04-count-column-unknown", "05-value-is-the-count", "08-compact-timestamps", "13-bigquery-utc",
             "15-json-array", "29-excel-utf16", "33-prometheus-matrix"]
)  # fmt: skip
def test_counts_of_an_export(name: str) -> None:
    assert read(case(name)) == counts(MINUTES)


def test_rows_of_one_transaction_by_pandas() -> None:
    import pandas as pd

    path = case("27-multiline-quotes")
    frame = pd.read_csv(path)
    expected = Counter(
        {
            (int(pd.Timestamp(at).timestamp()), status): 1
            for at, status in zip(frame.created_at, frame.status, strict=True)
        }
    )
    assert read(path) == expected


def test_an_amount_never_costs_a_record() -> None:
    import pandas as pd

    path = case("24-amount-rejects-rows")
    assert sum(read(path).values()) == len(pd.read_csv(path)) == 28


def test_nested_fields() -> None:
    path = case("16-nested-json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    expected = Counter(row["transaction"]["status"] for row in rows)
    for mapping in ({}, {"time": "@timestamp", "status": "transaction.status"}):
        found = read(path, Hints(ParseOptions(mapping=mapping)))
        assert Counter({s: n for s in expected for n in [sum(c for (_, k), c in found.items() if k == s)]}) == expected


def test_a_column_for_each_status() -> None:
    import pandas as pd

    path = case("19-wide-csv")
    frame = pd.read_csv(path).melt("time", var_name="status", value_name="count")
    rows = [(datetime.fromisoformat(t), s, int(c)) for t, s, c in frame.itertuples(index=False)]
    assert read(path) == counts(rows)


def test_names_that_are_known() -> None:
    with OpenedSource(str(case("34-error-names-no-map")), Hints()) as source:
        assert dict(source.reading.columns) == {"time": "minute", "status": "auth_code", "count": "count"}


def test_the_step_of_rows() -> None:
    with OpenedSource(str(case("26-five-minute-rows")), Hints()) as source:
        assert source.reading.step == 300


@pytest.mark.parametrize("name", ["11-br-in-dates", "12-us-dates-ampm", "07-time-of-day-ignores-date"])
def test_an_order_of_dates_that_nothing_decides_is_a_choice(name: str) -> None:
    path = case(name)
    with pytest.raises(BadData, match=r"5 March 2024 with --") as raised:
        read(path)
    assert "3 May 2024 with --" in str(raised.value)


def test_dates_with_a_flag() -> None:
    assert read(case("11-br-in-dates"), Hints(order="dmy")) == counts(MINUTES)
    assert read(case("12-us-dates-ampm"), Hints(order="mdy")) == counts(MINUTES)


def test_a_date_and_a_zone_in_other_columns() -> None:
    path = case("07-time-of-day-ignores-date")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    expected = Counter(
        (int(datetime.strptime(row["Date"] + row["Time"] + " -0800", "%d/%m/%Y%H:%M:%S %z").timestamp()), "completed")
        for row in rows
    )
    assert read(path, Hints(order="dmy")) == expected


def test_the_rest_of_the_file_decides_the_order(tmp_path: Path) -> None:
    rows = [(START + timedelta(minutes=i), "approved", 5) for i in range(3000)]
    rows.append((datetime(2024, 3, 13, 10, 0), "approved", 5))
    path = tmp_path / "t.csv"
    path.write_text(table(rows, lambda moment: f"{moment:%d/%m/%Y %H:%M}"))
    assert read(path) == counts(rows)


def test_day_first_here_and_month_first_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,status,count\n13/03/2024 10:00,approved,1\n03/13/2024 10:00,approved,1\n")
    with pytest.raises(BadData, match="day-first in some rows and month-first in others"):
        read(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "time,payment_status,order_status\n10:00,paid,pending\n10:01,failed,pending\n",
            "two columns may be the status",
        ),
        (
            "time,status,foo\n2024-03-05 10:00,approved,118\n2024-03-05 10:01,approved,6\n",
            r"is it 'foo'\? Say --map count=foo",
        ),
        ("when,what,count\nmonday,x,1\n", "no column for 'time'.* and for 'status'.*--map time=COLUMN"),
        (
            "opened,closed,status\n2024-03-05 10:00,2024-03-05 10:01,x\n2024-03-05 10:01,2024-03-05 10:03,y\n",
            "several columns may be the time: 'opened' .* or 'closed' .*--map time=opened or --map time=closed",
        ),
        ("time,status\n1234,approved\n", None),
    ],
)
def test_ambiguity_and_absence_are_errors_with_the_flag(text: str, says: str | None, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    done = subprocess.run([TXMON, "replay", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 65
    assert done.stdout == ""
    assert re.search(says or "is not a time between 1990 and 2100", done.stderr)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "is an Excel 97 workbook. Save it as .xlsx or CSV"),
        ("a.csv", b"BZh91AY", "is packed with bzip2"),
        ("a.xls", b"<html><body><table>", "is an HTML page"),
        ("a.xml", b"<?xml version='1.0'?><a/>", "is an XML document"),
        ("a.db", b"SQLite format 3\0" + bytes(100), "is an SQLite database"),
        ("a.zip", b"PK\x03\x04" + bytes(30), "is a damaged zip file"),
        ("a.json", b"[]", "is an empty JSON array"),
        ("a.json", b"[1, 2]", "is a JSON array of int values, not of objects"),
        ("a.json", b'{\n  "a": 1\n}\n', "without a list of rows|no column for 'time'"),
        ("a.parquet", b"PAR1" + bytes(40), "is a Parquet file that cannot be read"),
    ],
)
def test_what_is_not_readable_is_named(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadData, match=says):
        read(path)


def test_fields_are_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,time,status,count\na,2024-03-05 10:00,approved,7\na,2024-03-05 10:00,approved,7\n")
    assert sum(read(path, Hints(ParseOptions(mapping={"count": "", "id": ""}))).values()) == 2
    assert sum(read(path).values()) == 14


@pytest.mark.parametrize(
    "column", ["count(*)", "count(1)", "COUNT", "_col2", "count_star()", "cnt", "qty", "total", "n", "transactions",
               "txn_count", "size", "0", "value", "Count of records", "No. of transactions", "Qtde", "count(status)"],
)  # fmt: skip
def test_names_of_counts(column: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table(MINUTES, count=column))
    assert read(path) == counts(MINUTES)


def test_the_statement() -> None:
    lines = [b"timestamp;status;count(*);merchant;amount", b"2024-03-05T10:00:00Z;approved;118;m1;3,5",
             b"2024-03-05T10:01:00Z;approved;118;m1;3,5"]  # fmt: skip
    reading = read_plan("sales.csv", lines, Hints())
    assert reading.statement() == (
        "sales.csv: CSV (semicolons); time=timestamp (UTC), status=status, count=count(*); not used: merchant, amount"
    )
    assert reading.to_dict()["row"] == "a count"


def test_inspect_says_what_replay_reads(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table(MINUTES, count="value"))
    done = subprocess.run(
        [TXMON, "inspect", str(path), "--json"], capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(done.stdout)
    assert found["totals"] == {"approved": 1062, "denied": 54, "failed": 9}
    assert (found["from"], found["to"], found["records"]) == ("2024-03-05T10:00:00Z", "2024-03-05T10:08:00Z", 27)
    assert "--map count=: a row is one transaction" in found["flags"]


def test_the_reading_is_said_once_and_never_on_standard_output(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table(MINUTES, count="count(*)"))
    env = {name: value for name, value in os.environ.items() if name != "TXMON_NO_READING"}
    says = "time=time (UTC), status=status, count=count(*)\n"

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        with path.open("rb") as stdin:
            return subprocess.run(
                [TXMON, *command], stdin=stdin, capture_output=True, text=True, timeout=60, env=env, check=True
            )

    for command in (["replay", str(path)], ["watch"], ["analyze", str(path)], ["tune", str(path), "--budget", "1/day"]):
        told, quiet = run(*command), run(*command, "--no-reading")
        assert told.stderr.count(says) == 1, command
        assert "time=time" not in told.stdout
        assert says not in quiet.stderr
        assert quiet.stdout == told.stdout


# the same counts in every form

FORMATS: dict[str, Callable[[datetime], str]] = {
    "iso": lambda m: m.isoformat() + "Z",
    "space": lambda m: f"{m:%Y-%m-%d %H:%M:%S}",
    "utc": lambda m: f"{m:%Y-%m-%d %H:%M:%S} UTC",
    "slashes": lambda m: f"{m:%Y/%m/%d %H:%M:%S}",
    "rfc2822": lambda m: f"{m:%a, %d %b %Y %H:%M:%S} +0000",
    "apache": lambda m: f"{m:%d/%b/%Y:%H:%M:%S} +0000",
    "words": lambda m: f"{m:%b} {m.day}, {m:%Y, %I:%M:%S %p}",
    "dots": lambda m: f"{m:%d.%m.%Y %H:%M:%S}",
    "digits": lambda m: f"{m:%Y%m%d%H%M%S}",
    "s": lambda m: str(int(m.replace(tzinfo=UTC).timestamp())),
    "ms": lambda m: str(int(m.replace(tzinfo=UTC).timestamp()) * 1000),
    "us": lambda m: str(int(m.replace(tzinfo=UTC).timestamp()) * 10**6),
    "ns": lambda m: str(int(m.replace(tzinfo=UTC).timestamp()) * 10**9),
    "offset": lambda m: f"{m - timedelta(hours=3):%Y-%m-%dT%H:%M:%S}-03:00",
}


def _csv(rows: Sequence[Row], write: Callable[[datetime], str], delimiter: str) -> bytes:
    return table(rows, write, delimiter).encode()


def _objects(rows: Sequence[Row], write: Callable[[datetime], str]) -> list[dict[str, object]]:
    return [{"time": write(moment), "status": status, "count": count} for moment, status, count in rows]


def _prometheus(rows: Sequence[Row]) -> bytes:
    series: dict[str, list[list[object]]] = {}
    for moment, status, count in rows:
        series.setdefault(status, []).append([moment.replace(tzinfo=UTC).timestamp(), str(count)])
    result = [{"metric": {"status": status}, "values": values} for status, values in series.items()]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def _logfmt(rows: Sequence[Row]) -> bytes:
    return "".join(f'time={m.isoformat()}Z level=info msg="a b" status={s} count={c}\n' for m, s, c in rows).encode()


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/t.csv", data)
    return out.getvalue()


def _workbook(rows: Sequence[Row]) -> bytes:
    from openpyxl import Workbook

    book, out = Workbook(), io.BytesIO()
    book.active.append(["time", "status", "count"])
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


MINUTE = st.integers(0, 59)
COUNTED = st.dictionaries(
    st.tuples(MINUTE, st.sampled_from(["approved", "denied", "failed", "reversed"])), st.integers(1, 10**6), min_size=4,
    max_size=40,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(found=COUNTED, form=st.sampled_from(sorted(FORMATS)), delimiter=st.sampled_from(",;\t|^"), data=st.data())
def test_every_form_gives_the_same_counts(
    found: dict[tuple[int, str], int], form: str, delimiter: str, data: st.DataObject, tmp_path: Path
) -> None:
    rows = [(START + timedelta(minutes=minute), status, count) for (minute, status), count in found.items()]
    write = FORMATS[form]
    plain = _csv(rows, write, delimiter)
    text = plain.decode()
    objects = _objects(rows, write)
    quoted = text.replace("status", '"status"', 1).replace("\n", "\r\n")
    made: dict[str, bytes] = {
        "csv": plain,
        "crlf and quotes": quoted.encode(),
        "utf-8 with a mark": codecs.BOM_UTF8 + plain,
        "utf-16": text.encode("utf-16"),
        "utf-16 without a mark": text.encode("utf-16-le"),
        "preamble": b"Payments by minute\n\n" + plain,
        "zip": _zipped(plain),
        "lines": "".join(json.dumps(row) + "\n" for row in objects).encode(),
        "array": json.dumps(objects).encode(),
        "array of lines": ("[\n" + ",\n".join(map(json.dumps, objects)) + "\n]\n").encode(),
        "pretty array": json.dumps(objects, indent=2).encode(),
        "document": json.dumps({"page": 1, "rows": objects}).encode(),
        "prometheus": _prometheus(rows),
        "logfmt": _logfmt(rows),
        "workbook": _workbook(rows),
    }
    kind = data.draw(st.sampled_from(sorted(made)))
    path = tmp_path / "input"
    path.write_bytes(made[kind])
    assert read(path) == counts(rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(
    found=COUNTED, form=st.sampled_from(sorted(FORMATS)), delimiter=st.sampled_from(",;\t|"), seed=st.randoms(),
    kind=st.sampled_from(["csv", "latin-1", "utf-16", "lines", "array", "document", "logfmt", "gzip", "zip", "wide"]),
)  # fmt: skip
def test_every_form_and_order_gives_the_same_verdicts(
    found: dict[tuple[int, str], int], form: str, delimiter: str, seed: random.Random, kind: str, tmp_path: Path
) -> None:
    rows = [(START + timedelta(minutes=minute), status, count) for (minute, status), count in sorted(found.items())]
    plain = tmp_path / "plain.csv"
    plain.write_text(table(rows))
    mixed = list(rows)
    seed.shuffle(mixed)
    write = FORMATS[form]
    text = table(mixed, write, delimiter)
    objects = _objects(mixed, write)
    made: dict[str, Callable[[], bytes]] = {
        "csv": text.encode,
        "latin-1": lambda: text.replace("status", "situação", 1).encode("latin-1"),
        "utf-16": lambda: text.encode("utf-16"),
        "lines": lambda: "".join(json.dumps(row) + "\n" for row in objects).encode(),
        "array": lambda: json.dumps(objects).encode(),
        "document": lambda: json.dumps({"data": {"rows": objects}}, indent=1).encode(),
        "logfmt": lambda: _logfmt(mixed),
        "gzip": lambda: gzip.compress(text.encode()),
        "zip": lambda: _zipped(text.encode()),
        "wide": lambda: _wide(mixed, write),
    }
    path = tmp_path / "input"
    path.write_bytes(made[kind]())
    assert verdicts(path) == verdicts(plain)


def _wide(rows: Sequence[Row], write: Callable[[datetime], str]) -> bytes:
    names = sorted({status for _, status, _ in rows} | {"approved", "denied"})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *names])
    for moment, status, count in rows:
        writer.writerow([write(moment), *(count if name == status else "" for name in names)])
    return out.getvalue().encode()


def verdicts(path: Path) -> list[str]:
    """The lines that replay writes of what was counted; of statuses that never came, a wide table has more."""
    pipeline = pipeline_of(Settings(), live=False)
    reader = reader_of(Settings(), RejectLog(), date(2024, 1, 1))
    tallies = reader.tallies([str(path)], 60)
    return [
        verdict_line(v) for outcome in pipeline.run(tallies) for v in outcome.verdicts if v.count or v.status == "*"
    ]


def test_parquet(tmp_path: Path) -> None:
    import duckdb

    source, path = tmp_path / "t.csv", tmp_path / "t.parquet"
    source.write_text(table(MINUTES, count="count_star()"))
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{source}')) TO '{path}' (FORMAT parquet)")
    assert read(path) == counts(MINUTES)


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_NS", "TIMESTAMP_S", "VARCHAR"])
def test_times_of_parquet(kind: str, tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "t.parquet"
    connection = duckdb.connect()
    connection.execute("SET TimeZone='America/Sao_Paulo'")
    moment = "'2024-03-05 10:00:00.25+00'::TIMESTAMPTZ AT TIME ZONE 'UTC'"
    if kind == "TIMESTAMPTZ":
        moment = "'2024-03-05 10:00:00.25+00'::TIMESTAMPTZ"
    connection.execute(
        f'COPY (SELECT ({moment})::{kind} AS time, \'ok\' AS status, 3 AS "count", NULL::TIMESTAMP AS "a ""b"'
        f" FROM range(3)) TO '{path}' (FORMAT parquet)"
    )
    assert read(path) == counts([(START, "ok", 9)])

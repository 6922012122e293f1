"""Inputs in the shapes of real exports, each with the counts that are in it and the flags it needs."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

Row = tuple[datetime, str, int]
Counts = Counter[tuple[int, str]]
START: Final = datetime(2024, 3, 5, 10, 0)
LATER: Final = START + timedelta(days=8)  # 13 March: only one order of day and month reads it


@dataclass(frozen=True, slots=True)
class Export:
    """One input: its bytes, the flags that a user gives, and what must come of it: counts, or a message of exit 65."""

    name: str
    data: bytes
    expected: Counts | str
    flags: tuple[str, ...] = ()
    says: str = ""  # what the reading must say


def minutes(start: datetime = START, n: int = 12, plus: int = 0) -> list[Row]:
    """Counts for each of `n` minutes, all different, so that none can be taken for another's."""
    return [
        (start + timedelta(minutes=i), status, count)
        for i in range(n)
        for status, count in (("approved", 118 + i + plus), ("denied", 6 + i % 4), ("failed", 1 + i % 3))
    ]


def single(words: Sequence[str], start: datetime = START, n: int = 40) -> list[Row]:
    """Transactions of `words`, 23 seconds apart."""
    return [(start + timedelta(seconds=23 * i), words[(i * i + i // 3) % len(words)], 1) for i in range(n)]


def counts(rows: Iterable[Row], hours: float = 0) -> Counts:
    """What `rows` come to, by minute (epoch seconds) and status. hours: by which their clock is east of UTC."""
    found: Counts = Counter()
    for moment, status, count in rows:
        second = int((moment - timedelta(hours=hours)).replace(tzinfo=UTC).timestamp())
        found[second - second % 60, status.lower()] += count
    return +found


def lines(header: str, rows: Iterable[str], end: str = "\n") -> bytes:
    """A text of lines."""
    return (end.join([*([header] if header else []), *rows]) + end).encode()


def table(rows: Iterable[Sequence[object]], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    """CSV as a library writes it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue().encode()


def pivot(rows: Sequence[Row]) -> list[tuple[datetime, dict[str, int]]]:
    """The same with a column for each status."""
    found: dict[datetime, dict[str, int]] = {}
    for moment, status, count in rows:
        found.setdefault(moment, {})[status] = count
    return list(found.items())


def by_status(rows: Sequence[Row]) -> dict[str, list[tuple[datetime, int]]]:
    """The same as a series for each status."""
    found: dict[str, list[tuple[datetime, int]]] = {}
    for moment, status, count in rows:
        found.setdefault(status, []).append((moment, count))
    return found


def epoch(moment: datetime) -> int:
    """Epoch seconds of a time in UTC."""
    return int(moment.replace(tzinfo=UTC).timestamp())


def serial(moment: datetime) -> float:
    """The number of days that Excel means by a time."""
    return (moment - datetime(1899, 12, 30)) / timedelta(days=1)


def us(moment: datetime, second: bool = True) -> str:
    """3/5/2024 10:00:00 AM"""
    clock = f"{moment:%I:%M:%S %p}" if second else f"{moment:%I:%M %p}"
    return f"{moment.month}/{moment.day}/{moment.year} {clock.lstrip('0')}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[object]], bar: str = " | ", cross: str = "-+-") -> list[str]:
    """A table as psql prints it."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *texts]) for i in range(len(header))]
    head = " " + bar.join(name.center(width) for name, width in zip(header, widths, strict=True))
    rule = "-" + cross.join("-" * width for width in widths) + "-"
    body = [" " + bar.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in texts]
    return [head, rule, *body]


def boxed(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table as mysql and Spark print it."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *texts]) for i in range(len(header))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(row: Sequence[str]) -> str:
        return "|" + "|".join(f" {cell.ljust(width)} " for cell, width in zip(row, widths, strict=True)) + "|"

    return [rule, line(list(header)), rule, *map(line, texts), rule]


def workbook(sheets: Sequence[tuple[str, Sequence[Sequence[object]]]]) -> bytes:
    """An Excel workbook."""
    from openpyxl import Workbook

    book, out = Workbook(), io.BytesIO()
    book.remove(book.worksheets[0])
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    book.save(out)
    return out.getvalue()


def zipped(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ndjson(rows: Iterable[Any]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def document(value: Any, indent: int | None = None) -> bytes:
    """A JSON document."""
    return json.dumps(value, indent=indent).encode()


ALL: Final[list[Export]] = []


def export(name: str, data: bytes, expected: Counts | str, *flags: str, says: str = "") -> None:
    """Note an input."""
    ALL.append(Export(name, data, expected, flags, says))


R: Final = minutes()
C: Final = counts(R)
BIG: Final = minutes(plus=1000)
CB: Final = counts(BIG)
D: Final = minutes(LATER)
CD: Final = counts(D)
Z: Callable[[datetime], str] = lambda m: f"{m:%Y-%m-%dT%H:%M:%SZ}"  # noqa: E731
S: Callable[[datetime], str] = lambda m: f"{m:%Y-%m-%d %H:%M:%S}"  # noqa: E731


def _sql() -> None:
    export("psql aligned", lines("", [*aligned(("minute", "status", "count"), [(S(m), s, n) for m, s, n in R]),
                                      "(36 rows)", ""]), C)  # fmt: skip
    export("psql aligned, with zones", lines("", [*aligned(("minute", "status", "count"),
           [(f"{S(m)}-03", s, n) for m, s, n in R]), "(36 rows)", ""]), counts(R, -3))  # fmt: skip
    export("psql aligned, title", lines("", ["     Payments by minute     ", *aligned(("minute", "status", "count"),
           [(f"{S(m)}+00", s, n) for m, s, n in R]), "(36 rows)", ""]), C)  # fmt: skip
    export("psql unaligned", lines("minute|status|count", [*(f"{S(m)}|{s}|{n}" for m, s, n in R), "(36 rows)"]), C)
    export("mysql boxed", lines("", [*boxed(("minute", "status", "count(*)"), [(S(m), s, n) for m, s, n in R]),
                                     "36 rows in set (0.02 sec)", ""]), C)  # fmt: skip
    export("mysql batch", lines("minute\tstatus\tcount(*)", (f"{S(m)}\t{s}\t{n}" for m, s, n in R)), C)
    export("spark show", lines("", boxed(("minute", "status", "count(1)"), [(S(m), s, n) for m, s, n in R])), C)
    export("spark window show", lines("", boxed(("window", "status", "count"),
           [(f"{{{S(m)}, {S(m + timedelta(minutes=1))}}}", s, n) for m, s, n in R])), C)  # fmt: skip
    export("spark window json", ndjson({"window": {"start": f"{m:%Y-%m-%dT%H:%M:%S}.000Z", "end":
           f"{m + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}.000Z"}, "status": s, "count": n} for m, s, n in R), C)  # fmt: skip
    export("sqlcmd", lines("minute,status,cnt", ["------,------,---", *(f"{S(m)}.000,{s},{n}" for m, s, n in R), "",
                                                 "(36 rows affected)"], "\r\n"), C)  # fmt: skip
    export("sqlcmd wide", lines("minute                  status     total      ", [
        "----------------------- ---------- -----------", *(f"{S(m)}.000 {s:10} {n:11}" for m, s, n in R), "",
        "(36 rows affected)"], "\r\n"), C)  # fmt: skip
    export("snowflake", table([("MINUTE", "STATUS", "COUNT(*)"), *((f"{S(m)}.000", s, n) for m, s, n in R)],
                              quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("snowflake zone", table([("MINUTE", "STATUS", "CNT"), *((f"{S(m)}.000 -0800", s, n) for m, s, n in R)]),
           counts(R, -8))  # fmt: skip
    export("snowsql", lines("", [*boxed(("MINUTE", "STATUS", "COUNT(*)"), [(f"{S(m)}.000", s, n) for m, s, n in R]),
                                 "36 Row(s) produced. Time Elapsed: 0.5s"]), C)  # fmt: skip
    export("bigquery csv", table([("minute", "status", "f0_"), *((f"{S(m)} UTC", s, n) for m, s, n in R)]), C)
    export("bigquery json", ndjson({"minute": f"{S(m)} UTC", "status": s, "f0_": str(n)} for m, s, n in R), C)
    export("bigquery floats", ndjson({"minute": f"{epoch(m)}.0", "status": s, "f0_": str(n)} for m, s, n in R), C)
    export(
        "bigquery exponent",
        table([("minute", "status", "f0_"), *((f"{epoch(m) / 1e9:.9f}E9", s, n) for m, s, n in R)]),
        C,
    )
    export("bq pretty", lines("", boxed(("minute", "status", "f0_"), [(S(m), s, n) for m, s, n in R])), C)
    export("athena", table([("minute", "status", "_col2"), *((f"{S(m)}.000", s, n) for m, s, n in R)],
                           quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("athena, no names", table([("_col0", "status", "_col2"), *((f"{S(m)}.000", s, n) for m, s, n in R)],
                           quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("calcite", table([("EXPR$0", "status", "EXPR$2"), *((f"{S(m)}", s, n) for m, s, n in R)]), C)
    export("trino zone", table([("minute", "status", "_col2"), *((f"{S(m)}.000 America/Sao_Paulo", s, n) for m, s, n in R)]),
           counts(R, -3))  # fmt: skip
    export("oracle", table([("MINUTO", "ESTADO", "COUNT(*)"), *((f"{m:%d-%b-%y %I.%M.%S.000000000 %p}".upper(), s.upper(), n)
           for m, s, n in R)], quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("redshift unload without header", lines("", (f"{S(m)}|{s}|{n}" for m, s, n in R)), "no header")
    export("clickhouse csv", table([("toStartOfMinute(created_at)", "status", "count()"), *((S(m), s, n) for m, s, n in R)],
                                   quoting=csv.QUOTE_NONNUMERIC), C)  # fmt: skip
    export("clickhouse json", document({"meta": [{"name": "minute", "type": "DateTime"}, {"name": "status", "type": "String"},
        {"name": "count()", "type": "UInt64"}], "data": [{"minute": S(m), "status": s, "count()": str(n)} for m, s, n in R],
        "rows": len(R), "statistics": {"elapsed": 0.003}}, 1), C)  # fmt: skip
    export("clickhouse compact", document({"meta": [{"name": "minute", "type": "DateTime"}, {"name": "status", "type": "String"},
        {"name": "count()", "type": "UInt64"}], "data": [[S(m), s, str(n)] for m, s, n in R], "rows": len(R)}, 1), C)  # fmt: skip
    box = boxed(("minute", "status", "count()"), [(S(m), s, n) for m, s, n in R])
    export("clickhouse pretty", "\n".join([box[0].replace("+", "┬").replace("-", "─"), box[1].replace("|", "│"),
           *(line.replace("|", "│") for line in box[3:-1]), box[-1].replace("+", "┴").replace("-", "─"), ""]).encode(), C)  # fmt: skip
    export("duckdb box", "\n".join(["┌─────┬─────┬────┐", "│       minute        │  status  │ count_star() │",
           "│      timestamp      │ varchar  │    int64     │", "├─────┼─────┼────┤",
           *(f"│ {S(m)} │ {s:8} │ {n:12} │" for m, s, n in R), "└─────┴─────┴────┘", ""]).encode(), C)  # fmt: skip
    export(
        "markdown",
        lines("| Minute | Status | Count |", ["|:---|---|---:|", *(f"| {S(m)} | {s} | {n} |" for m, s, n in R)]),
        C,
    )
    export("influx sql", lines("name,tags,time,count", (f"tx,status={s},{epoch(m)}000000000,{n}" for s, points in
           by_status(R).items() for m, n in points)), C)  # fmt: skip


def _frames() -> None:
    export(
        "pandas index", table([("", "time", "status", "count"), *((i, S(m), s, n) for i, (m, s, n) in enumerate(R))]), C
    )
    export("pandas size", table([("minute", "status", "0"), *((S(m), s, n) for m, s, n in R)]), C)
    export("pandas floats", table([("minute", "status", "count"), *((S(m), s, float(n)) for m, s, n in R)]), C)
    export(
        "pandas pivot",
        table([("time", "approved", "denied", "failed"), *((S(m), *f.values()) for m, f in pivot(R))]),
        C,
    )
    export("pandas pivot floats", table([("time", "approved", "denied", "failed"),
           *((S(m), *map(float, f.values())) for m, f in pivot(R))]), C)  # fmt: skip
    export("pandas pivot two rows", table([("", "count", "count", "count"), ("status", "approved", "denied", "failed"),
           ("time", "", "", ""), *((S(m), *f.values()) for m, f in pivot(R))]), C)  # fmt: skip
    export("pandas crosstab margins", table([("minute", "approved", "denied", "failed", "All"),
           *((S(m), *f.values(), sum(f.values())) for m, f in pivot(R)),
           ("All", *(sum(f[s] for _, f in pivot(R)) for s in ("approved", "denied", "failed")), sum(n for *_, n in R))]), C)  # fmt: skip
    export("pandas transposed", table([("status", *(S(m) for m, _ in pivot(R))),
           *((s, *(n for _, n in points)) for s, points in by_status(R).items())]), "a column for each time; transpose")  # fmt: skip
    export("pandas records", document([{"time": epoch(m) * 1000, "status": s, "count": n} for m, s, n in R]), C)
    export("pandas split", document({"columns": ["time", "status", "count"], "index": list(range(len(R))),
           "data": [[epoch(m) * 1000, s, n] for m, s, n in R]}), C)  # fmt: skip
    export("pandas columns", document({"time": {str(i): epoch(m) * 1000 for i, (m, _, _) in enumerate(R)},
           "status": {str(i): s for i, (_, s, _) in enumerate(R)}, "count": {str(i): n for i, (*_, n) in enumerate(R)}}), C)  # fmt: skip
    export("pandas orient index", document({str(i): {"time": epoch(m) * 1000, "status": s, "count": n}
           for i, (m, s, n) in enumerate(R)}), C)  # fmt: skip
    export("pandas table", document({"schema": {"fields": [{"name": "index", "type": "integer"}, {"name": "time", "type":
           "datetime"}, {"name": "status", "type": "string"}, {"name": "count", "type": "integer"}], "primaryKey": ["index"]},
           "data": [{"index": i, "time": f"{m:%Y-%m-%dT%H:%M:%S}.000Z", "status": s, "count": n}
           for i, (m, s, n) in enumerate(R)]}), C)  # fmt: skip
    export("pandas values", document([[S(m), s, n] for m, s, n in R]), "time|header|objects")
    export("pandas NaN", table([("time", "approved", "denied", "failed"), *((S(m), f["approved"], f["denied"], "NaN")
           for m, f in pivot(R))]), counts(r for r in R if r[1] != "failed"))  # fmt: skip
    export("pandas print", "\n".join(["                  time    status  count", *(f"{i:<2} {S(m)} {s:>9} {n:>6}"
           for i, (m, s, n) in enumerate(R)), ""]).encode(), C)  # fmt: skip
    export("R write.csv", table([("", "time", "status", "n"), *((str(i), S(m), s, n) for i, (m, s, n) in enumerate(R, 1))],
                                quoting=csv.QUOTE_NONNUMERIC), C)  # fmt: skip
    export("R write.csv2", table([("", "time", "status", "n"), *((str(i), S(m), s, n) for i, (m, s, n) in enumerate(R, 1))],
                                 ";", csv.QUOTE_NONNUMERIC), C)  # fmt: skip
    export(
        "R write.table",
        lines('"time" "status" "n"', (f'"{i}" "{S(m)}" "{s}" {n}' for i, (m, s, n) in enumerate(R, 1))),
        C,
    )
    export("R table", table([("", "Var1", "Var2", "Freq"), *((str(i), S(m), s, n) for i, (m, s, n) in enumerate(R, 1))],
                            quoting=csv.QUOTE_NONNUMERIC), C, "--map", "status=Var2")  # fmt: skip
    export("polars", table([("time", "status", "len"), *((f"{m:%Y-%m-%dT%H:%M:%S}.000000", s, n) for m, s, n in R)]), C)


def _monitoring() -> None:
    series = by_status(R)
    wide = pivot(R)
    export("splunk table", table([("_time", "status", "count"), *((f"{m:%Y-%m-%dT%H:%M:%S}.000+0000", s, n) for m, s, n in R)],
                                 quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("splunk timechart", table([("_time", "approved", "denied", "failed", "_span", "_spandays"),
           *((f"{m:%Y-%m-%dT%H:%M:%S}.000-0300", *f.values(), 60, "0.000694") for m, f in wide)], quoting=csv.QUOTE_ALL),
           counts(R, -3))  # fmt: skip
    export("splunk timechart other", table([("_time", "approved", "denied", "failed", "OTHER", "NULL"),
           *((f"{m:%Y-%m-%dT%H:%M:%S}.000+00:00", *f.values(), 0, 0) for m, f in wide)]), C)  # fmt: skip
    export("splunk lines", ndjson({"preview": False, "offset": i, "result": {"_time": f"{m:%Y-%m-%d %H:%M:%S}.000 UTC", "status": s,
           "count": str(n)}} for i, (m, s, n) in enumerate(R)), C)  # fmt: skip
    export("splunk results", document({"preview": False, "init_offset": 0, "messages": [], "fields": [{"name": "_time"},
           {"name": "status"}, {"name": "count"}], "results": [{"_time": f"{m:%Y-%m-%dT%H:%M:%S}.000+00:00", "status": s,
           "count": str(n)} for m, s, n in R], "highlighted": {}}), C)  # fmt: skip
    export(
        "datadog long",
        table([("timestamp", "status", "value"), *((f"{m:%Y-%m-%dT%H:%M:%S}.000Z", s, n) for m, s, n in R)]),
        C,
    )
    export("datadog wide", table([("timestamp", *(f"sum:tx.count{{status:{s}}}.as_count()" for s in series)),
           *((epoch(m) * 1000, *f.values()) for m, f in wide)]), C)  # fmt: skip
    export("datadog groups", table([("time", "group", "value"), *((f"{m:%Y-%m-%dT%H:%M:%S}.000Z", f"status:{s}", n)
           for m, s, n in R)]), C)  # fmt: skip
    export("datadog v1", document({"status": "ok", "res_type": "time_series", "series": [{"metric": "tx.count",
           "tag_set": [f"status:{s}"], "scope": f"env:prod,status:{s}", "pointlist": [[epoch(m) * 1000.0, float(n)]
           for m, n in points], "interval": 60} for s, points in series.items()]}), C)  # fmt: skip
    export("datadog v2", document({"data": {"type": "timeseries_response", "attributes": {"series": [{"group_tags":
           [f"status:{s}"], "query_index": 0, "unit": None} for s in series], "times": [epoch(m) * 1000 for m, _ in wide],
           "values": [[n for _, n in points] for points in series.values()]}}}), C)  # fmt: skip
    export("datadog logs", document({"data": [{"id": f"AQ{i}", "type": "log", "attributes": {"service": "pay", "timestamp":
           f"{m:%Y-%m-%dT%H:%M:%S}.123Z", "status": "info", "attributes": {"payment": {"status": s}}}}
           for i, (m, s, _) in enumerate(single(["approved", "denied"]))]}),
           counts(single(["approved", "denied"])), "--map", "status=attributes.attributes.payment.status")  # fmt: skip
    export("grafana joined", table([("Time", "approved", "denied", "failed"), *((S(m), *f.values()) for m, f in wide)],
                                   quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("grafana labels", table([("Time", *(f'{{status="{s}"}}' for s in series)), *((epoch(m) * 1000, *f.values())
           for m, f in wide)], quoting=csv.QUOTE_ALL), C)  # fmt: skip
    export("grafana metric labels", table([("Time", *(f'transactions_total{{job="pay", status="{s}"}}' for s in series)),
           *((f"{m:%Y-%m-%dT%H:%M:%S}.000Z", *f.values()) for m, f in wide)]), C)  # fmt: skip
    export("grafana sep", b'sep=;\n' + table([("Series", "Time", "Value"), *((s, f"{m:%Y-%m-%dT%H:%M:%S}+00:00", n)
           for s, points in series.items() for m, n in points)], ";", csv.QUOTE_ALL), C)  # fmt: skip
    export("grafana undefined", table([("Time", "approved", "denied", "failed"), *((S(m), f["approved"], f["denied"], "undefined")
           for m, f in wide)], ";"), counts(r for r in R if r[1] != "failed"))  # fmt: skip
    export("grafana frames", document({"results": {"A": {"status": 200, "frames": [{"schema": {"refId": "A", "fields": [
           {"name": "Time", "type": "time"}, {"name": "Value", "type": "number", "labels": {"status": s}}]}, "data": {"values":
           [[epoch(m) * 1000 for m, _ in points], [n for _, n in points]]}} for s, points in series.items()]}}}), C)  # fmt: skip
    export("kibana lens", table([("@timestamp per minute", "Top 5 values of status.keyword", "Count of records"),
           *((f"{m:%Y-%m-%dT%H:%M:%S}.000Z", s, f"{n:,}") for m, s, n in BIG)], quoting=csv.QUOTE_ALL), CB)  # fmt: skip
    export("kibana discover", table([("@timestamp", "status", "merchant"), *((f"{m:%b} {m.day}, {m:%Y @ %H:%M:%S}.000", s, "m1")
           for m, s, _ in single(["approved", "denied"]))], quoting=csv.QUOTE_ALL), counts(single(["approved", "denied"])))  # fmt: skip
    export("elastic date then terms", document({"took": 3, "hits": {"total": {"value": 9}, "hits": []}, "aggregations": {"per_minute":
           {"buckets": [{"key_as_string": Z(m), "key": epoch(m) * 1000, "doc_count": sum(f.values()), "by_status":
           {"doc_count_error_upper_bound": 0, "buckets": [{"key": s, "doc_count": n} for s, n in f.items()]}} for m, f in wide]}}}), C)  # fmt: skip
    export("elastic terms then date", document({"took": 3, "aggregations": {"s": {"buckets": [{"key": s, "doc_count": 9, "m": {"buckets":
           [{"key_as_string": Z(m), "key": epoch(m) * 1000, "doc_count": n} for m, n in points]}} for s, points in series.items()]}}}), C)  # fmt: skip
    export("elastic composite", document({"aggregations": {"c": {"after_key": {}, "buckets": [{"key": {"minute": epoch(m) * 1000,
           "status": s}, "doc_count": n} for m, s, n in R]}}}), C)  # fmt: skip
    export("elastic filters", document({"aggregations": {"m": {"buckets": [{"key": epoch(m) * 1000, "key_as_string": Z(m), "doc_count": 1,
           "s": {"buckets": {s: {"doc_count": n} for s, n in f.items()}}} for m, f in wide]}}}), C)  # fmt: skip
    export("elastic sql", document({"columns": [{"name": "minute", "type": "datetime"}, {"name": "status", "type": "text"},
           {"name": "COUNT(*)", "type": "long"}], "rows": [[f"{m:%Y-%m-%dT%H:%M:%S}.000Z", s, n] for m, s, n in R]}), C)  # fmt: skip
    export("esql", document({"took": 4, "columns": [{"name": "c", "type": "long"}, {"name": "minute", "type": "date"},
           {"name": "status", "type": "keyword"}], "values": [[n, f"{m:%Y-%m-%dT%H:%M:%S}.000Z", s] for m, s, n in R]}),
           C, "--map", "count=c")  # fmt: skip
    export("opensearch", document({"schema": [{"name": "minute", "type": "timestamp"}, {"name": "status", "type": "keyword"},
           {"name": "count()", "type": "integer"}], "datarows": [[S(m), s, n] for m, s, n in R], "total": 36, "size": 36, "status": 200}), C)  # fmt: skip
    export("elastic hits", document({"hits": {"total": 40, "hits": [{"_index": "pay", "_id": f"x{i}", "_source": {"@timestamp":
           f"{m:%Y-%m-%dT%H:%M:%S}.5Z", "transaction": {"status": s}}} for i, (m, s, _) in enumerate(single(["approved", "denied"]))]}}),
           counts(single(["approved", "denied"])))  # fmt: skip
    export("elasticdump", ndjson({"_index": "pay", "_id": f"x{i}", "_source": {"@timestamp": f"{m:%Y-%m-%dT%H:%M:%S}.5Z", "status": s}}
           for i, (m, s, _) in enumerate(single(["approved", "denied"]))), counts(single(["approved", "denied"])))  # fmt: skip
    export("insights csv", table([("bin(1m)", "status", "count(*)"), *((f"{S(m)}.000", s, n) for m, s, n in R)]), C)
    export("insights json", document({"results": [[{"field": "bin(1m)", "value": f"{S(m)}.000"}, {"field": "status", "value": s},
           {"field": "count(*)", "value": str(n)}] for m, s, n in R], "status": "Complete"}), C)  # fmt: skip
    export("cloudwatch console", lines("Full label,approved,denied,failed", ["Label,approved,denied,failed",
           "Namespace,Pay,Pay,Pay", "Metric name,Tx,Tx,Tx", "Period,60,60,60", "Statistic,Sum,Sum,Sum",
           *(f"{m:%Y/%m/%d %H:%M:%S},{','.join(map(str, f.values()))}" for m, f in wide)]), C)  # fmt: skip
    export("cloudwatch data", document({"MetricDataResults": [{"Id": f"m{i}", "Label": s, "Timestamps": [f"{m:%Y-%m-%dT%H:%M:%S}+00:00"
           for m, _ in reversed(points)], "Values": [float(n) for _, n in reversed(points)], "StatusCode": "Complete"}
           for i, (s, points) in enumerate(series.items())]}, 4), C)  # fmt: skip
    export("loki matrix", document({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"status": s},
           "values": [[epoch(m), str(n)] for m, n in points]} for s, points in series.items()], "stats": {}}}), C)  # fmt: skip
    export("loki streams", document({"status": "success", "data": {"resultType": "streams", "result": [{"stream": {"app": "pay"}, "values":
           [[f"{epoch(m)}000000000", f"level=info status={s} msg=done"] for m, s, _ in single(["approved", "denied"])]}]}}),
           counts(single(["approved", "denied"])))  # fmt: skip
    export("logcli", ndjson({"labels": {"app": "pay", "status": s}, "line": "payment done", "timestamp": f"{m:%Y-%m-%dT%H:%M:%S}.123456789Z"}
           for m, s, _ in single(["approved", "denied"])), counts(single(["approved", "denied"])))  # fmt: skip
    export("newrelic timeseries", document({"facets": [{"name": s, "timeSeries": [{"results": [{"count": n}], "beginTimeSeconds": epoch(m),
           "endTimeSeconds": epoch(m) + 60} for m, n in points]} for s, points in series.items()]}), C)  # fmt: skip
    export("newrelic nrql", document({"data": {"actor": {"account": {"nrql": {"results": [{"beginTimeSeconds": epoch(m), "endTimeSeconds":
           epoch(m) + 60, "facet": s, "status": s, "count": n} for m, s, n in R]}}}}}), C)  # fmt: skip
    export("newrelic csv", table([("Timestamp", "Status", "Count"), *((us(m).replace(" ", ", ", 1), s, n) for m, s, n in D)],
           quoting=csv.QUOTE_ALL), CD)  # fmt: skip
    export("influx annotated", lines("#group,false,false,true,true,false,false,true", [
           "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,long,string", "#default,mean,,,,,,",
           ",result,table,_start,_stop,_time,_value,status", *(f",,{i},2024-03-05T00:00:00Z,2024-03-06T00:00:00Z,{Z(m)},{n},{s}"
           for i, (s, points) in enumerate(series.items()) for m, n in points), ""], "\r\n"), C)  # fmt: skip
    export("influx json", document({"results": [{"statement_id": 0, "series": [{"name": "tx", "tags": {"status": s}, "columns": ["time", "count"],
           "values": [[Z(m), n] for m, n in points]} for s, points in series.items()]}]}), C)  # fmt: skip
    export("victoria export", ndjson({"metric": {"__name__": "tx", "status": s}, "values": [n for _, n in points], "timestamps":
           [epoch(m) * 1000 for m, _ in points]} for s, points in series.items()), C)  # fmt: skip
    export("graphite", document([{"target": f"pay.{s}.count", "datapoints": [[float(n), epoch(m)] for m, n in points]}
           for s, points in series.items()]), C)  # fmt: skip
    export("opentsdb", document([{"metric": "tx", "tags": {"status": s}, "aggregateTags": [], "dps": {str(epoch(m)): n for m, n in points}}
           for s, points in series.items()]), C)  # fmt: skip
    export("kusto", document({"tables": [{"name": "PrimaryResult", "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "status_s",
           "type": "string"}, {"name": "count_", "type": "long"}], "rows": [[Z(m), s, n] for m, s, n in R]}]}), C)  # fmt: skip
    export("kusto csv", b"\xef\xbb\xbf" + table([("TimeGenerated [UTC]", "status_s", "count_"), *((f"{us(m).replace(' ', ', ', 1)[:-3]}.000 {m:%p}", s, n)
           for m, s, n in D)], quoting=csv.QUOTE_ALL), CD)  # fmt: skip
    export("gcp logging", document([{"insertId": f"i{i}", "jsonPayload": {"status": s, "merchant": "m"}, "timestamp": f"{m:%Y-%m-%dT%H:%M:%S}.123456Z",
           "severity": "INFO", "receiveTimestamp": f"{m:%Y-%m-%dT%H:%M:%S}.9Z"} for i, (m, s, _) in enumerate(single(["approved", "denied"]))], 2),
           counts(single(["approved", "denied"])))  # fmt: skip
    export("gcp monitoring", document({"timeSeries": [{"metric": {"type": "custom/tx", "labels": {"status": s}}, "points": [{"interval": {"startTime":
           Z(m), "endTime": Z(m + timedelta(minutes=1))}, "value": {"int64Value": str(n)}} for m, n in points]} for s, points in series.items()]}), C)  # fmt: skip
    export(
        "metabase",
        table(
            [("Created At: Minute", "Status", "Count"), *((f"{m:%Y-%m-%dT%H:%M:%S}", s, f"{n:,}") for m, s, n in BIG)]
        ),
        CB,
    )
    export(
        "metabase words",
        table(
            [
                ("Created At", "Status", "Count"),
                *((f"{m:%B} {m.day}, {m:%Y}, {m.hour}:{m:%M} {m:%p}", s, n) for m, s, n in R),
            ]
        ),
        C,
    )
    export(
        "looker",
        table(
            [
                ("Payments Created Minute", "Payments Status", "Payments Count"),
                *((f"{m:%Y-%m-%d %H:%M}", s, n) for m, s, n in R),
            ]
        ),
        C,
    )
    export("tableau", table([("Minute of Created At", "Status", "Count of Payments"), *((f"{m:%B} {m.day}, {m:%Y at} {m.hour}:{m:%M} {m:%p}", s, n)
           for m, s, n in R)], "\t"), C)  # fmt: skip
    export("superset", table([("__timestamp", "status", "COUNT(*)"), *((S(m), s, n) for m, s, n in R)]), C)
    export(
        "sumo",
        table([("_timeslice", "status", "_count"), *((epoch(m) * 1000, s, n) for m, s, n in R)], quoting=csv.QUOTE_ALL),
        C,
    )
    export(
        "mongo export",
        ndjson({"_id": {"minute": {"$date": f"{m:%Y-%m-%dT%H:%M:%S}.000Z"}, "status": s}, "count": n} for m, s, n in R),
        C,
    )
    export("mongo canonical", ndjson({"_id": {"$oid": f"65e{i:021x}"}, "created_at": {"$date": {"$numberLong": str(epoch(m) * 1000)}}, "status": s,
           "count": {"$numberInt": str(n)}} for i, (m, s, n) in enumerate(R)), C)  # fmt: skip
    export(
        "dynamo",
        ndjson({"Item": {"time": {"S": Z(m)}, "status": {"S": s}, "count": {"N": str(n)}}} for m, s, n in R),
        C,
    )
    export("debezium", ndjson({"payload": {"before": None, "after": {"id": i, "created_at": epoch(m) * 1000000, "status": s}, "op": "c",
           "ts_ms": epoch(m) * 1000 + 5}} for i, (m, s, _) in enumerate(single(["approved", "denied"]))), counts(single(["approved", "denied"])))  # fmt: skip
    export("prometheus vector over time", document({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"__name__": "x",
           "status": s, "job": "pay"}, "values": [[epoch(m) + 0.781, f"{n}.0"] for m, n in points]} for s, points in series.items()]}}), C)  # fmt: skip


def _processors() -> None:
    words = ["Paid", "Failed", "Refunded"]
    rows = single(words)
    export("stripe payments", table([("id", "Created date (UTC)", "Amount", "Amount Refunded", "Currency", "Captured", "Converted Amount", "Description",
           "Fee", "Mode", "Status", "Seller Message", "Customer ID"), *((f"ch_{i}", S(m), "12,50", "0,00", "eur", "true", "12,50", "Order 1\nblue; red",
           "0,30", "Live", s, "Payment complete.", "cus_1") for i, (m, s, _) in enumerate(rows))]), counts(rows))  # fmt: skip
    export("stripe list", document({"object": "list", "url": "/v1/charges", "has_more": False, "data": [{"id": f"ch_{i}", "object": "charge", "amount": 1250,
           "created": epoch(m), "status": s, "outcome": {"network_status": "approved_by_network", "type": "authorized", "risk_level": "normal"},
           "payment_method_details": {"card": {"checks": {"cvc_check": "pass"}}}} for i, (m, s, _) in enumerate(single(["succeeded", "failed"]))]}),
           counts(single(["succeeded", "failed"])))  # fmt: skip
    export("stripe events", document({"object": "list", "data": [{"id": f"evt_{i}", "object": "event", "created": epoch(m), "type": f"charge.{s}", "livemode": True,
           "data": {"object": {"id": f"ch_{i}", "status": s, "created": epoch(m) - 1}}} for i, (m, s, _) in enumerate(single(["succeeded", "failed"]))]}),
           counts(single(["succeeded", "failed"])))  # fmt: skip
    rows = single(["Received", "Authorised", "Refused", "SentForSettle"])
    export("adyen accounting", table([("Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Booking Date", "TimeZone",
           "Main Currency", "Main Amount", "Record Type"), *(("C", "M", f"88{i:014}", f"o{i}", "visa", S(m), "CET", "EUR", "12.50", s)
           for i, (m, s, _) in enumerate(rows))]), counts(rows, 1))  # fmt: skip
    export("adyen webhooks", ndjson({"live": "true", "notificationItems": [{"NotificationRequestItem": {"eventCode": "AUTHORISATION", "eventDate":
           f"{m:%Y-%m-%dT%H:%M:%S}+01:00", "success": str(s == "true").lower(), "pspReference": f"p{i}"}}]}
           for i, (m, s, _) in enumerate(single(["true", "false"]))), counts(single(["true", "false"]), 1), "--map",
           "status=notificationItems.0.NotificationRequestItem.success", "--map", "time=notificationItems.0.NotificationRequestItem.eventDate")  # fmt: skip
    rows = single(["Completed", "Denied", "Pending"], LATER)
    export("paypal", b"\xef\xbb\xbf" + table([("Date", "Time", "TimeZone", "Name", "Type", "Status", "Currency", "Gross", "Fee", "Net", "Transaction ID"),
           *((f"{m:%d/%m/%Y}", f"{m:%H:%M:%S}", "America/Sao_Paulo", "Shop", "Express Checkout Payment", s, "BRL", "1.012,50", "-0,30", "12,20", f"T{i}")
           for i, (m, s, _) in enumerate(rows))], quoting=csv.QUOTE_ALL), counts(rows, -3))  # fmt: skip
    export("paypal us", table([("Date", "Time", "Time Zone", "Description", "Currency", "Gross ", "Status"),
           *((f"{m:%m/%d/%Y}", f"{m:%H:%M:%S}", "PDT", "x", "USD", "12.50", s) for m, s, _ in rows)], quoting=csv.QUOTE_ALL), counts(rows, -7))  # fmt: skip
    rows = single(["success", "failure", "error"])
    export("shopify transactions", table([("Order", "Name", "Type", "Kind", "Gateway", "Created At", "Status", "Amount", "Currency", "Card Type"),
           *((f"#10{i}", f"#10{i}", "charge", "sale", "shopify_payments", f"{S(m)} -0500", s, "12.50", "USD", "visa") for i, (m, s, _) in enumerate(rows))]),
           counts(rows, -5))  # fmt: skip
    rows = single(["paid", "pending", "refunded"])
    export("shopify orders", table([("Name", "Email", "Financial Status", "Paid at", "Fulfillment Status", "Currency", "Created at", "Lineitem quantity", "Id"),
           *((f"#10{i}", "a@b.c", s, f"{S(m)} -0300", "fulfilled" if i % 2 else "unfulfilled", "BRL", f"{S(m)} -0300", 1, 1000 + i)
           for i, (m, s, _) in enumerate(rows))]), counts(rows, -3), "--map", "status=Financial Status")  # fmt: skip
    export("shopify orders, two statuses", table([("Name", "Financial Status", "Paid at", "Fulfillment Status", "Created at"),
           *((f"#10{i}", s, f"{S(m)} -0300", "fulfilled" if i % 2 else "pending", f"{S(m)} -0300") for i, (m, s, _) in enumerate(rows))]),
           "Financial Status.*Fulfillment Status.*--map")  # fmt: skip
    rows = single(["approved", "rejected", "in_process", "refunded"])
    export("mercado pago", table([("DATE_CREATED", "DATE_APPROVED", "OPERATION_ID", "STATUS", "STATUS_DETAIL", "TRANSACTION_AMOUNT"),
           *((f"{m:%Y-%m-%dT%H:%M:%S}.000-04:00", "", 7000 + i, s, "accredited" if s == "approved" else "cc_rejected_other_reason", "12,50")
           for i, (m, s, _) in enumerate(rows))], ";"), counts(rows, -4))  # fmt: skip
    export("mercado pago es", table([("Fecha de compra (date_created)", "Fecha de acreditación (date_approved)", "Estado de la operación (status)",
           "Detalle del estado de la operación (status_detail)", "Valor del producto (transaction_amount)"),
           *((f"{m:%Y-%m-%dT%H:%M:%S}Z", "", s, "cc_rejected_other_reason", "12.50") for m, s, _ in rows)], ";"), counts(rows))  # fmt: skip
    export("mercado pago api", document({"paging": {"total": 40, "limit": 50}, "results": [{"id": 900 + i, "date_created": f"{m:%Y-%m-%dT%H:%M:%S}.000-04:00",
           "date_approved": None, "status": s, "status_detail": "x", "transaction_amount": 12.5, "payer": {"id": 3}} for i, (m, s, _) in enumerate(rows)]}),
           counts(rows, -4))  # fmt: skip
    rows = single(["Aprovada", "Negada", "Cancelada", "Desfeita"], LATER)
    export("cielo", ("Relatório de vendas;;;\nPeríodo: 13/03/2024 a 13/03/2024;;;\n;;;\n" + table([("Data da venda", "Hora da venda", "Status", "Bandeira",
           "Valor bruto"), *((f"{m:%d/%m/%Y}", f"{m:%H:%M}", s, "Visa", "R$ 1.012,50") for m, s, _ in rows)], ";").decode()).encode(), counts(rows))  # fmt: skip
    export("cielo latin-1", table([("Data da transação", "Hora", "Situação", "Cartão", "Valor"), *((f"{m:%d/%m/%Y}", f"{m:%H:%M:%S}", s, "Elo", "12,50")
           for m, s, _ in rows)], ";").decode().encode("latin-1"), counts(rows))  # fmt: skip
    export("rede", table([("data da venda", "hora da venda", "status da venda", "valor da venda original", "NSU/CV"), *((f"{m:%d/%m/%Y}", f"{m:%H:%M}", s.lower(),
           "12,50", 40 + i) for i, (m, s, _) in enumerate(rows))], ";"), counts(rows))  # fmt: skip
    rows = single(["Aprovada", "Cancelada", "Aguardando Pagamento", "Devolvida"], LATER)
    export("pagseguro", table([("Transacao_ID", "Debito_Credito", "Tipo_Transacao", "Status", "Tipo_Pagamento", "Valor_Bruto", "Data_Transacao", "Data_Compensacao"),
           *((f"T{i}", "Crédito", "Pagamento", s, "Cartão de Crédito", "12,50", f"{m:%d/%m/%Y %H:%M:%S}", "") for i, (m, s, _) in enumerate(rows))], ";"), counts(rows))  # fmt: skip
    rows = single(["Complete", "Failed", "Voided"])
    export("square", table([("Date", "Time", "Time Zone", "Gross Sales", "Net Total", "Transaction ID", "Card Brand", "Transaction Status"),
           *((f"{m:%Y-%m-%d}", f"{m:%H:%M:%S}", "Eastern Time (US & Canada)", '"$1,012.50"', "$12.00", f"T{i}", "Visa", s) for i, (m, s, _) in enumerate(rows))]),
           counts(rows, -5))  # fmt: skip
    rows = single(["settled", "processor_declined", "voided"], LATER)
    export("braintree", table([("Transaction ID", "Transaction Type", "Transaction Status", "Escrow Status", "Created Datetime", "Created Timezone", "Settlement Date",
           "Amount Authorized"), *((f"a{i}", "sale", s, "", f"{m:%m/%d/%Y %H:%M:%S}", "GMT", "", "12.50") for i, (m, s, _) in enumerate(rows))]), counts(rows))  # fmt: skip
    rows = single(["Authorised", "Refused", "Cancelled"])
    export("worldpay", table([("Order Code", "Event Date", "Status", "Payment Method", "Currency"), *((f"o{i}", f"{m.day} {m:%b %Y %H:%M:%S} GMT", s, "VISA-SSL", "GBP")
           for i, (m, s, _) in enumerate(rows))]), counts(rows))  # fmt: skip
    rows = single(["Authorized", "Declined"])
    export("checkout.com", table([("Action ID", "Payment ID", "Processed On", "Response Code", "Response Description", "Action Type"), *((f"act_{i}", f"pay_{i}",
           f"{m:%Y-%m-%dT%H:%M:%S}.000", "10000" if s == "Authorized" else "20051", s, "Authorization") for i, (m, s, _) in enumerate(rows))]),
           counts((m, "10000" if s == "Authorized" else "20051", n) for m, s, n in rows))  # fmt: skip
    rows = single(["captured", "failed", "refunded"])
    export("razorpay", table([("id", "entity", "amount", "currency", "status", "order_id", "method", "captured", "error_code", "created_at"), *((f"pay_{i}", "payment",
           "1250.00", "INR", s, f"order_{i}", "card", 1, "", epoch(m)) for i, (m, s, _) in enumerate(rows))]), counts(rows))  # fmt: skip
    rows = single(["00", "05", "51", "91"])
    export("iso 8583", table([("MTI", "DE7", "DE11", "DE39", "DE4", "transmission_datetime"), *(("0110", f"{m:%m%d%H%M%S}", 100 + i, s, "000000001250", f"{m:%Y%m%d%H%M%S}")
           for i, (m, s, _) in enumerate(rows))]), counts(rows), "--map", "status=DE39", "--map", "time=transmission_datetime")  # fmt: skip
    export("acquirer codes", table([("trans_date", "trans_time", "terminal", "response_code", "amount"), *((f"{m:%Y%m%d}", f"{m:%H%M%S}".lstrip("0"), "T1", s, "12.50")
           for i, (m, s, _) in enumerate(rows))]), counts(rows))  # fmt: skip
    export(
        "creditcard",
        table(
            [("Time", "V1", "V2", "Amount", "Class"), *((i, "-1.3", "0.2", "149.62", "0") for i in range(40))],
            quoting=csv.QUOTE_NONNUMERIC,
        ),
        "1990|status",
    )
    rows = single(["aprobada", "rechazada", "pendiente"], LATER)
    export("spanish", table([("Fecha", "Hora", "Estado", "Importe"), *((f"{m:%d-%m-%Y}", f"{m:%I:%M:%S} {'a' if m.hour < 12 else 'p'}. m.", s, "1.012,50 €")
           for m, s, _ in rows)], ";"), counts(rows))  # fmt: skip


def _texts() -> None:
    plain = table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R)])
    export("thousands", table([("time", "status", "count"), *((S(m), s, f"{n:,}") for m, s, n in BIG)]), CB)
    export(
        "thousands with dots",
        table([("time", "status", "count"), *((S(m), s, f"{n:,}".replace(",", ".")) for m, s, n in BIG)], ";"),
        CB,
    )
    export(
        "thousands with spaces",
        table([("time", "status", "count"), *((S(m), s, f"{n:,}".replace(",", "\u202f")) for m, s, n in BIG)], ";"),
        CB,
    )
    export(
        "thousands with quotes",
        table([("time", "status", "count"), *((S(m), s, f"{n:,}".replace(",", "'")) for m, s, n in BIG)], ";"),
        CB,
    )
    export("decimal commas", table([("time", "status", "count"), *((S(m), s, f"{n},0") for m, s, n in R)], ";"), C)
    export("exponents", table([("time", "status", "count"), *((S(m), s, f"{n:.3E}") for m, s, n in R)]), C)
    export(
        "wide, thousands",
        table(
            [
                ("time", "approved", "denied", "failed"),
                *((S(m), *(f"{n:,}" for n in f.values())) for m, f in pivot(BIG)),
            ]
        ),
        CB,
    )
    export("wide, dots", table([("Hora", "Aprovadas", "Negadas", "Falhas"), *((S(m), *(f"{n:,}".replace(",", ".") for n in f.values())) for m, f in pivot(BIG))], ";"),
           counts((m, {"approved": "aprovadas", "denied": "negadas", "failed": "falhas"}[s], n) for m, s, n in BIG))  # fmt: skip
    export("negative", plain + f"{S(START)},approved,-5\n".encode(), C)
    export(
        "null counts",
        plain + f"{S(START)},approved,NULL\n{S(START)},approved,\\N\n{S(START)},approved,nan\n".encode(),
        C,
    )
    export("totals line", plain + b"Total,,9999\n", C)
    export(
        "totals line, wide",
        table(
            [("time", "approved", "denied", "failed"), *((S(m), *f.values()) for m, f in pivot(R)), ("Total", 9, 9, 9)]
        ),
        C,
    )
    export(
        "row of a rollup",
        table(
            [
                ("time", "status", "count"),
                *((S(m), s, n) for m, f in pivot(R) for s, n in [*f.items(), ("total", sum(f.values()))]),
            ]
        ),
        C,
    )
    export("footer", plain + b"\n(36 rows)\n\nGenerated by Report Server at 2024-03-06 08:00\n", C)
    export("repeated header", table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R[:18])]) +
           table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R[18:])]), C)  # fmt: skip
    export("no header", table((S(m), s, n) for m, s, n in R), "no header.*time,status,count")
    export("header only", b"time,status,count\n", "no record could be read")
    export("empty", b"", "is empty")
    export("blank", b"\n\n  \n", "is empty")
    export("one row", f"time,status,count\n{S(START)},approved,7\n".encode(), counts([(START, "approved", 7)]))
    export("cr only", plain.replace(b"\n", b"\r"), C)
    export("crlf", plain.replace(b"\n", b"\r\n"), C)
    export(
        "bom crlf quotes",
        b"\xef\xbb\xbf"
        + table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R)], ";", csv.QUOTE_ALL).replace(
            b"\n", b"\r\n"
        ),
        C,
    )
    export("utf-16 le", plain.decode().encode("utf-16-le"), C)
    export("utf-16 be", plain.decode().encode("utf-16-be"), C)
    accents = table(
        [
            ("Horário", "Situação", "Quantidade"),
            *((S(m), {"approved": "Aprovação", "denied": "Não autorizada", "failed": "Erro"}[s], n) for m, s, n in R),
        ],
        ";",
    )
    named = counts((m, {"approved": "aprovação", "denied": "não autorizada", "failed": "erro"}[s], n) for m, s, n in R)
    export("accents", accents, named)
    export("accents in latin-1", accents.decode().encode("latin-1"), named, "--encoding", "latin-1")
    export("accents in latin-1 without the flag", accents.decode().encode("latin-1"), named)
    export(
        "accents in cp1252",
        accents.decode().replace("Erro", "Erro – x").encode("cp1252"),
        Counter({(t, "erro – x" if s == "erro" else s): n for (t, s), n in named.items()}),
    )
    export(
        "quotes and semicolons",
        table(
            [
                ("time", "note", "status", "count"),
                *((S(m), f'a "b"; c, {i}\nd', s, n) for i, (m, s, n) in enumerate(R)),
            ],
            ";",
        ),
        C,
    )
    export("comments", b"# exported by x\n# at 10:00\n" + plain, C)
    export("comments within", plain[:200] + plain[200:].replace(b"\n", b"\n# checkpoint\n", 1), C)
    export("spaces after commas", plain.replace(b",", b", "), C)
    export(
        "columns by spaces",
        b"\n".join(b"   ".join(line.replace(b" ", b"T").split(b",")) for line in plain.splitlines()) + b"\n",
        C,
    )
    export("single quotes", lines("'time','status','count'", (f"'{S(m)}','{s}','{n}'" for m, s, n in R)), C)
    export("two delimiters", lines("time; status; count", (f"{S(m)}; {s}; {n}" for m, s, n in R)), C)
    export("zip of two", zipped([("a.csv", table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R[:18])])),
           ("b.csv", table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R[18:])]))]), C)  # fmt: skip
    export(
        "zip of two kinds",
        zipped([("a.csv", plain), ("b.json", ndjson({"time": Z(m), "status": s, "count": n} for m, s, n in R))]),
        "2 data files",
    )
    export("zip with readme", zipped([("data/tx.csv", plain), ("README.md", b"hello"), ("LICENSE", b"x")]), C)
    export("zip of gzip", zipped([("tx.csv.gz", gzip.compress(plain))]), C)
    export("gzip", gzip.compress(plain), C)
    export("tar.gz", gzip.compress(tarred([("tx.csv", plain)])), C)
    export("tar", tarred([("./._tx.csv", b"x"), ("./tx.csv", plain)]), C)
    export("tar of two", gzip.compress(tarred([("a.csv", plain), ("b.txt", b"hello world\n")])), "tar")
    export("xlsx", workbook([("Sheet1", [("Time", "Status", "Count"), *R])]), C)
    export("xlsx title and totals", workbook([("Resumo", [("Relatório", "")]), ("Dados", [("Relatório de vendas", None, None), (None, None, None),
           ("Data e hora", "Situação", "Quantidade"), *R, ("Total", None, 99999)])]), C)  # fmt: skip
    export(
        "xlsx serials", workbook([("Sheet1", [("Time", "Status", "Count"), *((serial(m), s, n) for m, s, n in R)])]), C
    )
    export(
        "xlsx date and time",
        workbook([("Plan1", [("Data", "Hora", "Status", "Qtd"), *((m.date(), m.time(), s, n) for m, s, n in R)])]),
        C,
    )
    export(
        "xlsx texts",
        workbook([("Plan1", [("Data", "Status", "Qtd"), *((f"{m:%d/%m/%Y %H:%M}", s, str(n)) for m, s, n in D)])]),
        CD,
    )
    export(
        "xlsx wide",
        workbook(
            [
                (
                    "Plan1",
                    [
                        ("Minute", "approved", "denied", "failed", "Total"),
                        *((m, *f.values(), sum(f.values())) for m, f in pivot(R)),
                    ],
                )
            ]
        ),
        C,
    )
    export(
        "xlsx cover",
        workbook(
            [
                ("Capa", [("Relatório", "x"), ("Autor", "y"), ("Data", "z")]),
                ("Dados", [("time", "status", "count"), *R]),
            ]
        ),
        C,
    )
    export("serials in csv", table([("time", "status", "count"), *((f"{serial(m):.10f}", s, n) for m, s, n in R)]), C)
    export(
        "serials with commas",
        table([("time", "status", "count"), *((f"{serial(m):.10f}".replace(".", ","), s, n) for m, s, n in R)], ";"),
        C,
    )


def _times() -> None:
    forms: dict[str, tuple[Callable[[datetime], object], float]] = {
        "offset of hours": (lambda m: f"{S(m)}-03", -3),
        "BRT": (lambda m: f"{S(m)} BRT", -3),
        "+0530": (lambda m: f"{m:%Y-%m-%dT%H:%M:%S}+0530", 5.5),
        "lower z": (lambda m: f"{m:%Y-%m-%dT%H:%M:%S}z", 0),
        "nine digits": (lambda m: f"{m:%Y-%m-%dT%H:%M:%S}.123456789Z", 0),
        "comma of seconds": (lambda m: f"{S(m)},123", 0),
        "GMT+1": (lambda m: f"{S(m)} GMT+1", 1),
        "java": (lambda m: f"{m:%a %b %d %H:%M:%S} UTC {m:%Y}", 0),
        "javascript": (lambda m: f"{m:%a %b %d %Y %H:%M:%S} GMT+0000 (Coordinated Universal Time)", 0),
        "http": (lambda m: f"{m:%a, %d %b %Y %H:%M:%S} GMT", 0),
        "05-Mar-2024": (lambda m: f"{m:%d-%b-%Y %H:%M:%S}", 0),
        "05-Mar-24": (lambda m: f"{m:%d-%b-%y %H:%M}", 0),
        "Mar 5, 2024, 10:00 AM": (lambda m: f"{m:%b} {m.day}, {m:%Y, %I:%M %p}", 0),
        "March 5th": (lambda m: f"{m:%B} {m.day}th, {m:%Y %H:%M}", 0),
        "weekday, portuguese": (lambda m: f"terça-feira, {m.day} de março de {m:%Y} {m:%H:%M}", 0),
        "às": (lambda m: f"{m.day} de mar. de {m:%Y} às {m:%H:%M}", 0),
        "spanish": (lambda m: f"{m.day} mar {m:%Y}, {m:%H:%M}", 0),
        "h": (lambda m: f"{m:%Y-%m-%d} {m:%H}h{m:%M}", 0),
        "iso basic": (lambda m: f"{m:%Y%m%dT%H%M%S}Z", 0),
        "fourteen digits": (lambda m: f"{m:%Y%m%d%H%M%S}", 0),
        "seventeen digits": (lambda m: f"{m:%Y%m%d%H%M%S}000", 0),
        "twelve digits": (lambda m: f"{m:%Y%m%d%H%M}", 0),
        "s in floats": (lambda m: f"{epoch(m)}.25", 0),
        "ms in floats": (lambda m: f"{epoch(m)}000.0", 0),
        "us": (lambda m: f"{epoch(m)}000000", 0),
        "ns": (lambda m: f"{epoch(m)}000000000", 0),
        "exponent": (lambda m: f"{float(epoch(m) * 1000):.12E}", 0),
        "range": (lambda m: f"{S(m)} - {S(m + timedelta(minutes=1))}", 0),
        "range of iso": (lambda m: f"{Z(m)}/{Z(m + timedelta(minutes=1))}", 0),
        "interval": (lambda m: f"[{S(m)}, {S(m + timedelta(minutes=1))})", 0),
        "apache": (lambda m: f"[{m:%d/%b/%Y:%H:%M:%S} +0000]", 0),
        "year first with slashes": (lambda m: f"{m:%Y/%m/%d %H:%M}", 0),
        "one digit": (lambda m: f"{m.year}-{m.month}-{m.day} {m.hour}:{m:%M}", 0),
        "dots": (lambda m: f"{m:%d.%m.%Y %H:%M}", 0),
        "dots and two digits": (lambda m: f"{m:%d.%m.%y %H:%M}", 0),
        "year with dots": (lambda m: f"{m:%Y.%m.%d %H:%M:%S}", 0),
        "T without seconds": (lambda m: f"{m:%Y-%m-%dT%H:%M}", 0),
        "quoted date": (lambda m: f"'{S(m)}", 0),
        "bracket zone": (lambda m: f"{m:%Y-%m-%dT%H:%M:%S}-03:00[America/Sao_Paulo]", -3),
        "dotnet": (lambda m: f"/Date({epoch(m)}000)/", 0),
        "space before offset": (lambda m: f"{S(m)} +00:00", 0),
        "windows": (lambda m: f"{S(m)}.0000000 +00:00", 0),
    }  # fmt: skip
    for name, (form, hours) in forms.items():
        export(
            f"time, {name}", table([("time", "status", "count"), *((form(m), s, n) for m, s, n in R)]), counts(R, hours)
        )
    late: dict[str, Callable[[datetime], object]] = {
        "13/03/24": lambda m: f"{m:%d/%m/%y %H:%M}", "3/13/24": lambda m: f"{m.month}/{m.day}/{m:%y %H:%M}",
        "3/13/2024 AM": us, "13-03-2024": lambda m: f"{m:%d-%m-%Y %H:%M:%S}", "13/03/2024, 10:00": lambda m: f"{m:%d/%m/%Y, %H:%M:%S}",
        "13/03/2024 10h05": lambda m: f"{m:%d/%m/%Y} {m:%H}h{m:%M}", "13/03/2024 às": lambda m: f"{m:%d/%m/%Y às %H:%M}",
        "13/03/2024 - 10:00": lambda m: f"{m:%d/%m/%Y - %H:%M}", "weekday 13/03/2024": lambda m: f"qua, {m:%d/%m/%Y %H:%M}",
        "13/mar/2024": lambda m: f"{m:%d}/mar/{m:%Y %H:%M}", "13-mar.-24": lambda m: f"{m:%d}-mar.-{m:%y %H:%M}",
    }  # fmt: skip
    for name, late_form in late.items():
        export(f"time, {name}", table([("time", "status", "count"), *((late_form(m), s, n) for m, s, n in D)]), CD)
    export(
        "zone column",
        table([("time", "timezone", "status", "count"), *((S(m), "America/Sao_Paulo", s, n) for m, s, n in R)]),
        counts(R, -3),
    )
    export(
        "offset column",
        table([("time", "utc_offset", "status", "count"), *((S(m), "-03:00", s, n) for m, s, n in R)]),
        counts(R, -3),
    )
    export(
        "tz flag",
        table([("time", "status", "count"), *((S(m), s, n) for m, s, n in R)]),
        counts(R, -3),
        "--tz",
        "America/Sao_Paulo",
    )
    export("date and hour", table([("date", "hour", "status", "count"), *((f"{m:%Y-%m-%d}", m.hour, s, n) for m, s, n in
           [(START.replace(hour=h), s, h * 10 + len(s)) for h in range(6, 18) for s in ("approved", "denied")])]),
           counts((START.replace(hour=h), s, h * 10 + len(s)) for h in range(6, 18) for s in ("approved", "denied")))  # fmt: skip
    export("year, month, day, hour", table([("year", "month", "day", "hour", "minute", "status", "count"), *((m.year, m.month, m.day, m.hour, m.minute, s, n)
           for m, s, n in R)]), "several columns")  # fmt: skip
    export("one row per day", table([("date", "status", "count"), *((f"{START + timedelta(days=i):%Y-%m-%d}", s, 1000 + i) for i in range(20) for s in
           ("approved", "denied"))]), counts((START.replace(hour=0) + timedelta(days=i), s, 1000 + i) for i in range(20) for s in ("approved", "denied")))  # fmt: skip
    export(
        "start and end",
        table(
            [
                ("start_time", "end_time", "status", "count"),
                *((S(m), S(m + timedelta(minutes=1)), s, n) for m, s, n in R),
            ]
        ),
        C,
    )
    export(
        "time of day with --date",
        table([("time", "status", "count"), *((f"{m:%H:%M}", s, n) for m, s, n in R)]),
        C,
        "--date",
        "2024-03-05",
    )
    export(
        "case study",
        table([("time", "status", "count"), *((f"{m:%H}h {m:%M}", s, n) for m, s, n in R)]),
        C,
        "--date",
        "2024-03-05",
    )
    fall = datetime(2024, 11, 3, 0, 30)
    twice = [(fall + timedelta(minutes=i), "approved", 10 + i) for i in range(180)]
    export("clock set back", table([("time", "status", "count"), *((S(m - timedelta(hours=4 if m < datetime(2024, 11, 3, 6) else 5)), s, n) for m, s, n in
           [(m + timedelta(hours=4), s, n) for m, s, n in twice])]), counts((m + timedelta(hours=4), s, n) for m, s, n in twice), "--tz", "America/New_York")  # fmt: skip
    export(
        "ambiguous",
        table([("time", "status", "count"), *((f"{m:%d/%m/%Y %H:%M}", s, n) for m, s, n in R)]),
        "5 March 2024 with --day-first.*3 May 2024",
    )
    export(
        "ambiguous with flag",
        table([("time", "status", "count"), *((f"{m:%d/%m/%Y %H:%M}", s, n) for m, s, n in R)]),
        C,
        "--day-first",
    )


def _neighbours() -> None:
    """Reports of French, Italian and German systems and of SAP, placeholders, and tables without counts."""
    march = minutes(LATER)
    found = counts(march)
    french = {"approved": "Accepté", "denied": "Refusé", "failed": "Échoué"}
    export("French", table([("Date et heure", "Statut", "Nombre"), *((f"{m:%d/%m/%Y %H:%M}", french[s], f"{n + 1000:,}".replace(",", "\u202f")) for m, s, n in march)], ";"),
           counts((m, french[s], n + 1000) for m, s, n in march), says="count=Nombre")  # fmt: skip
    words = ("Autorizzata", "Negata", "Stornata")
    rows = single(words, LATER)
    export("Italian", table([("Data/Ora", "Codice transazione", "Importo", "Esito"), *((f"{m:%d/%m/%Y %H:%M:%S}", f"{i:08}", "10,00", s) for i, (m, s, _) in enumerate(rows))], ";"),
           counts(rows), says="status=Esito")  # fmt: skip
    rows = single(("Genehmigt", "Abgelehnt", "Storniert"), LATER)
    export("German", table([("Datum", "Uhrzeit", "Terminal", "Betrag", "Ergebnis"), *((f"{m:%d.%m.%Y}", f"{m:%H:%M:%S}", f"T{i % 4}", "1'200.00", s) for i, (m, s, _) in enumerate(rows))], ";"),
           counts(rows), says="time=Uhrzeit \\+ Datum")  # fmt: skip
    export(
        "SAP", table([("BUDAT", "CPUTM", "STATUS", "ANZAHL"), *((f"{m:%Y%m%d}", f"{m:%H%M%S}", s, n) for m, s, n in march)], ";"),
        found, says="time=CPUTM \\+ BUDAT",
    )  # fmt: skip
    named = [(f"{m:%Y-%m-%d %H:%M}", s, n) for m, s, n in march]
    plain = table([("time", "status", "count"), *named])
    for placeholder in ("1970-01-01 00:00", "9999-12-31 23:59", "1900-01-01T00:00:00Z"):
        export(f"placeholder {placeholder[:4]}", plain + f"{placeholder},denied,4\n".encode(), found)
    thai = [(f"{m.year + 543}-{m:%m-%d %H:%M}", s, n) for m, s, n in march]
    export("Buddhist years", table([("time", "status", "count"), *thai]), "Subtract 543")
    rates = [(time, s, f"{n / 60:.4f}") for time, s, n in named]
    export("rates", table([("time", "status", "rate"), *rates]), "no column has counts: 'rate'.*--map count=")
    shares = [(time, s, f"{n / 130:.1%}") for time, s, n in named]
    export("shares", table([("time", "status", "share"), *shares]), "no column has counts: 'share'")
    days = [
        (f"{m - timedelta(minutes=9):%d.%m.%Y}", f"{m - timedelta(minutes=9):%H:%M}", s, f"{n / 130:.1%}")
        for m, s, n in march
    ]
    export(
        "shares beside a date and a time",
        table([("Datum", "Uhrzeit", "Status", "Anteil"), *days], ";"),
        "no column has counts: 'Anteil'",
    )
    japanese = "日時,状態,件数\n" + "".join(f"{time},承認,{n}\n" for time, _, n in named)
    export("Japanese", japanese.encode("cp932"), "not UTF-8.*--encoding cp932")
    power = [("Start of Minute", "status", "Count of transaction_id"), *((us(m), s, n) for m, s, n in march)]
    export("Power BI", table(power), found, says="count=Count of transaction_id")
    tableau = [("Minute of Time", "Status", "Distinct count of Txn Id"), *named]
    export("Tableau distinct count", table(tableau, "\t").decode().encode("utf-16"), found, says="count=Distinct count")
    bank = [("Buchungstag", "Wertstellung", "Uhrzeit", "Status", "Betrag"),
            *((f"{m:%d.%m.%y}", f"{m + timedelta(days=2):%d.%m.%y}", f"{m:%H:%M:%S}", s, "-4,99") for m, s, _ in single(words, LATER))]  # fmt: skip
    export("German bank", table(bank, ";"), counts(single(words, LATER)), says="time=Uhrzeit \\+ Buchungstag")
    shortened = [
        ("Time", "approved", "denied"),
        *((time, f"{n / 100:.2f} K", 5) for time, s, n in named if s == "approved"),
    ]
    export(
        "Grafana formatted",
        table(shortened),
        "column 'approved' has rounded counts, for example '1.18 K'.*Formatted data",
    )
    adyen = [
        ("eventDate", "eventCode", "success"),
        *((f"{time}:00Z", "AUTHORISATION", str(n % 3 > 0).lower()) for time, _, n in named),
    ]
    export("Adyen notifications", table(adyen), "two columns may be the status: 'eventCode' .* or 'success'")
    log = "".join(f'10.0.0.1 - - [{m:%d/%b/%Y:%H:%M:%S} +0000] "POST /pay HTTP/1.1" 200 512\n' for m, _, _ in march)
    export("access log", log.encode(), "access log of a web server.*JSON")
    logged = single(("approved", "approved", "denied"), LATER)
    syslog = "".join(f"<34>1 {m:%Y-%m-%dT%H:%M:%S}Z host pay 12 ID47 - status={s} amount=5\n" for m, s, _ in logged)
    export("syslog of RFC 5424", syslog.encode(), counts(logged), says="logfmt; time=time")
    older = "".join(f"{m:%b %d %H:%M:%S} host pay[12]: status={s} amount=5\n" for m, s, _ in logged).encode()
    export("syslog of RFC 3164", older, "has no year; --time-format")
    export(
        "syslog of RFC 3164 with flags",
        older,
        counts(logged),
        "--time-format",
        "%b %d %H:%M:%S",
        "--date",
        f"{LATER:%F}",
    )
    fields = "#Version: 1.0\n#Fields: date time cs-method sc-status\n"
    w3c = fields + "".join(f"{m:%F %T} POST 200\n" for m, _, _ in march)
    export("W3C log", w3c.encode(), "is a W3C log.*sed")
    inserts = "INSERT INTO payments (time, status, count) VALUES\n" + ",\n".join(
        f"('{t}','{s}',{n})" for t, s, n in named
    )
    export("SQL dump", inserts.encode(), "is an SQL dump.*--sql")
    yaml = "".join(f"- time: {t}\n  status: {s}\n  count: {n}\n" for t, s, n in named)
    export("YAML", yaml.encode(), "is YAML.*yq")
    swapped = [("status", "time", "count"), *((s, t, n) for t, s, n in named)]
    export(
        "second header",
        plain + table(swapped),
        "second header, whose columns are in another order: status, time, count",
    )
    alone = [(t, n) for t, s, n in named if s == "approved"]
    export("one status", table([("time", "count"), *alone]), "no column for 'status'.*--wide count")
    export("one status with its flag", table([("time", "payments"), *alone]),
           counts((m, "payments", n) for m, s, n in march if s == "approved"), "--wide", "payments")  # fmt: skip
    hours = [
        ("day", *(f"{hour:02}:00" for hour in range(24))),
        *((f"2026-03-{day:02}", *range(100, 124)) for day in range(1, 9)),
    ]
    export("a column for each hour", table(hours), "a column for each time of day.*melt")
    digits = [("day", *(f"{hour:02}" for hour in range(24))), *hours[1:]]
    export("a column for each hour as digits", table(digits), "a column for each time of day.*melt")
    codes = [("time", "00", "05", "51", "91"), *((f"{m:%F %H:%M}", n, 3, 2, 1) for m, s, n in march if s == "approved")]
    export("a column for each response code", table(codes),
           counts((m, code, k) for m, s, n in march if s == "approved"
                  for code, k in (("00", n), ("05", 3), ("51", 2), ("91", 1))))  # fmt: skip
    per_time: dict[datetime, dict[str, int]] = {}
    for m, s, n in march:
        per_time.setdefault(m, {})[s] = n
    nested = "".join(json.dumps({"time": f"{m:%FT%TZ}", "counts": some}) + "\n" for m, some in per_time.items())
    export("counts in an object", nested.encode(), found, says="counts=counts.")
    twins = [("time", "status", "status", "count"), *((t, s, "x", n) for t, s, n in named)]
    export("two columns of one name", table(twins), found, says="several columns are named 'status'")
    metrics = b'# HELP pay_total x\n# TYPE pay_total counter\npay_total{status="approved"} 1027\n'
    export("Prometheus text", metrics, "one moment of Prometheus metrics.*--prometheus")
    rounded = [(f"{epoch(m):.4E}", s, n) for m, s, n in minutes(LATER, 40)]
    export("rounded epochs", table([("ts", "status", "count"), *rounded]), "rounded to 100,000 s.*whole number")
    sums: Counter[str] = Counter()
    rising = []
    for m, s, n in march:
        sums[s] += n
        rising.append((m, s, sums[s]))
    export("running totals", table([("time", "status", "count"), *((f"{m:%F %H:%M}", s, n) for m, s, n in rising)]),
           counts(rising), says="no count of 'count' ever falls")  # fmt: skip
    by_minute: dict[datetime, dict[str, int]] = {}
    for m, s, n in rising:
        by_minute.setdefault(m, {})[s] = n
    header = ("time", *sums)
    wide = [header, *((f"{m:%F %H:%M}", *(some[s] for s in sums)) for m, some in by_minute.items())]
    export("running totals of a wide table", table(wide), counts(rising), says="no count of '.*' or '.*' ever falls")


for _some in (_sql, _frames, _monitoring, _processors, _texts, _times, _neighbours):
    _some()

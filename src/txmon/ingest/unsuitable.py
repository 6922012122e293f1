"""Recognises exports that txmon must not count: rates, rounded numbers, records inside texts, files without a header.

Such a file has the columns that txmon needs, or seems to have them, and its counts would be wrong without a word.
Each `refuse_` function raises BadData with the reason and the fix.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from txmon.errors import BadData
from txmon.ingest.column_names import status_named
from txmon.ingest.fields import Fault as BadValue
from txmon.ingest.fields import count_of, decimal_of
from txmon.ingest.records import Wide
from txmon.ingest.sample import Table
from txmon.support.lazy_pattern import LazyPattern

_MARKED: Final = LazyPattern(r"\d[-/.:]\d")  # separators of a time, which no plain number contains
_ROUNDED: Final = LazyPattern(r"\d(?:\.(\d*))?[eE]\+?(\d{1,2})", re.ASCII)
_NUMERIC: Final = LazyPattern(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_ACCESS_LOG: Final = LazyPattern(r'\S+ \S+ \S+ \[\d+/\w+/\d+:\d+:\d+:\d+ [+-]\d+\] "', re.ASCII)  # of a web server
_SHORTENED: Final = LazyPattern(r"[+-]?\d+(?:[.,]\d+)?\s?(?:k|mil|mio|mn|m|b|bil)", re.IGNORECASE)  # counts of charts
_INNER: Final = LazyPattern(
    r"(?:^|[\s{,])\"?(?:\w+_)?(?:status|outcome)\"?\s?[=:]\s?\"?[A-Za-z0-9]"
)  # a record inside a text
_HOURS: Final = frozenset(f"{hour:02}" for hour in range(24))  # some are response codes; all of them are a day
RISES: Final = 8  # of the counts of each status in the sample, from which on they look like running totals


def refuse_headerless(source: str, names: Sequence[str], kind_of: Callable[[str], str]) -> None:
    """Refuse a CSV file whose first line contains times: the line is a row, or the table has times as columns.

    kind_of: what a text is: "full" (a date with a time), "date", "clock" or "none".
    """
    hours = [name for name in names if kind_of(name) == "clock"] or _HOURS & {name.zfill(2) for name in names}
    if len(hours) > 2 and (len(hours) == len(_HOURS) or not _HOURS.issuperset(hours)):
        raise BadData(
            f"{source}: has a column for each time of day; make a row for each date and time, for example with pandas:"
            f" frame.melt({names[0]!r}, var_name='time', value_name='count')"
        )
    times = [name for name in names if _MARKED.search(name) and kind_of(name) in ("full", "date")]
    if len(times) > 2:
        raise BadData(
            f"{source}: has a column for each time; transpose it, so that each row is a time, for example with"
            " pandas: frame.T.to_csv(...)"
        )
    if times:
        file = "FILE" if source.startswith("<") else source
        raise BadData(
            f"{source}: no header: the first line must name the columns, for example time,status,count."
            f" Add it: (echo time,status,count; cat {file}) | txmon replay -"
        )


def refuse_second_header(source: str, table: Table) -> None:
    """Refuse a CSV file that contains a second header with its columns in another order, as after `cat a.csv b.csv`."""
    names = [name.lower() for name in table.names]
    for i, cell in enumerate(table.values[table.names[0]] if table.names else ()):
        if cell.lower() in names[1:]:
            row = [table.values[name][i].lower() for name in table.names]
            if sorted(row) == sorted(names):
                raise BadData(
                    f"{source}: has a second header, whose columns are in another order: {', '.join(row)}. Split the"
                    " file there, and give both parts to txmon."
                )


def refuse_access_log(source: str, names: Sequence[str]) -> None:
    """Refuse the access log of a web server, whose first line was taken for a header."""
    if names and _ACCESS_LOG.match(" ".join(names)):
        raise BadData(
            f"{source}: is the access log of a web server. Let the server write JSON lines with a time and"
            " a status (in nginx: log_format with escape=json)."
        )


def refuse_rounded_epochs(source: str, column: str, values: Sequence[str]) -> None:
    """Refuse epochs that a spreadsheet has rounded, such as 1.7105E+09: a minute needs eight digits."""
    seen = [found for value in dict.fromkeys(values) if value and (found := _ROUNDED.fullmatch(value.strip()))]
    if seen and len(values) > 1 and len(seen) == len({value for value in values if value}):
        steps = [int(found[2]) - len(found[1] or "") for found in seen]
        unit = int(seen[0][2]) - 9  # 0 for seconds, 3 for milliseconds
        if min(steps) - unit >= 2:
            rounded = f"{10 ** (min(steps) - unit):,} s"
            raise BadData(
                f"{source}: the times in {column!r} are rounded to {rounded}, for example {seen[0][0]}."
                " Show the column as a whole number in the spreadsheet, and export it again."
            )


def refuse_rounded_counts(source: str, table: Table, wide: Wide) -> None:
    """Refuse a wide table in which a chart has rounded the counts of a status, such as `1.12 K`."""
    for column in table.names if wide else ():
        if column in dict(wide) or status_named(column) is None:
            continue
        rounded = [value for value in table.values[column] if _SHORTENED.fullmatch(value.strip())]
        if rounded:
            raise BadData(
                f"{source}: column {column!r} has rounded counts, for example {rounded[0]!r}. Export the whole"
                " numbers (in Grafana: switch off `Formatted data`), or choose the columns with --wide"
                f" {','.join(name for name, _ in wide)}."
            )


def refuse_records_in_texts(source: str, table: Table, kind: str, time: str) -> None:
    """Refuse records whose status is inside a text, as in the logs of containers.

    kind: the format of the source. time: the name of the column of times, or "".
    """
    for column in table.names:
        values = [value for value in table.values[column] if value]
        if len(values) > 1 and sum(_INNER.search(value) is not None for value in values) * 2 > len(values):
            inner = f".{column}" if column.isidentifier() else f'."{column}"'
            if time.isidentifier() and not values[0].lstrip().startswith("{"):
                inner = f'"time=\\(.{time}) \\({inner})"'
            way = f"jq -r '{inner}' FILE | txmon replay -" if kind != "csv" else "extract it"
            raise BadData(
                f"{source}: the status is within the text of column {column!r}, for example"
                f" {values[0].strip()[:60]!r}. Make records of it first ({way}), or name another column with --map"
                " status=COLUMN"
            )


def rates(table: Table, free: Sequence[str]) -> list[str]:
    """Return the columns of `free` in which every value is a number or a share in per cent."""
    return [name for name in free if _is_rate(table, name)]


def refuse_rates(source: str, table: Table, columns: Sequence[str], moments: Sequence[int], status: str) -> None:
    """Refuse rows that a query has summed up, where their only numbers are rates or shares.

    columns: those of `rates`. moments: the time of each row in seconds. status: the name of the column of statuses.
    """
    times = Counter(moments)
    statuses = set(table.values[status])
    if len(times) > 2 and len(statuses) > 1 and all(rows == len(statuses) for rows in times.values()):
        value = next(value for value in table.values[columns[0]] if value)
        raise BadData(
            f"{source}: each time has one row for each status, but no column has counts: {columns[0]!r} is"
            f" {value[:20]!r}. Export counts, or use --map count= if each row is one transaction."
        )


def _is_rate(table: Table, name: str) -> bool:
    seen = [value.strip().removesuffix("%").replace(",", ".", 1) for value in table.values[name] if value]
    return len(seen) == table.rows and all(_NUMERIC.fullmatch(value) for value in seen)


def are_running_totals(series: Iterable[Hashable], counts: Sequence[str]) -> bool:
    """Return whether the counts of no series ever fall, as those of a counter that is not reset.

    series: which series each of `counts` belongs to. A single series, or one that rises fewer than `RISES` times, does
    not show it.
    """
    last: dict[Hashable, int] = {}
    rises: Counter[Hashable] = Counter()
    decimal = decimal_of(dict.fromkeys(counts))
    for labels, text in zip(series, counts, strict=True):
        try:
            count = count_of(text, decimal)
        except BadValue:
            return False
        before = last.get(labels)
        if before is not None:
            if count < before:
                return False
            rises[labels] += count > before
        last[labels] = count
    return len(last) > 1 and all(rises[labels] >= RISES for labels in last)

"""A worker reads a source's lines as files are read, whatever pieces they come in."""

from collections import Counter

import pytest
from exports import ALL, Export

from txmon.ingest.records import Record
from txmon.settings.declarations import Settings
from txmon.spark.source_reader import SourceReader

NAMES = (
    "psql aligned", "bigquery csv", "bigquery json", "pandas pivot", "grafana labels", "paypal",
    "quotes and semicolons",
    "stripe payments", "thousands with dots", "serials in csv", "time, 13/03/24", "logcli", "datadog groups",
)  # fmt: skip


@pytest.mark.parametrize("export", [some for some in ALL if some.name in NAMES], ids=lambda some: some.name)
@pytest.mark.parametrize("size", [7, 1000])
def test_the_counts_of_files(export: Export, size: int) -> None:
    lines = export.data.removesuffix(b"\n").split(b"\n")
    reader = SourceReader("file:/a.csv", lines, Settings())
    made = [one for at in range(0, len(lines), size) for one in reader.take(lines[at : at + size])] + reader.rest()
    found: Counter[tuple[int, str]] = Counter()
    for one in made:
        if isinstance(one, Record):
            found[one.time - one.time % 60, one.status] += one.count
    assert +found == export.expected


def test_what_cannot_be_read_says_so_in_every_line() -> None:
    lines = [b"time,status,count", b"05/03/2024 10:00,ok,3", b"05/03/2024 10:01,ok,4"]
    (first, *others) = SourceReader("a", lines, Settings()).take(lines)
    assert not isinstance(first, Record)
    assert "5 March 2024 with --day-first" in first.reason
    assert len(others) == 2

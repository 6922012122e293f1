"""Rows that DuckDB counts come to the counts of rows that are read one by one."""

import random
import re
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from txmon.errors import BadData
from txmon.ingest import grouped
from txmon.ingest.rejects import RejectLog
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings

WORDS = 'approved,denied,failed, Approved ,REVERSED,a "b",x;y'
KEYED = {"group_by": ("merchant",)}


def made(path: Path, columns: str, rows: int = 5000) -> Path:
    """Make a Parquet file with a row for each `n` below `rows`; h(k) is a number from 0 that looks random."""
    columns = columns.replace("word(1)", f"list_extract({WORDS.split(',')!r}::VARCHAR[], (h(1) % 7 + 1)::INT)")
    columns = columns.replace("at()", "(TIMESTAMP '2026-03-02 10:00:00' + to_milliseconds(h(9) * 7))")
    columns = re.sub(r"\bh\((\d)\)", r"(hash(n * 31 + \1) % 1000000)::BIGINT", columns)
    duckdb.sql(f"COPY (SELECT {columns} FROM range({rows}) t(n)) TO '{path}' (FORMAT parquet)")
    return path


def read(paths: list[str], **settings: Any) -> tuple[list[Any], int, int, list[str]]:
    """Return the tallies of files as plain values, the records and repeats, and the rejects' reasons."""
    log = RejectLog(None, False)
    reader = reader_of(Settings(**settings), log, date(2026, 3, 2), detailed=True)
    found = [
        (
            tally.start,
            {key: dict(sorted(statuses.items())) for key, statuses in sorted(tally.counts.items())},
            {key: {status: (sums.units, sums.squares) for status, sums in sorted(statuses.items())}
             for key, statuses in sorted(tally.money.items())},
        )
        for tally in reader.tallies(paths, 60)
    ]  # fmt: skip
    return found, reader.read, reader.repeated, log.summary()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that says, for each file, whether DuckDB counted its rows."""
    seen: list[bool] = []
    real = grouped.tallies_of

    def noted(*given: Any) -> Any:
        answer = real(*given)
        seen.append(answer is not None)
        return answer

    monkeypatch.setattr(grouped, "tallies_of", noted)
    return seen


def one_by_one(monkeypatch: pytest.MonkeyPatch, paths: list[str], **settings: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(grouped, "tallies_of", lambda *_: None)
        return read(paths, **settings)


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("at() AS time, word(1) AS status", {}, True),
    ("at()::TIMESTAMPTZ AS time, word(1) AS status", {"tz": "America/Sao_Paulo"}, True),
    ("at() AS time, word(1) AS status", {"tz": "America/Sao_Paulo"}, False),
    ("at()::TIMESTAMP_NS AS time, word(1) AS status, 'm' || h(2) % 9 AS merchant", KEYED, True),
    ("at()::TIMESTAMP_S AS time, word(1) AS status, (h(2) % 9)::INT AS merchant", KEYED, True),
    ("at()::VARCHAR AS time, word(1) AS status", {}, False),
    ("epoch_ms(at()) AS time, word(1) AS status", {}, True),
    ("epoch_us(at()) // 1000000 AS time, word(1) AS status", {}, True),
    ("at() AS time, word(1) AS status, (h(3) % 40)::INT AS count, h(4) % 10 = 1 AS merchant", KEYED, True),
    ("at() AS time, word(1) AS status, (h(3) % 40 - 1)::INT AS count", {}, False),
    ("at() AS time, word(1) AS status, h(3) % 40 / 2 AS count", {}, False),
    ("at() AS time, word(1) AS status, (h(3) / 100)::DECIMAL(12, 2) AS amount", {}, True),
    ("at() AS time, word(1) AS status, (h(3) / 1000000)::DECIMAL(12, 6) AS amount", {}, False),
    ("at() AS time, word(1) AS status, h(3) / 7 - 100 AS amount, 'm' || h(2) % 9 AS merchant", KEYED, True),
    ("at() AS time, word(1) AS status, CASE WHEN h(5) % 3 > 0 THEN h(3) / 100 END AS amount, "
     "CASE WHEN h(6) % 2 = 0 THEN 'EUR' ELSE 'USD' END AS currency", {}, True),
    ("at() AS time, word(1) AS status, (h(3) % 5)::INT AS count, h(4)::INT AS amount", {}, True),
    ("at() AS time, word(1) AS status, h(3) * 1e9 AS amount", {}, False),
    ("at() AS time, word(1) AS status, n AS id", {}, True),
    ("at() AS time, word(1) AS status, 'i' || n // 2 AS id", {}, True),
    ("at() - to_milliseconds(h(9) * 7) AS time, word(1) AS status, 'i' || CASE WHEN n < 9 THEN 0 ELSE n END AS id",
     {}, False),
    ("CASE WHEN n <> 3000 THEN at() END AS time, word(1) AS status", {}, False),
    ("at() AS time, CASE WHEN n <> 3000 THEN word(1) END AS status", {}, False),
    ("at() AS time, CASE WHEN n <> 3000 THEN word(1) ELSE repeat('x', 500) END AS status", {}, False),
    ("at() AS time, CASE WHEN n <> 3000 THEN word(1) ELSE 'a' || chr(10) || 'b' END AS status", {}, False),
    ("at() AS time, word(1) AS status, CASE WHEN h(5) % 3 > 0 THEN 'm, \"' || h(2) % 9 END AS merchant", KEYED, True),
    ("at() AS time, 1 AS denied, h(1) % 3 AS approved", {"wide": ("denied", "approved")}, False),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "settings", "grouped_by_sql"), CASES)
def test_both_ways_agree(
    columns: str, settings: dict[str, Any], grouped_by_sql: bool, used: list[bool], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = str(made(tmp_path / "t.parquet", columns))
    assert read([path], **settings) == one_by_one(monkeypatch, [path], **settings)
    assert used == [grouped_by_sql]


def test_ids_of_several_files_may_repeat(used: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = "at() AS time, word(1) AS status, n AS id"
    paths = [str(made(tmp_path / name, columns, rows)) for name, rows in (("a.parquet", 5000), ("b.parquet", 20))]
    found = read(paths)
    assert found == one_by_one(monkeypatch, paths)
    assert found[1:3] == (5020, 20)
    assert used == [False, False]


def test_a_file_of_few_rows(used: list[bool], tmp_path: Path) -> None:
    path = str(made(tmp_path / "t.parquet", "at() AS time, 'ok' AS status", 3))
    tallies, rows, _, _ = read([path])
    assert sum(tally[1][()]["ok"] for tally in tallies) == rows == 3
    assert used == [True]


def test_an_arrow_file(used: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    draw = random.Random(1)
    table = pyarrow.table({
        "time": pyarrow.array([1772445600000 + draw.randrange(3600000) for _ in range(5000)], pyarrow.timestamp("ms")),
        "status": pyarrow.array(draw.choices(WORDS.split(","), k=5000)).dictionary_encode(),
        "merchant": [f"m{draw.randrange(5)}" for _ in range(5000)],
    })  # fmt: skip
    path = tmp_path / "t.arrow"
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_file(file, table.schema) as out:
        out.write_table(table, max_chunksize=700)
    whole = read([str(path)], **KEYED)
    assert whole == one_by_one(monkeypatch, [str(path)], **KEYED)
    assert whole[1] == 5000
    assert used == [True]


def test_a_damaged_arrow_file(tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    path.write_bytes(b"ARROW1\0\0" + bytes(80))
    with pytest.raises(BadData, match="Arrow file"):
        read([str(path)])


def test_damage_behind_the_first_rows(tmp_path: Path) -> None:
    path = made(tmp_path / "t.parquet", "at() AS time, word(1) AS status", 300_000)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 20_000] = bytes(20_000)
    path.write_bytes(bytes(raw))
    with pytest.raises(BadData, match="Parquet file that cannot be read"):
        read([str(path)])

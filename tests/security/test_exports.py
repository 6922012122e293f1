"""Exports that a spreadsheet opens: no cell made of data is a formula, and numbers stay numbers."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from trap_tools import txmon

from txmon.query.export import FORMULA, no_formula, write_csv

FORMULAS = [
    "=1+1", "+1", "-1+2", "@SUM(A1)", "＝1+1", "\t=1", "\r=1", "a\r=1", "a\n=1", "=cmd|' /C calc'!A0",
    "-2+cmd|' /C calc'!A0",
]  # fmt: skip


def rows(path: Path) -> Path:
    """A file whose statuses, merchants and columns are formulas; counts fall below zero by arithmetic alone."""
    lines = [
        {"time": f"2026-03-02T10:{minute:02}:00Z", "status": text, "count": 5 + minute, "merchant": text, "=evil": 1}
        for minute in range(40)
        for text in FORMULAS
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def cells(raw: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw.decode(), newline="")))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("where", ["stdout", "out"])
def test_no_cell_of_an_export_is_a_formula(where: str, tmp_path: Path) -> None:
    sql = 'SELECT status, merchant, [status] AS list, {\'a\': status} AS "-struct", -count AS n, status AS "=c"'
    sql += " FROM transactions"
    out = tmp_path / "out.csv"
    extra = ["--out", str(out)] if where == "out" else ["--format", "csv"]
    done = txmon("query", sql, rows(tmp_path / "t.jsonl"), *extra, stdin=b"")
    assert done.returncode == 0
    header, *found = cells(out.read_bytes() if where == "out" else done.stdout)
    assert header == ["status", "merchant", "list", "'-struct", "n", "'=c"]
    assert len(found) == 40 * len(FORMULAS)
    for row in found:
        assert int(row[4]) < 0  # a number keeps its minus
        for cell in row:
            assert is_number(cell) or not cell.startswith(FORMULA), row
    assert {row[0] for row in found} >= {"'=1+1", "'@sum(a1)", "'-1+2", "a\r=1"}
    raw = out.read_bytes() if where == "out" else done.stdout
    assert raw.count(b'"a\r=1"') > 0  # quoted, or Excel would begin a row there
    assert b",a\r=1" not in raw


def test_a_shipped_query_whose_columns_are_statuses(tmp_path: Path) -> None:
    done = txmon("query", "--name=per-minute", rows(tmp_path / "t.jsonl"), "--format", "csv", stdin=b"")
    assert done.returncode == 0
    assert b"=1+1" in done.stdout
    for row in cells(done.stdout):
        assert [cell for cell in row if not is_number(cell) and cell.startswith(FORMULA)] == []


def test_numbers_are_left_alone_and_texts_are_not() -> None:
    stream = io.StringIO()
    write_csv(stream, ["a"], [[-1], [-1.5], [Decimal("-2.5")], ["-1"], ["ok"], [None], [True], [["=1", 2]]])
    assert stream.getvalue().splitlines() == ["a", "-1", "-1.5", "-2.5", "'-1", "ok", '""', "true", '"\'=1, 2"']


def test_what_looks_like_a_formula() -> None:
    assert [no_formula(text) for text in FORMULAS[:6]] == [f"'{text}" for text in FORMULAS[:6]]
    assert no_formula("denied") == "denied"


def test_the_html_page_holds_its_data_as_text(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    lines = [
        {"time": f"2026-03-02T{m // 60:02}:{m % 60:02}:00Z", "status": status, "count": 90}
        for m in range(300)
        for status in ("approved", evil)
    ]
    path, page = tmp_path / f"{'<img src=x>'}.jsonl", tmp_path / "page.html"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert txmon("analyze", path, "--html", page, stdin=b"").returncode == 0
    text = page.read_text()
    assert "alert(1)" in text
    assert evil not in text
    assert "<img" not in text
    assert "default-src 'none'" in text

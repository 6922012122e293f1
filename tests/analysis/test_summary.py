"""The five lines for a person who decides, the width of the tables, and that every way to ask gives one answer."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from paths import ROOT, SHARED

from txmon.query.database import Database, shipped

HEADINGS = ["What happened", "How sure", "What it cost", "Likely cause", "Next step"]
CHECKOUTS = ROOT / "examples" / "checkouts.csv"
TRANSACTIONS = ROOT / "examples" / "transactions.csv"
REAL = [SHARED / "data" / f"checkout_{n}.csv" for n in (1, 2)]


def txmon(*arguments: object, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "txmon", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **env})


def analyzed(*arguments: object) -> dict[str, object]:
    done = txmon("analyze", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    return dict(report)


def summary(*arguments: object) -> dict[str, str]:
    found = analyzed(*arguments)["summary"]
    assert isinstance(found, dict)
    assert list(found) == HEADINGS
    return found


def test_an_outage_of_checkouts() -> None:
    found = summary(CHECKOUTS)
    assert found["What happened"] == "Sales stopped from 14:00 to 16:00 (2 hours): 0 where 94 were expected."
    assert found["How sure"].startswith("Practically certain: ")
    for name in ("yesterday", "the same day last week", "an average day of last week", "an average day of last month"):
        assert f"fewer than {name}" in found["What it cost"]
    assert "from 13:00 to 16:59" in found["Next step"]


def test_a_normal_day_of_checkouts(tmp_path: Path) -> None:
    path = tmp_path / "quiet.csv"
    rows = CHECKOUTS.read_text().splitlines()
    normal = [row.split(",") for row in rows[1:]]
    path.write_text("\n".join([rows[0], *(",".join([row[0], row[3], *row[2:]]) for row in normal), ""]))
    found = summary(path)
    assert found["What happened"] == "Nothing unusual: each hour of today is within normal."
    assert found["Next step"] == "Nothing to do."


def test_the_worst_of_the_transactions_in_numbers_and_nothing_to_compare_with() -> None:
    found = summary(TRANSACTIONS)
    assert found["What happened"].startswith("Silence from 16:10 to 16:26 (16m): ")
    assert "transactions where" in found["What happened"]
    assert "The file holds 1 day, and no yesterday or last week or last month to compare with" in found["What it cost"]
    assert "feed" in found["Likely cause"]


def test_failures_are_told_in_failed_transactions(tmp_path: Path) -> None:
    path = tmp_path / "failures.csv"
    rows = TRANSACTIONS.read_text().splitlines(keepends=True)
    path.write_text(rows[0] + "".join(row for row in rows[1:] if "T00:00" <= row[10:16] < "T10:30"))
    found = summary(path)
    seen = sum(int(row.split(",")[2]) for row in rows[1:] if ",failed," in row and "T09:40" <= row[10:16] < "T09:59")
    assert found["What happened"].startswith(f"Failures from 09:40 to 09:59 (19m): {seen} failed where ")
    assert "gateway" in found["Next step"]


def test_the_day_before_is_compared_with(tmp_path: Path) -> None:
    rows = TRANSACTIONS.read_text().splitlines(keepends=True)
    whole = tmp_path / "whole.csv"
    filled = "".join(f"2026-03-02T16:{minute}:00Z,approved,300\n" for minute in range(10, 22))
    whole.write_text(rows[0] + ("".join(rows[1:]) + filled).replace("03-02", "03-01") + "".join(rows[1:]))
    compared = summary(whole)["What it cost"]
    assert (
        "At the same time of day: 3,600 fewer approved and 0 more failed, reversed or denied than yesterday" in compared
    )
    assert "The file holds 2 days, and no last week or last month to compare with." in compared


@pytest.mark.parametrize("path", [CHECKOUTS, TRANSACTIONS])
def test_the_text_fits_80_columns_without_a_broken_cell(path: Path) -> None:
    text = txmon("analyze", path).stdout
    assert max(map(len, (line.rstrip() for line in text.splitlines()))) <= 80
    lines = text.splitlines()
    for rule in [n for n, line in enumerate(lines) if line.startswith("──")]:
        first = lines[rule + 1].split()
        assert first  # a row, not the rest of a header
        assert lines[rule - 2].strip() == "" or not lines[rule - 2].startswith(" ")


@pytest.mark.parametrize("path", [CHECKOUTS, *REAL], ids=lambda path: path.name)
def test_analyze_its_sql_and_the_named_query_find_the_same_hours(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path} is not here")
    report = analyzed(path)
    findings = report["findings"]
    assert isinstance(findings, list)
    hours = {hour for run in findings for hour in run["hours"]}
    with closing(Database([str(path)])) as database:
        own = [(row[0], row[4]) for row in database.run(str(report["sql"]))]
        named = [(row[1], row[5]) for row in database.run(shipped()["odd-hours"])]
    for ranked in (own, named):
        assert {hour for hour, finding in ranked if finding} == hours
        assert {hour for hour, _ in ranked[: len(hours)]} == hours  # and they come first


def test_the_named_queries_find_minutes_of_every_incident_and_no_others() -> None:
    incidents = analyzed(TRANSACTIONS)["incidents"]
    assert isinstance(incidents, list)
    spans = [(i["start"][:19], i["end"][:19], i["excess"]) for i in incidents]
    with closing(Database([str(TRANSACTIONS)])) as database:
        high = [_text(row[0]) for row in database.run(shipped()["above-normal"])]
        low = [_text(row[0]) for row in database.run(shipped()["below-normal"])]
        worst = [_text(row[0]) for row in database.run(shipped()["worst-minutes"])]
    for start, end, excess in spans:
        assert any(start <= time <= end for time in (high if excess > 0 else low)), start
    for time in [*high, *low]:
        assert any(start <= time <= end for start, end, _ in spans), time
    assert any(start <= worst[0] <= end for start, end, excess in spans if excess > 0)


def _text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def test_a_pdf(tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium here")
    out = tmp_path / "day.pdf"
    done = txmon("analyze", CHECKOUTS, "--pdf", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes()[:5] == b"%PDF-"
    assert "Summary" in done.stdout


def test_without_chromium_one_line_says_what_to_do(tmp_path: Path) -> None:
    done = txmon("analyze", CHECKOUTS, "--pdf", tmp_path / "day.pdf", PATH="/nowhere")
    assert done.returncode == 78
    last = done.stderr.splitlines()[-1]
    assert last.startswith("txmon: --pdf needs Chromium or Chrome")
    assert "--html FILE" in last
    assert not (tmp_path / "day.pdf").exists()


def test_plot_takes_its_kind_from_the_name(tmp_path: Path) -> None:
    out = tmp_path / "day.svg"
    assert txmon("analyze", CHECKOUTS, "--plot", out).returncode == 0
    assert out.read_text().startswith("<?xml")
    bad = txmon("analyze", CHECKOUTS, "--plot", tmp_path / "day.gif")
    assert bad.returncode == 2
    assert "is neither a .png nor an .svg file" in bad.stderr
    twice = txmon("analyze", CHECKOUTS, "--plot", out, "--svg", out)
    assert twice.returncode == 2
    assert "are the same kind of picture" in twice.stderr

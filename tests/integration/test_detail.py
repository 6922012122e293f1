"""`replay --detail`: a second table of counts, by response code, explains what a status does."""

import json
import random
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest


def txmon(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "txmon", *arguments]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five hours of counts by status, and the same by code; for ten minutes code 51 comes eight times as often."""
    found, chance = tmp_path_factory.mktemp("detail"), random.Random(3)
    statuses, codes = ["timestamp,status,count"], ["timestamp,auth_code,count"]
    for minute in range(300):
        time = datetime(2026, 3, 2) + timedelta(minutes=minute)
        approved, funds, fraud = 110 + chance.randrange(20), 4 + chance.randrange(4), 2 + chance.randrange(3)
        if 280 <= minute < 290:
            funds *= 8
        statuses += [f"{time},approved,{approved}", f"{time},denied,{funds + fraud}"]
        codes += [f"{time},00,{approved}", f"{time},51,{funds}", f"{time},59,{fraud}"]
    (found / "t.csv").write_text("\n".join(statuses) + "\n")
    (found / "codes.csv").write_text("\n".join(codes) + "\n")
    return found


def alerts(folder: Path, *more: str) -> list[dict[str, Any]]:
    done = txmon("replay", str(folder / "t.csv"), "--only", "alerts", *more)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row for row in rows if row.get("status") == "denied" and row.get("recommendation") == "alert"]


def test_the_code_that_explains_a_status_is_named(folder: Path) -> None:
    found = alerts(folder, "--detail", str(folder / "codes.csv"))
    assert found
    assert {tuple(one["values"].items()) for row in found for one in row["drivers"]} == {(("auth_code", "51"),)}
    assert "of the excess is auth code 51 insufficient funds (" in found[0]["text"]
    plain = alerts(folder)
    assert [(row["time"], row["score"]) for row in plain] == [(row["time"], row["score"]) for row in found]
    assert not any("drivers" in row for row in plain)


def test_rows_in_any_order_give_the_same(folder: Path) -> None:
    lines = (folder / "codes.csv").read_text().splitlines()
    mixed = random.Random(1).sample(lines[1:], len(lines) - 1)
    (folder / "mixed.csv").write_text("\n".join([lines[0], *mixed]) + "\n")
    first, second = (alerts(folder, "--detail", str(folder / name)) for name in ("codes.csv", "mixed.csv"))
    assert first == second


def test_a_table_without_these_minutes_says_nothing(folder: Path) -> None:
    lines = (folder / "codes.csv").read_text().splitlines()
    (folder / "short.csv").write_text("\n".join(lines[:400]) + "\n")
    found = alerts(folder, "--detail", str(folder / "short.csv"))
    assert found
    assert not any("drivers" in row for row in found)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("none.csv", 66, "none.csv: "), ("bad.csv", 65, "bad.csv: no column for 'status'")],
)
def test_a_table_that_cannot_be_read_is_one_clear_line(folder: Path, name: str, code: int, message: str) -> None:
    (folder / "bad.csv").write_text("timestamp,what,count\n2026-03-02T00:00:00Z,x,1\n")
    done = txmon("replay", str(folder / "t.csv"), "--detail", str(folder / name))
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1

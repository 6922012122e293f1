"""Errors that suggest the fix: one line each, with the word that was nearly right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = ROOT / "examples" / "transactions.csv"


def told(folder: Path, *arguments: str, **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [TXMON, *arguments], cwd=folder,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TXMON_NO_READING": "1",
             "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **env},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "transactions.csv").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "txmon.toml").write_text('buget = "1/day"\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "monday.csv").write_text("time,status\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["replya", "x"], 2, "no command 'replya'; did you mean 'replay'?"),
        (
            ["transactions.csv"],
            2,
            "no command 'transactions.csv'. To judge the file, use: txmon replay transactions.csv",
        ),
        (["xyzzy"], 2, "no command 'xyzzy'. The commands are replay, watch, "),
        (["state", "shwo", "x"], 2, "No such command 'shwo'"),
        (["replay", "x", "--budgte", "1/day"], 2, "No such option '--budgte'"),
        (["replay", "x", "--budgte", "1/day"], 2, "--budget"),
        (
            ["replay", "x", "--only", "alert"],
            2,
            "--only: 'alert' is not valid. Choose all or alerts; did you mean 'alerts'?",
        ),
        (["replay", "x", "--tz", "Europe/Lisboa"], 2, "did you mean 'Europe/Lisbon'?"),
        (["replay", "x", "--map", "cuont=n"], 2, "did you mean 'count'?"),
        (["replay", "x", "--rule", "failed: cuont > 3"], 2, "did you mean 'count'?"),
        (["replay", "transactoins.csv"], 66, "transactoins.csv: no such file; did you mean 'transactions.csv'?"),
        (["replay", "data/mondy.csv"], 66, "data/mondy.csv: no such file; did you mean 'data/monday.csv'?"),
        (["replay", "dta/monday.csv"], 66, "dta/monday.csv: no such file; there is no folder 'dta'"),
        (["replay", "nothing-like-it"], 66, "nothing-like-it: no such file\n"),
        (
            ["replay", "transactions.csv", "--group-by", "merchant"],
            65,
            "no column 'merchant' for --group-by; columns found: time, ",
        ),
        (["watch", "transactions.csv"], 2, "; --follow FILE reads a file as it grows, `txmon replay FILE` as it is"),
        (["query", "SELECT 1 FROM transaction", "transactions.csv"], 2, 'Did you mean "transactions"?'),
        (["query", "--name", "per-minut", "transactions.csv"], 2, "did you mean 'per-minute'?"),
        (["simulate", "--incident", "deneid:x3@14:00/20m"], 2, "did you mean 'denied'?"),
    ],
)
def test_the_fix_is_suggested(arguments: list[str], code: int, line: str, here: Path) -> None:
    (here / "txmon.toml").unlink()
    found, text = told(here, *arguments)
    assert line in text
    assert [part[:2] == "  " for part in text.splitlines()[1:]] == ([True] * 3 if "Catalog" in text else [])
    assert found == code


def test_a_setting_that_is_none(here: Path) -> None:
    assert told(here, "replay", "transactions.csv") == (
        78, f"txmon: {here}/txmon.toml: unknown setting 'buget'; did you mean 'budget'?\n"
    )  # fmt: skip
    (here / "txmon.toml").unlink()
    code, text = told(here, "replay", "transactions.csv", TXMON_BUDGTE="1/day")
    assert (code, text) == (78, "txmon: unknown environment variable TXMON_BUDGTE; did you mean 'TXMON_BUDGET'?\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--min-count", "3,fialed=5"], "--min-count: no row had the status 'fialed'; did you mean 'failed'?"),
        (["--min-ratio", "aproved=2"], "--min-ratio: no row had the status 'aproved'; did you mean 'approved'?"),
        (["--direction", "deneid=both"], "--direction: no row had the status 'deneid'; did you mean 'denied'?"),
        (["--rule", "reversd: count > 99"], "--rule: no row had the status 'reversd'; did you mean 'reversed'?"),
        (["--silence", "status=refundd"], "--silence: no row had the status 'refundd'; did you mean 'refunded'?"),
    ],
)
def test_a_status_that_no_row_had(arguments: list[str], line: str, here: Path) -> None:
    (here / "txmon.toml").unlink()
    assert told(here, "replay", "-q", "transactions.csv", "--out", "out", *arguments) == (0, f"txmon: {line}\n")


def test_a_status_that_may_well_come_one_day_is_no_slip(here: Path) -> None:
    (here / "txmon.toml").unlink()
    lines = SAMPLE.read_text().splitlines(keepends=True)
    (here / "few.csv").write_text("".join(line for line in lines if ",reversed," not in line))
    arguments = ("--min-count", "3,reversed=5", "--direction", "chargeback=above", "--rule", "failed: count > 99")
    assert told(here, "replay", "-q", "few.csv", "--out", "out", *arguments) == (0, "")

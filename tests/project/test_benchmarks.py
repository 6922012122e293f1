"""The benchmarks that judge txmon: the gate of instructions, the table per scenario, the calibration, the peers."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paths import ROOT

BENCHMARKS = ROOT / "benchmarks"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def run(name: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def gate() -> Any:
    return module("instructions")


# the gate


def test_a_change_within_3_percent_passes_and_a_larger_one_needs_its_line(gate: Any) -> None:
    old = {"replay": 1_000_000}
    assert gate.judge(old, {"replay": 1_030_000}, [])[1]
    assert gate.judge(old, {"replay": 970_000}, [])[1]
    for count in (1_040_000, 900_000):  # faster is a change, too: the committed count would hide a later loss
        told, well = gate.judge(old, {"replay": count}, [])
        assert not well
        assert f"- replay: 1,000,000 to {count:,}: WHY" in told[0]
        assert gate.judge(old, {"replay": count}, gate.reasons(told[0].partition("`")[2].partition("`")[0]))[1]


@pytest.mark.parametrize(
    "line",
    [
        "- watch: 1,000,000 to 1,100,000: another workload",
        "- replay: 900,000 to 1,100,000: another start",
        "- replay: 1,000,000 to 2,000,000: another end",
    ],
)
def test_a_line_about_another_change_explains_nothing(gate: Any, line: str) -> None:
    assert not gate.judge({"replay": 1_000_000}, {"replay": 1_100_000}, gate.reasons(line))[1]


@pytest.mark.parametrize(
    "line", ["- replay: 1,000 to 2,000", "- replay: 1,000 to 2,000: ", "- replay: many to few: why"]
)
def test_a_line_that_is_not_complete_is_told(gate: Any, line: str) -> None:
    with pytest.raises(ValueError, match=r"CHANGES.md:2: write"):
        gate.reasons(f"# Changes\n{line}\n")


def test_new_and_gone_workloads_are_named(gate: Any) -> None:
    told, well = gate.judge({"old": 5}, {"new": 5}, [])
    assert well
    assert told[0].endswith("new")
    assert told[1].split() == ["old", "is", "no", "longer", "measured"]


def test_the_committed_counts_are_of_the_twelve_workloads(gate: Any) -> None:
    committed = json.loads(gate.COMMITTED.read_text())
    assert len(committed["instructions"]) == 12
    assert set(committed["environment"]) == set(gate.environment())
    gate.reasons(gate.REASONS.read_text())  # every line can be read


# the table


def test_the_table_has_a_row_a_scenario_and_a_column_a_method(tmp_path: Path) -> None:
    options = (
        "--scenarios",
        "tiny",
        "--only",
        "txmon",
        "--only",
        "EWMA",
        "--only",
        "weekly",
        "--shared",
        str(tmp_path / "none"),
    )
    head, _, sample, tiny = run("detection", *options).stdout.splitlines()
    assert [cell.strip() for cell in head.split("|")[2:-1]] == [
        "txmon, defaults", "EWMA, 3.5 sigma", "weekly profile, NB limits"
    ]  # fmt: skip
    assert sample.startswith("| sample | 6 of 6 / ")
    assert all(" of 14 / " in cell for cell in tiny.split("|")[2:-1])


def test_a_file_without_labels_is_judged_and_said_to_have_none(tmp_path: Path) -> None:
    bare = tmp_path / "bare.csv"
    bare.write_bytes((ROOT / "examples" / "transactions.csv").read_bytes())
    done = run("detection", "--scenarios", "none", "--only", "txmon", "--only", "EWMA", "--json", str(bare))
    assert "bare.csv: no bare.labels.json, so every alert counts as false" in done.stderr
    found = json.loads(done.stdout)["txmon, defaults"]["bare.csv"]
    assert (found["incidents"], found["recall"]) == (0, None)
    assert found["false_episodes"] >= 5  # the sample's incidents


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scenarios", "shpo"), "'shpo' is no scenario"),
        (("--seeds", "3"), "'3' is no range of seeds like 0:3"),
        (("--scenarios", "none", "missing.csv"), "missing.csv"),
    ],
)
def test_a_wrong_choice_is_told(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = run("detection", *arguments, "--only", "txmon", "--shared", str(tmp_path / "none"), code=1)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_calibration_counts_what_came_against_what_is_allowed(tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    run("calibration", "--scenarios", "tiny", "--seeds", "0:1", "--json", str(out))
    rows = json.loads(out.read_text())
    assert [row["budget"] for row in rows] == ["1/day", "1/week", "1/month"]
    assert [row["allowed"] for row in rows] == [7.0, 1.0, 0.23]
    assert all(row["low"] <= row["episodes"] <= row["high"] for row in rows)
    assert all(row["too_many"] == (row["low"] > 3 * row["allowed"]) for row in rows)


def test_the_peers_share_one_table(tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    run("peers", "--scenarios", "tiny", "--json", str(out))
    rows = {row["peer"]: row for row in json.loads(out.read_text())["peers"]}
    assert {"txmon", "pandas script", "DuckDB window SQL", "weekly profile"} <= set(rows)
    assert all(row["incidents"] == 14 and row["counts a second"] > 0 for row in rows.values())
    script, sql = rows["pandas script"], rows["DuckDB window SQL"]
    assert script["false a day"] == pytest.approx(sql["false a day"], rel=0.02)  # the same rule in two languages

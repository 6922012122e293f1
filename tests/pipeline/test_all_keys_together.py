"""With `--group-by`, all keys together are judged too: what is small at each key may be an outage of everything."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from txmon.ingest.records import Record
from txmon.runtime.factory import pipeline_of
from txmon.settings.declarations import Settings

KEYS = 40
MIDNIGHT = 1772409600
Failing = Callable[[int, int], float]


def rows_of(failing: Failing, minutes: int = 600) -> list[tuple[int, str, str, int]]:
    """Time, merchant, status and count: 5 a minute at each merchant, of which this share fails (minute, merchant)."""
    chance = random.Random(3)
    rows = []
    for minute in range(minutes):
        for merchant in range(KEYS):
            many = sum(chance.random() < 0.25 for _ in range(20))
            failed = sum(chance.random() < failing(minute, merchant) for _ in range(many))
            for status, count in (("approved", many - failed), ("failed", failed)):
                if count:
                    rows.append((MIDNIGHT + 60 * minute, f"m{merchant}", status, count))
    return rows


def everywhere(minute: int, merchant: int) -> float:
    """Four times as many as usual at all merchants: one more a minute at each."""
    return 0.2 if 400 <= minute < 430 else 0.05


def at_one(minute: int, merchant: int) -> float:
    """All of one merchant's."""
    return 0.95 if merchant == 7 and 400 <= minute < 430 else 0.02


def replay(tmp_path: Path, rows: list[tuple[int, str, str, int]], *flags: str) -> list[dict[str, Any]]:
    path = tmp_path / "rows.csv"
    path.write_text("time,merchant,status,count\n" + "".join(f"{t},{m},{s},{n}\n" for t, m, s, n in rows))
    command = [sys.executable, "-m", "txmon", "replay", str(path), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def opened(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("event") == "incident" and line["state"] == "opened"]


def test_an_outage_of_everything_is_seen_at_once_and_is_one_incident(tmp_path: Path) -> None:
    lines = replay(tmp_path, rows_of(everywhere), "--group-by", "merchant")
    (incident,) = opened(lines)
    assert "key" not in incident
    assert incident["label"] == "failures"
    assert incident["start"] <= "2026-03-02T06:41:00Z"  # it began at 06:40
    (end,) = [line for line in lines if line.get("state") == "resolved"]
    assert 500 < end["excess"] < 1500  # 30 minutes of 30 more, over all keys


def test_what_one_key_explains_is_told_as_that_keys_incident(tmp_path: Path) -> None:
    (incident,) = opened(replay(tmp_path, rows_of(at_one), "--group-by", "merchant"))
    assert incident["key"] == {"merchant": "m7"}


def test_all_keys_together_are_judged_as_without_keys(tmp_path: Path) -> None:
    rows = rows_of(everywhere)

    def verdicts(*flags: str) -> list[dict[str, Any]]:
        lines = [line for line in replay(tmp_path, rows, *flags) if "recommendation" in line and "key" not in line]
        return [{name: value for name, value in line.items() if name != "incident"} for line in lines]

    assert verdicts("--group-by", "merchant") == verdicts()


def test_rules_are_asked_of_each_key(tmp_path: Path) -> None:
    rows = rows_of(lambda minute, merchant: 0.05, 120)
    alone = replay(tmp_path, rows, "--group-by", "merchant", "--mode", "rules", "--rule", "failed: count > 6")
    assert all("key" in line for line in alone if "recommendation" in line)
    both = replay(tmp_path, rows, "--group-by", "merchant", "--mode", "both", "--rule", "failed: count > 6")
    assert [line for line in both if "recommendation" in line and "key" not in line] == [
        line for line in replay(tmp_path, rows, "--by", "merchant") if "recommendation" in line and "key" not in line
    ]
    assert not [line for line in both if any("rule:" in one for one in line.get("reasons", ())) and "key" not in line]


def test_counts_are_not_added_twice(tmp_path: Path) -> None:
    rows = rows_of(at_one, 60)
    replay(tmp_path, rows, "--group-by", "merchant", "--log", str(tmp_path / "log"))
    logged = [
        json.loads(line) for path in (tmp_path / "log").glob("*counts*") for line in path.read_text().splitlines()
    ]
    assert sum(line["count"] for line in logged) == sum(count for _, _, _, count in rows)
    assert all("merchant" in line for line in logged)


@pytest.mark.parametrize("failing", [everywhere, at_one])
def test_a_restart_changes_nothing(failing: Failing) -> None:
    records = [Record(t, s, n, (("merchant", m),)) for t, m, s, n in rows_of(failing)]
    settings = Settings(group_by=("merchant",))
    whole = pipeline_of(settings, live=False)
    expected = [(o.verdicts, o.events) for o in whole.run(records)]
    half = len(records) * 2 // 3  # within the incident
    first, second = pipeline_of(settings, live=False), pipeline_of(settings, live=False)
    found = [(o.verdicts, o.events) for o in first.feed(records[:half])]
    second.restore(json.loads(json.dumps(first.snapshot())))
    found += [(o.verdicts, o.events) for o in second.run(records[half:])]
    assert [tuple(e) for _, e in found] == [tuple(e) for _, e in expected]
    assert [[(v.key, v.status, v.count, v.score) for v in vs] for vs, _ in found] == [
        [(v.key, v.status, v.count, v.score) for v in vs] for vs, _ in expected
    ]


def test_late_rows_correct_all_keys_together_too() -> None:
    pipeline = pipeline_of(Settings(group_by=("merchant",)), live=True)
    records = [Record(t, s, n, (("merchant", m),)) for t, m, s, n in rows_of(lambda minute, merchant: 0.05, 90)]
    before = [v for o in pipeline.feed(records) for v in o.verdicts if not v.key and v.status == "failed"][-1]
    late = Record(before.time, "failed", 300, (("merchant", "m1"),))
    found = [v for o in [*pipeline.feed([late]), *pipeline.finish()] for v in o.verdicts]
    (whole,) = [v for v in found if v.revises and not v.key and v.status == "failed"]
    assert whole.count == before.count + 300
    assert whole.recommendation == "alert"

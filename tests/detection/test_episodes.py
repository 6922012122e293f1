"""Surges: a volume that rises and falls at once is no loss, and what goes wrong meanwhile is seen all the same."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from txmon.detection.detector import BucketJudge
from txmon.detection.episodes import Surges
from txmon.detection.key_series import KeyVolume, StatusLayout
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Key
from txmon.model.verdict import Verdict

START = 1772409600  # a Monday, 2026-03-02
USUAL = {"approved": 100.0, "denied": 10.0, "failed": 0.2, "reversed": 1.0}
SHOP: Key = (("merchant", "shop"),)
OTHER: Key = (("merchant", "other"),)
SURGE = (240, 300)  # minutes in which three times as much comes


def shop(minute: int, random: np.random.Generator, **factors: float) -> dict[str, int]:
    """The counts of a minute, all of them times `volume`, and a status's times its own factor."""
    volume = (3.0 if SURGE[0] <= minute < SURGE[1] else 1.0) * factors.get("volume", 1.0)
    found = {status: int(random.poisson(mean * volume * factors.get(status, 1.0))) for status, mean in USUAL.items()}
    return {status: count for status, count in found.items() if count}


def judged(minutes: int, wrong: Callable[[int], dict[str, float]] = lambda minute: {}) -> list[list[Verdict]]:
    detector, random = BucketJudge(DetectorConfig()), np.random.default_rng(5)
    return [detector.judge(START + 60 * m, {SHOP: shop(m, random, **wrong(m))}) for m in range(minutes)]


def alerts(rounds: Sequence[list[Verdict]]) -> list[tuple[int, str]]:
    return [(m, v.status) for m, verdicts in enumerate(rounds) for v in verdicts if v.recommendation == "alert"]


@pytest.mark.parametrize(
    "spec", ["*:x2@d2,12:00/20m", "*:x3@d2,12:00/2h", "*:x2@d2,10:00/6h", "*:x4@10:00/30m", "approved:x4@d2,12:00/4h"]
)
def test_the_end_of_a_surge_is_no_loss(spec: str, tmp_path: Path) -> None:
    stream, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    made = ["simulate", "--days", "3.2", "--seed", "5", "--peak", "300", "--incident", spec, "--out", str(stream)]
    for words in (made, ["replay", str(stream), "--out", str(out)]):
        subprocess.run([sys.executable, "-m", "txmon", *words], check=True, capture_output=True)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) > 15_000
    assert [line for line in lines if line.get("recommendation") == "alert" or line.get("event") == "incident"] == []


@pytest.mark.parametrize("at", [260, 302, 400])
def test_a_loss_during_and_after_a_surge_is_seen_at_once(at: int) -> None:
    found = alerts(judged(at + 12, lambda m: {"volume": 0.15} if m >= at else {}))
    assert (at, "*") in found
    assert {m for m, status in found if status == "*"} == set(range(at, at + 12))


@pytest.mark.parametrize("at", [250, 305])
def test_an_attack_during_and_after_a_surge_is_seen_at_once(at: int) -> None:
    found = alerts(judged(at + 10, lambda m: {"denied": 5.0} if m >= at else {}))
    assert {status for _, status in found} == {"denied"}
    assert min(m for m, _ in found) <= at + 1


def test_what_was_expected_before_is_expected_when_it_is_over() -> None:
    rounds = judged(304)
    expected = [next(v.expected for v in verdicts if v.status == "*") for verdicts in rounds]
    usual = float(np.mean(expected[200:240]))
    assert expected[SURGE[1] - 5] == pytest.approx(3 * usual, rel=0.15)
    assert expected[-1] == pytest.approx(usual, rel=0.3)  # an hour has moved it a tenth of the way


@pytest.mark.parametrize("cut", [246, 260, 301, 302])
def test_a_restart_in_a_surge_changes_nothing(cut: int) -> None:
    whole, random = judged(320), np.random.default_rng(5)
    detector, found = BucketJudge(DetectorConfig()), []
    for minute in range(320):
        if minute == cut:
            state = json.loads(json.dumps(detector.snapshot()))
            assert len(state["surges"]) == (2 if cut <= SURGE[1] + 1 else 0)  # the key, and all keys as one
            detector = BucketJudge(DetectorConfig())
            detector.restore(state)
        found.append(detector.judge(START + 60 * minute, {SHOP: shop(minute, random)}))
    assert found == whole


def test_a_state_from_before_there_were_surges_is_taken() -> None:
    random = np.random.default_rng(5)
    detector = BucketJudge(DetectorConfig())
    for minute in range(60):
        detector.judge(START + 60 * minute, {SHOP: shop(minute, random)})
    state: dict[str, Any] = json.loads(json.dumps(detector.snapshot()))
    del state["surges"]
    older = BucketJudge(DetectorConfig())
    older.restore(state)
    assert older.snapshot() == detector.snapshot()


def test_what_belongs_to_a_forgotten_key_goes_with_it() -> None:
    random = np.random.default_rng(5)
    detector = BucketJudge(DetectorConfig(idle=3600.0))
    for minute in range(420):
        counts = {OTHER: {"approved": 50}}
        if minute < 250:
            counts[SHOP] = shop(minute, random, denied=9.0 if minute > 230 else 1.0)
        detector.judge(START + 60 * minute, counts)
        if minute == 249:
            detector.exclude(SHOP, ["denied"])
            state = detector.snapshot()
            assert state["surges"]
            assert state["kept"]
            assert state["excluded"]
    assert detector.forgotten == 1
    state = detector.snapshot()
    assert (state["surges"], state["kept"], state["excluded"]) == ([], [], [])


def level(rate: float) -> KeyVolume:
    volume = KeyVolume(0.95, StatusLayout([], {}))
    volume.events, volume.exposure = rate * 20.0 - 0.5, 20.0
    return volume


def test_usual_is_what_lies_nearest_between_the_two_levels() -> None:
    surges = Surges(0.95)
    assert surges.usual(SHOP, 300.0, 40) == 300.0
    surges.follow(SHOP, level(100.0), True)
    assert [surges.usual(SHOP, 300.0, total) for total in (40, 100, 180, 300, 500)] == [
        100.0,
        100.0,
        180.0,
        300.0,
        300.0,
    ]
    assert surges.usual(OTHER, 300.0, 40) == 300.0
    surges.grow(1.5)
    assert surges.usual(SHOP, 300.0, 40) == pytest.approx(150.0)
    assert surges.usual(SHOP, 120.0, 40) == 120.0  # a level that fell below it


def test_what_was_usual_moves_to_the_level_and_is_forgotten_there() -> None:
    half_life = 20.0
    surges = Surges(0.5 ** (1.0 / half_life))
    surges.follow(SHOP, level(100.0), True)
    for _ in range(int(24 * half_life)):
        surges.follow(SHOP, level(300.0), False)
    assert surges.usual(SHOP, 300.0, 0) == pytest.approx(200.0)
    for _ in range(int(24 * half_life * 4)):
        surges.follow(SHOP, level(300.0), False)
    assert surges.snapshot() == []


def test_a_surge_that_comes_to_nothing_is_forgotten() -> None:
    surges = Surges(0.95)
    surges.follow(SHOP, level(100.0), True)
    surges.follow(SHOP, level(104.0), True)
    assert surges.snapshot()
    surges.follow(SHOP, level(104.0), False)
    assert surges.snapshot() == []

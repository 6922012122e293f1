"""The detector: invariants that hold whatever the counts, and the cases a payments team would name."""

import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txmon.detection.detector import BucketJudge
from txmon.detection.joint import JointDeviation
from txmon.detection.season import Season
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Key
from txmon.model.verdict import Verdict
from txmon.sinks.lines import verdict_line

ALL: Key = ()
Bucket = dict[Key, dict[str, int]]
START = 1772409600  # a Monday
USUAL = {"approved": 100.0, "denied": 10.0, "failed": 0.1, "reversed": 1.0}


def day(seed: int = 1, minutes: int = 240, factor: float = 1.0) -> list[Bucket]:
    rng = np.random.default_rng(seed)
    rows: list[Bucket] = []
    for _ in range(minutes):
        counts = {status: int(rng.poisson(mean * factor)) for status, mean in USUAL.items()}
        rows.append({ALL: {status: count for status, count in counts.items() if count}})
    return rows


def judge(rows: list[Bucket], **config: object) -> Iterator[list[Verdict]]:
    detector = BucketJudge(DetectorConfig(**config))  # type: ignore[arg-type]
    for i, counts in enumerate(rows):
        yield detector.judge(START + 60 * i, counts)


def alerts(rows: list[Bucket], **config: object) -> list[tuple[int, str]]:
    return [
        (minute, verdict.status)
        for minute, verdicts in enumerate(judge(rows, **config))
        for verdict in verdicts
        if verdict.recommendation == "alert"
    ]


statuses = st.dictionaries(st.sampled_from(["approved", "denied", "failed"]), st.integers(0, 3000), max_size=3)
buckets = st.lists(st.one_of(st.just({}), statuses.map(lambda counts: {ALL: counts})), min_size=1, max_size=80)


@given(buckets, st.integers(0, 79))
@settings(max_examples=60, deadline=None)
def test_snapshot_and_restore_change_nothing(rows: list[Bucket], cut: int) -> None:
    whole = list(judge(rows, warmup=300.0))
    detector = BucketJudge(DetectorConfig(warmup=300.0))
    found = []
    for i, counts in enumerate(rows):
        if i == cut:
            state = json.loads(json.dumps(detector.snapshot()))
            detector = BucketJudge(DetectorConfig(warmup=300.0))
            detector.restore(state)
        found.append(detector.judge(START + 60 * i, counts))
    assert found == whole


@given(buckets)
@settings(max_examples=60, deadline=None)
def test_a_verdict_depends_on_nothing_later(rows: list[Bucket]) -> None:
    whole = list(judge(rows, warmup=300.0))
    for end in {1, len(rows) // 2, len(rows) - 1} - {0}:
        assert list(judge(rows[:end], warmup=300.0)) == whole[:end]


@given(buckets)
@settings(max_examples=60, deadline=None)
def test_every_verdict_is_sound(rows: list[Bucket]) -> None:
    for minute, verdicts in enumerate(judge(rows, warmup=300.0)):
        present = {status for counts in rows[minute].values() for status in counts}
        assert {v.status for v in verdicts if v.recommendation in ("ok", "warming")} <= present | {"*"}
        for v in verdicts:
            assert 0 <= v.low <= v.high + 1
            assert np.isfinite([v.score, v.expected]).all()
            assert v.expected >= 0
            assert (v.recommendation == "warming") == ((minute < 5 and rows[0] != {}) or v.recommendation == "warming")
            assert bool(v.reasons) == (v.recommendation in ("alert", "pending")) or v.reasons == ("level shift",)


def test_it_judges_before_it_learns() -> None:
    rows = day(minutes=60)
    rows.append({ALL: {"approved": 100, "denied": 60}})
    last = list(judge(rows))[-1]
    denied = next(v for v in last if v.status == "denied")
    assert denied.recommendation == "alert"
    assert denied.expected == pytest.approx(10, rel=0.3)


def test_warm_up_is_never_ok() -> None:
    seen = [{v.recommendation for v in verdicts} for verdicts in judge(day(minutes=40))]
    assert seen[:30] == [{"warming"}] * 30
    assert "warming" not in set.union(*seen[30:])


def test_an_ordinary_day_is_quiet() -> None:
    assert alerts(day(minutes=1440)) == []


@pytest.mark.parametrize(
    ("status", "count", "within"), [("denied", 30, 1), ("failed", 6, 1), ("reversed", 10, 1), ("denied", 18, 5)]
)
def test_a_surge_is_found(status: str, count: int, within: int) -> None:
    rows = day()
    for minute in range(200, 220):
        rows[minute][ALL][status] = count
    found = [minute for minute, name in alerts(rows) if name == status]
    assert found
    assert 200 <= found[0] < 200 + within
    assert all(minute < 228 for minute in found)


def test_a_sale_is_no_alert_and_neither_is_its_end() -> None:
    rows = day(minutes=150) + day(2, 60, 2.5) + day(3, 120)
    assert [name for _, name in alerts(rows) if name not in ("*", "approved")] == []


def test_silence_is_found_at_once_and_teaches_nothing() -> None:
    rows: list[Bucket] = day(minutes=200)
    for minute in range(150, 170):
        rows[minute] = {}
    found = alerts(rows)
    assert found[0] == (150, "*")
    assert {name for minute, name in found if minute >= 170} == set()
    last = list(judge(rows))[-1]
    assert next(v.expected for v in last if v.status == "*") == pytest.approx(111, rel=0.15)


def test_a_collapse_is_the_volumes_and_not_the_shares() -> None:
    rows = day()
    for minute in range(200, 210):
        rows[minute] = {ALL: {"approved": 5, "denied": 6}}
    found = alerts(rows)
    assert {name for _, name in found} == {"approved", "*"}
    assert found[0][0] == 200


def test_a_lasting_new_level_is_accepted_and_said() -> None:
    rows = day(minutes=120) + [{ALL: {"approved": 100, "denied": 40}}] * 240
    verdicts = list(judge(rows))
    said = [m for m, vs in enumerate(verdicts) if any("level shift" in v.reasons for v in vs)]
    assert len(said) == 1
    assert said[0] == pytest.approx(120 + 120, abs=3)
    assert not [v for vs in verdicts[said[0] + 1 :] for v in vs if v.recommendation == "alert"]


@pytest.mark.parametrize(("side", "expected"), [("above", [60]), ("below", [90]), ("both", [60, 90])])
def test_directions_of_a_single_series(side: str, expected: list[int]) -> None:
    rng = np.random.default_rng(5)
    rows: list[Bucket] = [{ALL: {"value": int(rng.poisson(50))}} for _ in range(120)]
    rows[60][ALL]["value"] = 130
    rows[90][ALL]["value"] = 4
    assert [m for m, name in alerts(rows, directions={"value": side}) if name == "value"] == expected


def test_gates_by_status() -> None:
    rows = day()
    rows[200][ALL]["failed"] = 6
    assert (200, "failed") in alerts(rows)
    assert alerts(rows, min_counts={"failed": 20}) == []
    rows[200][ALL]["failed"] = 0
    for minute in range(200, 215):
        rows[minute][ALL]["denied"] = 17
    assert [name for _, name in alerts(rows, min_ratios={"denied": 3.0})] == []
    assert "denied" in {name for _, name in alerts(rows)}


def test_a_bigger_budget_asks_for_less() -> None:
    thresholds = []
    for budget in (0.1, 1.0, 10.0):
        detector = BucketJudge(DetectorConfig(budget=budget))
        detector.judge(START, day(minutes=1)[0])
        thresholds.append(detector.sigma())
    assert thresholds == sorted(thresholds, reverse=True)
    assert BucketJudge(DetectorConfig(sigma=5.5)).sigma() == 5.5


def test_all_statuses_together_see_what_none_sees() -> None:
    rows = day(7)
    usual = {status: mean for status, mean in USUAL.items() if status != "approved"}
    odd = {"approved": 100, "denied": 25, "failed": 2, "reversed": 7}
    rows[200] = {ALL: odd}
    [verdict] = [v for v in list(judge(rows))[200] if v.recommendation == "alert"]
    assert (verdict.status, verdict.reasons) == ("*", ("together",))
    assert all(f"{status} " in verdict.text for status in usual)
    explained = [v for vs in judge(day(), explain=True) for v in vs if "together" in v.text]
    assert len(explained) > 20


def odd(statuses: str, scores: list[float]) -> JointDeviation:
    found = JointDeviation()
    for status, score in zip(statuses, scores, strict=True):
        found.add(status, score)
    return found


def test_the_distance_of_chance_is_rarely_large() -> None:
    rng = np.random.default_rng(3)
    scores = np.maximum(rng.standard_normal((20000, 7)), 0)
    distances = np.array([odd("abcdefg", list(row)).distance() for row in scores])
    assert (distances > 3).mean() < 0.004
    assert (distances > 2).mean() == pytest.approx(0.023, abs=0.012)
    assert odd("abc", [3.0, 1.0, 0.1]).parts() == "a 90 %"
    assert odd("ab", [0.0, 0.0]).parts() == ""


def test_idle_keys_and_too_many_series_are_forgotten() -> None:
    detector = BucketJudge(DetectorConfig(max_series=40, idle=7200.0))
    for i in range(300):
        detector.judge(START + 60 * i, {(("merchant", f"m{i}"),): {"approved": 5}})
    kept = {v.key for v in detector.judge(START + 60 * 300, {})}
    assert len(kept) <= 20
    assert (("merchant", "m299"),) in kept
    assert detector.forgotten == 300 - len(kept)
    idle = BucketJudge(DetectorConfig(idle=7200.0))
    idle.judge(START, {(("merchant", "a"),): {"approved": 5}})
    for i in range(1, 300):
        verdicts = idle.judge(START + 60 * i, {(("merchant", "b"),): {"approved": 5}})
    assert {v.key for v in verdicts} == {(("merchant", "b"),)}


def test_a_forgotten_key_leaves_nothing_behind() -> None:
    """What a series knew before it began to alert is kept while it alerts, and that someone called that normal."""
    gone, stays = (("merchant", "gone"),), (("merchant", "stays"),)
    detector = BucketJudge(DetectorConfig(idle=7200.0, level_shift=86400.0))
    for i in range(60):
        detector.judge(START + 60 * i, {gone: {"approved": 50, "failed": 2}, stays: {"approved": 50}})
    for i in range(60, 70):
        detector.judge(START + 60 * i, {gone: {"approved": 50, "failed": 60}, stays: {"approved": 50}})
    detector.exclude(gone, ("failed",))
    held = detector.snapshot()
    assert {row[1] for row in held["kept"]} == {"failed"}  # type: ignore[attr-defined]
    assert held["excluded"] != []
    for i in range(70, 400):
        detector.judge(START + 60 * i, {stays: {"approved": 50}})
    left = detector.snapshot()
    assert detector.forgotten == 1
    assert (left["kept"], left["excluded"]) == ([], [])


@pytest.mark.parametrize("keys", [1, 2])
def test_the_newest_key_is_kept_however_many_series_it_has(keys: int) -> None:
    detector = BucketJudge(DetectorConfig(max_series=6, warmup=600.0))
    counts = {f"status{i}": 20 for i in range(9)}
    for i in range(30):
        rows: Bucket = {(("merchant", "a"),): counts}
        if keys == 2 and 0 < i < 5:
            rows[(("merchant", "new"),)] = {"approved": 5}
        verdicts = detector.judge(START + 60 * i, rows)
    assert {v.recommendation for v in verdicts} == {"ok"}
    assert len(verdicts) == 10
    assert detector.forgotten == (4 if keys == 2 else 0)


def test_a_key_alone_is_never_idle() -> None:
    """It is the feed, and its silence goes on being silence."""
    detector = BucketJudge(DetectorConfig(idle=3600.0))
    for i in range(60):
        detector.judge(START + 60 * i, {(("merchant", "a"),): {"approved": 100}})
    for i in range(60, 300):
        [verdict] = detector.judge(START + 60 * i, {})
    assert verdict.key == (("merchant", "a"),)
    assert detector.forgotten == 0


def test_hours_of_silence_raise_no_level() -> None:
    detector = BucketJudge(DetectorConfig(level_shift=86400.0))
    for i in range(60):
        detector.judge(START + 60 * i, {ALL: {"approved": 100}})
    for i in range(60, 360):
        [verdict] = detector.judge(START + 60 * i, {})
        assert verdict.expected < 110
    back = [v for i in range(360, 400) for v in detector.judge(START + 60 * i, {ALL: {"approved": 100}})]
    assert {v.recommendation for v in back} == {"ok"}


def test_the_season_knows_all_keys_together() -> None:
    """Two keys whose days differ: the level of a morning is expected of both before it comes."""
    detector = BucketJudge(DetectorConfig(bucket=900, warmup=7200.0))
    for i in range(3 * 96 + 40):
        many = 400 if 32 <= i % 96 < 80 else 40
        rows: Bucket = {(("merchant", "a"),): {"approved": many}, (("merchant", "b"),): {"approved": 10}}
        verdicts = detector.judge(START + 900 * i, rows)
    expected = {v.key: v.expected for v in verdicts if v.status == "*"}
    assert expected[("merchant", "a"),] == pytest.approx(400, rel=0.2)


def test_what_one_count_means_alone() -> None:
    detector = BucketJudge()
    assert detector.time() == -1
    for i, counts in enumerate(day(minutes=120)):
        detector.judge(START + 60 * i, counts)
    before = json.dumps(detector.snapshot())
    surge = detector.assess(START, ALL, "denied", {"approved": 100, "denied": 60})
    usual = detector.assess(START, ALL, "denied", {"approved": 100, "denied": 10})
    never = detector.assess(START, ALL, "stolen", {"approved": 100, "stolen": 9})
    volume = detector.assess(START, ALL, "*", {"approved": 3})
    assert [v and v.recommendation for v in (surge, usual, never, volume)] == ["alert", "ok", "alert", "alert"]
    assert [v and v.reasons for v in (surge, usual, never, volume)] == [("score",), (), ("score",), ("score",)]
    assert surge is not None
    assert (surge.time, surge.key, surge.status, surge.count, surge.total, surge.window) == (
        START,
        ALL,
        "denied",
        60,
        160,
        1,
    )
    assert surge.text.startswith("60 denied, ")
    assert detector.assess(START, (("merchant", "x"),), "denied", {}) is None
    assert json.dumps(detector.snapshot()) == before


def test_the_season_knows_tomorrows_morning() -> None:
    season = Season(60)
    usual = 100 + 80 * np.sin(np.arange(1440) * 2 * np.pi / 1440)
    for minute in range(2 * 1440):
        if minute == 1440 - 1:
            assert season.growth(START + 60 * minute, START + 60 * minute + 60, 0.0) == 1.0
        season.learn(START + 60 * minute, float(usual[minute % 1440]), 0.0)
    for minute in range(60, 1380, 60):
        grown = season.growth(START + 2 * 86400 + 60 * minute, START + 2 * 86400 + 60 * (minute + 30), 0.0)
        assert grown == pytest.approx(usual[minute + 30] / usual[minute], rel=0.1)
    restored = Season(60)
    restored.restore(json.loads(json.dumps(season.snapshot())))
    assert restored.snapshot() == season.snapshot()
    with pytest.raises(ValueError, match="numbers"):
        Season(60).restore([60.0])
    with pytest.raises(ValueError, match="buckets of 60 s, not of 300 s"):
        Season(300).restore(season.snapshot())


def test_what_a_season_keeps_is_what_it_would_work_out_anew() -> None:
    """To the last bit, or a restart would change verdicts; over weekends and beyond two weeks."""
    season, dice = Season(300), random.Random(2)
    for step in range(17 * 288):
        time = START + 300 * step
        season.learn(time, dice.randrange(200) * (1 + time // 3600 % 24), 900.0)
        if step % 3 == 0:
            anew = Season(300)
            anew.restore(season.snapshot())
            for ahead in (0, 300, 1800, 5 * 86400):
                here = (
                    season.level(time + ahead),
                    season.error(time + ahead),
                    season.growth(time, time + ahead, 700.0),
                )
                again = (anew.level(time + ahead), anew.error(time + ahead), anew.growth(time, time + ahead, 700.0))
                assert here == again, step


def test_all_keys_together_are_added_up_on_the_way() -> None:
    dice, detector = random.Random(3), BucketJudge()
    for minute in (*range(20), *range(20)):
        if minute == 0:
            detector.restore(BucketJudge().snapshot())  # the same minutes once more
        keys: list[Key] = [(("merchant", f"m{dice.randrange(6)}"),) for _ in range(dice.randrange(4))]
        counts = {key: {s: dice.randrange(9) for s in dice.sample(["a", "b", "c"], 1 + minute % 3)} for key in keys}
        detector.judge(START + 60 * minute, counts)
        whole: dict[str, int] = {}
        for statuses in counts.values():
            for status, count in statuses.items():
                whole[status] = whole.get(status, 0) + count
        assert detector.whole == whole
    detector.judge(START + 60 * 40, {ALL: {"a": 1}}, {"a": 7, "b": 2})
    assert detector.whole == {"a": 7, "b": 2}


def test_weekends_have_a_shape_of_their_own_after_two_weeks() -> None:
    season = Season(60)
    for minute in range(21 * 1440):
        weekend = minute // 1440 % 7 >= 5
        hour = minute % 1440 // 60
        season.learn(START + 60 * minute, 100.0 if (hour < 12) != weekend else 20.0, 0.0)
    noon, afternoon = 11 * 3600, 14 * 3600
    assert season.growth(START + 21 * 86400 + noon, START + 21 * 86400 + afternoon, 0.0) < 0.4
    assert season.growth(START + 26 * 86400 + noon, START + 26 * 86400 + afternoon, 0.0) > 2.5


def test_a_key_s_series_may_be_less_dispersed_also_after_a_restart() -> None:
    rows = [{ALL: counts[ALL], (("shop", "a"),): counts[ALL]} for counts in day(minutes=60)]
    detector = BucketJudge(DetectorConfig())
    for minute, counts in enumerate(rows):
        detector.judge(START + 60 * minute, counts)
    restored = BucketJudge(DetectorConfig())
    restored.restore(json.loads(json.dumps(detector.snapshot())))
    assert restored.describe() == detector.describe()
    least = {bool(one.key): one.dispersion for one in restored.describe() if one.status == "failed"}
    assert least == {True: 1.1, False: 1.25}


def test_others_may_run_while_new_keys_begin_and_nothing_changes() -> None:
    draw = random.Random(3)
    rows: list[Bucket] = [
        {(("m", f"m{draw.randrange(400)}"),): {draw.choice("abc"): draw.randint(1, 9)} for _ in range(150)}
        for _ in range(12)
    ]
    one, other = BucketJudge(DetectorConfig(warmup=60)), BucketJudge(DetectorConfig(warmup=60))
    steps: list[int] = []
    other.let_run(lambda: steps.append(other.size), 2)
    for i, bucket in enumerate(rows):
        expected, found = ([verdict_line(v) for v in judge.judge(60 * i, bucket)] for judge in (one, other))
        assert found == expected
    assert one.snapshot() == other.snapshot()
    assert len(set(steps)) > 100  # also between two keys that begin in one bucket

"""How many series there are: exact for few keys, close for many, and the same from a sample as from all keys."""

import random

import pytest

from txmon.detection.cardinality import SAMPLE, Census, Sample, level_of, text_of
from txmon.detection.detector import BucketJudge
from txmon.detection.thresholds import DetectorConfig, sigma_for
from txmon.model.keys import Key
from txmon.spark.bucket_notes import HELD, Note, Notes, notes_of, read
from txmon.spark.shards import Row

START = 1772409600


def key(n: int) -> Key:
    return (("merchant", f"m{n}"),)


def census_of(keys: int) -> Census:
    census = Census()
    for n in range(keys):
        census.add_key(level_of(f"m{n}"), 3)
        census.settle()
    return census


def test_a_level_is_how_many_zeros_a_hash_begins_with() -> None:
    # states and shards depend on these very numbers
    assert [level_of(text) for text in ("", "m1", "m2", "m1\x1fvisa")] == [32, 2, 1, 0]
    names = [f"m{n}" for n in range(40_000)]
    for level in range(8):
        expected = 40_000 / 2**level
        found = sum(level_of(name) >= level for name in names)
        assert abs(found - expected) < 4 * expected**0.5 + 1, level
    assert text_of((("merchant", "m1"), ("issuer", "visa"))) == "m1\x1fvisa"


def test_few_keys_are_counted_and_many_are_estimated() -> None:
    assert census_of(SAMPLE).series() == 3 * SAMPLE
    assert census_of(SAMPLE).level == 0
    for keys in (1_000, 20_000):
        assert census_of(keys).series() == pytest.approx(3 * keys, rel=0.2)
    assert abs(sigma_for(DetectorConfig(), 60_000) - sigma_for(DetectorConfig(), 72_000)) < 0.04


def test_series_are_those_of_the_level_and_above() -> None:
    dice, census, keys = random.Random(4), Census(), list[tuple[int, int]]()
    for step in range(3000):
        if keys and dice.random() < 0.3:
            level, series = keys.pop(dice.randrange(len(keys)))
            census.drop_key(level, series)
        else:
            keys.append((level_of(f"m{step}"), 1))
            census.add_key(keys[-1][0])
        if dice.random() < 0.2 and keys:
            level, series = keys[0]
            keys[0] = level, series + 1
            census.add_series(level)
        census.settle()
        above = [series for level, series in keys if level >= census.level]
        assert len(above) <= SAMPLE
        assert census.series() == sum(above) << census.level
    assert census.level > 0


def test_a_sample_comes_to_what_a_census_of_all_keys_comes_to() -> None:
    dice = random.Random(1)
    census, sample = Census(), Sample()
    seen: dict[int, int] = {}
    statuses: dict[int, set[str]] = {}
    for bucket in range(60):
        rows = [(dice.randrange(2000), dice.choice(("approved", "failed"))) for _ in range(200)]
        notes = Notes(60, sampling=True)
        for n, status in rows:
            if n not in seen:
                census.add_key(level_of(f"m{n}"))
                statuses[n] = set()
            if status not in statuses[n]:
                statuses[n].add(status)
                census.add_series(level_of(f"m{n}"))
            seen[n] = bucket
            notes.add(bucket, status, 1)
            notes.meet(bucket, f"m{n}", status)
        census.settle()
        [note] = notes.hand_over()
        assert note.sample is not None
        sample.take(bucket, *note.sample)
        if bucket % 7 == 0:
            for n in [n for n, last in seen.items() if last < bucket - 20]:
                census.drop_key(level_of(f"m{n}"), 1 + len(statuses.pop(n)))
                del seen[n]
            sample.drop(bucket - 20)
            state = sample.snapshot()
            sample = Sample()
            sample.restore(state)
        assert (sample.census.level, sample.census.series()) == (census.level, census.series()), bucket
    assert census.level > 0


def test_notes_are_handed_over_whole_and_once() -> None:
    notes = notes_of([Row(START + n, n, "failed", 2, None, f"m{n}", None) for n in range(3)], 60, sampling=True)
    assert notes == [Note(START, {"failed": 6}, (0, {"m0": ["failed"], "m1": ["failed"], "m2": ["failed"]}))]
    assert read(notes[0].text()) == notes[0]
    some = Notes(60, sampling=False)
    for n in range(HELD):
        assert not some.full()
        some.add(60 * n, "failed", 1)
    assert some.full()
    assert len(some.hand_over()) == HELD
    assert some.hand_over() == []


def test_a_sample_of_too_many_keys_says_from_which_level_it_is_whole() -> None:
    [note] = notes_of([Row(START, n, "failed", 1, None, f"m{n}", None) for n in range(5000)], 60, sampling=True)
    assert note.sample is not None
    level, keys = note.sample
    assert 3 <= level <= 6
    assert set(keys) == {f"m{n}" for n in range(5000) if level_of(f"m{n}") >= level}


def test_the_budget_is_shared_by_the_series_of_all_keys() -> None:
    detector = BucketJudge(DetectorConfig())
    counts = {key(n): {"approved": 5, "failed": 1} for n in range(SAMPLE // 2)}
    detector.judge(START, counts)
    assert detector.sigma() == sigma_for(DetectorConfig(), 3 * SAMPLE // 2)
    shard = BucketJudge(DetectorConfig())
    [note] = notes_of(
        [Row(START, 0, s, 1, None, f"m{n}", None) for n in range(SAMPLE // 2) for s in ("approved", "failed")], 60, True
    )
    shard.judge(START, {key(0): counts[key(0)]}, {"approved": 5 * len(counts), "failed": len(counts)}, note.sample)
    assert shard.sigma() == detector.sigma()


def test_while_nothing_at_all_arrives_no_key_is_forgotten() -> None:
    detector = BucketJudge(DetectorConfig(idle=3600.0))
    detector.judge(START, {key(1): {"approved": 5}, key(2): {"approved": 5}})
    for minute in range(1, 180):
        detector.judge(START + 60 * minute, {})
    assert {one.key for one in detector.describe()} == {key(1), key(2)}
    for minute in range(180, 250):
        detector.judge(START + 60 * minute, {key(1): {"approved": 5}})
    assert {one.key for one in detector.describe()} == {key(1)}

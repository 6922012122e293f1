"""Event time: buckets close once, in order, whatever the order of arrival."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.ingest.records import Record
from txmon.pipeline import buckets
from txmon.pipeline.buckets import LONGEST_SILENCE, Bucketer, OpenBucket

events = st.lists(st.tuples(st.integers(0, 1200), st.sampled_from(["denied", "failed"])), min_size=1, max_size=120)


def close_all(bucketer: Bucketer, records: list[Record]) -> list[OpenBucket]:
    return [*bucketer.add(records), *bucketer.flush()]


def told(buckets: list[OpenBucket]) -> list[object]:
    return [(bucket.start, bucket.counts, bucket.whole, bucket.sample) for bucket in buckets]


@given(events)
def test_sorted_rows_are_all_counted_in_their_own_minutes(rows: list[tuple[int, str]]) -> None:
    rows.sort()
    closed = close_all(Bucketer(60), [Record(time, status, 1) for time, status in rows])
    assert [bucket.start for bucket in closed] == list(range(rows[0][0] // 60 * 60, rows[-1][0] // 60 * 60 + 60, 60))
    found = Counter({(b.start, s): n for b in closed for s, n in b.counts.get((), {}).items()})
    assert found == Counter((time // 60 * 60, status) for time, status in rows)


@given(events, st.integers(0, 300), st.integers(0, 10**6))
def test_rows_shuffled_within_the_lateness_change_nothing(
    rows: list[tuple[int, str]], lateness: int, seed: int
) -> None:
    rows.sort()
    shuffler = random.Random(seed)
    arrival = sorted(rows, key=lambda row: row[0] + shuffler.uniform(0, lateness))
    in_order = close_all(Bucketer(60, lateness), [Record(time, status, 1) for time, status in rows])
    shuffled = Bucketer(60, lateness)
    assert told(close_all(shuffled, [Record(time, status, 1) for time, status in arrival])) == told(in_order)
    assert shuffled.late == 0


@given(events, st.lists(st.integers(1, 10), max_size=30))
def test_any_cutting_gives_the_same(rows: list[tuple[int, str]], cuts: list[int]) -> None:
    records = [Record(time, status, 1) for time, status in rows]
    whole = close_all(Bucketer(60, 5), records)
    bucketer, pieces = Bucketer(60, 5), []
    at = 0
    for size in [*cuts, len(records)]:
        pieces += list(bucketer.add(records[at : at + size]))
        at += size
    assert told([*pieces, *bucketer.flush()]) == told(whole)


def test_late_rows_are_counted_and_said() -> None:
    bucketer = Bucketer(60)
    close_all(bucketer, [Record(0, "a", 1), Record(200, "a", 1), Record(30, "a", 1)])
    assert bucketer.late == 1
    assert "1 record came after" in bucketer.summary()[0]


def test_a_repeated_id_counts_once_and_is_forgotten_in_the_end() -> None:
    bucketer = Bucketer(60)
    closed = close_all(bucketer, [Record(t, "a", 1, id=i) for t, i in ((0, "x"), (0, "x"), (70, "x"), (70, "y"))])
    assert [bucket.counts.get((), {}).get("a", 0) for bucket in closed] == [1, 2]
    assert bucketer.repeated == 1
    assert bucketer.summary() == ["1 record repeats the id, status and time of one counted before"]
    far = Bucketer(60)
    close_all(far, [Record(t, "a", 1, id="x") for t in (0, 3600, 0)])
    assert far.repeated == 0  # an hour later it is late, and no longer known


def test_a_status_that_follows_another_under_one_id_is_counted() -> None:
    rows = [Record(t, status, 1, id="x") for t, status in ((0, "approved"), (10, "approved"), (10, "reversed"))]
    bucketer = Bucketer(60)
    (closed,) = close_all(bucketer, [*rows, *rows])
    assert closed.counts == {(): {"approved": 2, "reversed": 1}}
    assert bucketer.repeated == 3


def test_repeats_are_known_across_a_restart_and_ids_of_older_states_are_no_obstacle() -> None:
    first = Bucketer(60)
    list(first.add([Record(0, "a", 1, id="x")]))
    state = json.loads(json.dumps(first.snapshot()))
    second = Bucketer(60)
    second.restore(state)
    list(second.add([Record(0, "a", 1, id="x"), Record(0, "a", 1, id="y")]))
    assert second.repeated == 1
    second.restore({**state, "ids": [[0, ["x"]]]})
    list(second.add([Record(0, "a", 1, id="x")]))
    assert second.repeated == 0


def test_ids_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    if not str(buckets.__file__).endswith(".py"):
        pytest.skip("a constant of compiled code cannot be changed")
    monkeypatch.setattr(buckets, "MOST_IDS", 10)
    bucketer = Bucketer(60)
    list(bucketer.add([Record(60 * n // 8, "a", 1, id=str(n)) for n in range(40)]))
    snapshot = bucketer.snapshot()["ids"]
    assert isinstance(snapshot, list)
    assert sum(len(ids) for _, ids in snapshot) <= 10


def test_a_gap_of_more_than_a_day_is_skipped() -> None:
    closed = close_all(Bucketer(60), [Record(0, "a", 1), Record(10 * 86400, "a", 1)])
    assert len(closed) == LONGEST_SILENCE // 60 + 2
    assert closed[-1].start == 10 * 86400

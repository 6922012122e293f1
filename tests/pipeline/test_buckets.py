"""Event time: buckets close once, in order, whatever the order of arrival."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txmon.ingest.aggregate.ledger import Tally
from txmon.ingest.records import Record
from txmon.pipeline import buckets
from txmon.pipeline.buckets import CORRECTABLE, LONGEST_SILENCE, Bucketer, OpenBucket

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
    most, each = buckets.MOST_IDS, 8
    if str(buckets.__file__).endswith(".py"):  # a constant of compiled code cannot be changed, so that is filled
        monkeypatch.setattr(buckets, "MOST_IDS", most := 10)
    else:
        each = most // 4
    bucketer = Bucketer(60)
    for n in range(5 * each):
        list(bucketer.add([Record(60 * n // each, "a", 1, id=str(n))]))
    snapshot = bucketer.snapshot()["ids"]
    assert isinstance(snapshot, list)
    assert sum(len(ids) for _, ids in snapshot) <= most


def test_a_gap_of_more_than_a_day_is_skipped() -> None:
    closed = close_all(Bucketer(60), [Record(0, "a", 1), Record(10 * 86400, "a", 1)])
    assert len(closed) == LONGEST_SILENCE // 60 + 2
    assert closed[-1].start == 10 * 86400


def live(records: list[Record], lateness: int = 5) -> tuple[Bucketer, list[OpenBucket]]:
    """A live bucketer and what closes of `records` before the stream ends."""
    bucketer = Bucketer(60, lateness, live=True)
    return bucketer, list(bucketer.add(records))


def minutes(first: int, last: int, rows: int) -> list[Record]:
    """So many rows in each of the minutes from `first` to before `last`."""
    return [Record(60 * m + 60 * n // rows, "a", 1) for m in range(first, last) for n in range(rows)]


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 20, 100])
@pytest.mark.parametrize("strays", [1, 2, 3])
@pytest.mark.parametrize("ahead", [2, 3, 40, 700])
def test_rows_ahead_of_the_rest_close_nothing(rows: int, strays: int, ahead: int) -> None:
    before, after = minutes(100, 120, rows), minutes(120, 130, rows)
    stray = [Record(60 * (120 + ahead), "a", 1)] * strays
    cut = rows // 2
    bucketer, closed = live([*before, *after[:cut], *stray, *after[cut:]])
    assert bucketer.late == 0
    closed += bucketer.flush()
    assert [sum(b.counts.get((), {}).values()) for b in closed if b.start < 130 * 60] == [
        rows + (strays if b == 120 + ahead else 0) for b in range(100, 130)
    ]
    alone = closed[30:]  # the minute of the rows that were ahead to the end: no silence before it
    assert [(b.start, b.astray) for b in alone] == ([(60 * (120 + ahead), True)] if ahead >= 10 else [])


@pytest.mark.parametrize("rows", [1, 2, 5, 50])
def test_a_clock_that_is_ahead_all_the_time_closes_nothing(rows: int) -> None:
    if rows == 1:
        return  # half of the rows of such a feed would be ahead: nothing says which half is right
    mixed = [
        r for m in range(100, 160) for r in (*minutes(m, m + 1, 2 * rows), Record(60 * m + 2400, "a", 1))
    ]  # one row per minute is 40 minutes ahead
    bucketer, _ = live(mixed)
    assert bucketer.late == 0


@pytest.mark.parametrize("rows", [1, 2, 8, 60])
def test_the_first_row_may_be_the_one_that_is_ahead(rows: int) -> None:
    bucketer, closed = live([Record(60 * 140, "a", 1), *minutes(100, 130, rows)])
    assert bucketer.late == 0
    assert [b.start // 60 for b in closed[:5]] == [100, 101, 102, 103, 104]


@pytest.mark.parametrize("step", [1, 2, 5, 20])
def test_a_feed_of_single_rows_advances(step: int) -> None:
    rows = [Record(60 * step * n + 7, "a", 1) for n in range(10, 60)]
    _, closed = live(rows)
    assert closed[-1].start == rows[-1].time - 7 - 60


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_after_a_gap_the_feed_goes_on(rows: int) -> None:
    bucketer, closed = live([*minutes(100, 130, rows), *minutes(170, 178, rows)])
    assert [b.start // 60 for b in closed] == list(range(100, 176 if rows == 1 else 177))
    assert [bucket.start // 60 for bucket in bucketer.flush()] == ([176, 177] if rows == 1 else [177])


def test_a_gap_before_the_last_row_is_the_same_as_in_a_file() -> None:
    rows = [*minutes(100, 130, 5), *minutes(170, 171, 1)]
    bucketer, closed = live(rows)
    assert told([*closed, *bucketer.flush()]) == told(close_all(Bucketer(60), rows))


def test_rows_lift_the_watermark_no_further_than_the_wall_clock() -> None:
    bucketer = Bucketer(60, 5, live=True)
    bucketer.ceiling = 60 * 104 + 30
    assert [b.start // 60 for b in bucketer.add(minutes(100, 107, 9))] == [100, 101, 102, 103]
    assert [b.start // 60 for b in bucketer.advance(60 * 106)] == [104, 105]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 10**6))
def test_live_counts_are_those_of_the_sorted_file_in_any_order_within_the_lateness(
    sizes: list[int], lateness: int, seed: int
) -> None:
    shuffler = random.Random(seed)
    rows = sorted(60 * m + shuffler.randrange(60) for m, size in enumerate(sizes) for _ in range(size))
    arrival = sorted(rows, key=lambda time: time + shuffler.uniform(0, lateness))
    bucketer = Bucketer(60, lateness, live=True)
    closed: list[OpenBucket] = []
    at = 0
    while at < len(arrival):
        size = shuffler.randrange(1, 50)
        closed += bucketer.add([Record(time, "a", 1) for time in arrival[at : at + size]])
        at += size
        assert len(bucketer._closed) <= CORRECTABLE
        assert len(bucketer._runs) <= 16
        again = Bucketer(60, lateness, live=True)  # a restart changes nothing
        again.restore(json.loads(json.dumps(bucketer.snapshot())))
        bucketer = again
    closed += bucketer.flush()
    assert bucketer.late == 0
    assert told(closed) == told(close_all(Bucketer(60), [Record(time, "a", 1) for time in rows]))
    assert [bucket.start for bucket in closed] == sorted({bucket.start for bucket in closed})


@given(st.lists(st.tuples(st.integers(0, 2400), st.integers(1, 6)), min_size=1, max_size=80), st.integers(0, 10**6))
def test_a_live_stream_is_the_same_however_it_is_cut_into_tallies(runs: list[tuple[int, int]], seed: int) -> None:
    """Any order, late rows and rows ahead among them: the same buckets close, with the same rows late."""
    shuffler = random.Random(seed)
    times = [time // 60 * 60 + shuffler.randrange(60) for time, size in runs for _ in range(size)]
    single, added = Bucketer(60, 5, live=True), Bucketer(60, 5, live=True)
    one = [*single.add([Record(time, "a", 1) for time in times]), *single.flush()]
    tallies: list[Tally] = []
    for time in times:
        if not tallies or tallies[-1].start != time // 60 * 60 or shuffler.random() < 0.3:
            tallies.append(Tally(time // 60 * 60, time))
        tally = tallies[-1]
        tally.time = max(tally.time, time)
        tally.rows += 1
        counts = tally.counts.setdefault((), {})
        counts["a"] = counts.get("a", 0) + 1
    two = [*added.add(tallies), *added.flush()]
    assert (told(two), added.late) == (told(one), single.late)
    starts = [bucket.start for bucket in one]
    assert starts == sorted(set(starts))

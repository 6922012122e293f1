"""The windows of a series against a plain list of its counts, packed or not."""

from collections import deque

from hypothesis import example, given
from hypothesis import strategies as st

from txmon.detection.baseline import Baseline, restored
from txmon.detection.window import sum5, sum15

SMALL = st.integers(0, 4095).map(float)
ANY = st.one_of(SMALL, st.sampled_from([4095.0, 4096.0, 1e15, 0.5, 4094.5]), st.floats(0, 1e6))


def same(one: Baseline, counts: deque[float]) -> None:
    ring = tuple(counts)
    assert one.counts() == ring
    assert one.newest() == ring[0]
    assert one.sums() == (sum5(one.counts()), sum15(one.counts()))
    assert restored(one.snapshot()).snapshot() == one.snapshot()


@given(st.lists(st.tuples(ANY, st.sampled_from(["", "", "", "", "restart", "clear", "reload"])), max_size=60))
@example([(4095.0, "")] * 16)
@example([(float(n), "") for n in range(16)] + [(4096.0, ""), (1.0, "restart"), (2.0, "")])
def test_the_windows_hold_the_newest_fifteen_counts(steps: list[tuple[float, str]]) -> None:
    one, counts = Baseline(0.9), deque([0.0] * 15, maxlen=15)
    for count, step in steps:
        one.observe(count, 1.0)
        counts.appendleft(count)
        same(one, counts)
        if step == "restart":
            one.restart_windows()
            counts = deque([count, *[0.0] * 14], maxlen=15)
        elif step == "clear":
            one.clear_windows()
            counts = deque([0.0] * 15, maxlen=15)
        elif step == "reload":
            one = restored(one.snapshot())
        same(one, counts)


def is_wide(one: Baseline) -> bool:
    return one._wide is not None


@given(st.lists(SMALL, min_size=16, max_size=40))
def test_small_whole_counts_are_packed_again_once_a_large_one_is_forgotten(counts: list[float]) -> None:
    one, other = Baseline(0.9), Baseline(0.9)
    one.observe(5000.0, 1.0)
    assert is_wide(one)
    one.clear_windows()
    for count in counts:
        one.observe(count, 1.0)
        other.observe(count, 1.0)
    assert not is_wide(one)
    assert one.snapshot() == other.snapshot()

"""Numbers as bars of characters."""

import pytest

from txmon.support.bars import Series, bars, chart, sparkline, squeeze


@pytest.mark.parametrize(("counts", "top", "ascii_only", "round_up", "drawn"), [
    ((0, 1, 50, 100), 100, False, True, "▁▂▅█"),  # only 0 looks like 0
    ((0, 1, 50, 100), 101, False, False, "▁▁▄█"),
    ((0, 1, 50, 100), 101, True, False, "__=#"),
    ((100,), 100, False, False, "█"),
    ((), 1, False, True, ""),
])  # fmt: skip
def test_a_sparkline_is_a_bar_a_count(
    counts: tuple[int, ...], top: int, ascii_only: bool, round_up: bool, drawn: str
) -> None:
    assert sparkline(counts, top, ascii_only, round_up) == drawn


def test_bars_have_the_highest_line_first() -> None:
    assert bars([0, 1, 50, 100, None, float("nan")], 2, 100) == ["   █", " ▁██··"]
    assert bars([0, 1, 50, 100, None], 2, 100, ascii_only=True) == ["   #", " ###."]
    assert bars([0.0], 1, 0.0) == [""]


def test_a_spike_is_not_lost_in_a_narrow_chart() -> None:
    values = [1.0] * 100
    values[37] = 900.0
    assert max(value for value in squeeze(values, 10) if value is not None) == 900.0
    assert squeeze([None, None, 2.0, None], 2) == [None, 2.0]
    assert chart(Series("failed", [0.0, 4.0]), 40, 2) == ["failed", "4 ┤ █", "0 ┤ █"]

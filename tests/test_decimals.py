"""Numbers are written exactly as `format` writes them."""

import random

from hypothesis import given
from hypothesis import strategies as st

from txmon.decimals import fixed, significant


def check(value: float) -> None:
    for places in (0, 1, 2):
        assert fixed(value, places) == f"{value:.{places}f}"
        assert fixed(-value, places) == f"{-value:.{places}f}"
    if value < 9999.5:
        assert significant(value, 4) == f"{value:.4g}"
    if value < 0.95:
        assert significant(value, 2) == f"{value:.2g}"


@given(st.floats(0.0, 1e12))
def test_any_number(value: float) -> None:
    check(value)


def test_numbers_near_halves_and_powers_of_ten() -> None:
    draw = random.Random(1)
    for _ in range(20_000):
        check(round(10 ** draw.uniform(-5, 5), draw.randint(0, 6)))
        check(draw.randint(1, 40_000) / 2000)
    for power in range(-6, 6):
        for step in (-1e-9, -1e-12, 0.0, 1e-12, 5e-5, -5e-5, -4e-5):
            check(10.0**power * (1.0 + step))

"""Numbers are written exactly as `format` writes them."""

import random

from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter

from txmon.model.encoding import write_fixed, write_number, write_significant, write_whole


def fixed(value: float, places: int) -> str:
    out = BytesWriter()
    write_fixed(out, value, places)
    return out.getvalue().decode()


def significant(value: float, digits: int) -> str:
    out = BytesWriter()
    write_significant(out, value, digits)
    return out.getvalue().decode()


def whole(number: int) -> str:
    out = BytesWriter()
    write_whole(out, number)
    return out.getvalue().decode()


def number(value: float) -> str:
    out = BytesWriter()
    write_number(out, value)
    return out.getvalue().decode()


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


def test_whole_numbers_and_what_an_analyst_writes() -> None:
    for power in range(16):
        for count in (10**power - 1, 10**power, 10**power + 1, -(10**power)):
            assert whole(count) == str(count)
    said = {0.04: "0.04", 0.94: "0.94", 0.95: "0.9", 1.44: "1.4", 99.4: "99.4", 99.5: "100", 320.4: "320"}
    assert {value: number(value) for value in said} == said
    assert fixed(-0.0, 2) == "-0.00"

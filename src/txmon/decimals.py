"""Numbers as text, exactly as `format` writes them and several times as fast: every verdict has four of them."""

from math import copysign
from typing import Final

TIE: Final = 1e-4  # how near to a half the scaled number's own rounding could decide: `format` knows its exact value
LARGEST: Final = 1e8  # scaled; above it a float's last digit comes near to TIE
TWO: Final = [f"{i:02}" for i in range(100)]
WHOLE: Final = [str(i) for i in range(1000)]
REMEMBERED: Final = 10_000  # numbers, without their point, whose texts are kept
# with 1 to 3 decimals, then by number; empty until the first time
_texts: Final = [[""] * REMEMBERED for _ in range(3)]


def fixed(value: float, places: int) -> str:
    """`value` with so many decimals, 0 to 2."""
    size = -value if value < 0.0 else value
    scaled = size if places == 0 else size * 10.0 if places == 1 else size * 100.0
    digits = _rounded(scaled) if scaled < LARGEST else -1
    if digits < 0:
        return format(value, f".{places}f")
    found = pointed(digits, places)
    return "-" + found if value < 0.0 or (value == 0.0 and copysign(1.0, value) < 0.0) else found


def _rounded(scaled: float) -> int:
    """The nearest whole number, for 0 up to LARGEST; -1 where that is too near a tie to tell."""
    number = int(scaled)
    rest = scaled - float(number)
    if 0.5 - TIE < rest < 0.5 + TIE:
        return -1
    return number + 1 if rest > 0.5 else number


def whole(number: int) -> str:
    """`number` in digits."""
    return WHOLE[number] if 0 <= number < 1000 else str(number)


def pointed(number: int, places: int) -> str:
    """`number`, 0 or more, with a point before its last digits, 0 to 7 of them."""
    if places == 0:
        return whole(number)
    kept = number < REMEMBERED and places <= 3
    found = _texts[places - 1][number] if kept else ""
    if not found:
        text = str(number).rjust(places + 1, "0")
        found = f"{text[:-places]}.{text[-places:]}"
        if kept:
            _texts[places - 1][number] = found
    return found


def significant(value: float, digits: int) -> str:
    """`value` with so many significant digits, 2 to 4, as the format `g` writes it."""
    places, edge, scale = digits, 1.0, 1.0  # decimals; the power of ten above the value; 10 to the digits
    for _ in range(digits):
        scale *= 10.0
    if value < 0.1:
        edge = 0.1
        places += 1
        while value < 0.1 * edge and places < digits + 3:
            edge *= 0.1
            places += 1
            scale *= 10.0
        scale *= 10.0
    else:
        while value >= edge and places > 0:
            edge *= 10.0
            scale /= 10.0
            places -= 1
    # next to a power of ten the digits may be one more or less, and so small a number has an exponent
    if value < 1.01e-4 or value >= edge * 0.9999 or (value < 0.11 and value < edge * 0.1000001):
        return format(value, f".{digits}g")
    number = _rounded(value * scale)
    if number < 0:
        return format(value, f".{digits}g")
    while places > 0 and number % 10 == 0:
        number //= 10
        places -= 1
    return pointed(number, places)

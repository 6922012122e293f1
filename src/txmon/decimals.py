"""Numbers as text, exactly as `format` writes them and several times as fast: every verdict has four of them."""

from math import copysign, floor
from typing import Final

POWERS: Final = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7]
TIE: Final = 1e-4  # how near to a half the scaled number's own rounding could decide: `format` knows its exact value
LARGEST: Final = 1e8  # scaled; above it a float's last digit comes near to TIE
TWO: Final = [f"{i:02}" for i in range(100)]


def fixed(value: float, places: int) -> str:
    """`value` with so many decimals, 0 to 2."""
    scaled = abs(value) * POWERS[places]
    whole = floor(scaled)
    rest = scaled - whole
    if not scaled < LARGEST or abs(rest - 0.5) < TIE:
        return format(value, f".{places}f")
    digits = int(whole) + (1 if rest > 0.5 else 0)
    sign = "-" if copysign(1.0, value) < 0.0 else ""
    if places == 0:
        return sign + str(digits)
    if places == 1:
        return sign + str(digits // 10) + "." + str(digits % 10)
    return sign + str(digits // 100) + "." + TWO[digits % 100]


def significant(value: float, digits: int) -> str:
    """`value` with so many significant digits, 2 to 4, as the format `g` writes it."""
    places = digits
    bound = 0.1
    while value < bound and bound > 5e-4:
        bound *= 0.1
        places += 1
    edge = 1.0
    while value >= edge and places > 0:
        edge *= 10.0
        places -= 1
    # next to a power of ten the digits may be one more or less, and so small a number has an exponent
    if value < 1.01e-4 or value >= edge * 0.9999 or abs(value / bound - 1.0) < 1e-9:
        return format(value, f".{digits}g")
    scaled = value * POWERS[places]
    whole = floor(scaled)
    rest = scaled - whole
    if abs(rest - 0.5) < TIE:
        return format(value, f".{digits}g")
    found = str(int(whole) + (1 if rest > 0.5 else 0))
    if places == 0:
        return found
    found = found.rjust(places + 1, "0")
    return (found[:-places] + "." + found[-places:]).rstrip("0").rstrip(".")

"""Numbers as text, exactly as `format` writes them and several times as fast: every verdict has four of them."""

from math import copysign
from typing import Final

TIE: Final = 1e-4  # how near to a half the scaled number's own rounding could decide: `format` knows its exact value
LARGEST: Final = 1e8  # scaled; above it a float's last digit comes near to TIE
TWO: Final = [f"{i:02}" for i in range(100)]
THREE: Final = [f"{i:03}" for i in range(1000)]


def fixed(value: float, places: int) -> str:
    """`value` with so many decimals, 0 to 2."""
    size = -value if value < 0.0 else value
    scaled = size if places == 0 else size * 10.0 if places == 1 else size * 100.0
    if not scaled < LARGEST:
        return format(value, f".{places}f")
    digits = int(scaled)
    rest = scaled - float(digits)
    if 0.5 - TIE < rest < 0.5 + TIE:
        return format(value, f".{places}f")
    if rest > 0.5:
        digits += 1
    sign = "-" if value < 0.0 or (value == 0.0 and copysign(1.0, value) < 0.0) else ""
    if places == 0:
        return f"{sign}{digits}"
    if places == 1:
        return f"{sign}{digits // 10}.{digits % 10}"
    return f"{sign}{digits // 100}.{TWO[digits % 100]}"


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
    scaled = value * scale
    number = int(scaled)
    rest = scaled - float(number)
    if 0.5 - TIE < rest < 0.5 + TIE:
        return format(value, f".{digits}g")
    if rest > 0.5:
        number += 1
    while places > 0 and number % 10 == 0:
        number //= 10
        places -= 1
    if places == 0:
        return str(number)
    if places == 1:
        return f"{number // 10}.{number % 10}"
    if places == 2:
        return f"{number // 100}.{TWO[number % 100]}"
    if places == 3:
        return f"{number // 1000}.{THREE[number % 1000]}"
    return "0." + str(number).rjust(places, "0")

"""Writes numbers and texts as bytes, with the same result as `format` and `json` but several times faster.

Every verdict line has nine numbers. Texts that occur often are cached.
"""

import json
from math import copysign
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr, u8

# distance from a half within which rounding of the scaled number could decide; `format` uses the exact value
TIE: Final = 1e-4
LARGEST: Final = 1e8  # scaled; above it, a float's last digit is nearly as large as TIE
TWO: Final = [f"{i:02}" for i in range(100)]
MINUS: Final[u8] = 45
REMEMBERED_NUMBERS: Final = 10_000  # numbers, without their point, whose texts are cached
MOST_PLACES: Final = 5  # decimals of cached numbers, at most
_numbers: Final[list[bytes | None]] = [None] * ((MOST_PLACES + 1) * REMEMBERED_NUMBERS)  # by decimals, then by number
_quoted: Final = json.encoder.encode_basestring  # JSON string, with non-ASCII characters unchanged


def write_fixed(out: BytesWriter, value: float, places: i64) -> None:
    """Write `value` with `places` decimals, 0 to 2."""
    size = -value if value < 0.0 else value
    scaled = size if places == 0 else size * 10.0 if places == 1 else size * 100.0
    digits: i64 = -1
    if scaled < LARGEST:
        digits = _rounded(scaled)
    if digits < 0:
        out.write(format(value, f".{places}f").encode())
        return
    if value < 0.0 or (value == 0.0 and copysign(1.0, value) < 0.0):
        out.append(MINUS)
    out.write(_pointed(digits, places))


def _rounded(scaled: float) -> i64:
    """Return the nearest whole number, for 0 up to LARGEST, or -1 if the value is too near a tie."""
    number = int(scaled)
    rest = scaled - float(number)
    if 0.5 - TIE < rest < 0.5 + TIE:
        return -1
    return number + 1 if rest > 0.5 else number


def write_whole(out: BytesWriter, number: int) -> None:
    """Write `number` in decimal digits."""
    out.write(_pointed(number, 0) if 0 <= number < REMEMBERED_NUMBERS else str(number).encode())


def _pointed(number: i64, places: i64) -> bytes:
    """Return `number`, 0 or more, with a point before its last `places` digits, 0 to 7."""
    if number >= REMEMBERED_NUMBERS or places > MOST_PLACES:
        return _point(number, places)
    slot = places * REMEMBERED_NUMBERS + number
    found = _numbers[slot]
    if found is None:
        found = _numbers[slot] = _point(number, places)
    return found


def _point(number: int, places: int) -> bytes:
    text = str(number).rjust(places + 1, "0")
    return (f"{text[:-places]}.{text[-places:]}" if places else text).encode()


def write_significant(out: BytesWriter, value: float, digits: i64) -> None:
    """Write `value` with `digits` significant digits, 2 to 4, as the format `g` does."""
    places: i64 = digits  # decimals
    edge = 1.0  # the smallest power of ten above the value
    scale = 100.0 if digits == 2 else 1000.0 if digits == 3 else 10000.0
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
    # next to a power of ten, rounding can change the number of digits, and such a small number has an exponent
    number: i64 = -1
    if value >= 1.01e-4 and value < edge * 0.9999 and (value >= 0.11 or value >= edge * 0.1000001):
        number = _rounded(value * scale)
    if number < 0:
        out.write(format(value, f".{digits}g").encode())
        return
    while places > 0 and number % 10 == 0:
        number //= 10
        places -= 1
    out.write(_pointed(number, places))


def write_number(out: BytesWriter, value: float) -> None:
    """Write `value` as an analyst would: 0.04, 1.4, 320."""
    if value >= 99.5:
        write_fixed(out, value, 0)
    elif value >= 0.95:
        write_fixed(out, value, 1)
    else:
        write_significant(out, value, 2)


@mypyc_attr(acyclic=True)
class Encoded:
    """A text as UTF-8."""

    __slots__ = ("escaped", "plain", "quoted")

    def __init__(self, text: str) -> None:
        self.plain = utf8(text)
        self.quoted = quoted(text)
        self.escaped = self.quoted[1:-1]  # for use inside a JSON string


REMEMBERED_TEXTS: Final = 4096
_texts: Final[dict[str, Encoded]] = {}


def encoded(text: str) -> Encoded:
    """Return the encoded form of a status or a dimension's value. It is cached, because there are few of them."""
    found = _texts.get(text)
    if found is None:
        if len(_texts) >= REMEMBERED_TEXTS:
            _texts.clear()
        found = _texts[text] = Encoded(text)
    return found


def utf8(text: str) -> bytes:
    """Return `text` as UTF-8. Half a surrogate pair is kept, and the stream then refuses it."""
    return text.encode("utf-8", "surrogatepass")


def quoted(text: str) -> bytes:
    """Return `text` as a JSON string."""
    return utf8(_quoted(text))


def decoded(data: bytes) -> str:
    """Return the text that `utf8` encoded."""
    return data.decode("utf-8", "surrogatepass")

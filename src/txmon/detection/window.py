"""The last fifteen buckets of a series, newest first: as numbers, and, where they are small whole ones, packed.

Packed they are three words of five buckets each, twelve bits a bucket: 24 bytes instead of 120. There are two rings for
every series, and a million series must fit; expectations are fractions, and counts are mostly small whole numbers.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

WINDOWS: Final = (1, 5, 15)  # buckets summed
MOST: Final = 4095.0  # that twelve bits hold
EVEN: Final = 0xFFF000FFF000FFF  # every other count of a word
KEPT: Final = 0xFFFFFFFFFFFFFFF  # of a word, when it has moved on by a count

Ring = tuple[
    float, float, float, float, float, float, float, float, float, float, float, float, float, float, float
]  # fixed, so that mypyc keeps it unboxed: newest first


def empty_ring() -> Ring:
    """Return a ring of zeros; a function, since mypyc takes a constant of unboxed floats for one never set."""
    return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def push(ring: Ring, value: float) -> Ring:
    """`ring` with `value` as its newest entry and the oldest dropped."""
    a, b, c, d, e, f, g, h, i, j, k, m, n, o, _ = ring
    return (value, a, b, c, d, e, f, g, h, i, j, k, m, n, o)


def sum5(ring: Ring) -> float:
    """Return the sum of the five newest entries."""
    return ring[0] + ring[1] + ring[2] + ring[3] + ring[4]


def sum15(ring: Ring) -> float:
    """Return the sum of all fifteen entries."""
    return rest15(sum5(ring), ring)


def rest15(newest: float, ring: Ring) -> float:
    """Return the same, given the sum of the five newest."""
    newer = newest + ring[5] + ring[6] + ring[7] + ring[8] + ring[9]
    return newer + ring[10] + ring[11] + ring[12] + ring[13] + ring[14]


@mypyc_attr(acyclic=True)
class Wide:
    """A ring of its own, for counts that cannot be packed."""

    __slots__ = ("ring",)

    def __init__(self, ring: Ring) -> None:
        self.ring: Ring = ring


def sums_of(newer: i64, middle: i64, older: i64) -> tuple[i64, i64]:
    """The sums of the five newest counts and of all fifteen, given their words: pairs of lanes are added at once."""
    lanes = (newer & EVEN) + (newer >> 12 & EVEN)
    five = (lanes & 0xFFFFFF) + (lanes >> 24 & 0xFFFFFF) + (lanes >> 48)
    lanes += (middle & EVEN) + (middle >> 12 & EVEN) + (older & EVEN) + (older >> 12 & EVEN)
    return five, (lanes & 0xFFFFFF) + (lanes >> 24 & 0xFFFFFF) + (lanes >> 48)


def unpacked(newer: i64, middle: i64, older: i64) -> Ring:
    """Return the ring whose counts these three words are."""
    ring = empty_ring()
    for word in (older, middle, newer):
        for shift in (48, 36, 24, 12, 0):
            ring = push(ring, float(word >> shift & 0xFFF))
    return ring

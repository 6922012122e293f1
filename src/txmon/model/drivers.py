"""Drivers: the values of other columns that explain why a count deviates from normal."""

from collections.abc import Sequence
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.model.statuses import meaning_of

CODES: Final = frozenset(
    ("response_code", "responsecode", "resp_code", "auth_code", "authcode", "iso_response_code", "code")
)
LONGEST: Final = 60  # characters of a value in a text


@mypyc_attr(acyclic=True)
class Driver:
    """A value of one column, or one value of each of two columns, and its share of the deviation."""

    __slots__ = ("expected", "seen", "share", "values")

    def __init__(self, values: Sequence[tuple[str, str]], seen: int, expected: float, share: float) -> None:
        self.values = tuple(values)  # ((column, value), ...), one or two
        self.seen = seen  # transactions with it
        self.expected = expected
        self.share = share  # of the excess; 1 means all of it

    def row(self) -> dict[str, object]:
        """Return the driver as a JSON object."""
        return {
            "values": dict(self.values), "seen": self.seen, "expected": round(self.expected, 2),
            "share": round(self.share, 2),
        }  # fmt: skip

    def pack(self) -> list[object]:
        """Return the driver as a value for a state."""
        return [[list(pair) for pair in self.values], self.seen, self.expected, self.share]

    def text(self) -> str:
        """Return the driver in words: `issuer B7 (61 seen, 5 expected), response code 91 issuer unavailable`."""
        named = [value_text(column, value) for column, value in self.values]
        expected = f"{self.expected:.0f}" if self.expected >= 9.5 else f"{self.expected:.2g}"
        return ", ".join([f"{named[0]} ({self.seen} seen, {expected} expected)", *named[1:]])

    def __eq__(self, other: object) -> bool:
        """Return whether the other object is a driver with the same content."""
        return isinstance(other, Driver) and self.pack() == other.pack()

    def __hash__(self) -> int:
        """Return a hash that agrees with __eq__."""
        return hash(self.values)


Drivers = tuple[Driver, ...]  # empty if the excess is spread evenly; None instead if nothing is known
NO_DRIVERS: Final[Drivers] = ()


def value_text(column: str, value: str) -> str:
    """Return a value in words, a response code with its meaning: `response code 91 issuer unavailable`."""
    name = column.replace("_", " ")
    if not value:
        return f"no {name}"
    meaning = meaning_of(value) if column.lower() in CODES else ""
    shown = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    return f"{name} {shown} {meaning}" if meaning else f"{name} {shown}"


def drivers_text(drivers: Drivers) -> str:
    """Return drivers in words: `93% of the excess is issuer B7 (61 seen, 5 expected)`."""
    if not drivers:
        return "spread evenly over the values of all drivers"
    share = min(1.0, sum([one.share for one in drivers]))
    return f"{100.0 * share:.0f}% of the excess is {'; '.join([one.text() for one in drivers])}"


def pack_drivers(drivers: Drivers | None) -> list[object] | None:
    """Return drivers as values that JSON can represent, or None for None."""
    return None if drivers is None else [one.pack() for one in drivers]


def unpack_drivers(rows: Any) -> Drivers | None:
    """Return the drivers that `pack_drivers` converted, or None for None.

    Raise TypeError or ValueError for other values.
    """
    if rows is None:
        return None
    return tuple(
        [
            Driver([(str(column), str(value)) for column, value in values], int(seen), float(expected), float(share))
            for values, seen, expected, share in rows
        ]
    )

"""Money: exact sums of amounts by status and currency, and their comparison with normal."""

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.model.keys import Key, pack_key, unpack_key

SCALE: Final = 10_000  # units per 1 of a currency; sums of integers do not depend on the order of the rows
MOST: Final = 1e12  # larger amounts of a row are ignored, like those that cannot be read
NO_AMOUNT: Final = -(1 << 61)  # represents the units of a row without an amount
CURRENCY: Final = "$"  # name of the currency's dimension in a key; always the last one
TRUE_IN: Final = 1.96  # 95 % of a normal distribution is within this many standard deviations of its mean


@mypyc_attr(acyclic=True)
class Sums:
    """The sums of the amounts of one status in one currency."""

    __slots__ = ("squares", "units")

    def __init__(self, units: int = 0, squares: int = 0) -> None:
        self.units = units  # 1/SCALE of the currency
        self.squares = squares  # sum of the squared units of single transactions

    def add(self, units: int, count: int) -> None:
        """Add a row whose `count` transactions have `units` together."""
        self.units += units
        self.squares += units * units // count if count > 1 else units * units

    def join(self, other: "Sums") -> None:
        """Add the sums of `other`."""
        self.units += other.units
        self.squares += other.squares


MoneyTable = dict[Key, dict[str, Sums]]  # by key, whose last pair may be the currency, and status
NO_MONEY: Final[MoneyTable] = {}


def units_of(amount: float) -> int:
    """Return an amount in units, or NO_AMOUNT if it is too large."""
    return round(amount * SCALE) if -MOST <= amount <= MOST else NO_AMOUNT


def add_money(table: MoneyTable, key: Key, status: str, units: int, count: int) -> None:
    """Add a row's amount to a table. A row without transactions has no amount."""
    if count < 1:
        return
    statuses = table.get(key)
    if statuses is None:
        statuses = table[key] = {}
    sums = statuses.get(status)
    if sums is None:
        sums = statuses[status] = Sums()
    sums.add(units, count)


def merge_money(table: MoneyTable, added: MoneyTable) -> None:
    """Add `added` to `table`, which may take ownership of its parts."""
    for key, statuses in added.items():
        found = table.get(key)
        if found is None:
            table[key] = statuses
            continue
        for status, sums in statuses.items():
            known = found.get(status)
            if known is None:
                found[status] = sums
            else:
                known.join(sums)


def pack_money(table: MoneyTable) -> list[object]:
    """Return a table as values that JSON can represent."""
    return [
        [pack_key(key), {status: [str(sums.units), str(sums.squares)] for status, sums in statuses.items()}]
        for key, statuses in table.items()
    ]


def unpack_money(rows: Iterable[Any]) -> MoneyTable:
    """Return the table that `pack_money` converted. Raise TypeError or ValueError for any other value."""
    return {
        unpack_key(key): {str(status): Sums(int(units), int(squares)) for status, (units, squares) in statuses.items()}
        for key, statuses in rows
    }


@mypyc_attr(acyclic=True)
class Money:
    """An observed amount in one currency, compared with the normal amount.

    The observed amount is exact. The normal amount is estimated: `spread` is its variance by chance. `shared` is the
    standard deviation that all buckets of an incident have in common, because the expected counts may be wrong.
    """

    __slots__ = ("currency", "expected", "seen", "shared", "spread", "volume")

    def __init__(
        self, currency: str, seen: float, expected: float, spread: float, shared: float, volume: float = 0.0
    ) -> None:
        self.currency = currency  # empty if the source has no currency
        self.seen = seen
        self.expected = expected
        self.spread = spread
        self.shared = shared
        self.volume = volume  # usual amount of all statuses in the same buckets; 0 if unknown

    @property
    def excess(self) -> float:
        """Return the amount above normal. It is negative below normal."""
        return self.seen - self.expected

    @property
    def error(self) -> float:
        """Return half the width of the 95 % interval of the amount above normal."""
        return TRUE_IN * sqrt(max(0.0, self.spread) + self.shared * self.shared)

    def plus(self, other: "Money") -> "Money":
        """Return the sum of two buckets' amounts of one currency."""
        return Money(
            self.currency, self.seen + other.seen, self.expected + other.expected, self.spread + other.spread,
            self.shared + other.shared, self.volume + other.volume,
        )  # fmt: skip

    def share(self) -> float:
        """Return the share of the usual amount of all statuses that is above or below normal, with 95 % certainty.

        It is 0 if the deviation may be zero, or if the usual amount is unknown.
        """
        return max(0.0, abs(self.excess) - self.error) / self.volume if self.volume > 0.0 else 0.0

    def numbers(self) -> list[float]:
        """Return all fields except the currency, for a state."""
        return [self.seen, self.expected, self.spread, self.shared, self.volume]

    def row(self) -> dict[str, object]:
        """Return the money as a JSON object."""
        row: dict[str, object] = {"currency": self.currency} if self.currency else {}
        excess, error = self.excess, self.error
        row |= {"seen": round(self.seen, 2), "expected": round(self.expected, 2), "excess": round(excess, 2)}
        return row | {"low": round(excess - error, 2), "high": round(excess + error, 2)}

    def text(self) -> str:
        """Return the money in words: `12,400 USD above normal (10,100 to 14,700)`."""
        excess, error = self.excess, self.error
        side = "above" if excess >= 0 else "below"
        ends = sorted((excess - error, excess + error)) if excess >= 0 else sorted((-excess - error, error - excess))
        places = 0 if max(abs(excess), error) >= 100 else 2
        name = f" {self.currency}" if self.currency else ""
        if abs(excess) <= error:
            return f"{excess:+,.{places}f}{name}, within normal variation"
        return f"{abs(excess):,.{places}f}{name} {side} normal ({ends[0]:,.{places}f} to {ends[1]:,.{places}f})"

    def __eq__(self, other: object) -> bool:
        """Return whether the other object has the same content."""
        return isinstance(other, Money) and self.currency == other.currency and self.numbers() == other.numbers()

    def __hash__(self) -> int:
        """Return a hash that agrees with __eq__."""
        return hash((self.currency, self.seen))


def pack_amounts(amounts: Iterable[Money]) -> list[object]:
    """Return amounts as values that JSON can represent."""
    return [[one.currency, *one.numbers()] for one in amounts]


def unpack_amounts(rows: Iterable[Any]) -> tuple[Money, ...]:
    """Return the amounts that `pack_amounts` converted. Raise TypeError or ValueError for any other value."""
    return tuple(
        [
            Money(str(currency), float(seen), float(expected), float(spread), float(shared), *map(float, volume))
            for currency, seen, expected, spread, shared, *volume in rows
        ]
    )


def money_text(amounts: Iterable[Money]) -> str:
    """Return amounts of several currencies in words. Currencies are never added up."""
    return ", ".join([one.text() for one in amounts])


def added(before: tuple[Money, ...], now: tuple[Money, ...]) -> tuple[Money, ...]:
    """Return the sums of two lists of amounts, currency by currency, largest first."""
    if not before:
        return now
    found = {one.currency: one for one in before}
    for one in now:
        known = found.get(one.currency)
        found[one.currency] = one if known is None else known.plus(one)
    return largest_first(found)


def largest_first(amounts: Mapping[str, Money]) -> tuple[Money, ...]:
    """Return amounts by currency as a list. The currency with the largest observed and expected amount is first."""
    some = list(amounts.values())
    some.sort(key=_size)
    return tuple(some)


def _size(one: Money) -> tuple[float, str]:
    return -max(abs(one.seen), one.expected), one.currency

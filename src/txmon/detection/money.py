"""What the transactions of a series are usually worth, in each currency, and how far from that a bucket is.

A status's usual money in a currency is its expected count times the mean amount per transaction:

    expected money = expected count * S / N

N counts the status's transactions, S sums their amounts in this currency, both with weights that halve every DAY. A
transaction in another currency, or without an amount that can be read, is one of N and has 0 in S. So the counts of the
verdict and the money rest on the same expectation.

The money of n transactions whose number is random has the variance E[n] E[x^2] + (Var[n] - E[n]) E[x]^2 (a compound
sum; Klugman, Panjer & Willmot, "Loss Models", section 9). The first term is chance, and independent from bucket to
bucket. The second is the error of the expected count, which all buckets of an incident may share. The assumption is
that amounts do not depend on each other or on the number of transactions.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

from mypy_extensions import mypyc_attr

from txmon.model.keys import TOTAL, Counts, Key, pack_key, unpack_key
from txmon.model.money import CURRENCY, SCALE, Money, MoneyTable, Sums, largest_first
from txmon.model.verdict import Verdict

HALF_LIFE: Final = 86400  # seconds: amounts have a shape over the day, and a mean over a day has none
MOST: Final = 200_000  # series whose amounts are remembered; beyond, those seen least recently are forgotten


@mypyc_attr(acyclic=True)
class Worth:
    """The amounts of one series so far."""

    __slots__ = ("by_currency", "count", "time")

    def __init__(self, time: int) -> None:
        self.time = time  # of the newest bucket in it, epoch seconds
        self.count = 0.0  # transactions, decayed
        self.by_currency: dict[str, list[float]] = {}  # sums of amounts and of their squares, decayed

    def fade(self, time: int) -> None:
        """Let what is known count less, to the bucket at `time`."""
        if time > self.time:
            factor = 0.5 ** ((time - self.time) / HALF_LIFE)
            self.count *= factor
            for sums in self.by_currency.values():
                sums[0] *= factor
                sums[1] *= factor
            self.time = time


class MoneyBook:
    """Learns what each series' transactions are worth, and values the verdicts that are not ok."""

    def __init__(self) -> None:
        self._known: dict[tuple[Key, str], Worth] = {}  # by key and status; seen least recently first

    def value(self, verdict: Verdict, money: MoneyTable) -> tuple[Money, ...]:
        """Return the money of a verdict's bucket beside what is normal, the largest currency first.

        Empty where no amount of the series is known.
        """
        worth = self._known.get((verdict.key, verdict.status))
        if worth is None or worth.count <= 0.0:
            return ()
        seen = _sums_of(money, verdict.key, verdict.status)
        found: dict[str, Money] = {}
        expected, variance = verdict.expected, verdict.relative_variance
        volumes = self._volumes(verdict)
        for currency, sums in worth.by_currency.items():
            mean, square = sums[0] / worth.count, sums[1] / worth.count
            now = seen.get(currency)
            units = 0 if now is None else now.units
            found[currency] = Money(
                currency,
                units / SCALE,
                expected * mean,
                expected * square,
                expected * abs(mean) * sqrt(variance),
                volumes.get(currency, 0.0),
            )
        for currency, now in seen.items():
            if currency not in found:
                found[currency] = Money(currency, now.units / SCALE, 0.0, 0.0, 0.0, volumes.get(currency, 0.0))
        return largest_first(found)

    def _volumes(self, verdict: Verdict) -> dict[str, float]:
        """Return what the verdict's bucket would usually be worth, by currency, given its transactions."""
        worth = self._known.get((verdict.key, TOTAL))
        if worth is None or worth.count <= 0.0:
            return {}
        many = max(verdict.total, verdict.expected)
        return {currency: many * abs(sums[0]) / worth.count for currency, sums in worth.by_currency.items()}

    def learn(
        self, time: int, counts: Counts, money: MoneyTable, verdicts: list[Verdict], whole: Mapping[str, int]
    ) -> None:
        """Learn from the bucket at `time`. A series that is not ok does not teach, but for one that is not known yet.

        counts, money: of the bucket. verdicts: on it. whole: its counts over all keys, which are a series too.
        """
        if not money:
            return
        odd = {(one.key, one.status) for one in verdicts if one.recommendation in ("alert", "pending")}
        by_key: dict[Key, dict[str, dict[str, Sums]]] = {}
        for key, statuses in money.items():
            series, currency = _place(key)
            for place in ((), series) if series else ((),):
                table = by_key.setdefault(place, {})
                for status, sums in statuses.items():
                    for name in (status, TOTAL):
                        table.setdefault(name, {}).setdefault(currency, Sums()).join(sums)
        for key, table in by_key.items():
            own = counts.get(key, {}) if key else whole
            for status, count in (*own.items(), (TOTAL, sum(own.values()))):
                if (key, status) not in odd or (key, status) not in self._known:
                    self._learn_one(time, key, status, count, table.get(status, {}))
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def _learn_one(self, time: int, key: Key, status: str, count: int, amounts: Mapping[str, Sums]) -> None:
        worth = self._known.pop((key, status), None)
        if worth is None:
            worth = Worth(time)
        self._known[key, status] = worth
        worth.fade(time)
        worth.count += count
        for currency, sums in amounts.items():
            known = worth.by_currency.setdefault(currency, [0.0, 0.0])
            known[0] += sums.units / SCALE
            known[1] += sums.squares / (SCALE * SCALE)

    def snapshot(self) -> list[object]:
        """Return all of it, as values of JSON."""
        rows: list[object] = []
        for (key, status), worth in self._known.items():
            amounts = [[name, *sums] for name, sums in worth.by_currency.items()]
            rows.append([pack_key(key), status, worth.time, worth.count, amounts])
        return rows

    def restore(self, state: list[Any]) -> None:
        """Restore what `snapshot` returned. Raise TypeError or ValueError if it is not valid."""
        self._known = {}
        for key, status, time, count, amounts in state:
            worth = self._known[unpack_key(key), str(status)] = Worth(int(time))
            worth.count = float(count)
            worth.by_currency = {str(name): [float(first), float(second)] for name, first, second in amounts}


def _place(key: Key) -> tuple[Key, str]:
    """Return the series and the currency of a key of a money table."""
    if key and key[-1][0] == CURRENCY:
        return key[:-1], key[-1][1]
    return key, ""


def _sums_of(money: MoneyTable, key: Key, status: str) -> dict[str, Sums]:
    """Return what a bucket has of one series, or of all of them under the key (), by currency."""
    found: dict[str, Sums] = {}
    for place, statuses in money.items():
        series, currency = _place(place)
        if key and series != key:
            continue
        for name, sums in statuses.items():
            if status in (name, TOTAL):
                found.setdefault(currency, Sums()).join(sums)
    return found

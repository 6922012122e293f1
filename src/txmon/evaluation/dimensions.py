"""Generates transactions with values in several columns, and incidents that affect only some of these values.

`issuer:10,merchant:500,code:8` gives each transaction one of ten issuers, one of 500 merchants and one of eight
response codes. A few values have most transactions. The columns are independent of each other, except that approved
transactions, and only those, have the code 00.
"""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Final, Literal

from txmon.errors import UsageError
from txmon.evaluation.incident_spec import IncidentSpec, changed_mean, resolve
from txmon.evaluation.simulate import Batch, Bucket, Simulation
from txmon.model.clock import iso
from txmon.support.frozen import frozen
from txmon.support.suggest import nearest

MOST_VALUES: Final = 1_000_000
MOST_COLUMNS: Final = 12
STEEP: Final = 0.8  # the value of rank r occurs r^-STEEP times as often as the first one
CODES: Final = (
    "00", "51", "05", "57", "91", "61", "54", "96", "14", "62", "65", "75", "41", "43", "13", "30", "58", "63", "68",
    "78", "82", "93", "12", "55",
)  # fmt: skip
CODE_COLUMNS: Final = ("code", "response_code", "auth_code")
PREFIXES: Final = {"issuer": "B", "merchant": "m", "terminal": "t", "acquirer": "A", "country": "C"}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
TAKEN: Final = ("time", "status", "id")
Values = tuple[str, ...]


@frozen
class Dimension:
    """A column and its values, the most frequent first."""

    name: str
    values: Values

    @property
    def is_code(self) -> bool:
        """Return whether the values are response codes."""
        return self.name in CODE_COLUMNS

    def pool(self, status: str) -> Values:
        """Return the values that transactions of a status can have."""
        if not self.is_code:
            return self.values
        return self.values[:1] if status == "approved" else self.values[1:]

    def share(self, status: str, value: str) -> float:
        """Return the share (0 to 1) of a status's transactions with this value."""
        pool = self.pool(status)
        if value not in pool:
            return 0.0
        every = sum([float(rank + 1) ** -STEEP for rank in range(len(pool))])
        return float((pool.index(value) + 1.0) ** -STEEP / every)


def parse_dimensions(text: str) -> tuple[Dimension, ...]:
    """Return the columns that `issuer:10,code:8` describes. Raise UsageError if the text is not valid."""
    found: list[Dimension] = []
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        if not _NAME.fullmatch(name) or not colon or not number.isdecimal() or len(number) > 7:
            raise UsageError(f"--dimensions {part!r} is not COLUMN:N. Use for example issuer:10,merchant:500,code:8.")
        if name in TAKEN or name in [one.name for one in found]:
            raise UsageError(f"--dimensions: there is a column {name!r} already. Choose another name.")
        found.append(Dimension(name, _values(name, int(number))))
    if len(found) > MOST_COLUMNS:
        raise UsageError(f"--dimensions names {len(found)} columns. At most {MOST_COLUMNS} are possible.")
    return tuple(found)


def _values(name: str, number: int) -> Values:
    if name in CODE_COLUMNS:
        if not 2 <= number <= len(CODES):
            raise UsageError(f"--dimensions {name}:{number}: there are 2 to {len(CODES)} response codes.")
        return CODES[:number]
    if not 1 <= number <= MOST_VALUES:
        raise UsageError(f"--dimensions {name}:{number}: a column has 1 to {MOST_VALUES} values.")
    prefix = PREFIXES.get(name, name[0].upper())
    return tuple([f"{prefix}{rank}" for rank in range(1, number + 1)])


def check_where(specs: tuple[IncidentSpec, ...], dimensions: tuple[Dimension, ...]) -> None:
    """Raise UsageError if an incident affects a column or a value that the stream does not have."""
    by_name = {one.name: one for one in dimensions}
    for spec in specs:
        for column, value in spec.where:
            if not dimensions:
                raise UsageError(f"incident {spec.text!r}: `where` needs --events and --dimensions {column}:N")
            known = by_name.get(column)
            if known is None:
                raise UsageError(
                    f"incident {spec.text!r}: no column {column!r} in --dimensions{nearest(column, by_name)}"
                )
            if value not in known.values:
                shown = f"{known.values[0]} to {known.values[-1]}" if not known.is_code else ", ".join(known.values)
                raise UsageError(f"incident {spec.text!r}: {column} has no value {value!r}. It has {shown}.")


def dimension_batches(
    simulation: Simulation, kind: Literal["csv", "jsonl"], dimensions: tuple[Dimension, ...]
) -> Iterator[Batch]:
    """Yield a row per transaction, in order of time, with a value of each column."""
    fields = ("time", "status", "id", *(one.name for one in dimensions))
    stream = _Stream(simulation, dimensions)
    if kind == "csv":
        yield Batch(simulation.start, ",".join(fields) + "\n")
    for bucket in stream.everywhere.buckets():
        rows = stream.rows(bucket)
        if kind == "csv":
            text = "".join([",".join(row) + "\n" for row in rows])
        else:
            text = "".join([json.dumps(dict(zip(fields, row, strict=True))) + "\n" for row in rows])
        yield Batch(bucket.begin + simulation.width, text)


class _Stream:
    """Draws the transactions of one bucket after the other."""

    def __init__(self, simulation: Simulation, dimensions: tuple[Dimension, ...]) -> None:
        everywhere = tuple([spec for spec in simulation.incidents if not spec.where])
        self.everywhere = Simulation(
            simulation.start, simulation.days, simulation.peak, simulation.seed, simulation.width, everywhere
        )
        self._somewhere = [(spec, resolve(spec, simulation.start)) for spec in simulation.incidents if spec.where]
        self._dimensions = dimensions
        self._weights: dict[tuple[str, int], list[float]] = {}

    def rows(self, bucket: Bucket) -> list[Values]:
        """Return the rows of a bucket: time, status, id and the values."""
        begin, width = bucket.begin, self.everywhere.width
        # Random hashes a text seed in the same way on every machine
        rng = Random(f"{self.everywhere.seed}/{begin}/dimensions")
        drawn: list[tuple[int, str, Values]] = []
        for status, count in bucket.counts:
            drawn += self._draw(rng, status, count, {})
        for spec, span in self._somewhere:
            low, high = max(begin, span[0]), min(begin + width, span[1])
            if low < high:
                drawn = self._change(rng, drawn, spec, span, begin)
        drawn.sort(key=lambda one: one[0])
        return [
            (iso(begin + second), status, f"{begin:08x}{number:05x}", *values)
            for number, (second, status, values) in enumerate(drawn)
        ]

    def _draw(self, rng: Random, status: str, count: int, fixed: dict[str, str]) -> list[tuple[int, str, Values]]:
        if not count:
            return []
        columns: list[list[str]] = []
        for one in self._dimensions:
            if one.name in fixed:
                columns.append([fixed[one.name]] * count)
                continue
            pool = one.pool(status)
            weights = self._weights.get((one.name, len(pool)))
            if weights is None:
                weights = list(accumulate([rank**-STEEP for rank in range(1, len(pool) + 1)]))
                self._weights[one.name, len(pool)] = weights
            columns.append(rng.choices(pool, cum_weights=weights, k=count))
        width = self.everywhere.width
        return [(rng.randrange(width), status, values) for values in zip(*columns, strict=True)]

    def _change(
        self,
        rng: Random,
        drawn: list[tuple[int, str, Values]],
        spec: IncidentSpec,
        span: tuple[int, int],
        begin: int,
    ) -> list[tuple[int, str, Values]]:
        """Add the transactions of an incident to its values, or remove those that it prevents."""
        fixed = dict(spec.where)
        places = [(i, fixed[one.name]) for i, one in enumerate(self._dimensions) if one.name in fixed]
        for status in sorted({status for _, status, _ in drawn} | ({spec.status} - {"*"})):
            if not spec.touches(status):
                continue
            usual = self.everywhere.mean(begin, status)
            for one in self._dimensions:
                if one.name in fixed:
                    usual *= one.share(status, fixed[one.name])
            now = changed_mean(spec, span, begin, status, usual, self.everywhere.width)
            if now >= usual:
                drawn += self._draw(rng, status, _poisson(rng, now - usual), fixed)
                continue
            kept = now / usual
            drawn = [
                one
                for one in drawn
                if one[1] != status or any(one[2][i] != value for i, value in places) or rng.random() < kept
            ]
        return drawn


def _poisson(rng: Random, mean: float) -> int:
    """Return a Poisson number, drawn from the gaps between its events."""
    if mean > 500.0:
        return max(0, round(rng.gauss(mean, mean**0.5)))
    count, passed = -1, 0.0
    while passed < mean:
        passed += rng.expovariate(1.0)
        count += 1
    return max(0, count)

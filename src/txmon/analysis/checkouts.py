"""Finds hours of a day that are not normal, references that are odd, and questions that the data cannot answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from txmon.errors import BadData, UsageError
from txmon.ingest.checkouts import Checkouts
from txmon.support.suggest import nearest

if TYPE_CHECKING:
    import numpy as np

    from txmon.analysis.checkout_model import Floats, Model, Prediction

FALSE_RATE: Final = (
    0.03  # of Benjamini and Hochberg; tests/analysis/test_analyze.py measures what it does to quiet days
)
DOUBTFUL: Final = 0.05  # largest p of a single hour that is worth a look but is not a finding
ALIKE: Final = 0.05  # smallest p at which two days' hours count as alike
OFTEN_MEANT: Final = (28, 7, 30, 31, 14, 90)  # days of a mean whose name does not give them
MONTHS: Final = (28, 30, 31)

Direction = Literal["below", "above"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that the day is compared with."""

    name: str
    days: int  # days in the mean; 1 for a single day
    level: float  # level against the reference over most days
    peaks: tuple[int, ...]  # its three busiest hours
    odd: tuple["Run", ...]  # hours in which it differs from the other references


@dataclass(frozen=True, slots=True)
class Hour:
    """The judgement of one hour of the day."""

    hour: int
    seen: float
    expected: float  # at the day's own level
    low: float  # of the 95 % predictive interval
    high: float
    z: float  # standard deviations
    p: float  # share of normal days with a deviation at least as large in this hour
    q: float  # p adjusted for all hours of the day
    references: tuple[float, ...]  # count in each reference, in the order of the references
    finding: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent hours that deviate in the same direction: one event."""

    direction: Direction
    hours: tuple[int, ...]  # ascending, without gaps
    seen: float  # sum over the hours
    expected: float
    low: float  # expected sum minus the root of the summed squared deviations, for independent hours
    high: float
    q: float  # of the hour with the smallest q
    against: Mapping[str, float]  # reference -> seen minus the reference, transactions


@dataclass(frozen=True, slots=True)
class Alike:
    """An hour far from the averages that is similar in a single reference day. It is not a finding, but is reported."""

    hour: int
    seen: float
    average: float
    like: Mapping[str, float]  # reference -> its count
    p: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis of one day."""

    source: str
    observed: str  # the analyzed column
    references: tuple[Reference, ...]
    hours: tuple[Hour, ...]
    pace: float  # level of the day against the reference over most days
    pace_is_bounded: bool  # whether the day is busier or quieter than the model allows
    dispersion: float  # overdispersion: variance = mean + dispersion x mean^2
    evidence: int  # hours of references used to estimate it; 0 if it is assumed
    false_rate: float
    findings: tuple[Run, ...]  # worst first
    doubtful: tuple[Hour, ...]  # hours with p below 5 % that are not findings
    alike: tuple[Alike, ...]
    blind: tuple[int, ...]  # hours so small that even a count of 0 would not be a finding


def analyze_checkouts(
    table: Checkouts,
    observed: str | None = None,
    references: Sequence[str] = (),
    false_rate: float = FALSE_RATE,
) -> Analysis:
    """Return the analysis of one column of `table` against others.

    observed: the column to analyze; by default `today`, else the first. references: `name` or `name:days`; by default
    all others. false_rate: share of findings that may be false, 0 to 0.5. Raise UsageError for a missing column,
    BadData if nothing can be judged.
    """
    import numpy as np

    name = _observed(table, observed)
    days = _references(table, name, references)
    counts = np.array(table.columns[name])
    if any(value != int(value) for value in table.columns[name]):
        raise BadData(
            f"{table.source}: {name} contains means, not counts of one day. Choose another column with --observed"
        )
    values = np.array([table.columns[reference] for reference in days])
    if not values.sum():
        raise BadData(f"{table.source}: every reference is 0 all day")
    model, odd = _model(table, list(days), values, np.array(list(days.values()), dtype=np.float64), false_rate)
    from txmon.analysis.checkout_model import STRETCH, judge, tests_a_day

    prediction, q = judge(model, counts, false_rate)
    hours = tuple(
        Hour(
            hour, float(counts[n]), float(prediction.expected[n]), float(prediction.low[n]), float(prediction.high[n]),
            float(prediction.z[n]), float(prediction.p[n]), q[n], tuple(map(float, values[:, n])), q[n] <= false_rate,
        )
        for n, hour in enumerate(table.hours)
    )  # fmt: skip
    found = runs(hours, list(days))
    limits = (float(model.levels.min()) / STRETCH, float(model.levels.max()) * STRETCH)
    return Analysis(
        table.source, name, _described(table, days, model, odd), hours, prediction.level,
        not limits[0] * 1.001 < prediction.level < limits[1] * 0.999, model.dispersion, model.evidence, false_rate,
        found, tuple(h for h in hours if h.p < DOUBTFUL and not h.finding), _alike(table, days, hours),
        tuple(h for n, h in enumerate(table.hours) if prediction.p_if_none[n] > false_rate / tests_a_day(len(hours))),
    )  # fmt: skip


def runs(hours: Sequence[Hour], references: Sequence[str]) -> tuple[Run, ...]:
    """Return the findings among `hours`, adjacent ones in the same direction together, largest deviation first."""
    found: list[Run] = []
    group: list[Hour] = []
    for hour in [*hours, None]:
        last = group[-1] if group else None
        if last is not None and (
            hour is None or not hour.finding or hour.hour != last.hour + 1 or (hour.z > 0) != (last.z > 0)
        ):
            found.append(_run(group, references))
            group = []
        if hour is not None and hour.finding:
            group.append(hour)
    return tuple(sorted(found, key=lambda run: -abs(run.seen - run.expected)))


def _run(group: Sequence[Hour], references: Sequence[str]) -> Run:
    seen, expected = sum(h.seen for h in group), sum(h.expected for h in group)
    against = {name: seen - sum(h.references[n] for h in group) for n, name in enumerate(references)}
    # the deviations of the hours are added as independent ones
    low = max(0.0, expected - sum((h.expected - h.low) ** 2 for h in group) ** 0.5)
    high = expected + sum((h.high - h.expected) ** 2 for h in group) ** 0.5
    direction: Direction = "above" if group[0].z > 0 else "below"
    return Run(direction, tuple(h.hour for h in group), seen, expected, low, high, min(h.q for h in group), against)


def _model(
    table: Checkouts,
    names: Sequence[str],
    values: "Floats",
    days: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    rate: float,
) -> "tuple[Model, dict[str, tuple[Run, ...]]]":
    """Return the model of all references without their odd hours, and these odd hours."""
    import numpy as np

    from txmon.analysis.checkout_model import Model, fit, judge

    model = fit(values, days)
    use = np.ones_like(values)
    odd: dict[str, tuple[Run, ...]] = {}
    base = float(days.max())
    for j, name in enumerate(names):
        others = [n for n in range(len(names)) if n != j]
        # all others are compared with the mean over most days; of two single days, the odd one is unknown
        if len(names) < 3 or days[j] == base:
            continue
        without = fit(values[others], days[others])
        others_model = Model(without.profile, without.weight, without.levels, model.dispersion, model.evidence)
        prediction, q = judge(others_model, values[j], rate, float(days[j]))
        odd[name] = runs(_as_hours(table, values[j], prediction, q, rate), ())
        use[j] = [value > rate for value in q]
    return (model if use.all() else fit(values, days, use)), odd


def _as_hours(table: Checkouts, seen: "Floats", of: "Prediction", q: Sequence[float], rate: float) -> list[Hour]:
    return [
        Hour(hour, float(seen[n]), float(of.expected[n]), float(of.low[n]), float(of.high[n]), float(of.z[n]),
             float(of.p[n]), q[n], (), q[n] <= rate)
        for n, hour in enumerate(table.hours)
    ]  # fmt: skip


def _observed(table: Checkouts, asked: str | None) -> str:
    names = list(table.columns)
    if asked is None:
        return "today" if "today" in names else names[0]
    if asked.lower() not in names:
        raise UsageError(f"{table.source}: no column {asked!r}{nearest(asked, names)}; columns: {', '.join(names)}")
    return asked.lower()


def _references(table: Checkouts, observed: str, asked: Sequence[str]) -> dict[str, int]:
    """Return the references, and the number of days that each is a mean of."""
    found: dict[str, int] = {}
    names = [name for name in table.columns if name != observed]
    for text in asked or names:
        name, colon, days = text.partition(":")
        name = name.strip().lower()
        if name not in names:
            raise UsageError(f"{table.source}: no column {name!r}{nearest(name, names)}; columns: {', '.join(names)}")
        if colon and not (days.isascii() and days.isdigit() and 0 < int(days) <= 3660):
            raise UsageError(f"--reference {text!r}: the days of a mean are a whole number from 1 to 3660")
        found[name] = int(days) if colon else mean_of(name, table.columns[name])
    return found


def mean_of(name: str, values: Sequence[float]) -> int:
    """Return how many days a column is a mean of, from its name and from the fractions of its values.

    A column of whole numbers is a single day. `avg...month` may be 28, 30 or 31 days: the number whose fractions fit.
    """
    if all(value == int(value) for value in values):
        return 1
    if "week" in name:
        return 7
    stated = re.search(r"(\d+)", name)
    if stated and 0 < int(stated[1]) <= 3660:
        return int(stated[1])
    candidates = MONTHS if "month" in name else OFTEN_MEANT
    return max(candidates, key=lambda days: sum(_is_fraction(value, days) for value in values) - days / 1000)


def _is_fraction(value: float, days: int) -> bool:
    """Return whether `value` times `days` is a whole number, with `value` cut or rounded to two decimals."""
    nearest_whole = round((value + 0.004) * days)
    return -0.0051 <= nearest_whole / days - value <= 0.0101


def _described(
    table: Checkouts, days: Mapping[str, int], model: "Model", odd: Mapping[str, tuple[Run, ...]]
) -> tuple[Reference, ...]:
    found = []
    for n, (name, count) in enumerate(days.items()):
        values = table.columns[name]
        peaks = sorted(range(len(values)), key=lambda i: (-values[i], i))[:3]
        busiest = tuple(table.hours[i] for i in peaks)
        found.append(Reference(name, count, float(model.levels[n]), busiest, odd.get(name, ())))
    return tuple(found)


def _alike(table: Checkouts, days: Mapping[str, int], hours: Sequence[Hour]) -> tuple[Alike, ...]:
    """Return the hours that deviate from the averages but resemble a single reference day."""
    from math import sqrt

    means = [n for n, count in enumerate(days.values()) if count > 1]
    singles = [(n, name) for n, (name, count) in enumerate(days.items()) if count == 1]
    found = []
    for hour in hours:
        if hour.finding or not means:
            continue
        average = max((hour.references[n] for n in means), key=lambda value: -abs(hour.seen - value))
        surprise = _two_sided(hour.seen, average)
        if surprise >= 0.002:
            continue
        # the difference of two Poisson counts is close to normal at these sizes, with the sum of their variances
        like = {
            name: hour.references[n]
            for n, name in singles
            if _two_sided_z((hour.seen - hour.references[n]) / sqrt(max(1.0, hour.seen + hour.references[n]))) > ALIKE
        }
        if like:
            found.append(Alike(hour.hour, hour.seen, average, like, hour.p))
    return tuple(found)


def _two_sided(seen: float, mean: float) -> float:
    from scipy.special import pdtr, pdtrc

    mean = max(mean, 0.05)
    return float(min(1.0, 2 * min(pdtr(seen, mean), pdtrc(seen - 1, mean) if seen > 0 else 1.0)))


def _two_sided_z(z: float) -> float:
    from math import erfc, sqrt

    return erfc(abs(z) / sqrt(2))

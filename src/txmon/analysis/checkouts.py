"""Findings in a day by the hour: which hours are not normal, which reference is odd, and what nobody can know."""

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
DOUBTFUL: Final = 0.05  # p of a single hour worth a look, though not a finding
ALIKE: Final = 0.05  # p above which two days' hours are alike
OFTEN_MEANT: Final = (28, 7, 30, 31, 14, 90)  # days that a mean is over, where its name does not say
MONTHS: Final = (28, 30, 31)

Direction = Literal["below", "above"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that the day is held against."""

    name: str
    days: int  # that it is a mean of; 1: a single day
    level: float  # how busy it is against the reference over most days
    peaks: tuple[int, ...]  # its three busiest hours
    odd: tuple["Run", ...]  # hours in which it is not like the others


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the day judged."""

    hour: int
    seen: float
    expected: float  # at the day's own pace
    low: float  # of the 95 % predictive interval
    high: float
    z: float  # standard deviations
    p: float  # how often a normal day has this hour as far out
    q: float  # p adjusted for all hours of the day
    references: tuple[float, ...]  # what each had, in their order
    finding: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Hours next to each other that are out in the same direction: one event."""

    direction: Direction
    hours: tuple[int, ...]  # ascending, without gap
    seen: float  # sums over the hours
    expected: float
    low: float  # summed as independent hours: expected, less and more the root of the summed squares
    high: float
    q: float  # of the most surprising hour
    against: Mapping[str, float]  # reference -> seen less what it had, transactions


@dataclass(frozen=True, slots=True)
class Alike:
    """An hour far from the averages that a single day of the references had too: no finding, and said so."""

    hour: int
    seen: float
    average: float
    like: Mapping[str, float]  # reference -> what it had
    p: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that can be said of one day."""

    source: str
    observed: str  # the column judged
    references: tuple[Reference, ...]
    hours: tuple[Hour, ...]
    pace: float  # of the day against the reference over most days
    pace_is_bounded: bool  # the day is busier or quieter than every reference allows
    dispersion: float  # overdispersion: variance = mean + dispersion x mean^2
    evidence: int  # hours of references behind it; 0: assumed
    false_rate: float
    findings: tuple[Run, ...]  # worst first
    doubtful: tuple[Hour, ...]  # p below 5 %, not enough for a finding
    alike: tuple[Alike, ...]
    blind: tuple[int, ...]  # hours so small that no sale at all in one of them would be no finding


def analyze_checkouts(
    table: Checkouts,
    observed: str | None = None,
    references: Sequence[str] = (),
    false_rate: float = FALSE_RATE,
) -> Analysis:
    """Return the analysis of one column of `table` against others.

    observed: the column judged; by default `today`, else the first. references: `name` or `name:days`; by default all
    others. false_rate: share of findings that may be false, 0 to 0.5. Raises UsageError for a column that is not
    there, BadData where nothing can be judged.
    """
    import numpy as np

    name = _observed(table, observed)
    days = _references(table, name, references)
    counts = np.array(table.columns[name])
    if any(value != int(value) for value in table.columns[name]):
        raise BadData(f"{table.source}: {name} holds means, not counts of one day; --observed names another column")
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
    """The findings among `hours`, neighbours in the same direction as one; the most transactions out come first."""
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
    # the hours' deviations are added as if each were its own
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
    """Return the model of all references without their odd hours, and those hours."""
    import numpy as np

    from txmon.analysis.checkout_model import Model, fit, judge

    model = fit(values, days)
    use = np.ones_like(values)
    odd: dict[str, tuple[Run, ...]] = {}
    base = float(days.max())
    for j, name in enumerate(names):
        others = [n for n in range(len(names)) if n != j]
        # the mean over most days is what the others are held against; of two single days nobody knows which is odd
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
    """Return the references and the days that each is a mean of."""
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
    """Return how many days a column is a mean of: by its name, and by which fractions its values are.

    Whole numbers all day are a single day. `avg...month` may be 28, 30 or 31 days: the one whose fractions fit.
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
    """Return whether `value` is a whole number over `days`, cut or rounded to two decimals."""
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
    """Hours that the averages alone would call odd, and a single day does not."""
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
        # two Poisson counts differ by a normal with the variance of their sum, near enough at these sizes
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

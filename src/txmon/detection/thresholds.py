"""How a detector is set, and what that asks of a series before it alerts."""

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from txmon.detection.normal import upper_quantile, upper_tail
from txmon.model.keys import TOTAL
from txmon.model.scores import Thresholds
from txmon.model.statuses import SUCCESS, role_of
from txmon.support.frozen import frozen

# Effective independent tests a series makes in a bucket: its windows overlap, its gates hold much back, and alarms in
# a row are one. Measured on clean streams at 3 to 4 sigmas (docs/methods.md).
TESTS_A_BUCKET: Final = 0.3
WORST_TAIL: Final = 1e-3  # no budget is so large that less than 3.1 sigmas alert: nearer, models err more than counts
LEAST_TAIL: Final = 1e-12  # of a threshold that someone set very high
DAY: Final = 86400
YEAR: Final = 365.25  # days
RAREST: Final = 1e-6  # a year: no model of counts is right about less


@frozen
class DetectorConfig:
    """How the detector judges. Durations are in seconds."""

    bucket: int = 60
    half_life: float = 900.0  # of the volume's level
    mix_half_life: float = 7200.0  # of a status's share in the volume
    warmup: float = 1800.0
    sigma: float | None = None  # score that alerts; None: from the budget
    budget: float = 1 / 7  # false alarms a day over all series, windows and directions
    min_count: int = 3  # transactions in a window, below which nothing alerts
    min_ratio: float = 1.5  # seen over expected (or expected over seen), below which nothing alerts
    min_counts: Mapping[str, int] = field(default_factory=dict)  # by status, instead of min_count
    min_ratios: Mapping[str, float] = field(default_factory=dict)
    directions: Mapping[str, str] = field(default_factory=dict)  # by status: above, below, both
    role: Mapping[str, str] = field(default_factory=dict)  # by status, before those of model.statuses
    level_shift: float = 7200.0  # a deviation that lasted this long is the new normal
    idle: float = 86400.0  # a key without a transaction for this long is forgotten
    max_series: int = 2_000_000  # beyond, the keys seen least recently are forgotten
    explain: bool = False  # say in every bucket's text which statuses make it odd
    rowless: bool = False  # give the verdicts of statuses without a row too
    pooled: bool = True  # rare series of one status share what their scores taught; not where others have some of them


def tests_a_day(config: DetectorConfig, series: int) -> float:
    """Return how many independent tests so many series make in a day."""
    return max(1, series) * TESTS_A_BUCKET * DAY / config.bucket


def rarity_of(tail: float, tests: float) -> float:
    """Return how many false alarms to expect in a year of so many tests a day, each with probability `tail`."""
    return max(RAREST, tail * tests * YEAR)


def sigma_for(config: DetectorConfig, series: int) -> float:
    """Return the score that alerts among so many series: as given, or such that all of them keep to the budget."""
    if config.sigma is not None:
        return config.sigma
    return upper_quantile(min(WORST_TAIL, config.budget / tests_a_day(config, series)))


def thresholds_for(config: DetectorConfig, sigma: float, status: str) -> Thresholds:
    """Return what a series of this status must exceed."""
    good = status == TOTAL or role_of(status, config.role) == SUCCESS
    usual_direction = "below" if good else "above"
    return Thresholds(
        sigma,
        config.min_counts.get(status, config.min_count),
        config.min_ratios.get(status, config.min_ratio),
        config.directions.get(status, usual_direction),
    )


def raised(gates: Thresholds, ratio: float) -> Thresholds:
    """Return the same gates for a series whose scores reach so many times as far as the model's."""
    if ratio <= 1.0:
        return gates
    return Thresholds(gates.sigma * ratio, gates.min_count, gates.min_ratio, gates.direction)


class ThresholdTable:
    """What each status must exceed among so many series."""

    __slots__ = ("_config", "_known", "_series", "_tests", "sigma", "tail")

    def __init__(self, config: DetectorConfig) -> None:
        self._config = config
        self._series = -1
        self._tests = 0.0  # that all series make in a day
        self.sigma = 0.0  # the score that alerts
        self.tail = 0.5  # its probability where scores are normal
        self._known: dict[str, Thresholds] = {}

    def share(self, series: int) -> None:
        """Let so many series share the budget."""
        if series != self._series:
            self._series = series
            self._tests = tests_a_day(self._config, series)
            self.sigma = sigma_for(self._config, series)
            self.tail = max(LEAST_TAIL, upper_tail(self.sigma))
            self._known.clear()

    def rarity(self, score: float, tail: float = 0.0) -> float:
        """Return how many false alarms a year to expect over all series if each alerted at `score` sigmas.

        tail: how probable the score is by what the series' own tail has seen, where that is more than a normal's.
        """
        return rarity_of(max(upper_tail(abs(score)), tail), self._tests)

    def of(self, status: str) -> Thresholds:
        """Return what a series of this status must exceed."""
        found = self._known.get(status)
        if found is None:
            found = self._known[status] = thresholds_for(self._config, self.sigma, status)
        return found

"""What is normal for one series: a discounted level, a MAD dispersion, and the sums that are judged against them.

Plain typed Python on scalars: mypyc compiles this module when a wheel is built, and the same source runs interpreted
where there is no compiler. Nothing here knows of statuses, clocks or verdicts.

Counts are modelled as a discounted gamma-Poisson process (Smith 1979; West & Harrison 1997, ch. 10.8): `events` seen
over `exposure`, both forgotten at the same rate, so that `events / exposure` is an EWMA whose gain is 1/n at first and
1 - discount later, and `events` is how much evidence stands behind it.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Final

from mypy_extensions import i64, mypyc_attr

from txmon.detection.pulses import Pulses
from txmon.detection.tails import SNAPSHOT_LENGTH as TAIL_LENGTH
from txmon.detection.tails import Tail
from txmon.detection.window import KEPT, MOST, Ring, Wide, empty_ring, push, rest15, sum5, sums_of, unpacked

NORMAL_MAD: Final = 0.6744897501960817  # median of |Z| for a standard normal Z
CLIP: Final = 2.5  # innovations beyond this many standard deviations teach no more than this
BLOCK: Final = 8.0  # transactions expected before a residual is worth a look: below, a median is all discreteness
RARE: Final = 1.0  # transactions expected in a bucket, below which squares are looked at
BLOCK_SQUARES: Final = 4.0  # transactions expected whose squares are worth a look
FASTER: Final = 1.4  # times the gain where a block is quieter than usual
SQUARES_CLIP: Final = 16.0  # times the variance: the limit of a square
SQUARES_FLOOR: Final = 64.0  # but a single cluster of eight transactions is always believed
MAD_FIRST: Final = 1.0  # over the residuals seen: the gain of the first ones, which know nothing better
MAD_MOST: Final = 0.1  # that it is
EPISODE: Final = 5  # buckets of alerts, after which a dispersion waits for the end
MAD_GAIN: Final = 0.03  # how far one residual moves the median; its memory is about 1/gain residuals
MIN_DISPERSION: Final = 1.25  # a quarter over a Poisson's, to which no real feed keeps
MIN_OF_KEYS: Final = 1.1  # of a key's series: thousands share the budget, and their thresholds are high enough
MAX_DISPERSION: Final = 400.0
MAX_CLUSTERED: Final = 16.0  # of a rare series: beyond, its clusters are incidents and not how it comes
PRIOR_EVENTS: Final = 0.5  # Jeffreys' prior for a Poisson rate: a series without events is rare, not impossible
LEAST_EVIDENCE: Final = 10.0  # events that no silence takes from a level
SLOPE_DAMPING: Final = 0.995  # a bucket: a trend that nothing confirms is gone in hours
MAX_SLOPE: Final = 0.02
MAX_INNOVATION: Final = 0.3  # of the level: a shop that opens is a step, not a slope that goes on
OLD_LENGTH: Final = 39  # numbers of a baseline's state, before the pace of its dispersion and its tail were part of it
LENGTHS: Final = (OLD_LENGTH, OLD_LENGTH + 1, OLD_LENGTH + 2, OLD_LENGTH + 1 + TAIL_LENGTH)
MOST_PACES: Final = 64  # remembered; a detector has two


@mypyc_attr(acyclic=True)
class Pace:
    """How quickly series of one kind forget and follow: one for all of them."""

    __slots__ = ("discount", "least", "trend_gain")

    def __init__(self, discount: float, trend_gain: float, least: float) -> None:
        self.discount = discount
        self.trend_gain = trend_gain
        self.least = least  # dispersion


_paces: Final[dict[tuple[float, float, float], Pace]] = {}


def pace_of(discount: float, trend_gain: float, least: float) -> Pace:
    """The pace with these three, made once."""
    found = _paces.get((discount, trend_gain, least))
    if found is None:
        if len(_paces) >= MOST_PACES:
            _paces.clear()
        found = _paces[discount, trend_gain, least] = Pace(discount, trend_gain, least)
    return found


def rate_of(events: float, exposure: float) -> float:
    """Events expected for an exposure of one, where so many were seen over `exposure`; 0 where that is 0."""
    return (events + PRIOR_EVENTS) / exposure if exposure > 0.0 else 0.0


@mypyc_attr(acyclic=True)
class Baseline:
    """The learned normal of one series and its last fifteen buckets, in 240 bytes.

    `exposure` is what the events are counted over: buckets for a volume, transactions for a status's share of them.
    """

    __slots__ = (
        "_middle",
        "_newer",
        "_older",
        "_wide",
        "alerting",
        "block_count",
        "block_mean",
        "blocks",
        "events",
        "expectations",
        "exposure",
        "median",
        "pace",
        "pulses",
        "slope",
        "tail",
    )  # fmt: skip

    def __init__(self, discount: float, trend_gain: float = 0.0, least: float = MIN_DISPERSION) -> None:
        """A baseline that forgets at `discount` a bucket (0 < discount < 1) and knows nothing yet.

        trend_gain: what of an innovation moves the slope of the level, 0..1; 0 keeps the level flat. least: the
        dispersion that it has at least.
        """
        self.pace = pace_of(discount, trend_gain, least)
        self.slope = 0.0  # of the level, as a share of it a bucket
        self.events = 0.0
        self.exposure = 0.0
        self.median = NORMAL_MAD  # of the absolute Pearson residuals
        self.blocks = 0.0  # residuals that moved it, as far as the gain depends on them
        self.block_count = 0.0
        self.block_mean = 0.0
        self.expectations: Ring = empty_ring()
        # the counts, five a word; in a ring of their own from the first one that is not small and whole until they are
        # forgotten
        self._newer: i64 = 0
        self._middle: i64 = 0
        self._older: i64 = 0
        self._wide: Wide | None = None
        self.alerting = 0  # buckets since the series last was quiet, 0 when it is
        self.pulses: Pulses | None = None  # what recurs in it, once a bucket was odd
        self.tail: Tail | None = None  # how far its scores reach, once one was beyond what is usual

    def rate(self) -> float:
        """Events expected for an exposure of one; 0 before anything was learned."""
        return rate_of(self.events, self.exposure)

    def doubt_level(self, exposure: float) -> None:
        """Let what is known of the level count for this exposure at most, so that it is soon learned anew."""
        if self.exposure > exposure:
            self.events *= exposure / self.exposure
            self.exposure = exposure

    def dispersion(self) -> float:
        """Variance over mean (>= 1), from the median absolute Pearson residual."""
        scale = self.median / NORMAL_MAD
        found = scale * scale
        if found < self.pace.least:
            return self.pace.least
        return found if found < MAX_DISPERSION else MAX_DISPERSION

    def disperse(self, dispersion: float) -> None:
        """Take this for the variance over the mean."""
        self.median = NORMAL_MAD * sqrt(dispersion)

    def excess(self, mean: float) -> float:
        """Squared relative error of a count with this mean: overdispersion, and the level's own uncertainty."""
        return (self.dispersion() - 1.0) / mean + self.doubt()

    def doubt(self) -> float:
        """Squared relative error of the level itself: less, the more events are behind it."""
        return 1.0 / (self.events + PRIOR_EVENTS)

    def grow(self, factor: float) -> None:
        """Move the level to `factor` times what it was: the season says that this is due."""
        self.events *= factor

    def forget(self) -> None:
        """Let a bucket pass that teaches nothing: the level stays, and less evidence stands behind it.

        So much is left that an empty bucket remains improbable where transactions were due: silence goes on.
        """
        if self.events > LEAST_EVIDENCE:
            rate = self.rate()
            self.events = max(LEAST_EVIDENCE, self.events * self.pace.discount)
            # not the exposure times the discount: the prior's events would be over less and less of it
            self.exposure = (self.events + PRIOR_EVENTS) / rate

    def learn(self, count: float, exposure: float, weight: float = 1.0, warm: bool = True) -> None:
        """Move the level and the dispersion towards `count` events over `exposure`; `weight` 0..1 slows both."""
        if exposure <= 0.0:
            return
        if self.exposure > 0.0:
            mean = self.rate() * exposure
            if warm and self.alerting <= EPISODE:  # an incident's own spread is not the series' own
                self._learn_dispersion(count, mean, weight)
            reach = CLIP * sqrt(mean + self.excess(mean) * mean * mean) + 1.0  # one event is never an outlier
            count = min(mean + reach, max(mean - reach, count))
            if self.pace.trend_gain > 0.0:
                self._learn_slope((count - mean) / (mean + 1.0), weight)
        keep = self.pace.discount if weight == 1.0 else exp(log(self.pace.discount) * weight)
        self.events = keep * self.events + weight * count
        self.exposure = keep * self.exposure + weight * exposure
        if self.slope != 0.0:
            self.events *= 1.0 + self.slope

    def _learn_slope(self, innovation: float, weight: float) -> None:
        """Holt's second smoothing (1957), damped, on the innovation as a share of the level."""
        innovation = min(MAX_INNOVATION, max(-MAX_INNOVATION, innovation))
        slope = SLOPE_DAMPING * self.slope + self.pace.trend_gain * weight * innovation
        self.slope = min(MAX_SLOPE, max(-MAX_SLOPE, slope))

    def _learn_dispersion(self, count: float, mean: float, weight: float) -> None:
        """Step the running median of the absolute residuals; where a bucket holds too little for one, its square.

        A median of few transactions is all discreteness. There the clipped squares of many buckets, over what was
        expected in them, take its place: their mean is the dispersion however rare the transactions are.
        """
        gain = min(1.0, weight) * max(MAD_GAIN, MAD_FIRST / (MAD_FIRST / MAD_MOST + self.blocks))
        self.block_mean += mean
        if mean >= RARE:
            self.block_count += count
            if self.block_mean < BLOCK:
                return
            residual = abs(self.block_count - self.block_mean) / sqrt(self.block_mean)
            self.median *= 1.0 + gain if residual > self.median else 1.0 / (1.0 + gain)
        else:
            off = count - mean
            self.block_count += min(off * off, max(SQUARES_FLOOR, SQUARES_CLIP * mean * self.dispersion()))
            if self.block_mean < BLOCK_SQUARES:
                return
            phi = min(MAX_CLUSTERED, self.block_count / self.block_mean)
            square = self.median * self.median
            found = phi * NORMAL_MAD * NORMAL_MAD
            # a single cluster raises it, and many quiet blocks lower it: the other way round takes too long
            self.median = sqrt(square + (gain if found > square else FASTER * gain) * (found - square))
        self.block_count = 0.0
        self.block_mean = 0.0
        if self.blocks < MAD_FIRST / MAD_GAIN:
            self.blocks += 1.0

    def observe(self, count: float, expected: float) -> None:
        """Add a bucket to the windows."""
        self.expectations = push(self.expectations, expected)
        wide = self._wide
        if wide is None and count >= 0.0 and count <= MOST:  # not in one: mypyc makes objects of a chain
            newest: i64 = int(count)
            if float(newest) == count:
                newer, middle = self._newer, self._middle
                self._older = (self._older << 12 & KEPT) | middle >> 48
                self._middle = (middle << 12 & KEPT) | newer >> 48
                self._newer = (newer << 12 & KEPT) | newest
                return
        if wide is None:
            wide = self._wide = Wide(self.counts())
        wide.ring = push(wide.ring, count)

    def counts(self) -> Ring:
        """The counts in the windows."""
        return self._wide.ring if self._wide is not None else unpacked(self._newer, self._middle, self._older)

    def newest(self) -> float:
        """The newest count."""
        return self._wide.ring[0] if self._wide is not None else float(self._newer & 0xFFF)

    def sums(self) -> tuple[float, float]:
        """The sums of the five newest counts and of all fifteen."""
        wide = self._wide
        if wide is not None:
            five = sum5(wide.ring)
            return five, rest15(five, wide.ring)
        few, many = sums_of(self._newer, self._middle, self._older)
        return float(few), float(many)

    def restart_windows(self) -> None:
        """Forget all but the newest bucket: what an ended incident left must not be judged again."""
        count, expected = self.newest(), self.expectations[0]
        self.clear_windows()
        self.observe(count, expected)

    def end_silence(self) -> None:
        """End an episode whose newest bucket was empty: what the volume is from now on is judged without it."""
        if self.newest() == 0.0:
            self.alerting = 0
            self.clear_windows()

    def clear_windows(self) -> None:
        """Forget all buckets."""
        self._newer, self._middle, self._older, self._wide = 0, 0, 0, None
        self.expectations = empty_ring()

    def accept_level(self) -> None:
        """Take the buckets of the episode that the windows hold for the new normal, and end the episode."""
        length = max(1, self.alerting)  # a person may accept a level that began a few buckets ago
        self.exposure = sum(list(self.expectations)[:length]) / self.rate()
        self.events = sum(list(self.counts())[:length])
        self.slope = 0.0
        self.alerting = 0
        self.restart_windows()

    def known(self) -> tuple[float, float, float, float]:
        """What was learned, without the windows: for `recall`."""
        return (self.events, self.exposure, self.median, self.slope)

    def recall(self, known: tuple[float, float, float, float]) -> None:
        """Know again what `known` gave, and nothing that came after."""
        self.events, self.exposure, self.median, self.slope = known

    def snapshot(self) -> list[float]:
        """All of the state as plain numbers, for `restore`."""
        scalars = [
            self.pace.discount, self.pace.trend_gain, self.slope, self.events, self.exposure, self.median,
            self.block_count, self.block_mean, float(self.alerting),
        ]  # fmt: skip
        tail = self.tail
        own = [] if tail is None else [1.0] if tail.shared else tail.snapshot()
        return [*scalars, *self.counts(), *self.expectations, self.blocks, *own]

    def restore(self, state: Sequence[float]) -> None:
        """Become the baseline whose `snapshot` was `state`; ValueError when it cannot be one."""
        if len(state) not in LENGTHS:
            raise ValueError(f"a baseline has one of {LENGTHS} numbers, not {len(state)}")
        self.pace = pace_of(state[0], state[1], self.pace.least)
        self.slope, self.events, self.exposure, self.median = state[2:6]
        self.block_count, self.block_mean, alerting = state[6:9]
        self.alerting = int(alerting)
        self.clear_windows()
        for count, expected in zip(reversed(state[9:24]), reversed(state[24:39]), strict=True):
            self.observe(count, expected)
        # states from before the pace of the dispersion was known had moved it for long
        self.blocks = state[OLD_LENGTH] if len(state) > OLD_LENGTH else MAD_FIRST / MAD_GAIN
        self.tail = None
        if len(state) == OLD_LENGTH + 2:
            self.tail = Tail(shared=True)  # the caller replaces it with that of its status
        elif len(state) > OLD_LENGTH + 2:
            self.tail = Tail()
            self.tail.restore(state[OLD_LENGTH + 1 :])


def restored(state: Sequence[float], least: float = MIN_DISPERSION) -> Baseline:
    """Return the baseline whose `snapshot` was `state`. Raise ValueError. least: as for a new one."""
    series = Baseline(0.5, 0.0, least)  # its pace is part of the state
    series.restore(state)
    return series

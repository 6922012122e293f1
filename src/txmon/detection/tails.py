"""How far the scores of one series reach while nothing is wrong: what makes a sigma mean the same for every series.

A score is in sigmas of a model, and models err: a feed that comes in bursts, or in clusters that no dispersion knows
of, exceeds four sigmas every hour. So the scores themselves are counted. Scores beyond 2 sigmas on the wrong side that
pass the gates come in clusters, which end after five buckets without one. Of their highest scores it is known how many
there are, and the mean and the variance of their excess. A generalised Pareto distribution through these (peaks over a
threshold, Pickands 1975; by moments, Hosking & Wallis 1987) says which score is as rare as the threshold should be. A
normal distribution's own numbers stand behind it as evidence, so a series that behaves keeps the threshold that the
budget asks.

An outage must not be calibrated away. What alerts for more than ten buckets is not noise and teaches nothing. A short
alert teaches only after FREE others within about a day. All of it is halved in two days.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Final

from mypy_extensions import mypyc_attr

FROM: Final = 2.0  # sigmas, from which on a score is part of the tail
RATE: Final = 0.02275  # P(Z > 2) for a standard normal Z
MEAN: Final = 0.3732  # E[Z - 2 | Z > 2]
SQUARES: Final = 0.2536  # E[(Z - 2)^2 | Z > 2]
PRIOR: Final = 1500.0  # buckets' worth of a normal's tail that stand behind what was seen
RATES: Final = (0.013, 0.006, 0.004)  # clusters a bucket in each window of series that behave, on clean streams
HOUR: Final = 60  # buckets, after which what was seen counts less
KEEP: Final = 0.9857  # an hour: halved in two days
ALARM_KEEP: Final = 0.9715  # an hour: halved in a day
TOP_KEEP: Final = 0.995  # an hour
FREE: Final = 3.0  # short alerts lately that teach nothing
FEW: Final = 2.0  # clusters that say nothing of a tail
GAP: Final = 5  # quiet buckets that end a cluster
SHORT: Final = 10  # buckets of an alert that may be noise
LONG_ALERT: Final = SHORT + 1
LONG: Final = 60  # buckets after which a cluster ends in any case
REACH: Final = 1.25  # times the highest score known: no threshold is higher
HALF_WITHIN: Final = 0.6745  # sigmas
SCALE_GAIN: Final = 0.003  # of one bucket: a scale follows within hours
WIDEST: Final = 2.5  # that a scale is: sums of a series whose transactions come in waves
LEAST_SCALE: Final = 0.2
MOST_SCALE: Final = 0.8  # the least where single buckets are hardly dispersed
MOST_SHAPE: Final = 0.4
MOST_RATIO: Final = 1.6  # times the threshold: an outage that comes and goes must stay one
MOST_SHARED: Final = 1.15  # of many series: a few that come in clusters must not hide the incidents of all others
LEAST_SHAPE: Final = -0.5
SNAPSHOT_LENGTH: Final = 27  # numbers


@mypyc_attr(acyclic=True)
class WindowTail:
    """The highest scores of one window in each cluster, and how much higher than a normal's its threshold must be."""

    __slots__ = ("now", "over", "ratio", "squares", "sum", "top")

    def __init__(self) -> None:
        self.now = 0.0  # the highest of the cluster that goes on
        self.over = 0.0  # clusters
        self.sum = 0.0  # of their highest scores' excess
        self.squares = 0.0
        self.top = 0.0  # the highest
        self.ratio = 1.0  # times the threshold

    def close(self, teaches: bool) -> None:
        """End the cluster."""
        if teaches and self.now > FROM:
            excess = self.now - FROM
            self.over += 1.0
            self.sum += excess
            self.squares += excess * excess
            self.top = max(self.top, self.now)
        self.now = 0.0

    def fade(self) -> None:
        """Let what was seen count less."""
        self.over *= KEEP
        self.sum *= KEEP
        self.squares *= KEEP
        self.top *= TOP_KEEP

    def fit(self, seen: float, rate: float, sigma: float, tail: float, most: float = MOST_RATIO) -> None:
        """Work the ratio out anew, at most `most`.

        seen: buckets; rate: clusters a bucket of a normal; sigma: the threshold for that; tail: its probability.
        """
        reached, scale, shape = self._pareto(seen, rate)
        odds = log(max(1.0, reached / tail))
        limit = FROM + (scale * odds if abs(shape) < 1e-3 else scale / shape * (exp(shape * odds) - 1.0))
        self.ratio = min(most, 1.0 + self._known() * max(0.0, min(limit, REACH * self.top) / sigma - 1.0))

    def _pareto(self, seen: float, rate: float) -> tuple[float, float, float]:
        """Return how probable FROM is, and the scale and the shape of what is beyond it."""
        prior = PRIOR * rate
        over = self.over + prior
        mean = (self.sum + prior * MEAN) / over
        variance = (self.squares + prior * SQUARES) / over - mean * mean
        square = mean * mean / max(variance, 1e-9)
        shape = min(MOST_SHAPE, max(LEAST_SHAPE, 0.5 * (1.0 - square)))
        return over / (seen + PRIOR) / rate * RATE, mean * (1.0 - shape), shape

    def _known(self) -> float:
        """Return how much of the tail is known, 0..1: one or two clusters are not a tail yet."""
        return max(0.0, self.over - FEW) / max(self.over, 1.0)

    def beyond(self, seen: float, rate: float, score: float) -> float:
        """Return how probable a score of at least `score` sigmas is, by what was seen; 0 where too little was."""
        known = self._known()
        if known <= 0.0 or score <= FROM:
            return known
        reached, scale, shape = self._pareto(seen, rate)
        excess = (score - FROM) / scale
        if abs(shape) < 1e-3:
            return known * min(1.0, reached * exp(-excess))
        rest = 1.0 + shape * excess
        return known * min(1.0, reached * exp(-log(rest) / shape)) if rest > 0.0 else 0.0


@mypyc_attr(acyclic=True)
class Tail:
    """The tails of a series' three windows; of many small series of one status together, where `shared`."""

    __slots__ = (
        "alarms",
        "alerted",
        "fifteen",
        "five",
        "length",
        "one",
        "quiet",
        "scale5",
        "scale15",
        "seen",
        "shared",
        "starts",
        "waited",
    )  # fmt: skip

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared
        self.seen = 0.0  # buckets
        self.waited = 0  # of them since they last counted less
        self.alarms = 0.0  # short alerts lately
        # of the cluster that goes on: buckets, those in the longest alert, alerts, and quiet buckets since
        self.length = 0
        self.alerted = 0
        self.starts = 0
        self.quiet = 0
        self.one = WindowTail()
        self.five = WindowTail()
        self.fifteen = WindowTail()
        # of the scores of sums: below 1 where they are nearer to what was expected than single buckets let expect
        self.scale5 = 1.0
        self.scale15 = 1.0

    def settle(self, five: float, fifteen: float, dispersion: float) -> None:
        """Take a quiet bucket's scores of sums on the wrong side, as the model has them; 0 where they are on the other.

        Half of a normal's lie within 0.67 sigmas. The scale moves towards where half of the series' own do, and the
        further the more single buckets are dispersed.
        """
        least = max(LEAST_SCALE, MOST_SCALE * sqrt(min(1.0, 2.0 / dispersion)))
        if five > 0.0:
            self.scale5 = _moved(self.scale5, five, least)
        if fifteen > 0.0:
            self.scale15 = _moved(self.scale15, fifteen, least)

    def learn(self, one: float, five: float, fifteen: float, alerting: int, sigma: float, tail: float) -> None:
        """Take a bucket's scores on the wrong side that pass the gates, 0 where they do not.

        alerting: for how many buckets the series has been alerting. sigma, tail: the threshold, its probability.
        """
        self.seen += 1.0
        if self.shared:
            if alerting == 0:
                self._learn_shared(one, five, fifteen)
            return
        self.waited += 1
        if one > FROM or five > FROM or fifteen > FROM or alerting > 0:
            self.length += 1
            self.alerted = max(self.alerted, alerting)
            self.starts += alerting == 1
            self.quiet = 0
            self.one.now = max(self.one.now, one)
            self.five.now = max(self.five.now, five)
            self.fifteen.now = max(self.fifteen.now, fifteen)
            if self.length >= LONG:  # a deviation that never ends is not a single incident, so it is split hour by hour
                self._close(sigma, tail)
        elif self.length > 0:
            self.quiet += 1
            if self.quiet >= GAP:
                self._close(sigma, tail)
        if self.waited >= HOUR:
            self.fade()
            self.fit(sigma, tail)

    def _learn_shared(self, one: float, five: float, fifteen: float) -> None:
        """Take the scores of one of many series, each bucket a cluster of its own."""
        self.one.now, self.five.now, self.fifteen.now = one, five, fifteen
        self.one.close(True)
        self.five.close(True)
        self.fifteen.close(True)

    def _close(self, sigma: float, tail: float) -> None:
        """End a cluster: it teaches where it was short, and did not alert or is one of many that did."""
        teaches = self.alerted <= SHORT
        if teaches and self.starts > 0:
            self.alarms += 1.0
            teaches = self.alarms > FREE
        self.one.close(teaches)
        self.five.close(teaches)
        self.fifteen.close(teaches)
        self.length = self.alerted = self.starts = self.quiet = 0
        if teaches:
            self.fit(sigma, tail)

    def fade(self) -> None:
        """Let what was seen count less: an hour has passed."""
        self.waited = 0
        self.seen *= KEEP
        self.alarms *= ALARM_KEEP
        self.one.fade()
        self.five.fade()
        self.fifteen.fade()

    def fit(self, sigma: float, tail: float) -> None:
        """Work the ratios out anew."""
        most = MOST_SHARED if self.shared else MOST_RATIO
        self.one.fit(self.seen, RATE if self.shared else RATES[0], sigma, tail, most)
        self.five.fit(self.seen, RATE if self.shared else RATES[1], sigma, tail, most)
        self.fifteen.fit(self.seen, RATE if self.shared else RATES[2], sigma, tail, most)

    def beyond(self, window: int, score: float) -> float:
        """Return how probable a score of at least `score` sigmas is in sums of `window` buckets, by what was seen."""
        if window == 1:
            return self.one.beyond(self.seen, RATE if self.shared else RATES[0], score)
        if window == 5:
            return self.five.beyond(self.seen, RATE if self.shared else RATES[1], score)
        return self.fifteen.beyond(self.seen, RATE if self.shared else RATES[2], score)

    def snapshot(self) -> list[float]:
        """Return all of the state as plain numbers, for `restore`."""
        whole = (self.waited, self.length, self.alerted, self.starts, self.quiet)
        numbers = [self.seen, self.alarms, self.scale5, self.scale15, *[float(number) for number in whole]]
        for window in (self.one, self.five, self.fifteen):
            numbers += [window.now, window.over, window.sum, window.squares, window.top, window.ratio]
        return numbers

    def restore(self, state: Sequence[float]) -> None:
        """Become the tail whose `snapshot` was `state`; ValueError when it cannot be one."""
        if len(state) != SNAPSHOT_LENGTH:
            raise ValueError(f"a tail has {SNAPSHOT_LENGTH} numbers, not {len(state)}")
        self.seen, self.alarms, self.scale5, self.scale15 = state[:4]
        self.waited, self.length, self.alerted, self.starts, self.quiet = [int(number) for number in state[4:9]]
        for place, window in enumerate((self.one, self.five, self.fifteen)):
            first = 9 + 6 * place
            window.now, window.over, window.sum, window.squares, window.top, window.ratio = state[first : first + 6]


def _moved(scale: float, score: float, least: float) -> float:
    """Return the scale, one step nearer to where half of the scores lie within HALF_WITHIN times it."""
    scale = scale * (1.0 + SCALE_GAIN) if score > HALF_WITHIN * scale else scale / (1.0 + SCALE_GAIN)
    return min(WIDEST, max(least, scale))

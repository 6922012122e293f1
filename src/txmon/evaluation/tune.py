"""Proposes settings from a stream: first the budget or sigma, then the gates, each tried on the whole stream.

A trial judges every stream under changed settings and scores the alerts. With labels, the best trial has the highest
F1 of caught incidents and false episodes (van Rijsbergen, 1979): F1 = 2 caught / (incidents + caught + false). Without
labels, every episode counts as false. The best trial then has the lowest sigma whose episodes are within the budget.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from txmon.evaluation.evaluate import (
    TOGETHER,
    Alerts,
    Episode,
    Labels,
    Page,
    Score,
    Series,
    alerts_by,
    episodes,
    score,
    total,
)
from txmon.ingest.aggregate.ledger import Tally
from txmon.ingest.records import Record
from txmon.model.outcome import Outcome
from txmon.settings.declarations import DECLARATIONS, Settings, text_of_setting
from txmon.settings.toml import toml_line

BUDGETS: Final = ("1/month", "1/week", "1/day", "3/day", "10/day")
WILD: Final = (5.0, 6.0, 8.0)  # sigmas beyond those of budgets, for streams that vary more than counts should
LADDER: Final = (2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 12.0, 20.0)
BISECTIONS: Final = 6  # trials between two steps of the ladder, at most
STEP: Final = 0.1  # precision of the lowest sigma
GATED: Final = 3  # statuses whose gates are tried
STRICTER: Final = (("min_count", "5"), ("min_count", "8"), ("min_ratio", "2"), ("min_ratio", "3"))
LOOSER: Final = (("min_count", "2"), ("min_ratio", "1.25"))

Judge = Callable[[Settings], Sequence[Alerts]]  # returns the alerts of every stream under these settings


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of changes to the current settings."""

    changes: Mapping[str, str] = field(default_factory=dict)  # setting -> value as its flag accepts it

    def settings(self, base: Settings) -> Settings:
        """Return `base` with the changes."""
        parsed: dict[str, Any] = {name: DECLARATIONS[name].parse(text) for name, text in self.changes.items()}
        return replace(base, **parsed)

    def name(self) -> str:
        """Return its changes in words."""
        return ", ".join(f"{name} {text}" for name, text in self.changes.items()) or "present"


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a candidate."""

    candidate: Candidate
    alerts: tuple[Alerts, ...]  # of every stream
    score: Score

    @property
    def rate(self) -> float:
        """Return false episodes per day. Without labels, every episode is false."""
        return len(self.score.false) / self.score.days if self.score.days > 0 else 0.0

    @property
    def f1(self) -> float:
        """Return the F1 score, 0 to 1."""
        caught = self.score.caught
        whole = len(self.score.catches) + caught + len(self.score.false)
        return 2 * caught / whole if whole else 1.0

    @property
    def delay(self) -> float:
        """Return the mean delay in minutes of the caught incidents."""
        delays = self.score.delays
        return sum(delays) / len(delays) if delays else 0.0


@dataclass(frozen=True, slots=True)
class EpisodeDifference:
    """An episode of alerts that only one of two trials has."""

    stream: int  # index of the stream, from 0
    episode: Episode
    truth: str | None  # the kind of incident that it belongs to; None: it is false, or there are no labels


class Tuner:
    """Tries candidates on streams and remembers the results."""

    def __init__(self, base: Settings, judge: Judge, labels: Sequence[Labels] | None) -> None:
        """Create it. labels: one for each stream; None: there are none, and every alert counts as false."""
        self.base = base
        self.labels = labels
        self.trials: dict[str, Trial] = {}  # by the candidate's name, in the order of trying
        self._judge = judge

    def run(self, candidate: Candidate) -> Trial:
        """Return the trial of `candidate`. It is run at most once."""
        name = candidate.name()
        if name not in self.trials:
            self.trials[name] = self.judged(candidate, candidate.settings(self.base))
        return self.trials[name]

    def judged(self, candidate: Candidate, settings: Settings) -> Trial:
        """Return the result of `settings` without remembering it."""
        alerts = tuple(self._judge(settings))
        truths = self.truths(alerts)
        return Trial(candidate, alerts, total([score(one, truth) for one, truth in zip(alerts, truths, strict=True)]))

    def most(self) -> int:
        """Return the largest number of trials that the search can take."""
        if self.labels is None:
            return 1 + len(LADDER) + BISECTIONS
        return 1 + sum(1 for _ in self._thresholds()) + GATED * (len(STRICTER) + len(LOOSER))

    def truths(self, alerts: Sequence[Alerts]) -> Sequence[Labels]:
        """Return the labels of each stream, or empty ones if there are none."""
        return self.labels or [Labels(one.first or datetime(1970, 1, 1, tzinfo=UTC), ()) for one in alerts]

    def by_labels(self, budget: float | None) -> Trial:
        """Return the best trial by the labels. If possible, it has at most `budget` false episodes per day."""

        def worth(trial: Trial) -> tuple[float, ...]:
            # delays in whole minutes, and the current settings first among equals, because a few incidents prove no
            # more
            delay = -float(round(trial.delay))
            if budget is None:
                return (round(trial.f1, 3), delay)
            over = max(0.0, trial.rate - budget)
            return (-over, float(trial.score.caught), delay, -trial.rate)

        best = max(map(self.run, self._thresholds()), key=worth)
        for status, gates in self._doubtful(best):
            for name, value in gates:
                trial = self.run(self._gated(best.candidate, name, status, value))
                best = trial if worth(trial) > worth(best) else best
        return best

    def by_budget(self, budget: float) -> Trial:
        """Return the trial with the lowest sigma that has at most `budget` episodes per day.

        If there is none, return the trial with the highest sigma.
        """
        low: float | None = None
        for sigma in LADDER:
            best = self.run(_sigma(sigma))
            if best.rate <= budget:
                break
            low = sigma
        else:
            return best
        if low is None:
            return best
        high = sigma
        while high - low > 1.5 * STEP:
            middle = round((low + high) / 2, 1)
            trial = self.run(_sigma(middle))
            if trial.rate <= budget:
                high, best = middle, trial
            else:
                low = middle
        return best

    def _thresholds(self) -> Iterator[Candidate]:
        found = [Candidate({"budget": budget}) for budget in BUDGETS] + [_sigma(sigma) for sigma in WILD]
        if self.base.sigma is not None:  # a file cannot unset it, and it takes precedence over every budget
            found = [_sigma(sigma) for sigma in LADDER]
        yield Candidate()
        yield from (candidate for candidate in found if candidate.settings(self.base) != self.base)

    def _doubtful(self, trial: Trial) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        """Yield (status, gates to try): stricter gates after false alarms, looser ones after missed incidents."""
        false = Counter(episode.status for episode in trial.score.false)
        missed = Counter(s for catch in trial.score.catches if catch.delay is None for s in catch.label.statuses)
        for counter, gates in ((false, STRICTER), (missed, LOOSER)):
            # a gate cannot name statuses with other characters
            named = [item for item in counter.items() if not set(item[0]) & set(",=")]
            for status, _ in sorted(named, key=lambda item: (-item[1], item[0]))[:GATED]:
                yield status, gates

    def _gated(self, candidate: Candidate, name: str, status: str, value: str) -> Candidate:
        present = text_of_setting(candidate.settings(self.base), name)
        others = [part for part in present.split(",") if not part.startswith(f"{status}=")]
        return Candidate({**candidate.changes, name: ",".join([*others, f"{status}={value}"])})


def changes(
    new: Trial, old: Trial, truths: Sequence[Labels]
) -> tuple[list[EpisodeDifference], list[EpisodeDifference]]:
    """Return (gained, lost): the episodes after the warm-up that only `new` has, and those that only `old` has."""
    gained: list[EpisodeDifference] = []
    lost: list[EpisodeDifference] = []
    for n, (mine, theirs, truth) in enumerate(zip(new.alerts, old.alerts, truths, strict=True)):
        ours, others = _after_warmup(mine, truth), _after_warmup(theirs, truth)
        gained += [_change(n, episode, truth) for episode in ours if not _met(episode, others)]
        lost += [_change(n, episode, truth) for episode in others if not _met(episode, ours)]
    return gained, lost


def as_toml(candidate: Candidate) -> list[str]:
    """Return the candidate's changes as lines of a txmon.toml."""
    return [toml_line(name, text) for name, text in candidate.changes.items()]


def alerts_of(outcomes: Iterable[Outcome]) -> Alerts:
    """Return the alerts and incidents of a pipeline's outcomes."""
    keyed: dict[Series, list[datetime]] = {}
    pages = []
    first = last = None
    for outcome in outcomes:
        last = outcome.time
        first = last if first is None else first
        for series in {(frozenset(v.key), v.status) for v in outcome.verdicts if v.recommendation == "alert"}:
            keyed.setdefault(series, []).append(_moment(outcome.time))
        pages += [Page(e.statuses, _moment(e.time), frozenset(e.key)) for e in outcome.events if e.state == "opened"]
    return alerts_by(keyed, _moment(first), _moment(last), pages) if first is not None else Alerts({})


def as_records(tallies: Iterable[Tally]) -> Iterator[Record]:
    """Yield the counts of `tallies` as records, one for each bucket and series. They can be judged several times."""
    for tally in tallies:
        for key, statuses in tally.surrender().items():
            for status, count in statuses.items():
                yield Record(tally.start, status, count, key)


def _sigma(value: float) -> Candidate:
    return Candidate({"sigma": f"{value:g}"})


def _after_warmup(alerts: Alerts, truth: Labels) -> list[Episode]:
    found = [
        episode
        for status, times in alerts.times.items()
        for episode in episodes(status, [moment for moment in times if moment >= truth.warmup])
    ]
    return sorted(found, key=lambda episode: (episode.start, episode.status))


def _met(episode: Episode, others: Iterable[Episode]) -> bool:
    return any(
        other.status == episode.status
        and other.start <= episode.end + TOGETHER
        and episode.start <= other.end + TOGETHER
        for other in others
    )


def _change(stream: int, episode: Episode, truth: Labels) -> EpisodeDifference:
    label = truth.excused(episode.status, episode.start)
    return EpisodeDifference(stream, episode, label.kind if label else None)


def _moment(seconds: int | None) -> datetime:
    return datetime.fromtimestamp(seconds or 0, UTC)

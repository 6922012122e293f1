"""What is told, and when: the policy between incidents and people, on event time alone.

Every incident has at most one thing left to tell, and the later step replaces the earlier: `opened` held back by quiet
hours becomes `resolved` when the incident ends before they do. What may be told at the end of an outcome is gathered
by step, so that incidents that take the same step together share one notification.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from txmon.model.keys import TOTAL
from txmon.model.outcome import IncidentEvent, IncidentState, Outcome, Trend, deviates
from txmon.model.statuses import REVERSED, role_of
from txmon.notify.notification import Day, Kind, Notification, worst_first
from txmon.notify.pending import DayTally, Known, Memory
from txmon.notify.recent_counts import RecentCounts
from txmon.settings.schedule import Hours, Silence, silenced

STEPS: Final[tuple[IncidentState, ...]] = ("opened", "escalated", "reminder", "resolved")  # in the order they are told
PICTURED: Final = 20  # incidents of a notification whose series get a sparkline
WORST_OF_DAY: Final = 10
REMEMBERED: Final = 20_000  # incidents of a day that its summary compares


@dataclass(frozen=True, slots=True)
class Policy:
    """What is told and when. Times in seconds, times of day in minutes since midnight in `tz`."""

    bucket: int = 60
    group: int = 30  # incidents within so long share a notification
    trend_every: int = 1800  # at most so often a trend of the same status; 0: never
    digest: int | None = None  # time of day of the summary
    quiet: Hours | None = None
    silences: tuple[Silence, ...] = ()
    tz: tzinfo = UTC
    link: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)  # by status, before those of the vocabulary


class Notifier:
    """A sink that turns outcomes into notifications and gives each to `tell` as soon as it may be told."""

    def __init__(self, policy: Policy, tell: Callable[[Notification], None]) -> None:
        self.policy = policy
        self._tell = tell
        self._history = RecentCounts(policy.bucket)
        self._memory = Memory()
        self._trends: Mapping[str, Trend] = {}

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket and tell what it brought; what is seen in one that is still open is told when it closes."""
        if outcome.verdicts and outcome.verdicts[0].partial:
            return
        self._history.add(outcome.time, outcome.verdicts)
        if self._memory.time is None or outcome.time >= self._memory.time:  # a correction takes no time back
            self._digest(outcome)
            self._memory.time = outcome.time
            self._trends = outcome.trends
        now = self._memory.time
        for event in outcome.events:
            self._hear(event)
        if self._memory.due:
            alerting = {v.incident for v in outcome.verdicts if deviates(v)}
            for known in list(self._memory.due.values()):
                self._release(known, now, alerting)
        self._flush(now + self.policy.bucket)
        if outcome.rises and self.policy.trend_every:
            self._rises(outcome)

    def close(self) -> None:
        """Tell what quiet hours still hold: the stream has ended, and nobody will come back for it."""
        if self._memory.time is None:
            return
        for identity, known in list(self._memory.due.items()):
            if known.due != "reminder" and not self._silenced(known.event, self._memory.time):
                del self._memory.due[identity]
                self._gather(known, self._memory.time)
        self._flush(None)

    def snapshot(self) -> dict[str, object]:
        """What is left to tell and what a summary needs, as JSON takes it; not the counts of the pictures."""
        return self._memory.snapshot()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; KeyError, IndexError, TypeError or ValueError where that cannot be."""
        memory = Memory()
        memory.restore(state)  # a state that is not valid leaves what is known as it is
        self._memory = memory

    def _hear(self, event: IncidentEvent) -> None:
        known = self._memory.known.get(event.id)
        if known is None:
            known = self._memory.known[event.id] = Known(event)
            known.told = event.state != "opened"  # by the process that stopped before this one
        known.event = event
        if event.state == "resolved":
            del self._memory.known[event.id]
        self._memory.tally.opened += event.state == "opened"
        if event.id in self._memory.tally.events or len(self._memory.tally.events) < REMEMBERED:
            self._memory.tally.events[event.id] = event
        if event.state != "reminder" or known.due is None:  # what was not told so far needs no reminder
            known.due = event.state
        self._memory.due[event.id] = known

    def _release(self, known: Known, now: int, alerting: set[str | None]) -> None:
        """Put what is left to tell into its group, unless it has to wait or need not be told any more."""
        event, due = known.event, known.due
        if self._silenced(event, now) and not (due == "resolved" and known.told):
            if due == "resolved":
                self._memory.tally.silenced += 1
                del self._memory.due[event.id]
            known.held = True
            return
        if due != "escalated" and self.policy.quiet is not None and self.policy.quiet.hold(now, self.policy.tz):
            known.held = True
            return
        if due == "reminder" and event.id not in alerting:
            return  # "still going on" would be wrong in a quiet minute, which may well be the first of the last
        del self._memory.due[event.id]
        self._gather(known, now)

    def _silenced(self, event: IncidentEvent, now: int) -> bool:
        return silenced(self.policy.silences, event, now, self.policy.tz)

    def _gather(self, known: Known, now: int) -> None:
        assert known.due is not None
        self._memory.groups.setdefault(known.due, (now, []))[1].append(known)

    def _flush(self, until: int | None) -> None:
        """Tell the groups that began long enough before `until`; None: all of them."""
        for step in STEPS:
            if step not in self._memory.groups:
                continue
            since, group = self._memory.groups[step]
            if until is not None and until - since < self.policy.group:
                continue
            del self._memory.groups[step]
            events = worst_first([replace(known.event, state=step) for known in group])
            held = any(known.held for known in group)
            for known in group:
                known.told, known.held, known.due = True, False, None
            self._send(step, events, held)

    def _send(self, kind: Kind, events: tuple[IncidentEvent, ...], held: bool) -> None:
        assert self._memory.time is not None
        wanted = [(status, event.key) for event in events[:PICTURED] for status in event.statuses[:2]]
        concerned = {status for event in events[:PICTURED] for status in event.statuses}
        trends = {status: trend for status, trend in self._trends.items() if status in concerned}
        recent = self._history.recent(wanted)
        self._tell(Notification(kind, self._memory.time, events, recent, trends, self.policy.link, held=held))

    def _rises(self, outcome: Outcome) -> None:
        """Tell of the statuses that began to rise a lot, unless an incident, a window or an earlier card did."""
        if self.policy.quiet is not None and self.policy.quiet.hold(outcome.time, self.policy.tz):
            return
        in_trouble = {status for known in self._memory.known.values() for status in known.event.statuses}
        # reversals are one wave, whatever each system calls them: an incident of one tells of all
        wave = any(self._is_reversal(status) for status in in_trouble)
        news = {
            rise.status: Trend(rise.slope, "rising a lot")
            for rise in outcome.rises
            if rise.status not in in_trouble
            and not (wave and self._is_reversal(rise.status))
            and self._is_news(rise.status, outcome.time)
        }
        if news:
            self._memory.rising |= dict.fromkeys(news, outcome.time)
            self._memory.tally.trends += 1
            recent = self._history.recent([(status, ()) for status in news], over_all_keys=True)
            self._tell(Notification("trend", outcome.time, (), recent, news, self.policy.link))

    def _is_reversal(self, status: str) -> bool:
        return role_of(status, self.policy.roles) == REVERSED

    def _is_news(self, status: str, now: int) -> bool:
        """Whether the trend of `status` was not told lately, and is not silenced."""
        if now - self._memory.rising.get(status, now - self.policy.trend_every) < self.policy.trend_every:
            return False
        return not any(s.covers((status,), ()) and s.active(now, self.policy.tz) for s in self.policy.silences)

    def _digest(self, outcome: Outcome) -> None:
        """Tell the day's summary when its time of day has passed, then count this outcome to the new day."""
        if self._memory.time is not None and self._day(self._memory.time) != self._day(outcome.time):
            tally = self._memory.tally
            since = outcome.time if tally.since is None else tally.since
            still_open, totals = len(self._memory.known), tally.totals
            day = Day(since, outcome.time, totals, tally.opened, still_open, tally.silenced, tally.trends)
            worst = worst_first(list(tally.events.values()))[:WORST_OF_DAY]
            self._tell(Notification("digest", outcome.time, worst, link=self.policy.link, day=day))
            self._memory.tally = DayTally(
                events={identity: known.event for identity, known in self._memory.known.items()}
            )
        tally = self._memory.tally
        tally.since = outcome.time if tally.since is None else tally.since
        for verdict in outcome.verdicts:
            if verdict.status != TOTAL and not verdict.revises:
                tally.totals[verdict.status] = tally.totals.get(verdict.status, 0) + verdict.count

    def _day(self, time: int) -> date | None:
        """The day whose summary counts `time`; None without a summary."""
        if self.policy.digest is None:
            return None
        return (datetime.fromtimestamp(time, self.policy.tz) - timedelta(minutes=self.policy.digest)).date()

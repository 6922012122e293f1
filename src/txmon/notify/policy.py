"""Decides what is sent, and when, on event time alone.

An incident has at most one step that is not sent yet. An incident that nobody knows of is `opened`, whatever step came
since. An `opened` that quiet hours hold back becomes `resolved` if the incident ends before they do. Incidents that
take the same step together share one notification.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from txmon.model.keys import TOTAL
from txmon.model.outcome import IncidentEvent, IncidentState, Outcome, Trend, without_sums
from txmon.model.statuses import REVERSED, role_of
from txmon.notify.notification import Day, Kind, Notification, worst_first
from txmon.notify.pending import DayTally, Known, Memory
from txmon.notify.recent_counts import RecentCounts
from txmon.settings.schedule import Hours, Silence, silenced
from txmon.support.frozen import frozen

# in the order in which they are sent
STEPS: Final[tuple[IncidentState, ...]] = (
    "opened", "reopened", "worsened", "no data", "changed level", "reminder", "resolved",
)  # fmt: skip
URGENT: Final = frozenset(("worsened", "no data"))  # told in quiet hours too
HOUR: Final = 3600
PICTURED: Final = 20  # incidents of a notification whose series get a sparkline
WORST_OF_DAY: Final = 10
REMEMBERED: Final = 20_000  # incidents of a day that its summary compares


@frozen
class Policy:
    """Holds what is sent, and when. Times are seconds, times of day minutes since midnight in `tz`."""

    bucket: int = 60
    group: int = 30  # incidents within this time share a notification
    trend_every: int = 1800  # at most so often a trend of the same status; 0: never
    digest: int | None = None  # time of day of the summary
    quiet: Hours | None = None
    silences: tuple[Silence, ...] = ()
    tz: tzinfo = UTC
    link: str | None = None
    role: Mapping[str, str] = field(default_factory=dict)  # by status, before those of the vocabulary
    most: int = 0  # cards in an hour, the rest in one digest; 0: any number


class Notifier:
    """Turns outcomes into notifications, and gives each to `tell` as soon as the policy allows."""

    def __init__(
        self,
        policy: Policy,
        tell: Callable[[Notification], None],
        oldest: Callable[[], float] | None = None,
        open_now: Callable[[list[IncidentEvent]], None] | None = None,
    ) -> None:
        """oldest: the event time, epoch seconds, before which an incident that is over is not sent; None: all are sent.

        open_now: gets, after each bucket, the incidents that people know to be open.
        """
        self.policy = policy
        self._oldest = oldest
        self._open_now = open_now
        self._tell = tell
        self._history = RecentCounts(policy.bucket)
        self._memory = Memory()
        self._trends: Mapping[str, Trend] = {}

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket, and send its steps; those of a bucket that is still open wait until it closes."""
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
        old = self._is_old(now)
        if self._memory.due:
            for known in list(self._memory.due.values()):
                self._release(known, now, old)
        self._flush(now + self.policy.bucket)
        if self._memory.beyond and self._has_room(now):
            self._tell_beyond(now)
        if outcome.rises and self.policy.trend_every and not old:
            self._rises(outcome)
        if self._open_now is not None and not old:
            self._open_now([known.event for known in self._memory.known.values() if known.told])

    def close(self) -> None:
        """Send what quiet hours still hold, at the end of the stream."""
        if self._memory.time is None:
            return
        old = self._is_old(self._memory.time)
        for identity, known in list(self._memory.due.items()):
            if known.due != "reminder" and not self._silenced(known.event, self._memory.time) and not old:
                del self._memory.due[identity]
                self._gather(known, self._memory.time)
        self._flush(None)
        if self._memory.beyond:
            self._tell_beyond(self._memory.time)

    @property
    def stale(self) -> int:
        """Return how many incidents ended too long ago to be sent."""
        return self._memory.stale

    def _is_old(self, now: int) -> bool:
        return self._oldest is not None and now < self._oldest()

    def snapshot(self) -> dict[str, object]:
        """Return what is not sent yet and what a summary needs, as values of JSON; not the counts of pictures."""
        return self._memory.snapshot()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, IndexError, TypeError or ValueError if it is not valid."""
        memory = Memory()
        memory.restore(state)  # a state that is not valid leaves what is known as it is
        self._memory = memory

    def _hear(self, event: IncidentEvent) -> None:
        known = self._memory.known.get(event.id)
        if known is None:
            known = self._memory.known[event.id] = Known(event)
            known.told = event.state != "opened"  # the process before this one sent it
        known.event = event
        if event.state == "resolved":
            del self._memory.known[event.id]
        self._memory.tally.opened += event.state == "opened"
        if event.id in self._memory.tally.events or len(self._memory.tally.events) < REMEMBERED:
            self._memory.tally.events[event.id] = event
        if event.state != "reminder" or known.due is None:  # a step that is not sent yet needs no reminder
            known.due = "worsened" if event.state == "escalated" else event.state
        self._memory.due[event.id] = known

    def _release(self, known: Known, now: int, old: bool) -> None:
        """Put a step into its group, unless it has to wait or need not be sent any more.

        old: the step is older than `max_age`. Open incidents are sent when the stream reaches the present.
        """
        event, due = known.event, known.due
        if old and not (due == "resolved" and known.told):
            if due == "resolved":
                self._memory.stale += 1
                del self._memory.due[event.id]
            return
        if self._silenced(event, now) and not (due == "resolved" and known.told):
            if due == "resolved":
                self._memory.tally.silenced += 1
                del self._memory.due[event.id]
            known.held = True
            return
        if due not in URGENT and self.policy.quiet is not None and self.policy.quiet.hold(now, self.policy.tz):
            known.held = True
            return
        del self._memory.due[event.id]
        self._gather(known, now)

    def _silenced(self, event: IncidentEvent, now: int) -> bool:
        return now < event.silent_until or silenced(self.policy.silences, event, now, self.policy.tz)

    def _gather(self, known: Known, now: int) -> None:
        assert known.due is not None
        # people know nothing of it yet, whatever step came since
        step = known.due if known.told or known.due == "resolved" else "opened"
        self._memory.groups.setdefault(step, (now, []))[1].append(known)

    def _flush(self, until: int | None) -> None:
        """Send the groups that began at least `group` seconds before `until`; None: all of them."""
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
            assert self._memory.time is not None
            if self._has_room(self._memory.time):
                self._send(step, events, held)
            else:
                self._memory.beyond |= {event.id: event for event in events}

    def _has_room(self, now: int) -> bool:
        """Return whether this hour may have one more notification."""
        self._memory.sent = [time for time in self._memory.sent if now - time < HOUR]
        return not self.policy.most or len(self._memory.sent) < self.policy.most

    def _tell_beyond(self, now: int) -> None:
        """Send all that was too many for an hour, in one digest."""
        events = worst_first(list(self._memory.beyond.values()))
        self._memory.beyond = {}
        self._memory.sent.append(now)
        self._tell(Notification("digest", now, events, link=self.policy.link))

    def _send(self, kind: Kind, events: tuple[IncidentEvent, ...], held: bool) -> None:
        assert self._memory.time is not None
        wanted = [(status, event.key) for event in events[:PICTURED] for status in event.statuses[:2]]
        concerned = {status for event in events[:PICTURED] for status in event.statuses}
        trends = {status: trend for status, trend in self._trends.items() if status in concerned}
        recent = self._history.recent(wanted)
        self._memory.sent.append(self._memory.time)
        self._tell(Notification(kind, self._memory.time, events, recent, trends, self.policy.link, held=held))

    def _rises(self, outcome: Outcome) -> None:
        """Send the statuses that began to rise a lot, unless an incident, a window or an earlier card covers them."""
        if self.policy.quiet is not None and self.policy.quiet.hold(outcome.time, self.policy.tz):
            return
        in_trouble = {status for known in self._memory.known.values() for status in known.event.statuses}
        # reversals are one wave, whatever each system calls them: an incident of one covers all
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
        return role_of(status, self.policy.role) == REVERSED

    def _is_news(self, status: str, now: int) -> bool:
        """Return whether the trend of `status` was not sent lately, and is not silenced."""
        if now - self._memory.rising.get(status, now - self.policy.trend_every) < self.policy.trend_every:
            return False
        return not any(s.covers((status,), ()) and s.active(now, self.policy.tz) for s in self.policy.silences)

    def _digest(self, outcome: Outcome) -> None:
        """Send the day's summary when its time of day has passed, then count this outcome to the new day."""
        if self._memory.time is not None and self._day(self._memory.time) != self._day(outcome.time):
            tally = self._memory.tally
            since = outcome.time if tally.since is None else tally.since
            still_open, totals = len(self._memory.known), tally.totals
            day = Day(since, outcome.time, totals, tally.opened, still_open, tally.silenced, tally.trends)
            worst = worst_first(list(tally.events.values()))[:WORST_OF_DAY]
            if not self._is_old(outcome.time):
                self._tell(Notification("digest", outcome.time, worst, link=self.policy.link, day=day))
            self._memory.tally = DayTally(
                events={identity: known.event for identity, known in self._memory.known.items()}
            )
        tally = self._memory.tally
        tally.since = outcome.time if tally.since is None else tally.since
        for verdict in without_sums(outcome.verdicts):
            if verdict.status != TOTAL and not verdict.revises:
                tally.totals[verdict.status] = tally.totals.get(verdict.status, 0) + verdict.count

    def _day(self, time: int) -> date | None:
        """Return the day whose summary counts `time`; None without a summary."""
        if self.policy.digest is None:
            return None
        return (datetime.fromtimestamp(time, self.policy.tz) - timedelta(minutes=self.policy.digest)).date()

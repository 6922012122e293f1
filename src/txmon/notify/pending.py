"""Holds what a notifier has not sent yet, and packs it for a state file: a restart in quiet hours loses nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

from txmon.model.drivers import pack_drivers, unpack_drivers
from txmon.model.keys import pack_key, unpack_key
from txmon.model.money import pack_amounts, unpack_amounts
from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.notify.notification import Notification

_NAMES: Final = [one.name for one in fields(IncidentEvent)]
KEYS: Final = _NAMES.index("keys")
DRIVERS: Final = _NAMES.index("drivers")
MONEY: Final = _NAMES.index("money")


class Known:
    """Holds an incident that is open, or that has a step that is not sent yet."""

    __slots__ = ("due", "event", "held", "told")

    def __init__(self, event: IncidentEvent) -> None:
        self.event = event  # the newest
        self.due: IncidentState | None = None  # the step that is not sent yet
        self.told = False  # whether people know of it
        self.held = False  # whether a step had to wait


@dataclass(slots=True)
class DayTally:
    """Counts the day so far."""

    since: int | None = None
    totals: dict[str, int] = field(default_factory=dict)
    events: dict[str, IncidentEvent] = field(default_factory=dict)
    opened: int = 0
    silenced: int = 0
    trends: int = 0


@dataclass(slots=True)
class Memory:
    """Holds what a notifier knows besides the counts for its pictures."""

    time: int | None = None  # of the newest outcome, epoch seconds
    known: dict[str, Known] = field(default_factory=dict)  # open incidents, by id
    due: dict[str, Known] = field(default_factory=dict)  # those with a step to send, also ended ones
    groups: dict[IncidentState, tuple[int, list[Known]]] = field(default_factory=dict)  # (since when, who)
    rising: dict[str, int] = field(default_factory=dict)  # status -> when its trend was last sent
    tally: DayTally = field(default_factory=DayTally)
    sent: list[int] = field(default_factory=list)  # event times of the last hour's cards
    beyond: dict[str, IncidentEvent] = field(default_factory=dict)  # those that were too many for the hour, by id
    stale: int = 0  # incidents that ended too long ago to be sent

    def snapshot(self) -> dict[str, Any]:
        """Return all of it, as values of JSON."""
        grouped = [one for _, group in self.groups.values() for one in group]
        # an incident may be in several of them, and is one incident still
        all_of_them = {id(one): one for one in (*self.known.values(), *self.due.values(), *grouped)}
        place = {identity: n for n, identity in enumerate(all_of_them)}
        tally = self.tally
        return {
            "time": self.time,
            "incidents": [[pack_event(one.event), one.due, one.told, one.held] for one in all_of_them.values()],
            "known": [place[id(one)] for one in self.known.values()],
            "due": [place[id(one)] for one in self.due.values()],
            "groups": [[step, since, [place[id(one)] for one in who]] for step, (since, who) in self.groups.items()],
            "rising": dict(self.rising),
            "tally": [
                tally.since, dict(tally.totals), [pack_event(event) for event in tally.events.values()], tally.opened,
                tally.silenced, tally.trends,
            ],
            "sent": list(self.sent),
            "beyond": [pack_event(event) for event in self.beyond.values()],
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, IndexError, TypeError or ValueError if it is not valid."""
        everyone = []
        for event, due, told, held in state["incidents"]:
            one = Known(unpack_event(event))
            one.due, one.told, one.held = _step(due), bool(told), bool(held)
            everyone.append(one)
        since, totals, events, opened, silenced, trends = state["tally"]
        told_today = {event.id: event for event in map(unpack_event, events)}
        self.time = None if state["time"] is None else int(state["time"])
        self.known = {everyone[n].event.id: everyone[n] for n in state["known"]}
        self.due = {everyone[n].event.id: everyone[n] for n in state["due"]}
        self.groups = {
            cast(IncidentState, _step(step)): (int(since), [everyone[n] for n in who])
            for step, since, who in state["groups"]
        }
        self.rising = {str(status): int(time) for status, time in state["rising"].items()}
        self.sent = [int(time) for time in state.get("sent", [])]  # not in older states
        self.beyond = {event.id: event for event in map(unpack_event, state.get("beyond", []))}
        self.tally = DayTally(since, dict(totals), told_today, int(opened), int(silenced), int(trends))


def pack_event(event: IncidentEvent) -> list[Any]:
    """Return an event as values of JSON."""
    values = [getattr(event, one.name) for one in fields(event)]
    values[3], values[4] = list(event.statuses), pack_key(event.key)
    values[KEYS] = [[pack_key(key), excess] for key, excess in event.keys]
    values[DRIVERS] = pack_drivers(event.drivers)
    values[MONEY] = pack_amounts(event.money)
    return values


def unpack_event(values: Sequence[Any]) -> IncidentEvent:
    """Return the event that `pack_event` packed, this version's or an earlier one's, which has fewer values."""
    time, state, identity, statuses, key, *others = values
    if len(values) > KEYS:
        others[KEYS - 5] = tuple((unpack_key(one), float(excess)) for one, excess in values[KEYS])
    if len(values) > MONEY:
        others[DRIVERS - 5], others[MONEY - 5] = unpack_drivers(values[DRIVERS]), unpack_amounts(values[MONEY])
    return IncidentEvent(
        int(time), cast(IncidentState, _step(state)), str(identity), tuple(map(str, statuses)), unpack_key(key),
        *others,
    )  # fmt: skip


def _step(state: str | None) -> IncidentState | None:
    """Return a step under the name it has now."""
    return "worsened" if state == "escalated" else cast(IncidentState | None, state)


def pack_notification(told: Notification) -> dict[str, Any]:
    """Return a notification of incidents as values of JSON, without its pictures, to merge it with others later."""
    return {
        "kind": told.kind, "time": told.time, "events": [pack_event(event) for event in told.events],
        "link": told.link, "held": told.held,
    }  # fmt: skip


def unpack_notification(row: Mapping[str, Any]) -> Notification:
    """Return the notification that was packed; KeyError, IndexError, TypeError or ValueError where none was."""
    events = tuple(map(unpack_event, row["events"]))
    return Notification(row["kind"], int(row["time"]), events, link=row["link"], held=bool(row["held"]))

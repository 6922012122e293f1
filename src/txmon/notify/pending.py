"""What a notifier has still to tell, as a state file keeps it: a restart in quiet hours forgets nothing of them."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, cast

from txmon.model.keys import pack_key, unpack_key
from txmon.model.outcome import IncidentEvent, IncidentState


class Known:
    """An incident that is open or has something left to tell."""

    __slots__ = ("due", "event", "held", "told")

    def __init__(self, event: IncidentEvent) -> None:
        self.event = event  # the newest
        self.due: IncidentState | None = None  # what is left to tell
        self.told = False  # whether anything was
        self.held = False  # whether something had to wait


@dataclass(slots=True)
class DayTally:
    """The day so far."""

    since: int | None = None
    totals: dict[str, int] = field(default_factory=dict)
    events: dict[str, IncidentEvent] = field(default_factory=dict)
    opened: int = 0
    silenced: int = 0
    trends: int = 0


@dataclass(slots=True)
class Memory:
    """What a notifier knows besides the counts for its pictures."""

    time: int | None = None  # of the newest outcome, epoch seconds
    known: dict[str, Known] = field(default_factory=dict)  # open incidents, by id
    due: dict[str, Known] = field(default_factory=dict)  # those with something to tell, and ended ones besides
    groups: dict[IncidentState, tuple[int, list[Known]]] = field(default_factory=dict)  # (since when, who)
    rising: dict[str, int] = field(default_factory=dict)  # status -> when its trend was last told
    tally: DayTally = field(default_factory=DayTally)

    def snapshot(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        grouped = [one for _, group in self.groups.values() for one in group]
        # an incident may be in several of them, and is one incident still
        all_of_them = {id(one): one for one in (*self.known.values(), *self.due.values(), *grouped)}
        place = {identity: n for n, identity in enumerate(all_of_them)}
        tally = self.tally
        return {
            "time": self.time,
            "incidents": [[_pack(one.event), one.due, one.told, one.held] for one in all_of_them.values()],
            "known": [place[id(one)] for one in self.known.values()],
            "due": [place[id(one)] for one in self.due.values()],
            "groups": [[step, since, [place[id(one)] for one in who]] for step, (since, who) in self.groups.items()],
            "rising": dict(self.rising),
            "tally": [
                tally.since, dict(tally.totals), [_pack(event) for event in tally.events.values()], tally.opened,
                tally.silenced, tally.trends,
            ],
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; KeyError, IndexError, TypeError or ValueError where that cannot be."""
        everyone = []
        for event, due, told, held in state["incidents"]:
            one = Known(_unpack(event))
            one.due, one.told, one.held = due, bool(told), bool(held)
            everyone.append(one)
        since, totals, events, opened, silenced, trends = state["tally"]
        told_today = {event.id: event for event in map(_unpack, events)}
        self.time = None if state["time"] is None else int(state["time"])
        self.known = {everyone[n].event.id: everyone[n] for n in state["known"]}
        self.due = {everyone[n].event.id: everyone[n] for n in state["due"]}
        self.groups = {step: (int(since), [everyone[n] for n in who]) for step, since, who in state["groups"]}
        self.rising = {str(status): int(time) for status, time in state["rising"].items()}
        self.tally = DayTally(since, dict(totals), told_today, int(opened), int(silenced), int(trends))


def _pack(event: IncidentEvent) -> list[Any]:
    values = list(astuple(event))
    values[3], values[4] = list(event.statuses), pack_key(event.key)
    return values


def _unpack(values: Sequence[Any]) -> IncidentEvent:
    time, state, identity, statuses, key, *others = values
    return IncidentEvent(
        int(time), cast(IncidentState, state), str(identity), tuple(map(str, statuses)), unpack_key(key), *others
    )

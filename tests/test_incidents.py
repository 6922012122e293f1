"""The life of an incident: opened once, joined, told of, resolved once, and the same after a restart."""

import json

import pytest

from txmon.incidents import IncidentPolicy, IncidentTracker
from txmon.verdict import IncidentEvent, Recommendation, Verdict

MINUTE = 60


def verdict(
    minute: int, status: str, score: float, recommendation: Recommendation = "alert", key: str = "", count: int = 20
) -> Verdict:
    reasons = ("silence",) if status == "*" and score < -20 else ("score",)
    return Verdict(
        minute * MINUTE, status, (("merchant", key),) if key else (), count if score > 0 else 0, 100, 5.0, 0, 9, score,
        1, recommendation, reasons, "text",
    )  # fmt: skip


def play(
    tracker: IncidentTracker, minutes: dict[int, list[Verdict]], end: int
) -> tuple[list[IncidentEvent], list[Verdict]]:
    events, verdicts = [], []
    for minute in range(end):
        judged, told = tracker.observe(minute * MINUTE, minutes.get(minute, []))
        events += told
        verdicts += judged
        state = json.loads(json.dumps(tracker.snapshot()))
        policy = tracker.policy
        tracker.__init__(policy)  # type: ignore[misc]
        tracker.restore(state)  # a restart between any two minutes changes nothing
    return events, verdicts


def states(events: list[IncidentEvent]) -> list[tuple[str, int]]:
    return [(event.state, event.time // MINUTE) for event in events]


def test_a_strong_alert_opens_at_once_and_quiet_resolves_it() -> None:
    events, verdicts = play(IncidentTracker(), {3: [verdict(3, "denied", 9)], 4: [verdict(4, "denied", 9)]}, 15)
    assert states(events) == [("opened", 3), ("resolved", 9)]
    assert {event.id for event in events} == {"19700101T0003-denied"}
    assert [v.incident for v in verdicts] == ["19700101T0003-denied"] * 2
    assert events[1].excess == 30
    assert "issuer declines: denied; 20 seen, 5.0 expected at 00:04; +30 transactions against normal" in events[1].text


def test_a_weak_alert_must_come_back_within_three_buckets() -> None:
    once, _ = play(IncidentTracker(), {3: [verdict(3, "denied", 4)]}, 15)
    assert once == []
    twice, verdicts = play(IncidentTracker(), {m: [verdict(m, "denied", 4)] for m in (3, 5)}, 15)
    assert states(twice) == [("opened", 5), ("resolved", 10)]
    assert twice[0].start == 3 * MINUTE
    assert [v.incident for v in verdicts] == [None, "19700101T0003-denied"]
    far, _ = play(IncidentTracker(), {m: [verdict(m, "denied", 4)] for m in (3, 6)}, 15)
    assert far == []


def test_confirm_asks_for_a_time() -> None:
    tracker = IncidentTracker(IncidentPolicy(confirm=180))
    events, _ = play(tracker, {m: [verdict(m, "denied", 9)] for m in range(2, 7)}, 8)
    assert states(events) == [("opened", 4)]


def test_alerts_within_five_minutes_are_one_incident_under_the_root_label() -> None:
    minutes = {
        3: [verdict(3, "refunded", 9)], 4: [verdict(4, "refunded", 9), verdict(4, "denied", 9)],
        6: [verdict(6, "*", -25)], 7: [verdict(7, "*", -25)],
    }  # fmt: skip
    events, _ = play(IncidentTracker(), minutes, 20)
    assert states(events) == [("opened", 3), ("resolved", 12)]
    assert [event.label for event in events] == ["refunded above normal", "silence"]
    assert events[-1].excess == -10


def test_an_alert_that_begins_later_is_its_own_incident() -> None:
    minutes = {m: [verdict(m, "denied", 9)] for m in range(3, 20)}
    minutes[12] = [*minutes[12], verdict(12, "failed", 9)]
    events, _ = play(IncidentTracker(), minutes, 30)
    opened = [(event.id, event.label) for event in events if event.state == "opened"]
    assert opened == [("19700101T0003-denied", "issuer declines"), ("19700101T0012-failed", "failures")]


def test_keys_never_join() -> None:
    minutes = {3: [verdict(3, "denied", 9, key="a"), verdict(3, "denied", 9, key="b")]}
    events, _ = play(IncidentTracker(), minutes, 4)
    assert [event.id for event in events] == ["19700101T0003-denied-a", "19700101T0003-denied-b"]


def test_pending_keeps_it_open_and_begins_nothing() -> None:
    pending = {m: [verdict(m, "denied", 2, "pending")] for m in range(12)}
    assert play(IncidentTracker(), pending, 20) == ([], [v for vs in pending.values() for v in vs])
    events, _ = play(IncidentTracker(), pending | {2: [verdict(2, "denied", 9)]}, 30)
    assert states(events) == [("opened", 2), ("resolved", 16)]


def test_reminders_and_escalations() -> None:
    minutes = {m: [verdict(m, "denied", 9 + m / 100)] for m in range(3, 140)}
    for m in range(100, 140):
        minutes[m] = [verdict(m, "denied", 9 + m / 100, count=35)]
    events, _ = play(IncidentTracker(), minutes, 150)
    assert states(events) == [("opened", 3), ("reminder", 63), ("escalated", 100), ("resolved", 144)]


def test_a_worse_root_label_escalates() -> None:
    minutes = {m: [verdict(m, "failed", 9)] for m in range(3, 40)}
    minutes[5] = [*minutes[5], verdict(5, "*", -25)]
    events, _ = play(IncidentTracker(), minutes, 41)
    assert [(e.state, e.label) for e in events] == [("opened", "failures"), ("escalated", "silence")]


def test_an_acknowledged_incident_is_silent_until_it_is_resolved() -> None:
    tracker = IncidentTracker()
    minutes = {m: [verdict(m, "denied", 9)] for m in range(3, 140)}
    tracker.observe(3 * MINUTE, minutes[3])
    assert tracker.acknowledge("19700101T0003-denied")
    assert not tracker.acknowledge("other")
    events, _ = play(tracker, {m: v for m, v in minutes.items() if m > 3}, 150)
    assert states(events) == [("resolved", 144)]


def test_ids_are_never_used_twice_and_hold_no_strange_characters() -> None:
    tracker = IncidentTracker(IncidentPolicy(clear=60, join=0))
    first = tracker.observe(180, [verdict(3, "a/b\x1b c", 9)])[1][0]
    assert first.id == "19700101T0003-a_b__c"
    tracker.observe(240, [])
    again = tracker.observe(180, [verdict(3, "a/b\x1b c", 9)])[1][0]
    assert again.id == "19700101T0003-a_b__c-2"


@pytest.mark.parametrize("broken", [{}, {"open": [{}], "used": []}, {"open": 3, "used": []}])
def test_a_foreign_snapshot_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        IncidentTracker().restore(broken)

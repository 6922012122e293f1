"""The life of an incident: opened once, joined, told of, resolved once, and the same after a restart."""

import json
from typing import Any

import pytest

from txmon.model.outcome import IncidentEvent
from txmon.model.verdict import Recommendation, Stated, Verdict
from txmon.pipeline.incidents import IncidentPolicy, IncidentTracker, label_of

MINUTE = 60


def verdict(
    minute: int, status: str, score: float, recommendation: Recommendation = "alert", key: str = "", count: int = 20
) -> Verdict:
    reasons = ("silence",) if status == "*" and score < -20 else ("score",)
    return Verdict(
        minute * MINUTE, status, (("merchant", key),) if key else (), count if score > 0 else 0, 100, 5.0, score, 1,
        recommendation, reasons, Stated(0, 9, "text"),
    )  # fmt: skip


def altered(v: Verdict, **new: Any) -> Verdict:
    old = {name: getattr(v, name) for name in ("time", "count", "expected", "reasons")}
    now = old | new
    return Verdict(
        now["time"], v.status, v.key, now["count"], v.total, now["expected"], v.score, v.window,
        v.recommendation, now["reasons"], Stated(v.low, v.high, v.text),
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


@pytest.mark.parametrize(
    ("status", "score", "reason", "label"),
    [
        ("*", -30.0, "silence", "silence"),
        ("*", 3.5, "together", "all statuses together"),
        ("*", -0.5, "score", "volume loss"),
        ("*", 0.0, "rule:low", "volume loss"),
        ("*", 0.5, "score", "volume above normal"),
        ("approved", -9.0, "score", "volume loss"),
        ("approved", 9.0, "score", "approved above normal"),
        ("reversed", 0.5, "score", "reversal wave"),
        ("backend_reversed", 9.0, "score", "reversal wave"),
        ("reversed", -9.0, "score", "reversed below normal"),
        ("denied", 0.5, "score", "issuer declines"),
        ("denied", -9.0, "score", "denied below normal"),
        ("failed", 0.5, "score", "failures"),
        ("failed", -9.0, "score", "failed below normal"),
        ("refunded", 9.0, "score", "refunded above normal"),
    ],
)
def test_the_label_names_what_is_wrong(status: str, score: float, reason: str, label: str) -> None:
    assert label_of(altered(verdict(3, status, score), reasons=(reason,))) == label


@pytest.mark.parametrize(
    ("bucket", "time", "status", "score", "identity"),
    [
        (60, 190, "denied", 9.0, "19700101T0003-denied"),
        (10, 190, "denied", 9.0, "19700101T000310-denied"),
        (60, 180, "*", -30.0, "19700101T0003-silence"),
        (60, 180, "*", -9.0, "19700101T0003-total"),
        (60, 180, "v2.1_x y", 9.0, "19700101T0003-v2.1_x_y"),
        (60, 180, "a" * 60, 9.0, "19700101T0003-" + "a" * 40),
    ],
)
def test_an_id_says_when_and_of_what(bucket: int, time: int, status: str, score: float, identity: str) -> None:
    tracker = IncidentTracker(IncidentPolicy(bucket=bucket))
    _, [event] = tracker.observe(time, [altered(verdict(0, status, score), time=time)])
    assert event.id == identity


def test_an_event_tells_all_of_its_incident() -> None:
    tracker = IncidentTracker()
    tracker.observe(180, [altered(verdict(3, "denied", 9, key="a"), count=15)])
    worst = altered(verdict(4, "denied", 12, key="a"), count=40, expected=4.0)
    tracker.observe(240, [worst, verdict(4, "failed", 7, key="a")])
    tracker.observe(300, [altered(verdict(5, "denied", 8, key="a"), count=12, expected=3.5)])
    for time in range(360, 600, 60):
        assert tracker.observe(time, []) == ([], [])
    _, [event] = tracker.observe(600, [])
    assert event == IncidentEvent(
        600, "resolved", "19700101T0003-denied-a", ("denied",), (("merchant", "a"),), "issuer declines", 180, 240,
        40, 4.0, 54.5,
        "issuer declines: denied; 40 seen, 4.0 expected at 00:04; +54 transactions against normal",
    )  # fmt: skip


def test_a_status_quiet_long_enough_leaves_the_incident() -> None:
    minutes = {m: [verdict(m, "denied", 9)] for m in range(3, 80)}
    for m in (3, 4):
        minutes[m] = [*minutes[m], verdict(m, "refunded", 9)]
    minutes[61] = [*minutes[61], verdict(61, "failed", 9)]  # by itself, since it begins too late to join
    events, _ = play(IncidentTracker(), minutes, 64)
    told = [(e.state, e.time // MINUTE, e.statuses) for e in events if e.id.endswith("denied")]
    assert told == [("opened", 3, ("denied", "refunded")), ("reminder", 63, ("denied",))]
    assert "issuer declines: denied, refunded; " in events[0].text
    for last, statuses in ((59, ("denied", "refunded")), (58, ("denied",))):
        later = {m: [verdict(m, "denied", 9)] for m in range(3, 80)}
        for m in range(3, last + 1):
            later[m] = [*later[m], verdict(m, "refunded", 9)]
        events, _ = play(IncidentTracker(), later, 64)
        assert events[-1].statuses == statuses


@pytest.mark.parametrize(("minute", "incidents"), [(3, 1), (8, 1), (9, 2)])
def test_what_begins_until_the_end_of_join_is_one_incident(minute: int, incidents: int) -> None:
    minutes = {m: [verdict(m, "denied", 9)] for m in range(3, 20)}
    minutes[minute] = [*minutes[minute], verdict(minute, "failed", 9)]
    events, _ = play(IncidentTracker(), minutes, 20)
    assert len({event.id for event in events}) == incidents


def test_of_two_labels_as_bad_the_first_stays() -> None:
    minutes = {3: [verdict(3, "refunded", 9)], 4: [verdict(4, "refunded", 9), verdict(4, "processing", 9)]}
    events, _ = play(IncidentTracker(), minutes, 20)
    assert [(event.state, event.label) for event in events] == [
        ("opened", "refunded above normal"), ("resolved", "refunded above normal"),
    ]  # fmt: skip


def test_a_rules_alert_without_a_score_has_a_peak_too() -> None:
    minutes = {m: [altered(verdict(m, "failed", 0.4), count=9, reasons=("rule:few",))] for m in (3, 4)}
    events, _ = play(IncidentTracker(), minutes, 5)
    assert [(event.peak, event.observed, event.expected) for event in events] == [(240, 9, 5.0)]


@pytest.mark.parametrize(("at", "count", "escalates"), [(18, 2, True), (17, 2, False), (18, 1, False)])
def test_an_incident_of_single_transactions_escalates_when_it_doubles(at: int, count: int, escalates: bool) -> None:
    """0.6 too many when it opened; 1.2 is twice that, and a quarter of an hour is enough, less is not."""
    minutes = {m: [altered(verdict(m, "failed", 9), count=1, expected=0.4)] for m in range(3, at + 1)}
    minutes[at] = [altered(verdict(at, "failed", 9), count=count, expected=0.8)]
    events, _ = play(IncidentTracker(), minutes, at + 1)
    assert states(events) == [("opened", 3)] + [("escalated", at)] * escalates


@pytest.mark.parametrize(("score", "opened"), [(6.0, 1), (-6.0, 1), (5.99, 0)])
def test_six_sigmas_need_no_second_alert(score: float, opened: int) -> None:
    _, events = IncidentTracker().observe(180, [verdict(3, "denied", score)])
    assert len(events) == opened


def test_verdicts_without_an_incident_stay_as_they_are() -> None:
    usual = verdict(3, "approved", 0.1, "ok")
    weak = verdict(3, "failed", 4, key="other")
    verdicts, _ = IncidentTracker().observe(180, [usual, verdict(3, "denied", 9), weak])
    assert [v.incident for v in verdicts] == [None, "19700101T0003-denied", None]
    assert (verdicts[0], verdicts[2]) == (usual, weak)


def test_ids_are_remembered_for_as_long_as_a_thousand() -> None:
    tracker = IncidentTracker(IncidentPolicy(clear=60))
    for minute in range(1001):
        tracker.observe(minute * MINUTE, [verdict(minute, "denied", 9)])
        tracker.observe((minute + 1) * MINUTE, [])
    used = tracker.snapshot()["used"]
    assert isinstance(used, list)
    assert len(used) == 1000
    assert (used[0], used[-1]) == ("19700101T0001-denied", "19700101T1640-denied")


def test_the_state_of_an_incident_is_plain_and_whole() -> None:
    tracker = IncidentTracker()
    tracker.observe(180, [verdict(3, "denied", 4, key="a")])
    assert json.loads(json.dumps(tracker.snapshot()))["open"][0] == {
        "acknowledged": False, "alerts": [180], "excess": 15.0, "expected": 5.0, "id": "19700101T0003-denied-a",
        "key": [["merchant", "a"]], "label": "issuer declines", "last": 180, "members": {"denied": 180},
        "observed": 20, "opened": False, "peak": 180, "root": "denied", "score": 4, "size": 15.0, "start": 180,
        "told": 180, "told_label": "", "told_size": 0.0,
    }  # fmt: skip
    restored = IncidentTracker()
    restored.restore(json.loads(json.dumps(tracker.snapshot())))
    restored.observe(240, [verdict(4, "denied", 4, key="a")])
    [incident] = restored.open()
    assert incident.key == (("merchant", "a"),)
    assert restored.open() == [incident]


def test_the_end_is_told_of_all_that_alerted_last() -> None:
    minutes = {m: [verdict(m, "denied", 9), verdict(m, "failed", 9)] for m in (3, 4)}
    minutes[3] = [*minutes[3], verdict(3, "refunded", 9)]
    events, _ = play(IncidentTracker(), minutes, 20)
    assert [(e.state, e.statuses) for e in events] == [
        ("opened", ("denied", "failed", "refunded")), ("resolved", ("denied", "failed")),
    ]  # fmt: skip

"""The life of an incident: opened once, joined, told of, resolved once, and the same after a restart."""

import json
from typing import Any

import pytest

from txmon.model.money import Money
from txmon.model.outcome import IncidentEvent, Severity
from txmon.model.verdict import Recommendation, Stated, Verdict
from txmon.pipeline.incidents import IncidentPolicy, IncidentTracker, SilenceOrder
from txmon.pipeline.member import label_of

MINUTE = 60


def verdict(
    minute: int, status: str, score: float, recommendation: Recommendation = "alert", key: str = "", count: int = 20
) -> Verdict:
    silent = status == "*" and score < -20
    return Verdict(
        minute * MINUTE, status, (("merchant", key),) if key else (), count if score > 0 else 0, 0 if silent else 100,
        5.0, score, 1, recommendation, ("silence",) if silent else ("score",), Stated(0, 9, "text"),
    )  # fmt: skip


def calm(minute: int, key: str = "", total: int = 100) -> Verdict:
    """The volume of a minute in which nothing is wrong."""
    return Verdict(
        minute * MINUTE, "*", (("merchant", key),) if key else (), total, total, 100.0, 0.0, 1, "ok", (),
        Stated(80, 120, "text"),
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
        given = minutes.get(minute, [])
        if all(v.status != "*" for v in given):
            given = [*given, calm(minute)]
        judged, told = tracker.observe(minute * MINUTE, given)
        events += told
        verdicts += [v for v in judged if v.recommendation != "ok"]
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
    text = "issuer declines: denied; 20 denied, normal is 0 to 9 (20% of all) at 00:04; +30 transactions against normal"
    assert text in events[1].text


def test_a_weak_alert_must_come_back_within_three_buckets() -> None:
    once, _ = play(IncidentTracker(), {3: [verdict(3, "denied", 4)]}, 15)
    assert once == []
    twice, verdicts = play(IncidentTracker(), {m: [verdict(m, "denied", 4)] for m in (3, 5)}, 15)
    assert states(twice) == [("opened", 5), ("resolved", 10)]
    assert twice[0].start == 3 * MINUTE
    assert [v.incident for v in verdicts] == [None, "19700101T0003-denied"]
    far, _ = play(IncidentTracker(), {m: [verdict(m, "denied", 4)] for m in (3, 6)}, 15)
    assert far == []


def test_an_alert_as_rare_as_once_in_fifty_years_opens_at_once() -> None:
    """5.7 sigmas among eight series are that rare, though less than 6."""
    for rarity, opened in ((0.0088, [("opened", 3), ("resolved", 8)]), (13.7, []), (0.0, [])):
        rare = verdict(3, "failed", 5.67)
        rare.rarity = rarity
        events, _ = play(IncidentTracker(), {3: [rare]}, 15)
        assert states(events) == opened


def test_confirm_asks_for_a_time() -> None:
    tracker = IncidentTracker(IncidentPolicy(open_after=180))
    events, _ = play(tracker, {m: [verdict(m, "denied", 9)] for m in range(2, 7)}, 8)
    assert states(events) == [("opened", 4)]


def test_alerts_within_five_minutes_are_one_incident_under_the_root_label() -> None:
    minutes = {
        3: [verdict(3, "refunded", 9)], 4: [verdict(4, "refunded", 9), verdict(4, "denied", 9)],
        6: [verdict(6, "*", -25)], 7: [verdict(7, "*", -25)],
    }  # fmt: skip
    events, _ = play(IncidentTracker(), minutes, 20)
    # the silence of minutes 6 and 7 is told once, and no evidence of anything: the quiet begins after it
    assert states(events) == [("opened", 3), ("no data", 6), ("resolved", 12)]
    assert [event.label for event in events] == ["refunded above normal", "silence", "silence"]
    assert events[-1].excess == -10


def test_an_alert_that_begins_later_joins_what_is_open() -> None:
    minutes = {m: [verdict(m, "denied", 9)] for m in range(3, 20)}
    minutes[12] = [*minutes[12], verdict(12, "failed", 9)]
    events, verdicts = play(IncidentTracker(), minutes, 30)
    assert [(e.state, e.id, e.statuses) for e in events] == [
        ("opened", "19700101T0003-denied", ("denied",)), ("resolved", "19700101T0003-denied", ("denied", "failed")),
    ]  # fmt: skip
    assert {v.incident for v in verdicts} == {"19700101T0003-denied"}


def test_one_weak_alert_of_another_status_holds_nothing_open() -> None:
    minutes = {m: [verdict(m, "denied", 9)] for m in (3, 4)}
    minutes[7] = [verdict(7, "refunded", 4)]
    events, _ = play(IncidentTracker(), minutes, 20)
    assert [(e.state, e.time // MINUTE, e.statuses) for e in events] == [
        ("opened", 3, ("denied",)), ("resolved", 9, ("denied",)),
    ]  # fmt: skip


@pytest.mark.parametrize(("minute", "reopened"), [(18, True), (19, True), (20, False)])
def test_a_relapse_within_three_times_clear_is_the_same_incident(minute: int, reopened: bool) -> None:
    minutes = {m: [verdict(m, "denied", 9)] for m in (3, 4, minute)}
    events, _ = play(IncidentTracker(), minutes, minute + 1)
    last = events[-1]
    assert last.state == ("reopened" if reopened else "opened")
    assert (last.id == events[0].id) is reopened
    assert last.times == (2 if reopened else 1)


def test_a_relapse_after_a_late_end_is_the_same_incident() -> None:
    """Ten minutes after its end, however long it stayed open after its last alert."""
    minutes = {m: [denied(m, 30, True)] for m in (3, 4, 40)} | {m: [denied(m, 29, False)] for m in range(5, 35)}
    minutes |= {m: [denied(m, 20, False)] for m in range(35, 40)} | {41: [denied(41, 30, True)]}
    events, _ = play(IncidentTracker(), minutes, 42)
    assert states(events) == [("opened", 3), ("resolved", 34), ("reopened", 40)]


def test_what_goes_on_and_off_is_told_once_and_then_its_end() -> None:
    """Two minutes in every ten, for four hours."""
    minutes = {m: [verdict(m, "failed", 9)] for m in range(600, 840) if m % 10 < 2}
    events, _ = play(IncidentTracker(), minutes, 900)
    assert [(e.state, e.time // MINUTE) for e in events] == [
        ("opened", 600), ("resolved", 606), ("reopened", 610), ("resolved", 846),
    ]  # fmt: skip
    assert events[-1].times == 24
    assert "on and off since 10:00, 24 times" in events[-1].text


def test_minutes_without_data_are_not_quiet() -> None:
    silent = {m: [verdict(m, "*", -25)] for m in range(10, 50)}
    minutes = {m: [verdict(m, "failed", 9)] for m in (*range(3, 10), *range(50, 60))} | silent
    events, _ = play(IncidentTracker(), minutes, 80)
    assert states(events) == [("opened", 3), ("no data", 10), ("resolved", 64)]
    assert events[1].no_data_since == 10 * MINUTE
    assert "no data since 00:10" in events[1].text
    assert events[-1].label == "failures"


def test_a_feed_that_dies_without_a_word_resolves_nothing() -> None:
    """The volume is nothing, and no alert says so any more."""
    tracker = IncidentTracker()
    for minute in (3, 4):
        tracker.observe(minute * MINUTE, [verdict(minute, "failed", 9), calm(minute)])
    for minute in range(5, 500):
        _, events = tracker.observe(minute * MINUTE, [calm(minute, total=0)])
        assert all(event.state == "reminder" for event in events)
    told = [e for m in range(500, 506) for e in tracker.observe(m * MINUTE, [calm(m)])[1]]
    assert [event.state for event in told] == ["resolved"]


def shift(minute: int, count: int = 40) -> Verdict:
    """The verdict of a level that is followed from now on."""
    return Verdict(
        minute * MINUTE, "denied", (), count, 100, 5.0, 9.0, 1, "ok", ("level shift",), Stated(0, 9, "text")
    )  # fmt: skip


def level(minute: int, count: int) -> Verdict:
    return Verdict(minute * MINUTE, "denied", (), count, 100, 40.0, 0.0, 1, "ok", (), Stated(0, 60, "text"))


def changed_level(end: int, tracker: IncidentTracker | None = None) -> list[IncidentEvent]:
    """40 denied a minute instead of 5, followed as a new level from minute 20 on and until `end`."""
    minutes = {m: [verdict(m, "denied", 9, count=40)] for m in range(3, 20)} | {20: [shift(20)]}
    minutes |= {m: [level(m, 40 if m < end else 5)] for m in range(21, end + 20)}
    return play(tracker or IncidentTracker(), minutes, end + 20)[0]


def test_a_new_level_is_no_end_until_the_old_one_is_back() -> None:
    events = changed_level(end=100)
    assert states(events) == [("opened", 3), ("changed level", 20), ("resolved", 103)]
    assert events[1].usual == pytest.approx(8.0)
    assert "still 8 times the usual" in events[1].text


def test_a_new_level_is_reminded_of_more_seldom() -> None:
    events = changed_level(end=600)
    assert states(events) == [
        ("opened", 3), ("changed level", 20), ("reminder", 260), ("reminder", 500), ("resolved", 603),
    ]  # fmt: skip


def test_a_level_that_was_held_for_a_day_is_the_usual_one() -> None:
    events = changed_level(end=20 + 1500)
    assert states(events)[-1] == ("resolved", 20 + 1440)
    assert events[-1].note == "the new level lasted a day and is normal now"


def test_a_level_that_is_accepted_ends_the_incident() -> None:
    tracker = IncidentTracker()
    tracker.observe(180, [verdict(3, "denied", 9)])
    assert tracker.accept("19700101T0003-denied", "ana", "a new issuer")
    assert not tracker.accept("none")
    _, [event] = tracker.observe(240, [verdict(4, "denied", 9)])
    assert (event.state, event.note) == ("resolved", "accepted as normal by ana: a new issuer")


def keyed(minute: int, status: str, key: str, count: int, score: float = 9.0) -> list[Verdict]:
    return [verdict(minute, status, score, key=key, count=count), calm(minute, key)]


def test_the_same_failure_at_many_keys_is_one_incident_of_the_platform() -> None:
    tracker = IncidentTracker()
    events: list[IncidentEvent] = []
    names = ("a", "b", "c", "d")
    for minute in range(3, 40):
        given = []
        for n, name in enumerate(names):
            bad = minute < 20 and minute >= 3 + (n == 3)  # d follows a minute later
            given += keyed(minute, "failed", name, 10 * (n + 1)) if bad else [calm(minute, name)]
        events += tracker.observe(minute * MINUTE, given)[1]
    assert [(e.state, e.id, e.key) for e in events] == [
        ("opened", "19700101T0003-failed-platform", ()), ("resolved", "19700101T0003-failed-platform", ()),
    ]  # fmt: skip
    assert [dict(key)["merchant"] for key, _ in events[-1].keys] == ["d", "c", "b", "a"]
    assert events[-1].key_count == 4
    assert events[-1].label == "failures"
    assert events[-1].observed == 100


def test_two_keys_are_no_platform() -> None:
    _, events = IncidentTracker().observe(180, keyed(3, "failed", "a", 20) + keyed(3, "failed", "b", 20))
    assert [event.key for event in events] == [(("merchant", "a"),), (("merchant", "b"),)]


def test_whoever_heard_of_a_key_hears_that_it_is_a_part_of_the_platforms_incident() -> None:
    tracker = IncidentTracker()
    _, first = tracker.observe(180, keyed(3, "failed", "a", 20))
    given = [v for name in "abc" for v in keyed(4, "failed", name, 20)]
    verdicts, second = tracker.observe(240, given)
    assert [(e.state, e.parent) for e in first + second] == [
        ("opened", ""), ("opened", ""), ("resolved", "19700101T0003-failed-platform"),
    ]  # fmt: skip
    assert {v.incident for v in verdicts if v.recommendation == "alert"} == {"19700101T0003-failed-platform"}
    assert [incident.id for incident in tracker.open()] == ["19700101T0003-failed-platform"]
    state = json.loads(json.dumps(tracker.snapshot()))
    restored = IncidentTracker()
    restored.restore(state)
    assert json.loads(json.dumps(restored.snapshot())) == state


def test_a_silence_holds_for_its_status_alone() -> None:
    tracker = IncidentTracker()
    tracker.silence(SilenceOrder("denied", (), 7200, "ana", "load test"))
    _, [event] = tracker.observe(180, [verdict(3, "denied", 9)])
    assert event.silent_until == 7200
    both = IncidentTracker()
    both.silence(SilenceOrder("denied", (), 7200, "ana", ""))
    _, [event] = both.observe(180, [verdict(3, "denied", 9), verdict(3, "failed", 9)])
    assert event.silent_until == 0
    assert tracker.end_silence("denied", ())
    assert not tracker.end_silence("denied", ())


def test_a_silence_that_ends_early_lets_people_hear_of_what_is_open() -> None:
    tracker = IncidentTracker()
    tracker.silence(SilenceOrder("denied", (), 7200, "ana", "load test"))
    for minute in (3, 4, 5):
        tracker.observe(minute * MINUTE, [verdict(minute, "denied", 9)])
    assert not tracker.end_silence("failed", ())
    assert tracker.observe(360, [verdict(6, "denied", 9)])[1] == []
    assert tracker.end_silence("denied", ())
    _, [event] = tracker.observe(420, [verdict(7, "denied", 9)])
    assert (event.state, event.silent_until) == ("reminder", 0)
    assert tracker.observe(480, [verdict(8, "denied", 9)])[1] == []


@pytest.mark.parametrize(
    ("count", "total", "severity"), [(3, 100, "info"), (9, 100, "warning"), (40, 100, "critical"), (9, 20, "warning")]
)
def test_the_severity_follows_from_the_share_and_the_number(count: int, total: int, severity: str) -> None:
    one = Verdict(180, "failed", (), count, total, 0.1, 9.0, 1, "alert", ("score",), Stated(0, 2, "text"))
    _, [event] = IncidentTracker().observe(180, [one])
    assert event.severity == severity


def test_a_state_of_an_incident_a_status_is_read() -> None:
    old = {
        "acknowledged": False, "alerts": [180], "excess": 15.0, "expected": 5.0, "id": "19700101T0003-denied",
        "key": [], "label": "issuer declines", "last": 180, "members": {"denied": 180, "failed": 180}, "observed": 20,
        "opened": True, "peak": 180, "root": "denied", "score": 9.0, "size": 15.0, "start": 180, "told": 180,
        "told_label": "issuer declines", "told_size": 15.0,
    }  # fmt: skip
    second = old | {"id": "19700101T0003-failed", "root": "failed", "label": "failures"}
    tracker = IncidentTracker()
    tracker.restore({"open": [old, second], "used": ["19700101T0003-denied"]})
    assert [incident.id for incident in tracker.open()] == ["19700101T0003-denied"]
    events = [e for m in range(4, 12) for e in tracker.observe(m * MINUTE, [calm(m)])[1]]
    assert [(e.state, e.label, e.observed, e.excess) for e in events] == [("resolved", "issuer declines", 20, 15.0)]


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
    assert states(events) == [("opened", 3), ("reminder", 63), ("worsened", 101), ("resolved", 144)]


def test_a_worse_root_label_is_news() -> None:
    minutes = {m: [verdict(m, "failed", 9)] for m in range(3, 40)}
    for m in range(25, 30):
        minutes[m] = [*minutes[m], verdict(m, "*", -9)]
    events, _ = play(IncidentTracker(), minutes, 40)
    assert [(e.state, e.label, e.time // MINUTE) for e in events] == [
        ("opened", "failures", 3), ("worsened", "volume loss", 25),
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "told"), [(35, 1), (34, 0)])
def test_an_acknowledged_incident_is_told_again_when_it_is_twice_as_bad(count: int, told: int) -> None:
    tracker = IncidentTracker()
    minutes = {m: [verdict(m, "denied", 9)] for m in range(3, 140)}
    minutes |= {m: [verdict(m, "denied", 9, count=count)] for m in range(60, 140)}
    tracker.observe(3 * MINUTE, minutes[3])
    assert tracker.acknowledge("19700101T0003-denied", "ana", "the issuer knows")
    assert not tracker.acknowledge("other")
    events, _ = play(tracker, {m: v for m, v in minutes.items() if m > 3}, 150)
    assert states(events) == [("worsened", 61)] * told + [("resolved", 144)]
    assert events[0].note == "the issuer knows"


def test_an_acknowledgement_can_be_taken_back() -> None:
    tracker = IncidentTracker()
    tracker.observe(180, [verdict(3, "denied", 9)])
    assert tracker.acknowledge("19700101T0003-denied")
    assert tracker.unacknowledge("19700101T0003-denied")
    events, _ = play(tracker, {m: [verdict(m, "denied", 9)] for m in range(4, 70)}, 70)
    assert states(events) == [("reminder", 63)]


def test_ids_are_never_used_twice_and_hold_no_strange_characters() -> None:
    tracker = IncidentTracker(IncidentPolicy(resolve_after=60, merge_within=0))
    first = tracker.observe(180, [verdict(3, "a/b\x1b c", 9)])[1][0]
    assert first.id == "19700101T0003-a_b__c"
    tracker.observe(240, [calm(4)])
    tracker.observe(420, [calm(7)])
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
    for minute in range(6, 10):
        assert tracker.observe(minute * MINUTE, [calm(minute, "a")])[1] == []
    _, [event] = tracker.observe(600, [calm(10, "a")])
    assert event == IncidentEvent(
        600, "resolved", "19700101T0003-denied-a", ("denied", "failed"), (("merchant", "a"),), "issuer declines", 180,
        240, 40, 4.0, 54.5, "issuer declines: denied, failed; 40 denied, normal is 0 to 9 (40% of all) at 00:04; "
        "+54 transactions against normal", "critical", "denied", 0, 9, 100, explanation="text",
    )  # fmt: skip


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


@pytest.mark.parametrize(("at", "count", "worse"), [(19, 11, True), (18, 11, False), (19, 6, False)])
def test_it_is_worse_when_twice_as_many_came_in_two_of_three_minutes(at: int, count: int, worse: bool) -> None:
    """4 too many when it opened: 10 are twice as many, a quarter of an hour is enough, and one minute is not."""
    minutes = {m: [altered(verdict(m, "failed", 9), count=5, expected=1.0)] for m in range(3, 40)}
    for m in range(18, at + 1):
        minutes[m] = [altered(verdict(m, "failed", 9), count=count, expected=1.0)]
    events, _ = play(IncidentTracker(), minutes, at + 1)
    assert states(events) == [("opened", 3)] + [("worsened", at)] * worse


def test_single_transactions_double_by_chance() -> None:
    minutes = {m: [altered(verdict(m, "failed", 9), count=1 if m < 20 else 2, expected=0.4)] for m in range(3, 40)}
    events, _ = play(IncidentTracker(), minutes, 40)
    assert states(events) == [("opened", 3)]


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
    tracker = IncidentTracker(IncidentPolicy(resolve_after=60))
    for minute in range(1001):
        tracker.observe(5 * minute * MINUTE, [verdict(5 * minute, "denied", 9)])
        for later in range(1, 5):
            tracker.observe((5 * minute + later) * MINUTE, [calm(5 * minute + later)])
    used = tracker.snapshot()["used"]
    assert isinstance(used, list)
    assert len(used) == 1000
    assert (used[0], used[-1]) == ("19700101T0005-denied", "19700104T1120-denied")


def test_the_state_of_an_incident_is_plain_and_whole() -> None:
    tracker = IncidentTracker()
    tracker.observe(180, [verdict(3, "denied", 4, key="a")])
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
        ("opened", ("denied", "failed", "refunded")), ("resolved", ("denied", "failed", "refunded")),
    ]  # fmt: skip


def denied(minute: int, count: int, alerts: bool) -> Verdict:
    """20 denied are expected."""
    word: Recommendation = "alert" if alerts else "ok"
    score, reasons = (9.0, ("score",)) if alerts else (2.0, ())
    return Verdict(
        minute * MINUTE, "denied", (), count, 100, 20.0, score, 1, word, reasons, Stated(9, 35, "text")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        (20, 9),  # normal: at once
        (24, 17),  # nearer to normal than to the incident, which takes more minutes to show
        (29, 34),  # still that of the incident, though too small to alert: half an hour
    ],
)
def test_counts_too_small_to_alert_do_not_resolve_what_goes_on(after: int, ends: int) -> None:
    minutes = {m: [denied(m, 30, True)] for m in (3, 4)} | {m: [denied(m, after, False)] for m in range(5, 60)}
    events, _ = play(IncidentTracker(), minutes, 60)
    assert states(events) == [("opened", 3), ("resolved", ends)]


def test_a_batch_that_explains_any_count_is_no_end() -> None:
    """A job runs each quarter of an hour: in its minutes, whatever is seen is expected."""

    def of(minute: int) -> list[Verdict]:
        batch = minute % 15 in (5, 6, 7)
        count = 30 if minute < 50 else 20
        expected = 100.0 if batch else 20.0
        said: Recommendation = "ok" if batch or minute >= 50 or minute % 15 == 8 else "alert"
        seen = 100 if batch else count
        return [
            Verdict(minute * MINUTE, "denied", (), seen, 200, expected, 0.0, 1, said, (), Stated(0, 29, "text")),
            calm(minute),
        ]

    events, _ = play(IncidentTracker(IncidentPolicy(resolve_after=180)), {m: of(m) for m in range(3, 80)}, 80)
    assert states(events) == [("opened", 4), ("resolved", 55)]


def test_few_transactions_resolve_it_when_they_say_enough() -> None:
    """Half a failure a minute where one in ten minutes is normal: five minutes without one say little."""
    alert = altered(verdict(3, "failed", 9, count=1), expected=0.1)
    quiet = [altered(verdict(m, "failed", 0.1, "ok", count=0), expected=0.1) for m in range(4, 40)]
    events, _ = play(IncidentTracker(), {3: [alert]} | {v.time // MINUTE: [v] for v in quiet}, 40)
    assert states(events)[0] == ("opened", 3)
    assert 8 <= states(events)[1][1] <= 18


@pytest.mark.parametrize(
    ("count", "money", "severity"),
    [
        (9, (), "warning"),  # four a minute too many, of 100
        (9, (Money("USD", 500.0, 400.0, 0.0, 0.0, 10_000.0),), "warning"),  # a hundredth of the usual money
        (9, (Money("USD", 2_000.0, 400.0, 0.0, 0.0, 10_000.0),), "critical"),
        (9, (Money("USD", 2_000.0, 400.0, 1e6, 0.0, 10_000.0),), "warning"),  # as likely nothing
        (9, (Money("BRL", 9.0, 9.0, 0.0, 0.0, 9e6), Money("USD", 2e3, 4e2, 0.0, 0.0, 1e4)), "critical"),
        (7, (), "info"),
        (7, (Money("", 2_000.0, 400.0, 0.0, 0.0, 10_000.0),), "warning"),  # one step, and not two
    ],
)
def test_money_makes_an_incident_one_step_worse(count: int, money: tuple[Money, ...], severity: Severity) -> None:
    alerts = [verdict(m, "failed", 9, count=count).explained(money, None) for m in (3, 4)]
    events, _ = play(IncidentTracker(), {v.time // MINUTE: [v] for v in alerts}, 15)
    assert events[-1].severity == severity

"""What is told and when, on event time alone."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from paths import SHARED

from txmon.ingest.rejects import RejectLog
from txmon.model.keys import Key
from txmon.model.outcome import IncidentEvent, IncidentState, Outcome, Rise, Trend
from txmon.model.verdict import Stated, Verdict
from txmon.notify.notification import Notification
from txmon.notify.policy import Notifier, Policy
from txmon.notify.recent_counts import MOST_ENTRIES, RecentCounts
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.settings.schedule import Hours, Silence, hours, silences, time_of_day

T0 = 1772409600  # 2026-03-02T00:00:00Z, a Monday
DATA = SHARED / "data"
MERCHANT: Key = (("merchant", "m1"),)


def verdict(
    minute: float, count: int = 5, status: str = "failed", incident: str | None = None, key: Key = ()
) -> Verdict:
    recommendation = "alert" if incident else "ok"
    time = T0 + int(60 * minute)
    return Verdict(time, status, key, count, 100, 1.0, 9.0, 1, recommendation, (), Stated(0, 3, "text"), incident)  # type: ignore[arg-type]


def step(
    minute: float,
    state: IncidentState,
    name: str = "a",
    status: str = "failed",
    key: Key = (),
    began: float = 0,
) -> IncidentEvent:
    time, start = T0 + int(60 * minute), T0 + int(60 * began)
    return IncidentEvent(time, state, name, (status,), key, "failures", start, start, 9, 1.0, 8.0, "text")


class Story:
    """A notifier that is fed minute by minute, and what it told."""

    restarts = False  # before every minute, with the state of the minute before

    def __init__(self, policy: Policy | None = None) -> None:
        self.told: list[Notification] = []
        self.notifier = Notifier(policy or Policy(), self.told.append)

    def restart(self) -> None:
        state = json.loads(json.dumps(self.notifier.snapshot()))
        self.notifier = Notifier(self.notifier.policy, self.told.append)
        self.notifier.restore(state)

    def minute(self, minute: float, *events: IncidentEvent, alerting: Sequence[str] = (), rising: str = "") -> None:
        if self.restarts:
            self.restart()
        time = T0 + int(60 * minute)
        trends = {"failed": Trend(0.5, "rising a lot"), "approved": Trend(0.0, "stable")}
        rises = [Rise(time, rising, 2.0, 5)] if rising else []
        verdicts = [verdict(minute, incident=name) for name in alerting] or [verdict(minute)]
        self.notifier.accept(Outcome(time, verdicts, events, trends, rises))

    @property
    def steps(self) -> list[tuple[str, int]]:
        """(kind, minute) of all that was told."""
        return [(told.kind, (told.time - T0) // 60) for told in self.told]


# the counts of a picture are not kept: a restart begins it anew
pictures = pytest.mark.parametrize("restarts", [False], indirect=True)


@pytest.fixture(params=[False, True], ids=["", "restarts"], autouse=True)
def restarts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every story twice: a restart between any two minutes changes nothing that is told."""
    monkeypatch.setattr(Story, "restarts", request.param)


def test_each_step_is_told_once_and_at_once() -> None:
    story = Story()
    story.minute(0, step(0, "opened"))
    story.minute(1)
    story.minute(30, step(30, "worsened"))
    story.minute(40, step(40, "escalated"))  # as an earlier version called it
    story.minute(60, step(60, "reminder"), alerting=["a"])
    story.minute(65, step(65, "no data"))
    story.minute(68, step(68, "changed level"))
    story.minute(70, step(70, "resolved"))
    story.minute(75, step(75, "reopened"))
    story.notifier.close()
    assert story.steps == [
        ("opened", 0), ("worsened", 30), ("worsened", 40), ("reminder", 60), ("no data", 65), ("changed level", 68),
        ("resolved", 70), ("reopened", 75),
    ]  # fmt: skip


def test_what_is_over_for_long_is_counted_and_what_is_open_is_told_when_the_present_is_reached() -> None:
    story = Story()
    if story.restarts:
        return
    story.notifier = Notifier(Policy(), story.told.append, oldest=lambda: T0 + 60.0 * 100)
    story.minute(0, step(0, "opened", "a"))
    story.minute(10, step(10, "resolved", "a"), step(10, "opened", "b"))
    story.minute(50, step(50, "worsened", "b"), rising="failed")
    assert story.told == []
    story.minute(100)
    story.minute(120, step(120, "resolved", "b"))
    assert story.steps == [("opened", 100), ("resolved", 120)]
    assert [told.events[0].id for told in story.told] == ["b", "b"]
    assert story.notifier.stale == 1


def test_the_end_of_what_people_heard_of_is_told_however_old() -> None:
    story = Story()
    story.minute(0, step(0, "opened", "a"))
    state = story.notifier.snapshot()
    story.notifier = Notifier(Policy(), story.told.append, oldest=lambda: T0 + 60.0 * 1000)
    story.notifier.restore(state)
    story.notifier.accept(Outcome(T0 + 600, [verdict(10)], [step(10, "resolved", "a")]))
    assert story.steps == [("opened", 0), ("resolved", 10)]


def test_what_is_too_much_for_an_hour_comes_in_one_digest() -> None:
    story = Story(Policy(most=2))
    for minute in range(10):
        story.minute(minute, step(minute, "opened", f"i{minute}"))
    story.minute(59)
    assert story.steps == [("opened", 0), ("opened", 1)]
    story.minute(60)
    assert story.steps[2:] == [("digest", 60)]
    assert {event.id for event in story.told[2].events} == {f"i{minute}" for minute in range(2, 10)}
    story.minute(100, step(100, "resolved", "i5"))
    assert story.steps[3:] == [("resolved", 100)]


def test_a_digest_of_what_was_too_much_is_told_at_the_end_too() -> None:
    story = Story(Policy(most=1))
    for minute in range(3):
        story.minute(minute, step(minute, "opened", f"i{minute}"))
    story.notifier.close()
    assert story.steps == [("opened", 0), ("digest", 2)]


def test_a_silence_that_somebody_ordered_ends_by_itself() -> None:
    story = Story()
    story.minute(0, replace(step(0, "opened"), silent_until=T0 + 1800))
    story.minute(29)
    assert story.told == []
    story.minute(30)
    assert [(t.kind, t.held) for t in story.told] == [("opened", True)]


def test_incidents_that_begin_together_share_a_notification() -> None:
    story = Story()
    story.minute(0, step(0, "opened", "a"), step(0, "opened", "b"), step(0, "resolved", "c", began=-9))
    story.minute(1, step(1, "opened", "d"))
    assert [(t.kind, [e.id for e in t.events]) for t in story.told] == [
        ("opened", ["a", "b"]), ("resolved", ["c"]), ("opened", ["d"]),
    ]  # fmt: skip


def test_with_short_buckets_a_group_gathers_for_thirty_seconds_of_event_time() -> None:
    story = Story(Policy(bucket=10))
    for n, name in enumerate("abcd"):
        story.minute(n / 6, step(n / 6, "opened", name))
    assert [[e.id for e in t.events] for t in story.told] == [["a", "b", "c"]]
    story.notifier.close()
    assert [[e.id for e in t.events] for t in story.told] == [["a", "b", "c"], ["d"]]


QUIET = Policy(quiet=hours("22:00-06:00"))


def test_quiet_hours_hold_back_until_they_end() -> None:
    story = Story(QUIET)
    story.minute(60, step(60, "opened", "stays"), step(60, "opened", "ends"))
    story.minute(90, step(90, "resolved", "ends"))
    story.minute(120, step(120, "reminder", "stays"), alerting=["stays"])
    assert story.told == []
    story.minute(360)
    assert [(t.kind, t.events[0].id, t.held) for t in story.told] == [
        ("opened", "stays", True),
        ("resolved", "ends", True),
    ]
    story.minute(400, step(400, "resolved", "stays"))
    assert story.told[-1].kind == "resolved"
    assert not story.told[-1].held


@pytest.mark.parametrize("state", ["worsened", "no data"])
def test_what_gets_worse_passes_quiet_hours(state: IncidentState) -> None:
    story = Story(QUIET)
    story.minute(60, step(60, "opened"))
    story.minute(70, step(70, state))  # nobody heard of it before
    story.minute(80, step(80, state))
    story.minute(360)
    assert story.steps == [("opened", 70), (state, 80)]


def test_what_quiet_hours_still_hold_is_told_at_the_end_of_the_stream() -> None:
    story = Story(QUIET)
    story.minute(60, step(60, "opened"))
    story.notifier.close()
    assert story.steps == [("opened", 60)]


def test_quiet_hours_are_in_the_zone() -> None:
    tokyo = replace(QUIET, tz=ZoneInfo("Asia/Tokyo"))
    story = Story(tokyo)
    story.minute(60, step(60, "opened"))  # 10:00 in Tokyo
    assert story.steps == [("opened", 60)]


def test_a_silenced_incident_that_ends_in_its_window_is_never_told() -> None:
    story = Story(Policy(silences=silences([{"status": "failed", "time": "00:00-02:00"}]), digest=time_of_day("03:00")))
    story.minute(0, step(0, "opened"), step(0, "opened", "other", status="denied"))
    story.minute(50, step(50, "resolved"))
    story.minute(200)
    assert [(t.kind, t.events[0].id) for t in story.told if t.kind != "digest"] == [("opened", "other")]
    assert [t.day.silenced for t in story.told if t.day] == [1]


def test_a_silenced_incident_that_outlives_its_window_is_told_then() -> None:
    story = Story(Policy(silences=silences([{"status": "failed", "time": "00:00-02:00"}])))
    story.minute(0, step(0, "opened"))
    story.minute(119)
    assert story.told == []
    story.minute(120)
    assert [(t.kind, t.held) for t in story.told] == [("opened", True)]


def test_the_end_of_an_incident_that_was_told_is_told_in_a_window_too() -> None:
    story = Story(Policy(silences=silences([{"status": "failed", "time": "01:00-02:00"}])))
    story.minute(0, step(0, "opened"))
    story.minute(70, step(70, "resolved"))
    assert story.steps == [("opened", 0), ("resolved", 70)]


def test_a_window_for_one_key_leaves_the_others() -> None:
    story = Story(Policy(silences=silences([{"key": {"merchant": "m1"}}])))
    story.minute(0, step(0, "opened", "a", key=MERCHANT), step(0, "opened", "b", key=(("merchant", "m2"),)))
    assert [e.id for t in story.told for e in t.events] == ["b"]


def test_after_a_restart_a_known_incident_is_not_opened_again() -> None:
    story = Story()
    story.minute(60, step(60, "reminder"), alerting=["a"])
    story.minute(70, step(70, "resolved"))
    assert story.steps == [("reminder", 60), ("resolved", 70)]


def test_after_a_restart_the_end_is_told_in_a_maintenance_window_too() -> None:
    story = Story(Policy(silences=silences("status=failed")))
    story.minute(70, step(70, "resolved"))
    assert story.steps == [("resolved", 70)]


@pictures
def test_a_trend_is_told_at_most_each_half_hour_a_status() -> None:
    story = Story()
    for minute in range(0, 120, 10):
        story.minute(minute, rising="failed")
        story.minute(minute + 1, rising="denied" if minute == 50 else "")
    assert story.steps == [("trend", 0), ("trend", 30), ("trend", 51), ("trend", 60), ("trend", 90)]
    assert story.told[1].trends == {"failed": Trend(2.0, "rising a lot")}
    assert story.told[1].recent.of("failed", ()) == (5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 5)


def test_no_trend_of_what_is_an_incident_already() -> None:
    story = Story()
    story.minute(0, step(0, "opened", status="reversed"))
    story.minute(1, rising="reversed")
    story.minute(2, rising="backend_reversed")  # the same wave
    assert story.steps == [("opened", 0)]
    story.minute(3, step(3, "resolved", status="reversed"))
    story.minute(4, rising="reversed")
    assert story.steps == [("opened", 0), ("resolved", 3), ("trend", 4)]


def test_trends_can_be_switched_off_silenced_or_asleep() -> None:
    for policy in (Policy(trend_every=0), Policy(silences=silences("status=failed")), QUIET):
        story = Story(policy)
        for minute in range(60):
            story.minute(minute, rising="failed")
        assert story.told == []


def test_the_daily_summary_comes_once_a_day_at_its_time() -> None:
    story = Story(Policy(digest=time_of_day("09:00"), tz=ZoneInfo("Europe/Berlin")))
    story.minute(0, step(0, "opened"))
    for minute in range(1, 3 * 1440, 10):
        story.minute(minute)
    digests = [told for told in story.told if told.kind == "digest"]
    assert [(told.time - T0) // 60 for told in digests] == [481, 1921, 3361]  # 09:00 in Berlin is 08:00 UTC
    first, second = digests[0].day, digests[1].day
    assert first is not None
    assert second is not None
    assert (first.opened, first.still_open, first.totals) == (1, 1, {"failed": 5 * 49})
    assert (second.opened, second.still_open, second.totals) == (0, 1, {"failed": 5 * 144})
    assert len({told.id for told in digests}) == 3


def test_a_correction_of_an_earlier_bucket_takes_no_time_back() -> None:
    story = Story(Policy(digest=time_of_day("09:00")))
    for minute in (538, 539, 540, 541, 542):
        story.minute(minute)
        correction = verdict(539, 7).changed(revises=True)
        story.notifier.accept(Outcome(T0 + 60 * 539, [correction]))
    assert story.steps == [("digest", 540)]


@pictures
def test_a_bucket_that_is_still_open_is_told_of_when_it_closes() -> None:
    story = Story(Policy(digest=time_of_day("09:00")))
    for minute in range(530, 540):
        story.minute(minute)
        early = verdict(minute + 1, 3, incident="a").changed(partial=True)
        story.notifier.accept(Outcome(T0 + 60 * (minute + 1), [early]))  # while the minute before may still be open
    assert story.told == []
    story.minute(540, step(540, "opened"))
    assert story.steps == [("digest", 540), ("opened", 540)]
    assert story.told[1].recent.of("failed", ()) == (5,) * 11
    assert story.told[1].trends["failed"].name == "rising a lot"


@pictures
def test_a_correction_is_in_the_picture() -> None:
    story = Story()
    for minute in range(15):
        story.minute(minute)
    story.notifier.accept(Outcome(T0 + 60 * 13, [verdict(13, 9).changed(revises=True)]))
    story.minute(15, step(15, "opened"))
    assert story.told[0].recent.of("failed", ()) == (*[5] * 12, 9, 5, 5)


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = silences("time=22:00-06:00;weekday=sat")[0]
    active = {day: night.active(int(datetime(2026, 3, day, 3, tzinfo=UTC).timestamp()), UTC) for day in (1, 7, 8)}
    assert active == {1: True, 7: False, 8: True}  # the 7th is a Saturday
    assert hours("00:00-24:00").hold(T0 + 86399, UTC)


def test_a_silence_covers_only_what_it_names() -> None:
    one = Silence(statuses=("approved",))
    assert one.covers(("approved", "*"), ())
    assert not one.covers(("approved", "failed"), ())
    assert not one.covers(("*",), ())


@pytest.mark.parametrize(
    "table",
    [
        {"status": ["denied", "failed"], "time": "02:00-04:00", "weekday": ["sat", "sun"]},
        {"key": {"merchant": "a,b;c+d=e:f%", "terminal": "é ü"}},
        {"weekday": "Monday"},
    ],
)
def test_a_silence_reads_back_from_its_text(table: dict[str, object]) -> None:
    found = silences([table, {"status": "refunded"}])
    assert silences(",".join(map(str, found))) == found


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "needs one of status, key, time, weekday"),
        ({"statuses": "x"}, "did you mean 'status'?"),
        ({"weekday": "xyz"}, "is not valid. Choose mon, tue, "),
        ({"time": "02:00"}, "not a range of hours"),
        ({"time": "02:00-02:00"}, "begins when it ends"),
        ({"time": "25:00-26:00"}, "not a time of day"),
        ({"time": ["01:00-02:00", "03:00-04:00"]}, "one time"),
        ({"key": "m1"}, "not a table"),
        ("denied", "not NAME=VALUE"),
        ("key=m1", "not a key. Use for example merchant:m1"),
        (7, "not a maintenance window"),
        ([3], "not a maintenance window"),
    ],
)
def test_a_wrong_silence_says_what_is_wrong(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        silences(value)


def test_history_keeps_quarter_of_an_hour_in_minutes() -> None:
    history = RecentCounts(10)
    for n in range(600):
        history.add(T0 + 10 * n, [verdict(n / 6, n % 7)])
    counts = history.recent([("failed", ())]).of("failed", ())
    assert counts == tuple(sum(n % 7 for n in range(600 - 90 + 6 * i, 600 - 84 + 6 * i)) for i in range(15))


def test_a_correction_replaces_the_count() -> None:
    history = RecentCounts(60)
    for count in (5, 8):
        history.add(T0, [verdict(0, count)])
    assert history.recent([("failed", ())]).of("failed", ()) == (8,)
    assert history.recent([("failed", ())], over_all_keys=True).of("failed", ()) == (8,)


def test_too_many_series_are_kept_together() -> None:
    history = RecentCounts(60)
    many = [verdict(0, 1, key=(("m", str(n)),)) for n in range(MOST_ENTRIES // 15 + 1)]
    history.add(T0, many)
    recent = history.recent([("failed", many[0].key)])
    assert recent.over_all_keys
    assert recent.of("failed", many[0].key) == (len(many),)


@pytest.mark.parametrize(("name", "incidents"), [("transactions_1.csv", 8), ("transactions_2.csv", 9)])
def test_a_real_day_is_told_in_at_most_twenty_notifications(name: str, incidents: int) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    settings = Settings(date=date(2026, 3, 2))
    story = Story()
    events: list[IncidentEvent] = []
    last = 0
    reader = reader_of(settings, RejectLog(None, False), date(2026, 3, 2))
    for outcome in pipeline_of(settings, live=False).run(reader.records([str(path)])):
        story.notifier.accept(outcome)
        events += outcome.events
        last = outcome.time
    story.notifier.close()
    for state in ("opened", "resolved"):
        told = [e.id for t in story.told if t.kind == state for e in t.events]
        assert sorted(told) == sorted(e.id for e in events if e.state == state)
    assert len({event.id for event in events}) <= incidents
    assert len(story.told) <= 20
    # each labelled incident lies in one of txmon's that has one of its statuses
    rows = json.loads(path.with_suffix("").with_suffix(".labels.json").read_text())["incidents"]
    for row in rows:
        start, end = (int(datetime.fromisoformat(row[which]).timestamp()) for which in ("start", "end"))
        if start >= last - 120:
            continue  # one weak alert in the file's last minute opens no incident yet
        mine = [event for event in events if event.start <= end and event.time >= start]
        assert any({"*", *row["statuses"]} & set(event.statuses) for event in mine), row


def test_failures_are_not_resolved_before_they_are_over() -> None:
    path = DATA / "transactions_2.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    reader = reader_of(Settings(date=date(2026, 3, 2)), RejectLog(None, False), date(2026, 3, 2))
    outcomes = pipeline_of(Settings(), live=False).run(reader.records([str(path)]))
    failed = [event for outcome in outcomes for event in outcome.events if "failed" in event.statuses]
    assert [
        (e.state, datetime.fromtimestamp(e.time, UTC).strftime("%H:%M")) for e in failed if e.state == "resolved"
    ] == [
        ("resolved", "18:54")  # the last of them came at 18:50
    ]


def test_hours_are_a_value() -> None:
    assert hours("22:00-06:00") == Hours(1320, 360)
    assert str(hours("7:05-24:00")) == "07:05-24:00"


@pytest.mark.parametrize(
    "broken", [{}, {"incidents": [[]]}, {"incidents": [], "tally": [], "time": None}, {"incidents": 3}, {"known": [9]}]
)
def test_a_foreign_memory_is_refused(broken: dict[str, object]) -> None:
    story = Story()
    whole = story.notifier.snapshot()
    with pytest.raises((KeyError, IndexError, TypeError, ValueError)):
        story.notifier.restore({**whole, **broken} if broken else {})

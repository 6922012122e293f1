"""Every part that has a state: restoring a snapshot and going on gives the same as never stopping.

A case says how to make a part, what to feed it, and what comes back. The test feeds a random prefix, takes the snapshot
through JSON into a fresh part, feeds the rest to both, and compares every answer and the last snapshots.
"""

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import ROOT

from txmon.api import Detector
from txmon.detection.baseline import Baseline
from txmon.detection.cardinality import Sample, SharedSeriesCount
from txmon.detection.detector import BucketJudge
from txmon.detection.episodes import Episodes, Surges
from txmon.detection.hours import ClosedHours, KeyHours
from txmon.detection.judgement import LAG, judge
from txmon.detection.key_series import KeyVolume, StatusLayout
from txmon.detection.money import MoneyBook
from txmon.detection.pulses import Pulses
from txmon.detection.registry import Roster
from txmon.detection.season import Season
from txmon.detection.tails import Tail
from txmon.detection.thresholds import DetectorConfig
from txmon.ingest.records import ParseOptions, Record, RecordParser
from txmon.ingest.timestamps import TimeParser
from txmon.model.keys import Key
from txmon.model.money import CURRENCY, Sums
from txmon.model.outcome import IncidentEvent, Outcome, Trend
from txmon.model.scores import Thresholds
from txmon.model.stateful import Stateful
from txmon.model.verdict import Stated, Verdict
from txmon.notify.notification import Notification
from txmon.notify.policy import Notifier, Policy
from txmon.notify.router import Router
from txmon.notify.sent import SentTable
from txmon.notify.setup import NotificationSink
from txmon.pipeline.buckets import Bucketer
from txmon.pipeline.incidents import IncidentPolicy, IncidentTracker
from txmon.pipeline.pipeline import Pipeline
from txmon.pipeline.rules import RuleBook
from txmon.pipeline.trends import TrendTracker
from txmon.runtime.event_clock import EventClock
from txmon.runtime.factory import pipeline_of
from txmon.server.history import Recent
from txmon.server.idempotency import IdempotencyCache
from txmon.server.otlp import Counters, Point
from txmon.settings import routing
from txmon.settings.declarations import Settings
from txmon.settings.rule import parse_rules

START: Final = 1772409600  # Monday 2026-03-02, 00:00 UTC
DENIED: Final = Thresholds(3.5, 3, 1.5, "above")
QUICK: Final = DetectorConfig(warmup=300.0, half_life=300.0, sigma=3.0, level_shift=1200.0, max_series=7, idle=3600.0)
STATUSES: Final = ("approved", "denied", "failed")
Counts = dict[Key, dict[str, int]]


@dataclass(frozen=True)
class Case:
    """How a part is made, what it takes, and what it answers to the item of that number."""

    make: Callable[[], Stateful]
    items: st.SearchStrategy[list[Any]]
    feed: Callable[[Any, int, Any], object]


class Together:
    """A part and the series that it changes, which belongs to another part: neither is of use alone."""

    def __init__(self, part: Stateful, series: Stateful) -> None:
        self.part, self.series = part, series

    def snapshot(self) -> dict[str, Any]:
        return {"part": self.part.snapshot(), "series": self.series.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self.part.restore(state["part"])
        self.series.restore(state["series"])


class Routed:
    """A router with a route for one status, and which channels each notification went to."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        routes = routing.routes("status=denied;to=exec")
        self.router = Router(routes, ("teams", "exec"), UTC, lambda told, names: self.sent.append((told.id, names)))

    def snapshot(self) -> object:
        return self.router.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        self.router.restore(state)

    def accept(self, outcome: Outcome) -> list[object]:
        before = len(self.sent)
        for event in outcome.events:
            self.router.tell(Notification(event.state, event.time, (event,)))
        return self.sent[before:]


class Telling:
    """A notifier, or the sink around one, and what it told; the pictures' counts are no part of its state."""

    def __init__(self, wrap: bool) -> None:
        self.told: list[Notification] = []
        policy = Policy(trend_every=120, group=60, digest=10)
        notifier = Notifier(policy, self.told.append)
        router = Router((), (), UTC, lambda *_: None)
        self.part = NotificationSink(notifier, print, router, SentTable(), 0) if wrap else notifier

    def snapshot(self) -> object:
        return self.part.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        self.part.restore(state)

    def accept(self, outcome: Outcome) -> list[object]:
        self.told.clear()
        self.part.accept(outcome)
        return [(one.id, one.events, one.day, one.held) for one in self.told]


def key_of(n: int) -> Key:
    return (("merchant", f"m{n}"),) if n else ()


def values(verdicts: Sequence[Verdict]) -> list[object]:
    return [verdict.values() for verdict in verdicts]


def parts_of(outcome: Outcome) -> object:
    return outcome.time, values(outcome.verdicts), list(outcome.events), list(outcome.rises)


def verdict_of(n: int, status: str, count: int, key: Key = (), incident: str | None = None) -> Verdict:
    word = "alert" if count > 12 else "pending" if count > 10 else "ok"
    score = (count - 4.0) / 2
    return Verdict(
        START + 60 * n, status, key, count, 100, 4.0, score, 1, word, ("score",) if count > 10 else (),  # type: ignore[arg-type]
        Stated(0, 12, f"{count} {status}"), incident,
    )  # fmt: skip


def outcome_of(n: int, counts: dict[str, int]) -> Outcome:
    verdicts = [verdict_of(n, status, count, (), f"i{count % 3}") for status, count in counts.items()]
    events = [
        IncidentEvent(
            START + 60 * n, ("opened", "worsened", "reminder", "resolved")[count % 4], f"i{count % 3}", (status,), (),
            "failures", START, START + 60 * n, count, 4.0, count - 4.0, "text",
        )
        for status, count in counts.items()
        if count > 10
    ]  # fmt: skip
    trends = {status: Trend(count / 20, "rising a lot") for status, count in counts.items()}
    return Outcome(START + 60 * n, verdicts, events, trends)


# counts by key and status: mostly small ones, and now and then a surge or nothing
count = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 40, 5000])
by_status = st.dictionaries(st.sampled_from(STATUSES), count, max_size=3)
steady = st.lists(by_status, min_size=2, max_size=40)
some_keys = st.lists(
    st.dictionaries(st.integers(0, 4).map(key_of), by_status.filter(bool), max_size=3), min_size=2, max_size=40
)
seconds = st.integers(-900, 240)  # from the item's own minute
record = st.tuples(
    seconds, st.sampled_from(STATUSES), count, st.integers(0, 2), st.one_of(st.none(), st.integers(0, 9))
)
records = st.lists(record, min_size=2, max_size=60)
texts = st.sampled_from(
    ["2026-03-02T10:00:00Z", "23:50", "00:10", "12h 05", "1772409600", "2026-10-25 02:30", "2026-10-25 02:31", "never"]
)
lines = st.lists(
    st.one_of(
        st.tuples(texts, st.sampled_from(STATUSES), count).map(lambda row: f"{row[0]},{row[1]},{row[2]}\n".encode()),
        st.sampled_from([b"\n", b"oops\n", b"time,status,count\n"]),
    ),
    min_size=2,
    max_size=30,
)


def feed_baseline(part: Baseline, n: int, item: int) -> object:
    part.observe(float(item), part.rate())
    seen = judge(part, DENIED, None, LAG)
    part.learn(float(item), 1.0)
    return seen.score, seen.passed, part.rate(), part.dispersion()


def feed_season(part: Season, n: int, item: int) -> object:
    time = START + 3600 * n
    growth = part.growth(time - 3600, time, 100.0)
    part.learn(time, float(item), 60.0)
    return growth, part.level(time + 3600), part.error(time + 3600)


def feed_tail(part: Tail, n: int, item: int) -> object:
    score = item % 7 + 0.5
    part.settle(score, score / 2, 3.0)
    part.learn(score, 0.0, score - 1.0, item % 3, 4.0, 3e-5)
    return part.one.ratio, part.fifteen.ratio, part.scale15, part.alarms


def feed_pulses(part: Pulses, n: int, item: int) -> object:
    time = START + 1200 * n
    usual = part.usual(time, float(item), 4.0)
    return usual, part.named, part.note(time, item - 4.0, item - 4.0)


def feed_hours(part: ClosedHours, n: int, item: int) -> object:
    time = START + 3 * 3600 * n
    closed = part.closed(time)
    part.learn(time, item > 4)
    return closed


def feed_key_hours(part: KeyHours, n: int, item: int) -> object:
    time = START + 3 * 3600 * n
    feed = ClosedHours()
    for before in range(n + 1):  # something of other keys always arrives
        feed.learn(START + 3 * 3600 * before, True)
    return part.note(time) if item > 4 else (part.closed(time, feed, False), part.shut, part.opened)


def feed_sample(part: Sample, n: int, item: tuple[int, set[int]]) -> object:
    part.take(n, item[0], {f"m{one}": ["denied"] for one in item[1]})
    part.drop(n - 5)
    return part.census.series()


def feed_shared(part: SharedSeriesCount, n: int, item: tuple[int, set[int]]) -> object:
    part.close(n, (item[0], {f"m{one}": ["denied"] for one in sorted(item[1])}))
    part.forget(n - 5)
    return part.series()


def feed_episodes(part: Together, n: int, item: int) -> object:
    episodes, series = part.part, part.series
    assert isinstance(episodes, Episodes)
    assert isinstance(series, Baseline)
    series.observe(float(item), 4.0)
    episodes.count((), "denied", series, item > 9, START + 60 * n)
    if item == 11:
        episodes.exclude((), "denied", series)
    if not episodes.is_excluded((), "denied", series):
        series.learn(float(item), 1.0)
    return episodes.are_there(), episodes.flaps((), "denied", START + 60 * n), series.rate(), series.alerting


def feed_surges(part: Together, n: int, item: int) -> object:
    surges, volume = part.part, part.series
    assert isinstance(surges, Surges)
    assert isinstance(volume, KeyVolume)
    surges.end((), volume, item)
    usual = surges.usual((), volume.rate(), item)
    volume.observe(float(item), usual)
    surges.follow((), volume, item > 11)
    surges.grow(1.01)
    volume.learn(float(item), 1.0)
    return usual, volume.rate()


def feed_roster(part: Roster, n: int, item: Counts) -> object:
    arrivals, whole = part.enlist(START + 600 * n, item, None)
    dropped = part.drop(START + 600 * n, bool(whole))
    part.as_one(whole)
    return len(arrivals), whole, dropped, part.sharing, list(part.volumes)


def feed_judge(part: BucketJudge, n: int, item: Counts) -> object:
    found = values(part.judge(START + 60 * n, item))
    if n % 7 == 3:
        part.exclude((), ["*", "denied"])
    return found, part.sigma(), part.whole, [astuple(one) for one in part.describe()]


def feed_rules(part: RuleBook, n: int, item: dict[str, int]) -> object:
    verdicts = [verdict_of(n, status, count) for status, count in item.items()]
    return values(part.apply(verdicts, {(): item}, {}))


def feed_bucketer(part: Bucketer, n: int, item: tuple[int, str, int, int, int | None]) -> object:
    offset, status, number, key, identity = item
    name = None if identity is None else f"id{identity}"
    closed = [
        (b.start, b.counts)
        for b in part.add([Record(START + 60 * n + offset, status, number, key_of(key), None, name)])
    ]
    return closed, [astuple(one) for one in part.corrections()], part.summary()


def feed_trends(part: TrendTracker, n: int, item: dict[str, int]) -> object:
    trends, rises = part.observe(START + 60 * n, item)
    return {status: (trend.slope, trend.name) for status, trend in trends.items() if status in item}, rises


def feed_incidents(part: IncidentTracker, n: int, item: Counts) -> object:
    verdicts = [verdict_of(n, status, one, key) for key, row in item.items() for status, one in row.items()]
    judged, events = part.observe(START + 60 * n, verdicts)
    if n % 9 == 4 and part.open():
        part.acknowledge(part.open()[0].id)
    return values(judged), events


def feed_pipeline(part: Pipeline, n: int, item: tuple[int, str, int, int, int | None]) -> object:
    offset, status, number, key, identity = item
    name = None if identity is None else f"id{identity}"
    time = START + 300 * n + offset
    currency = ((CURRENCY, "USD" if number % 2 else "BRL"),)
    record = Record(time, status, number, key_of(key) + currency, number * 1.25, name)
    return [parts_of(one) for one in part.feed([record])]


def feed_money(part: MoneyBook, n: int, item: Counts) -> object:
    money = {
        (*key, (CURRENCY, "USD")): {status: Sums(count * 25_000, count * 25_000**2) for status, count in row.items()}
        for key, row in item.items()
    }
    verdicts = [verdict_of(n, status, one, key) for key, row in item.items() for status, one in row.items()]
    worth = [part.value(verdict, money) for verdict in verdicts]
    part.learn(START + 60 * n, item, money, verdicts, {})
    return worth


def feed_detector(part: Detector, n: int, item: tuple[int, str, int, int, int | None]) -> object:
    offset, status, number, key, identity = item
    name = None if identity is None else f"id{identity}"
    time = START + 300 * n + offset
    return values(part.update(time, status, number, dict(key_of(key)), name)), list(part.events)


def feed_parser(part: RecordParser, n: int, item: bytes) -> object:
    return part.one(item if part.lines else b"time,status,count\n")


def feed_times(part: TimeParser, n: int, item: str) -> object:
    try:
        return part.parse(item)
    except ValueError as bad:
        return str(bad)


def feed_clock(part: EventClock, n: int, item: int) -> object:
    part.note(START + 60 * n - item, START + 60.0 * n, 1000.0 + 60.0 * n)
    return part.now(1030.0 + 60.0 * n)


def feed_history(part: Recent, n: int, item: dict[str, int]) -> object:
    return part.accept(outcome_of(n, item)), part.last_hour(), part.incidents.snapshot()


def feed_answers(part: IdempotencyCache, n: int, item: tuple[int, int]) -> object:
    return part.once(f"key{item[0]}", f"digest{item[1]}", lambda: (200, f"answer {n}"))


def feed_counters(part: Counters, n: int, item: tuple[int, int]) -> object:
    stream, value = f"s{item[0] % 3}", float(item[1])
    point = Point(stream, "p", 0, (START + 10 * n) * 10**9, value, item[0] % 2 == 1, {"status": "failed"})
    rows, marks = part.rows([point], 60, 0.0, ("status",), ())
    part.adopt(marks)
    return rows


def new_parser() -> RecordParser:
    from datetime import date
    from zoneinfo import ZoneInfo

    return RecordParser("a.csv", ParseOptions(format="csv"), TimeParser(ZoneInfo("Europe/Berlin"), date(2026, 3, 2)))


def new_times() -> TimeParser:
    from datetime import date
    from zoneinfo import ZoneInfo

    return TimeParser(ZoneInfo("Europe/Berlin"), date(2026, 3, 2))


numbers = st.lists(count, min_size=2, max_size=80)
sampled = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 30))), min_size=2, max_size=20)
CASES: Final[dict[str, Case]] = {
    "Baseline": Case(lambda: Baseline(0.95, 0.001), numbers, feed_baseline),
    "Tail": Case(Tail, numbers, feed_tail),
    "Pulses": Case(Pulses, numbers, feed_pulses),
    "ClosedHours": Case(ClosedHours, numbers, feed_hours),
    "KeyHours": Case(lambda: KeyHours(START), numbers, feed_key_hours),
    "Season": Case(lambda: Season(3600), st.lists(count, min_size=40, max_size=80), feed_season),
    "Sample": Case(Sample, sampled, feed_sample),
    "SharedSeriesCount": Case(SharedSeriesCount, sampled, feed_shared),  # its own keys: see Roster
    "Episodes": Case(lambda: Together(Episodes(), Baseline(0.95)), numbers, feed_episodes),
    "Surges": Case(lambda: Together(Surges(0.95), KeyVolume(0.95, StatusLayout([], {}))), numbers, feed_surges),
    "Roster": Case(lambda: Roster(QUICK, 0.95, 0.99), some_keys, feed_roster),
    "BucketJudge": Case(lambda: BucketJudge(QUICK), some_keys, feed_judge),
    "RuleBook": Case(lambda: RuleBook(parse_rules("count > 5 for 3m"), "both", 60), steady, feed_rules),
    "Bucketer": Case(lambda: Bucketer(60, 60), records, feed_bucketer),
    "TrendTracker": Case(lambda: TrendTracker(60), steady, feed_trends),
    "IncidentTracker": Case(
        lambda: IncidentTracker(IncidentPolicy(resolve_after=180, remind_every=600)), some_keys, feed_incidents
    ),
    "MoneyBook": Case(MoneyBook, some_keys, feed_money),
    "Pipeline": Case(
        lambda: pipeline_of(Settings(warmup=600, sigma=3.0), live=False, detailed=True), records, feed_pipeline
    ),
    "Detector": Case(lambda: Detector(warmup="10m", sigma=3), records, feed_detector),
    "RecordParser": Case(new_parser, lines, feed_parser),
    "TimeParser": Case(new_times, st.lists(texts, min_size=2, max_size=30), feed_times),
    "EventClock": Case(EventClock, numbers, feed_clock),
    "Notifier": Case(lambda: Telling(wrap=False), steady, lambda part, n, item: part.accept(outcome_of(n, item))),
    "NotificationSink": Case(
        lambda: Telling(wrap=True), steady, lambda part, n, item: part.accept(outcome_of(n, item))
    ),
    "Router": Case(Routed, steady, lambda part, n, item: part.accept(outcome_of(n, item))),
    "Recent": Case(lambda: Recent(60), steady, feed_history),
    "IdempotencyCache": Case(
        IdempotencyCache,
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=20),
        feed_answers,
    ),
    "Counters": Case(Counters, st.lists(st.tuples(count, count), min_size=2, max_size=20), feed_counters),
}
ELSEWHERE: Final = {
    "Memory": "a Notifier's snapshot is its Memory's",
    "DriverBook": "tests/detection/test_drivers.py; with a kill in tests/integration/test_drivers_cli.py",
    "DriverWatch": "tests/detection/test_driver_watch.py",
    "ValueTable": "a DriverBook's snapshot holds it",
    "IncidentBook": "the snapshot of Recent holds it",
    "Coverage": "a Pipeline's snapshot holds it; tests/pipeline/test_coverage.py",
}


def through_json(part: Stateful) -> Any:
    return json.loads(json.dumps(part.snapshot()))


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_restored_part_goes_on_as_if_it_had_never_stopped(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    items = data.draw(case.items)
    cut = data.draw(st.integers(0, len(items)))
    through, stopped = case.make(), case.make()
    for n, item in enumerate(items[:cut]):
        assert case.feed(through, n, item) == case.feed(stopped, n, item)
    resumed = case.make()
    resumed.restore(through_json(stopped))
    assert through_json(resumed) == through_json(through)
    for n, item in enumerate(items[cut:], cut):
        assert case.feed(resumed, n, item) == case.feed(through, n, item)
    assert through_json(resumed) == through_json(through)


def test_every_part_with_a_state_has_a_case() -> None:
    """A class with both methods is one: give a new one its case above."""
    found = set()
    for path in (ROOT / "src" / "txmon").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
                if {"snapshot", "restore"} <= methods.keys() and node.name != "Stateful":
                    found.add(node.name)
                    # no alternative constructors: a part is made with its settings and takes the state over
                    assert [one.arg for one in methods["restore"].args.args] == ["self", "state"], node.name
                    assert [one.arg for one in methods["snapshot"].args.args] == ["self"], node.name
    assert found == CASES.keys() | ELSEWHERE.keys()

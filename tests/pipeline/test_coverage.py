"""Zero, silence, unobserved and closed: what a pipeline says of each, learns from each, and alerts of."""

import json
from collections.abc import Iterable

import pytest

from txmon.ingest.records import Record
from txmon.model.outcome import Outcome
from txmon.model.verdict import Verdict
from txmon.pipeline.coverage import KEPT, Coverage
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime.factory import pipeline_of
from txmon.settings.closing import closed_rules
from txmon.settings.declarations import Settings

START = 1772409600  # 2026-03-02T00:00:00Z, a Monday


def rows(minutes: Iterable[int], approved: int = 100, failed: int = 1) -> list[Record]:
    found = []
    for minute in minutes:
        counts = (("approved", approved + minute % 5), ("failed", failed))
        found += [Record(START + 60 * minute, status, count) for status, count in counts if count]
    return found


def volume(outcomes: list[Outcome]) -> dict[int, Verdict]:
    """The verdict on the total volume by minute."""
    return {(v.time - START) // 60: v for o in outcomes for v in o.verdicts if v.status == "*"}


def level(pipeline: Pipeline) -> float:
    return next(series.expected for series in pipeline.detector.describe() if series.status == "*")


def ran(pipeline: Pipeline, records: list[Record]) -> list[Outcome]:
    return list(pipeline.run(records))


def test_zero_and_silence_are_judged() -> None:
    pipeline = pipeline_of(Settings(), live=False)
    found = volume(ran(pipeline, [*rows(range(60), failed=0), *rows(range(70, 75))]))
    assert {m: v.recommendation for m, v in found.items() if v.reasons} == dict.fromkeys(range(60, 70), "alert")
    assert {v.reasons for m, v in found.items() if 60 <= m < 70} == {("silence",)}


@pytest.mark.parametrize("known", [True, False])
def test_unobserved_minutes_without_rows_say_so_and_teach_nothing(known: bool) -> None:
    pipeline = pipeline_of(Settings(warmup=600 if known else 86400), live=False)
    outcomes = list(pipeline.feed(rows(range(60))))
    pipeline.coverage.miss(START + 60 * 60 - 20, START + 60 * 75 + 10)
    before = level(pipeline)
    outcomes += ran(pipeline, rows(range(75, 80)))
    found = volume(outcomes)
    unobserved = [m for m, v in found.items() if v.reasons == ("unobserved",)]
    assert unobserved == list(range(60, 75))
    assert found[60].text == "not observed: txmon was not running or not connected"
    assert (found[60].recommendation, found[60].score, found[60].count) == ("ok", 0.0, 0)
    assert [event for outcome in outcomes for event in outcome.events] == []
    assert [rise for outcome in outcomes for rise in outcome.rises] == []
    assert level(pipeline) == pytest.approx(before, rel=0.1)


def test_a_minute_observed_in_part_alerts_of_too_much_and_never_of_too_little() -> None:
    def found(approved: int, failed: int) -> dict[str, Verdict]:
        pipeline = pipeline_of(Settings(), live=False)
        list(pipeline.feed(rows(range(60))))
        pipeline.coverage.miss(START + 60 * 60, START + 60 * 60 + 40, partial=True)
        outcomes = ran(pipeline, rows([60], approved, failed))
        return {v.status: v for o in outcomes for v in o.verdicts if v.time == START + 3600}

    little = found(30, 0)
    assert {v.recommendation for v in little.values()} == {"ok"}
    assert little["*"].text == "observed in part: 30 transactions"
    much = found(30, 60)
    assert (much["failed"].recommendation, much["failed"].reasons) == ("alert", ("score", "unobserved"))
    assert much["approved"].recommendation == "ok"
    assert much["failed"].incident is not None


def test_rows_that_came_all_the_same_show_that_a_time_was_observed() -> None:
    coverage = Coverage(60)
    coverage.miss(600, 1200)
    assert [coverage.mark(start, empty=True) for start in (540, 600, 1140, 1200)] == [
        None,
        "unobserved",
        "unobserved",
        None,
    ]
    assert coverage.mark(600, empty=False) is None
    coverage.miss(1200, 1204)  # less than a tenth of the bucket
    assert coverage.mark(1200, empty=True) is None
    again = Coverage(60)
    again.restore(json.loads(json.dumps(coverage.snapshot())))
    assert again.mark(600, empty=True) == "unobserved"
    again.passed(1204 + KEPT)
    assert again.snapshot() == []


def test_an_incident_neither_ends_nor_grows_while_nobody_observes() -> None:
    pipeline = pipeline_of(Settings(), live=False)
    list(pipeline.feed(rows([*range(60)])))
    list(pipeline.feed(rows(range(60, 64), failed=60)))
    (incident,) = pipeline.tracker.open()
    pipeline.coverage.miss(START + 64 * 60, START + 80 * 60)
    outcomes = list(pipeline.feed(rows([80], failed=60)))
    assert [event for outcome in outcomes for event in outcome.events if event.state == "resolved"] == []
    assert [one.id for one in pipeline.tracker.open()] == [incident.id]


def test_closed_hours_teach_nothing_and_alert_of_nothing() -> None:
    settings = Settings(closed=closed_rules("time=01:30-02:00"))
    pipeline = pipeline_of(settings, live=False)
    stray = [Record(START + 60 * 95, "failed", 60), Record(START + 60 * 95 + 1, "approved", 2)]
    outcomes = list(pipeline.feed([*rows(range(89)), *rows([89]), *stray]))
    before = level(pipeline)
    outcomes += ran(pipeline, rows(range(120, 130)))
    closed = {m: v for m, v in volume(outcomes).items() if v.reasons == ("closed",)}
    assert list(closed) == list(range(90, 120))
    assert (closed[90].text, closed[95].text) == ("closed hours: 0 transactions", "closed hours: 62 transactions")
    assert {v.recommendation for o in outcomes for v in o.verdicts if 5400 <= v.time - START < 7200} == {"ok"}
    assert [e for o in outcomes for e in o.events] == []
    assert level(pipeline) == pytest.approx(before, rel=0.1)


def test_an_opening_that_does_not_come_is_silence() -> None:
    pipeline = pipeline_of(Settings(closed=closed_rules("time=01:30-02:00")), live=False)
    outcomes = ran(pipeline, [*rows(range(90)), *rows(range(125, 130))])
    silent = [m for m, v in volume(outcomes).items() if v.recommendation == "alert"]
    assert silent == list(range(120, 125))


def test_no_early_alert_and_no_alerting_answer_in_closed_hours() -> None:
    pipeline = pipeline_of(Settings(closed=closed_rules("time=01:30-02:00")), live=True, partial=True)
    list(pipeline.feed(rows(range(90))))
    list(pipeline.feed([Record(START + 60 * 90, "failed", 90)]))
    assert pipeline.peek() == []
    verdict = pipeline.assess((START + 5400, (), "failed"))
    assert verdict is not None
    assert (verdict.recommendation, verdict.reasons) == ("ok", ("closed",))


def test_what_nobody_observed_outlives_a_restart() -> None:
    pipeline = pipeline_of(Settings(), live=False)
    list(pipeline.feed(rows(range(60))))
    pipeline.coverage.miss(START + 3600, START + 7200)
    again = pipeline_of(Settings(), live=False)
    again.restore(json.loads(json.dumps(pipeline.snapshot())))
    found = volume(ran(again, rows(range(120, 122))))
    assert [v.reasons for m, v in found.items() if 61 <= m < 120] == [("unobserved",)] * 59


@pytest.mark.parametrize("by", [(), ("merchant",)])
def test_closed_lines_are_said_once_for_all_keys(by: tuple[str, ...]) -> None:
    pipeline = pipeline_of(Settings(group_by=by, closed=closed_rules("time=01:30-02:00")), live=False)
    key = (("merchant", "m1"),) if by else ()
    records = [Record(START + 60 * m, "approved", 50, key) for m in (*range(90), *range(120, 122))]
    outcomes = ran(pipeline, records)
    assert [len(o.verdicts) for o in outcomes if START + 5400 <= o.time < START + 7200] == [1] * 30

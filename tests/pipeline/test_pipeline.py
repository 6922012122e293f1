"""The loop: late rows revise, open buckets alert at once, any cut and any restart give the same."""

import json
import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from txmon.ingest.records import Record
from txmon.model.outcome import Outcome
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime.factory import pipeline_of
from txmon.settings.declarations import Settings
from txmon.sinks.jsonl import JsonLines

START = 1772409600


def stream(minutes: int = 120, seed: int = 1) -> list[Record]:
    rng = random.Random(seed)
    rows = []
    for minute in range(minutes):
        surge = 40 if 80 <= minute < 90 else 10
        for status, count in (("approved", rng.randint(80, 120)), ("denied", rng.randint(surge - 5, surge + 5))):
            rows.append(Record(START + 60 * minute + rng.randrange(60), status, count))
    return sorted(rows, key=lambda row: row.time)


def text(outcomes: list[Outcome]) -> str:
    import io

    out = io.BytesIO()
    sink = JsonLines(out)
    for outcome in outcomes:
        sink.accept(outcome)
    return out.getvalue().decode()


def new(partial: bool = False) -> Pipeline:
    return pipeline_of(Settings(), live=True, partial=partial)


@given(st.lists(st.integers(0, 240), max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_cut_with_a_restart_gives_the_same(cuts: list[int]) -> None:
    records = stream()
    whole = text(list(new().run(records)))
    assert '"opened"' in whole
    pipeline = new()
    outcomes: list[Outcome] = []
    edges = [0, *sorted(cuts), len(records)]
    for a, b in pairwise(edges):
        outcomes += pipeline.feed(records[a:b])
        state = json.loads(json.dumps(pipeline.snapshot()))
        pipeline = new()
        pipeline.restore(state)
    outcomes += pipeline.finish()
    assert text(outcomes) == whole


def test_late_rows_revise_and_never_duplicate() -> None:
    records = stream()
    late = Record(START + 60 * 100, "denied", 50)
    outcomes = list(new().run([*records[:220], late, late, *records[220:]]))
    revised = [v for o in outcomes for v in o.verdicts if v.revises]
    assert [(v.status, v.recommendation) for v in revised] == [("denied", "alert"), ("*", "ok")]
    original = next(
        v for o in outcomes for v in o.verdicts if v.time == late.time and v.status == "denied" and not v.revises
    )
    assert revised[0].count == original.count + 100
    plain = [o for o in outcomes if not any(v.revises for v in o.verdicts)]
    assert text(plain) == text(list(new().run(records)))


def test_an_open_bucket_beyond_its_line_alerts_at_once_and_once() -> None:
    pipeline = new(partial=True)
    list(pipeline.feed(stream(70)))
    assert pipeline.peek() == []
    moment = START + 60 * 70
    list(pipeline.feed([Record(moment + 1, "approved", 20), Record(moment + 1, "denied", 5)]))
    assert pipeline.peek() == []
    list(pipeline.feed([Record(moment + 5, "denied", 40)]))
    [outcome] = pipeline.peek()
    [verdict] = outcome.verdicts
    assert (verdict.partial, verdict.recommendation, verdict.count, verdict.time) == (True, "alert", 45, moment)
    list(pipeline.feed([Record(moment + 6, "denied", 9)]))
    assert pipeline.peek() == []


def test_the_clock_closes_what_a_paused_stream_leaves_open() -> None:
    pipeline = new()
    list(pipeline.feed(stream(70)))
    outcomes = list(pipeline.advance(START + 60 * 75))
    assert [o.time for o in outcomes] == [START + 60 * minute for minute in range(69, 75)]
    assert [v.reasons for v in outcomes[-1].verdicts] == [("silence",)]
    assert list(pipeline.advance(START)) == []


def test_a_rise_is_told_once() -> None:
    records = [Record(START + 60 * m, "denied", 10 + max(0, m - 60) * 6) for m in range(90)]
    rises = [rise for o in new().run(records) for rise in o.rises]
    assert [rise.status for rise in rises] == ["denied"]
    assert 61 < (rises[0].time - START) // 60 < 72


def test_what_was_forgotten_is_said() -> None:
    pipeline = pipeline_of(Settings(max_series=10), live=False)
    records = [Record(START + 60 * m, "approved", 5, (("merchant", f"m{m}"),)) for m in range(30)]
    list(pipeline.run(records))
    assert pipeline.summary() == [
        f"{pipeline.detector.forgotten} keys were forgotten: idle (--idle), or too many (--max-series)"
    ]
    assert pipeline.detector.forgotten >= 20

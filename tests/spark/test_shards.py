"""Shards without Spark: the plan, one shard's batches, and the dealing out of states."""

import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import txmon.spark
from txmon.detection.detector import BucketJudge
from txmon.errors import ConfigError
from txmon.ingest.records import Record
from txmon.model.keys import Key
from txmon.runtime import state_file as state
from txmon.runtime.factory import detector_config, pipeline_of
from txmon.runtime.state_schema import LAYOUT
from txmon.settings.closing import closed_rules
from txmon.settings.declarations import Settings
from txmon.settings.rule import parse_rules
from txmon.sinks.lines import event_line, verdict_line
from txmon.spark import held_shards
from txmon.spark.bucket_notes import notes_of, read
from txmon.spark.held_shards import hold, shard_with
from txmon.spark.rebalance import rebalance
from txmon.spark.shards import PLATFORM, Plan, Row, Shard, plan_of, read_states, shard_of, shards_in, write_states

BEGIN = 1772445600  # 2026-03-02T10:00:00Z
EXACT = Settings(group_by=("merchant",), sigma=4.5, lateness=0)
MANY = replace(EXACT, sigma=None, idle=3 * 3600)


def rows(first: int, last: int, keys: int = 20) -> list[Row]:
    """A row a minute, key and status."""
    dice = random.Random(first)
    return [
        Row(BEGIN + 60 * m, n, status, dice.randint(2, 9) * many, None, f"m{n}", None)
        for m in range(first, last)
        for n in range(keys)
        for status, many in (("approved", 10), ("failed", 1))
    ]


def dealt(some: Sequence[Row], shards: int) -> dict[int, list[Row]]:
    return {n: [row for row in some if shard_of(row.key, shards) == n] for n in range(shards)}


def fed(plan: Plan, some: Sequence[Row], watermark: int) -> list[tuple[int, state.State]]:
    """The states of all shards after these rows."""
    states = []
    notes = notes_of(some, 60, plan.census)
    for number, part in dealt(some, plan.shards).items():
        shard = Shard(plan, number)
        shard.take(part, notes=notes)
        shard.take((), watermark)
        states.append((number, state.unpack(shard.save(), "it")))
    return states


def lines(plan: Plan, states: Sequence[tuple[int, state.State]], some: Sequence[Row], until: int) -> list[str]:
    """What shards with these states say of these rows."""
    parts = dealt(some, plan.shards)
    notes = notes_of(some, 60, plan.census)
    found = []
    for number, one in states:
        shard = Shard(plan, number, state.pack(one))
        found += [*shard.take(parts[number], notes=notes), *shard.end(until)]
    return sorted(line.text for line in found)


def test_a_key_stays_in_its_shard_for_ever() -> None:
    # checkpoints depend on these very numbers
    assert [shard_of(key, 16) for key in ("", "m1", "m1\x1fvisa", "größer")] == [0, 15, 4, 0]


def test_the_sigma_is_the_one_that_a_detector_with_so_many_series_would_use() -> None:
    detector = BucketJudge(detector_config(replace(EXACT, sigma=None)))
    counts: dict[Key, dict[str, int]] = {(("merchant", f"m{n}"),): {"approved": 5, "failed": 1} for n in range(50)}
    detector.judge(BEGIN, counts)
    assert plan_of(replace(EXACT, sigma=None), 4, series=150).settings.sigma == detector.sigma()


def test_a_shard_that_begins_late_leaves_late_rows_alone() -> None:
    late = [Row(BEGIN, 0, "failed", 3, None, "m1", None)]
    plan = plan_of(EXACT, 1)
    assert Shard(plan, 0, watermark=BEGIN + 600).take(late, BEGIN + 900) == []
    assert Shard(plan, 0).take([*late, *late], BEGIN + 900) == []
    early = Shard(plan, 0)
    early.take(late)
    assert [json.loads(line.text)["status"] for line in early.take((), BEGIN + 60)] == ["failed", "*"]


def test_a_reject_passes_through() -> None:
    bad = Row(0, 0, "", 0, None, "", '{"kind": "time"}')
    assert Shard(plan_of(EXACT, 1), 0).take([bad]) == [("reject", '{"kind": "time"}')]


@pytest.mark.parametrize(("before", "after"), [(3, 3), (3, 5), (5, 2), (1, 4), (4, 1)])
def test_dealt_out_anew_the_shards_say_the_same(before: int, after: int) -> None:
    history, more = rows(0, 50), rows(50, 60)
    until = BEGIN + 60 * 60
    old, new = plan_of(EXACT, before), plan_of(EXACT, after)
    states = fed(old, history, BEGIN + 49 * 60)
    assert lines(new, rebalance(states, after), more, until) == lines(old, states, more, until)


def test_what_was_usual_before_a_surge_is_dealt_out_too() -> None:
    history = [row._replace(many=row.many * (4 if row.time >= BEGIN + 60 * 40 else 1)) for row in rows(0, 50)]
    until = BEGIN + 60 * 60
    old, new = plan_of(EXACT, 3), plan_of(EXACT, 2)
    states = fed(old, history, BEGIN + 49 * 60)
    again = rebalance(states, 2)
    keys = [sorted(str(row[0]) for row in one.pipeline["detector"]["surges"] if row[0]) for _, one in again]
    assert [len(some) for some in keys] == [8, 12]
    whole = [[row for row in one.pipeline["detector"]["surges"] if not row[0]] for _, one in states + again]
    assert all(len(found) == 1 and found == whole[0] for found in whole)
    assert lines(new, again, rows(50, 60), until) == lines(old, states, rows(50, 60), until)


def test_what_is_of_all_keys_is_the_same_in_every_shard_and_stays_so() -> None:
    states = fed(plan_of(MANY, 3), rows(0, 50), BEGIN + 49 * 60)
    detectors = [one.pipeline["detector"] for _, one in states + rebalance(states, 2)]
    for name in ("season", "whole", "level", "lag", "seen", "open", "hours"):
        assert detectors[0][name], name
        assert all(one[name] == detectors[0][name] for one in detectors), name
    assert len(detectors[0]["roll"]["sample"]["keys"]) == 20
    assert all(one["roll"]["sample"] == detectors[0]["roll"]["sample"] for one in detectors)
    assert sum(len(one["groups"]) for one in detectors[3:]) == 20


def test_what_recurs_and_what_a_series_left_is_dealt_out_by_key() -> None:
    jumps = [
        row._replace(many=400) if row.time // 60 % 15 == 7 and row.status == "failed" else row
        for row in rows(0, 200, 8)
    ]
    states = fed(plan_of(replace(EXACT, level_shift=720), 3), jumps, BEGIN + 199 * 60)
    for name in ("pulses", "left", "kept"):
        before, after = (
            Counter(json.dumps(row) for _, one in some for row in one.pipeline["detector"][name] if row[0])
            for some in (states, rebalance(states, 4))
        )
        assert before == after, name
        assert before or name != "pulses"
    for number, one in rebalance(states, 4):
        books = one.pipeline["detector"]["pulses"]
        assert {shard_of(row[0][0][1], 4) for row in books if row[0]} <= {number}
        assert [row for row in books if not row[0]] == [
            row for row in states[0][1].pipeline["detector"]["pulses"] if not row[0]
        ]


def changed(states: Sequence[tuple[int, state.State]], part: str, **values: Any) -> list[tuple[int, state.State]]:
    """`states`, the first one's part with other values."""
    (number, first), *others = states
    pipeline = {**first.pipeline, part: {**first.pipeline[part], **values}}
    return [(number, replace(first, pipeline=pipeline)), *others]


def test_a_part_of_the_layout_that_nobody_deals_out_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a later version had added `mood` to the detector's state, and had forgotten the dealing out."""
    states = fed(plan_of(EXACT, 2), rows(0, 5), BEGIN + 240)
    for number in (0, 1):
        states = [states[1], *changed(states, "detector", mood=number)[:1]]
    monkeypatch.setitem(LAYOUT, "detector", LAYOUT["detector"] | {"mood"})
    with pytest.raises(ConfigError, match=r"a state's detector are \['mood'\] more or less than is known"):
        rebalance(states, 3)


def test_no_part_of_spark_but_detect_needs_pyspark() -> None:
    """With pyspark made impossible to import, as where the extra is not installed."""
    code = (
        "import sys; sys.modules['pyspark'] = sys.modules['pandas'] = sys.modules['pyarrow'] = None;"
        "import txmon.spark, txmon.spark.shards, txmon.spark.rebalance, txmon.spark.job, txmon.cli.commands.spark;"
        "from txmon.spark import detect; print(detect.__module__, detect.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout) == ("", "txmon.spark.streaming detect\n")
    with pytest.raises(AttributeError, match="has no attribute 'judge'"):
        txmon.spark.judge  # noqa: B018


def test_states_that_do_not_fit_together_are_refused() -> None:
    states = fed(plan_of(EXACT, 2), rows(0, 5), BEGIN + 240)
    with pytest.raises(ConfigError, match="not at the same minute"):
        rebalance(changed(states, "buckets", watermark=BEGIN), 3)
    with pytest.raises(ConfigError, match=r"a state's detector are \['mood'\] more or less than is known"):
        rebalance(changed(states, "detector", mood="good"), 3)
    other = [(0, replace(states[0][1], settings={"bucket": 300, "by": ["merchant"]})), states[1]]
    with pytest.raises(ConfigError, match="different settings"):
        rebalance(other, 3)


def test_the_platform_stays_as_it_is() -> None:
    platform = state.State({"bucket": 60, "by": []}, {"any": "thing"})
    assert rebalance([(PLATFORM, platform)], 3) == [(PLATFORM, platform)]
    states = fed(plan_of(EXACT, 2), rows(0, 5), BEGIN + 240)
    assert rebalance([(PLATFORM, platform), *states], 3)[0] == (PLATFORM, platform)


def test_a_folder_of_states_is_read_back_and_half_of_one_is_none(tmp_path: Path) -> None:
    states = fed(plan_of(EXACT, 2), rows(0, 5), BEGIN + 240)
    folder = str(tmp_path / "states")
    write_states(folder, 2, [(number, state.pack(one)) for number, one in states])
    assert shards_in(folder) == 2
    assert read_states(folder) == states
    (tmp_path / "states" / "shards").unlink()
    with pytest.raises(ConfigError, match="is not a folder with states of shards"):
        plan_of(EXACT, 2, start=folder)


def days(keys: int, hours: float, seed: int = 5) -> list[Row]:
    """Rows of keys that come and go, in a day with a morning and a night, one of them under attack on the last day."""
    dice = random.Random(seed)
    found: list[Row] = []
    minutes = int(hours * 60)
    for m in range(minutes):
        height = 1.5 + math.sin(2 * math.pi * m / 1440)
        for n in range(keys):
            if (n % 7 == 3 and m % 1440 < 600) or dice.random() > 0.5 * height:
                continue
            found.append(Row(BEGIN + 60 * m, n, "approved", round(dice.randint(20, 60) * height), None, f"m{n}", None))
            failed = dice.randint(0, 2) + (40 if n == 1 and 0 < minutes - m < 90 else 0)
            if failed:
                found.append(Row(BEGIN + 60 * m, keys + n, "failed", failed, None, f"m{n}", None))
    return found


def one_process(settings: Settings, some: Sequence[Row], platform: bool = False) -> list[str]:
    """What one process says; without `platform` it neither joins the incidents of keys nor pools rare series."""
    pipeline = pipeline_of(settings, live=False, platform=platform)
    records = [Record(row.time, row.status, row.many, (("merchant", row.key),)) for row in some]
    found: list[str] = []
    for outcome in pipeline.run(records):
        found += [*map(verdict_line, outcome.verdicts), *map(event_line, outcome.events)]
    return sorted(found)


def sharded(settings: Settings, shards: int, some: Sequence[Row], batch: int) -> list[str]:
    """What shards say, `batch` seconds of rows at a time, each with its state packed in between."""
    plan, dice = plan_of(settings, shards, totals=False), random.Random(3)
    packed: dict[int, bytes | None] = dict.fromkeys(range(shards))
    found: list[str] = []
    watermark: int | None = None
    for at in range(some[0].time, some[-1].time + batch, batch):
        rows = [row for row in some if at <= row.time < at + batch]
        halves = [rows[: len(rows) // 3], rows[len(rows) // 3 :]]  # of two tasks
        notes = [read(note.text()) for half in halves for note in notes_of(half, 60, plan.census)]
        for number, part in dealt(rows, shards).items():
            another = dice.random() < 0.3  # process: one that has another state of the shard, or none
            shard = (Shard if another else shard_with)(plan, number, packed[number], None)
            found += [line.text for line in shard.take(part, watermark, notes)]
            packed[number] = raw = shard.pack()
            if not another:
                hold(plan, number, raw, shard)
        watermark = max([row.time for row in rows], default=watermark)
    for number in range(shards):
        found += [line.text for line in Shard(plan, number, packed[number]).end(some[-1].time + 60)]
    return sorted(found)


@pytest.mark.parametrize("keys", [12, 600])
def test_shards_say_what_one_process_says_for_days_and_without_a_sigma(keys: int) -> None:
    # 600 keys are more than a census holds: their number is an estimate, and the same one everywhere
    some = days(keys, hours=50 if keys < 100 else 1.5)
    settings = replace(MANY, rule=parse_rules("failed: slope > 0.05 and count > 20"))
    got, wanted = sharded(settings, 5, some, 3600 if keys > 100 else 7200), one_process(settings, some)
    assert any("rule:" in line for line in wanted)
    assert Counter(got) == Counter(wanted)


def rare(minutes: int, keys: int) -> list[Row]:
    """A row now and then: each series expects less than one transaction in a bucket, and its scores reach far."""
    dice = random.Random(9)
    return [
        Row(BEGIN + 60 * m, n, status, many * (4 if dice.random() < 0.5 else 1), None, f"m{n}", None)
        for m in range(minutes)
        for n in range(keys)
        for status, many, often in (("approved", 2, 0.3), ("failed", 1, 0.05))
        if dice.random() < often
    ]


def test_rare_series_have_thresholds_of_their_own_in_a_shard_and_keep_them() -> None:
    # one process would pool them, by what it knows of all keys: that is the difference that docs/cluster.md tells of
    some = rare(240, 30)
    got, wanted = sharded(EXACT, 5, some, 3600), one_process(EXACT, some)
    assert Counter(got) == Counter(wanted)
    assert Counter(wanted) != Counter(one_process(EXACT, some, platform=True))
    until = BEGIN + 240 * 60
    old = plan_of(EXACT, 3)
    states = fed(old, some[: len(some) // 2], some[len(some) // 2].time)
    assert all(one.pipeline["detector"]["tails"] == {} for _, one in states)
    more = some[len(some) // 2 :]
    assert lines(plan_of(EXACT, 5), rebalance(states, 5), more, until) == lines(old, states, more, until)


def test_closed_hours_and_roles_are_those_of_one_process() -> None:
    settings = replace(EXACT, closed=closed_rules("time=10:40-10:55"), role={"approved": "denied"})
    some = [row for row in rows(0, 70, 8) if not 45 <= row.time // 60 % 60 < 55]
    got, wanted = sharded(settings, 4, some, 300), one_process(settings, some)
    # a minute without any row is not a key's: the platform's shard has its line
    alone = [line for line in wanted if '"key"' not in line]
    assert len(alone) == 10
    assert all("closed hours" in line for line in alone)
    assert Counter(got) == Counter(wanted) - Counter(alone)


def test_a_shard_is_kept_only_for_the_state_that_it_was_packed_into(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, some = plan_of(EXACT, 1, totals=False), rows(0, 3, 4)
    shard = Shard(plan, 0)
    shard.take(some)
    raw = shard.pack()
    hold(plan, 0, raw, shard)
    other = plan_of(replace(EXACT, only="alerts"), 1, totals=False)
    assert shard_with(other, 0, raw, None) is not shard
    hold(plan, 0, raw, shard)
    assert shard_with(plan, 0, None, None) is not shard
    hold(plan, 0, raw, shard)
    assert shard_with(plan, 0, bytes(bytearray(raw)), None) is shard
    assert shard_with(plan, 0, raw, None) is not shard  # it is the caller's
    monkeypatch.setattr(held_shards, "MOST", len(raw))
    hold(plan, 0, raw, shard)
    hold(plan, 1, raw, shard)
    assert shard_with(plan, 0, raw, None) is not shard
    assert shard_with(plan, 1, raw, None) is shard

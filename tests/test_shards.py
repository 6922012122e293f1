"""Shards without Spark: the plan, one shard's batches, and the dealing out of states."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from txmon import state
from txmon.assembly import detector_config
from txmon.detector import Detector
from txmon.errors import ConfigError
from txmon.rebalance import rebalance
from txmon.settings import Settings
from txmon.shards import PLATFORM, Plan, Row, Shard, plan_of, read_states, shard_of, shards_in, write_states
from txmon.verdict import Key

BEGIN = 1772445600  # 2026-03-02T10:00:00Z
EXACT = Settings(by=("merchant",), sigma=4.5, lateness=0)


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
    for number, part in dealt(some, plan.shards).items():
        shard = Shard(plan, number)
        shard.take(part)
        shard.take((), watermark)
        states.append((number, state.unpack(shard.pack(), "it")))
    return states


def lines(plan: Plan, states: Sequence[tuple[int, state.State]], some: Sequence[Row], until: int) -> list[str]:
    """What shards with these states say of these rows."""
    parts = dealt(some, plan.shards)
    found = []
    for number, one in states:
        shard = Shard(plan, number, state.pack(one))
        found += [*shard.take(parts[number]), *shard.end(until)]
    return sorted(line.text for line in found)


def test_a_key_stays_in_its_shard_for_ever() -> None:
    # checkpoints depend on these very numbers
    assert [shard_of(key, 16) for key in ("", "m1", "m1\x1fvisa", "größer")] == [0, 15, 4, 0]


def test_the_sigma_is_the_one_that_a_detector_with_so_many_series_would_use() -> None:
    detector = Detector(detector_config(replace(EXACT, sigma=None)))
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


def test_what_is_not_a_keys_is_added_up() -> None:
    states = fed(plan_of(EXACT, 3), rows(0, 50), BEGIN + 49 * 60)
    days = [one.pipeline["detector"]["season"] for _, one in states]
    [(_, one)] = rebalance(states, 1)
    size = (len(days[0]) - 2) // 3
    season = one.pipeline["detector"]["season"]
    assert season[2 : 2 + size] == pytest.approx([sum(column) for column in zip(*days, strict=True)][2 : 2 + size])
    assert season[2 + size :] == days[0][2 + size :]
    assert sum(season[2 : 2 + size]) > 0


def changed(states: Sequence[tuple[int, state.State]], part: str, **values: Any) -> list[tuple[int, state.State]]:
    """`states`, the first one's part with other values."""
    (number, first), *others = states
    pipeline = {**first.pipeline, part: {**first.pipeline[part], **values}}
    return [(number, replace(first, pipeline=pipeline)), *others]


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
    with pytest.raises(ConfigError, match="is no folder of shards' states"):
        plan_of(EXACT, 2, start=folder)

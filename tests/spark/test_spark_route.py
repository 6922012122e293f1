"""What a task makes of its part of the records, in Arrow's columns and without a session."""

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("pyspark")

import pyarrow

from txmon.settings.declarations import Settings
from txmon.spark.bucket_notes import read
from txmon.spark.route import ROUTED, _routed, rows_of
from txmon.spark.rows import names, types
from txmon.spark.shards import PLATFORM, Plan, plan_of, shard_of

START = 1772445600
EXACT = Settings(group_by=("merchant",), lateness=0)
Fields = tuple[int | None, str | None, int | None, str | None, str | None, str | None]


def routed(plan: Plan, *batches: Sequence[Fields]) -> Any:
    """What `_routed` makes of these records, as one table."""
    parts = []
    for batch in batches:
        columns = [pyarrow.array(column, kind) for column, kind in zip(zip(*batch, strict=True), types(), strict=True)]
        parts.append(pyarrow.record_batch(columns, names()))
    table = pyarrow.Table.from_batches(list(_routed(iter(parts), plan)))
    assert table.column_names == [field.split()[0] for field in ROUTED.split(", ")]
    return table


def of(table: Any, shard: int) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if row["shard"] == shard and row["status"] is not None]


def test_transactions_of_a_bucket_are_added_up_and_repeats_are_left_to_be_told() -> None:
    plan = plan_of(EXACT, 3)
    one: list[Fields] = [
        (START + 40, "failed", 2, None, "m1", None), (START + 10, "failed", 3, None, "m1", None),
        (START + 70, "failed", 4, None, "m1", None), (START + 11, "failed", 5, "a", "m1", None),
        (START + 12, "failed", 5, "a", "m1", None),
    ]  # fmt: skip
    table = routed(plan, one)
    rows = [(row["time"] - START, row["first"] - START, row["count"], row["id"], row["row"]) for row in
            of(table, shard_of("m1", 3))]  # fmt: skip
    assert sorted(rows, key=str) == sorted(
        [(40, 10, 5, None, 0), (70, 70, 4, None, 2), (11, 11, 5, "a", 3), (12, 12, 5, "a", 4)], key=str
    )
    platform = of(table, PLATFORM)
    assert sorted((row["count"], row["id"] or "") for row in platform) == [(4, ""), (5, ""), (5, "a"), (5, "a")]
    assert {row["key"] for row in platform if row["id"] is None} == {None}


def test_every_shard_gets_the_notes_of_all() -> None:
    plan = plan_of(EXACT, 3)
    first = [(START + n, "approved", 1, None, f"m{n % 40}", None) for n in range(120)]
    second = [(START + 60 + n, "failed", 2, None, f"m{n % 40}", None) for n in range(30)]
    table = routed(plan, first, second)
    notes = [row for row in table.to_pylist() if row["note"] is not None]
    assert [row["shard"] for row in notes] == [0, 1, 2, 0, 1, 2]
    assert {row["status"] for row in notes} == {None}
    found = [read(row["note"]) for row in notes if row["shard"] == 1]
    assert [(note.start - START, note.whole) for note in found] == [
        (0, {"approved": 60}), (60, {"approved": 60, "failed": 60}),
    ]  # fmt: skip
    samples = [note.sample[1] for note in found if note.sample is not None]
    assert [len(sample) for sample in samples] == [40, 40]
    assert samples[1]["m1"] == ["approved", "failed"]
    # also with a sigma that is given, because `rarity` depends on the number of series
    notes = [
        row for row in routed(plan_of(Settings(group_by=("merchant",), sigma=4.0), 3), first).to_pylist() if row["note"]
    ]
    assert all(read(row["note"]).sample is not None for row in notes)


def test_a_frame_gives_its_records_its_rejects_and_its_notes_back() -> None:
    plan = plan_of(EXACT, 1, totals=False)
    table = routed(plan, [(START, "failed", 2, None, "m1", None), (None, None, None, None, None, "{}")])
    rows, notes = rows_of(table.to_pandas())
    assert [(row.time, row.status, row.many, row.key, row.reject) for row in rows] == [
        (0, "", 0, "", "{}"), (START, "failed", 2, "m1", None),
    ]  # fmt: skip
    assert [(note.start, note.whole) for note in notes] == [(START, {"failed": 2})]
    assert all(isinstance(row.time, int) and isinstance(row.many, int) for row in rows)


def test_a_task_without_a_record_makes_nothing() -> None:
    assert list(_routed(iter(()), plan_of(EXACT, 3))) == []


@pytest.mark.parametrize("by", [(), ("merchant",)])
def test_rejects_go_to_one_shard(by: tuple[str, ...]) -> None:
    plan = plan_of(Settings(group_by=by), 4)
    table = routed(plan, [(None, None, None, None, None, '{"kind": "time"}')])
    assert [row["shard"] for row in table.to_pylist() if row["reject"]] == [shard_of("", 4) if by else PLATFORM]

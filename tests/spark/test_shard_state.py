"""A shard's state in a state store: read back whole, refused when it is damaged, and late rows find what it carries."""

import json
from collections.abc import Sequence

import pytest
from test_shards import BEGIN, EXACT, one_process, rows

from txmon.errors import ConfigError
from txmon.runtime import state_file as state
from txmon.spark import shard_state as blob
from txmon.spark.bucket_notes import notes_of
from txmon.spark.shards import Row, Shard, plan_of

PLAN = plan_of(EXACT, 1, totals=False)


def in_batches(batches: Sequence[Sequence[Row]], until: int) -> tuple[list[str], list[int]]:
    """The lines of one shard whose state is packed after each batch, and how many closed buckets it then carried."""
    packed: bytes | None = None
    watermark: int | None = None
    found: list[str] = []
    carried: list[int] = []
    for batch in batches:
        shard = Shard(PLAN, 0, packed, watermark)
        found += [line.text for line in shard.take(batch, watermark, notes_of(batch, 60, sampling=False))]
        packed = shard.pack()
        carried.append(len(blob.unpack(packed, "it").closed))
        watermark = max(watermark or 0, *(row.time for row in batch))
    found += [line.text for line in Shard(PLAN, 0, packed, watermark).end(until)]
    return sorted(found), carried


def late(minute: int, status: str = "failed") -> Row:
    return Row(BEGIN + 60 * minute + 5, 0, status, 70, None, "m3", None)


def test_late_rows_of_a_later_batch_correct_what_the_state_carries() -> None:
    # one a bucket that 15 others have closed after: too late; one for a bucket that the batch before corrected already
    parts = [
        rows(0, 40),
        rows(40, 45),
        [late(44 - 3), *rows(45, 47)],
        [late(44 - 3, "denied"), late(30), *rows(47, 50)],
    ]
    got, carried = in_batches(parts, BEGIN + 3000)
    assert carried == [15, 15, 15, 15]
    wanted = one_process(EXACT, [row for part in parts for row in part])
    assert got == wanted
    revised = [row for row in map(json.loads, got) if row.get("revises")]
    assert {(row["time"][14:16], row["status"]) for row in revised} == {
        ("41", "failed"), ("41", "*"), ("41", "denied"),
    }  # fmt: skip


def test_a_correction_that_waits_for_the_next_bucket_survives_the_packing() -> None:
    parts = [rows(0, 45), [late(40)], rows(45, 47)]
    got, _ = in_batches(parts, BEGIN + 2820)
    assert got == one_process(EXACT, [row for part in parts for row in part])
    assert any('"revises": true' in line for line in got)


def packed() -> bytes:
    shard = Shard(PLAN, 0)
    shard.take(rows(0, 20), None, notes_of(rows(0, 20), 60, sampling=False))
    return shard.pack()


def test_the_same_state_is_packed_into_the_same_bytes_and_read_back() -> None:
    raw = packed()
    assert raw == packed()
    again = Shard(PLAN, 0, raw)
    assert again.pack() == raw
    assert state.unpack(again.save(), "it") == blob.whole_of(blob.unpack(raw, "it"), "it")
    assert len(state.unpack(again.save(), "it").pipeline["buckets"]["closed"]) == 15


def test_a_state_file_is_taken_too() -> None:
    shard = Shard(PLAN, 0, packed())
    saved = shard.save()
    assert Shard(PLAN, 0, saved).save() == saved


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw: b"", "is not a txmon state, or a later version wrote it"),
        (lambda raw: b"txmonshard9\n" + raw[12:], "is not a txmon state, or a later version wrote it"),
        (lambda raw: raw[: len(raw) // 2], "or it is damaged"),
        (lambda raw: raw[:20], "or it is damaged"),
        (lambda raw: raw[:-9] + bytes(9), "or it is damaged"),
        (lambda raw: raw[:12] + b"\xff\xff\xff\xff" + raw[16:], "or it is damaged"),
    ],
)
def test_a_damaged_state_is_refused_by_name(damage: object, reason: str) -> None:
    assert callable(damage)
    with pytest.raises(ConfigError, match=f"^shard 0: .*{reason}"):
        Shard(PLAN, 0, damage(packed()))


def test_a_damaged_closed_bucket_is_refused_when_a_late_row_asks_for_it() -> None:
    raw = packed()
    found = blob.unpack(raw, "it")
    bad = [one._replace(raw=b"no frame") for one in found.closed]
    shard = Shard(PLAN, 0, blob.pack(found.state, bad))
    with pytest.raises(ConfigError, match=r"shard 0: is damaged"):
        shard.take([late(15)], BEGIN + 20 * 60)


def test_no_more_closed_buckets_are_kept_than_a_bucketer_keeps() -> None:
    def closed(many: int, counts: int) -> list[blob.Closed]:
        return [blob.Closed(60 * n, counts, b"") for n in range(many)]

    assert [one.start for one in blob.kept(closed(20, 10))] == [60 * n for n in range(5, 20)]
    assert len(blob.kept(closed(10, 40_000))) == 2
    assert len(blob.kept(closed(3, 200_000))) == 1

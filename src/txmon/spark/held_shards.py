"""Shards that a worker process keeps from batch to batch. Unpacking a state takes half of a batch's processor time.

Spark may give a shard's next batch to another process, or repeat a batch. So a kept shard is used only if the state
store holds exactly the bytes that it was packed into.
"""

from typing import Final

from txmon.spark.shards import Plan, Shard

MOST: Final = 64 << 20  # bytes of packed states whose shards a process keeps; a shard takes about three times as much

_held: dict[int, tuple[bytes, Plan, Shard]] = {}  # by number of the shard, the newest last


def shard_with(plan: Plan, number: int, packed: bytes | None, watermark: int | None) -> Shard:
    """Return the shard whose state is `packed`, as `Shard` does. The caller owns it until `hold`."""
    held = _held.pop(number, None)
    if held is not None and held[0] == packed and held[1] == plan:
        held[2].go_on()
        return held[2]
    return Shard(plan, number, packed, watermark)


def hold(plan: Plan, number: int, packed: bytes, shard: Shard) -> None:
    """Keep a shard that was packed into `packed`; forget the oldest ones if there are too many."""
    _held.pop(number, None)
    _held[number] = (packed, plan, shard)
    size = sum([len(one[0]) for one in _held.values()])
    while size > MOST:
        oldest = next(iter(_held))
        size -= len(_held.pop(oldest)[0])

"""What identifies a series: its key and its status, and how every state packs keys as JSON."""

from collections.abc import Iterable
from typing import Any, Final

Key = tuple[tuple[str, str], ...]  # ((dimension, value), ...) in the order of --group-by; () without it
Series = tuple[Key, str]  # a key and a status
Counts = dict[Key, dict[str, int]]  # numbers of transactions by key and status
TOTAL: Final = "*"  # the status of a key's total volume, and of silence


def pack_key(key: Key) -> list[list[str]]:
    """A key as lists of two texts."""
    return [list(pair) for pair in key]


def unpack_key(pairs: Iterable[Any]) -> Key:
    """The key that `pack_key` packed; TypeError or ValueError where it packed none."""
    return tuple([(str(name), str(value)) for name, value in pairs])


def pack_counts(counts: Counts) -> list[object]:
    """Counts by key and status; the inner tables are those given, not copies."""
    return [[pack_key(key), statuses] for key, statuses in counts.items()]


def unpack_counts(rows: Iterable[Any]) -> Counts:
    """The counts that `pack_counts` packed; TypeError or ValueError where it packed none."""
    return {unpack_key(key): {str(name): int(count) for name, count in statuses.items()} for key, statuses in rows}

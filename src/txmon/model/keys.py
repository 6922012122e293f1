"""What identifies a series: its key and its status, and how every state packs keys as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

Key = tuple[tuple[str, str], ...]  # ((dimension, value), ...) in the order of --group-by; () without it
Series = tuple[Key, str]  # a key and a status
Counts = dict[Key, dict[str, int]]  # numbers of transactions by key and status
TOTAL: Final = "*"  # the status of a key's total volume, and of silence


def pack_key(key: Key) -> list[list[str]]:
    """Return a key as lists of two texts."""
    return [list(pair) for pair in key]


def unpack_key(pairs: Iterable[Any]) -> Key:
    """Return the key that `pack_key` packed; TypeError or ValueError where it packed none."""
    return tuple([(str(name), str(value)) for name, value in pairs])


def pack_counts(counts: Counts) -> list[object]:
    """Counts by key and status; the inner tables are those given, not copies."""
    return [[pack_key(key), statuses] for key, statuses in counts.items()]


def pack_table(counts: Counts) -> list[object]:
    """Counts whose keys have the same dimensions: these, and then rows of their values and the counts by status."""
    names = [name for name, _ in next(iter(counts), ())]
    return [names, *([[value for _, value in key], statuses] for key, statuses in counts.items())]


def unpack_table(rows: Sequence[Any]) -> Counts:
    """Return the counts that `pack_table` packed; TypeError or ValueError where it packed none."""
    names = [str(name) for name in rows[0]]
    return {
        tuple([(name, str(value)) for name, value in zip(names, values, strict=True)]): {
            str(status): int(count) for status, count in statuses.items()
        }
        for values, statuses in rows[1:]
    }


def unpack_counts(rows: Iterable[Any]) -> Counts:
    """Return the counts that `pack_counts` packed; TypeError or ValueError where it packed none."""
    return {unpack_key(key): {str(name): int(count) for name, count in statuses.items()} for key, statuses in rows}

"""Defines what identifies a series, its key and its status, and how states store keys as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

Key = tuple[tuple[str, str], ...]  # ((dimension, value), ...) in the order of --group-by; () without it
Series = tuple[Key, str]  # a key and a status
Counts = dict[Key, dict[str, int]]  # numbers of transactions by key and status
TOTAL: Final = "*"  # the status that represents a key's total volume, and silence


def pack_key(key: Key) -> list[list[str]]:
    """Return a key as lists of two texts."""
    return [list(pair) for pair in key]


def unpack_key(pairs: Iterable[Any]) -> Key:
    """Return the key that `pack_key` converted. Raise TypeError or ValueError for any other value."""
    return tuple([(str(name), str(value)) for name, value in pairs])


def pack_counts(counts: Counts) -> list[object]:
    """Return counts by key and status as lists. The inner tables are shared, not copied."""
    return [[pack_key(key), statuses] for key, statuses in counts.items()]


def pack_table(counts: Counts) -> list[object]:
    """Return counts as the dimensions of their keys, followed by rows of values and counts by status.

    All keys must have the same dimensions.
    """
    names = [name for name, _ in next(iter(counts), ())]
    return [names, *([[value for _, value in key], statuses] for key, statuses in counts.items())]


def unpack_table(rows: Sequence[Any]) -> Counts:
    """Return the counts that `pack_table` converted. Raise TypeError or ValueError for any other value."""
    names = [str(name) for name in rows[0]]
    return {
        tuple([(name, str(value)) for name, value in zip(names, values, strict=True)]): {
            str(status): int(count) for status, count in statuses.items()
        }
        for values, statuses in rows[1:]
    }


def unpack_counts(rows: Iterable[Any]) -> Counts:
    """Return the counts that `pack_counts` converted. Raise TypeError or ValueError for any other value."""
    return {unpack_key(key): {str(name): int(count) for name, count in statuses.items()} for key, statuses in rows}

"""Keys as JSON takes them, for every state that holds some."""

from collections.abc import Iterable
from typing import Any

from .verdict import Key


def pack_key(key: Key) -> list[list[str]]:
    """A key as lists of two texts."""
    return [list(pair) for pair in key]


def unpack_key(pairs: Iterable[Any]) -> Key:
    """The key that `pack_key` packed; TypeError or ValueError where it packed none."""
    return tuple([(str(name), str(value)) for name, value in pairs])

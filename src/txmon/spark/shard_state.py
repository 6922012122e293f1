"""A shard's state as a state store holds it: rewritten each batch, so made to be quick to read and write.

It is the state of a state file, as MessagePack in zstd instead of JSON in gzip, with one thing apart: each closed
bucket, kept for late rows alone, is packed by itself when it closes, and carried along unread until one asks for it.
"""

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
import zstandard

from txmon.errors import ConfigError
from txmon.pipeline.buckets import CORRECTABLE, KEPT_ROWS
from txmon.runtime import state_file as state

MAGIC: Final = b"txmonshard1\n"  # with the version of this layout; what is in it has the state's own
GZIP: Final = b"\x1f\x8b"  # what a state file begins with
HEAD: Final = struct.Struct("<I")  # of the whole: how many closed buckets
ENTRY: Final = struct.Struct("<qII")  # of a closed bucket: its start (epoch seconds), its counts, its bytes
LARGEST: Final = 1 << 31  # bytes that a state unpacks to


class Closed(NamedTuple):
    """A closed bucket, packed."""

    start: int  # epoch seconds
    rows: int  # counts in it
    raw: bytes


class Blob(NamedTuple):
    """A state, and the closed buckets that belong to it, oldest first."""

    state: state.State
    closed: tuple[Closed, ...]


def pack(whole: state.State, closed: Sequence[Closed]) -> bytes:
    """`whole`, without the closed buckets, and those: the same bytes for the same state."""
    entries = b"".join([ENTRY.pack(one.start, one.rows, len(one.raw)) for one in closed])
    text = zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(state.row_of(whole)))
    return b"".join([MAGIC, HEAD.pack(len(closed)), entries, *[one.raw for one in closed], text])


def unpack(raw: bytes, name: str) -> Blob:
    """Return what `pack` packed, or a state file's content; ConfigError, which names `name`, where it is neither."""
    if raw.startswith(GZIP):
        return Blob(state.unpack(raw, name), ())
    if not raw.startswith(MAGIC):
        raise ConfigError(f"{name}: is not a txmon state, or a later version wrote it. txmon did not change it.")
    try:
        at = len(MAGIC)
        (many,) = HEAD.unpack_from(raw, at)
        at += HEAD.size
        entries = [ENTRY.unpack_from(raw, at + n * ENTRY.size) for n in range(many)]
        at += many * ENTRY.size
        closed = []
        for start, rows, size in entries:
            closed.append(Closed(start, rows, raw[at : at + size]))
            at += size
        text = zstandard.ZstdDecompressor().decompress(raw[at:], max_output_size=LARGEST)
    except (ValueError, struct.error, zstandard.ZstdError, MemoryError) as bad:
        raise ConfigError(f"{name}: is not a txmon state, or it is damaged ({bad}). txmon did not change it.") from bad
    return Blob(state.state_of(text, name, msgspec.msgpack.decode), tuple(closed))


def pack_closed(start: int, counts: Sequence[Any]) -> Closed:
    """Return a closed bucket with its counts, as a snapshot has them."""
    rows = sum([len(statuses) for _, statuses in counts])
    return Closed(start, rows, zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(counts)))


def unpack_closed(closed: Closed, name: str) -> list[object]:
    """Return the start and the counts of a closed bucket, as a snapshot has them; ConfigError where it is damaged."""
    try:
        return [
            closed.start,
            msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(closed.raw, max_output_size=LARGEST)),
        ]
    except (ValueError, zstandard.ZstdError) as bad:
        raise ConfigError(f"{name}: is damaged ({bad}). txmon did not change it.") from bad


def kept(closed: Sequence[Closed]) -> tuple[Closed, ...]:
    """Return the newest of `closed`, those that a `Bucketer` would keep for late rows."""
    found = list(closed)
    rows = sum([one.rows for one in found])
    while len(found) > CORRECTABLE or (rows > KEPT_ROWS and len(found) > 1):
        rows -= found.pop(0).rows
    return tuple(found)


def whole_of(blob: Blob, name: str) -> state.State:
    """Return the state with its closed buckets in it, as a state file has it."""
    if not blob.closed:
        return blob.state
    buckets = dict(blob.state.pipeline["buckets"])
    buckets["closed"] = [unpack_closed(one, name) for one in blob.closed] + list(buckets["closed"])
    return replace(blob.state, pipeline={**blob.state.pipeline, "buckets": buckets})

"""Sorts single records by event time in bounded memory."""

import heapq
import marshal
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import IO, Final

from txmon.errors import IoFailure
from txmon.ingest.records import Record

TOGETHER: Final = 200_000  # records in memory
PIECE: Final = 1000  # records of a run that are read at a time
_ORDER: Final = attrgetter("time", "key", "status")


def in_time_order(records: Iterable[Record], together: int = TOGETHER) -> Iterator[Record]:
    """Yield `records` sorted by time, and those of one time by key and status.

    together: records in memory. More records go to a temporary file. Raise IoFailure if it cannot be written.
    """
    import tempfile  # imported here because it is slow to import and most runs never sort single records

    runs: list[tuple[int, int]] = []
    waiting: list[Record] = []
    with tempfile.TemporaryFile(prefix="txmon-") as file:
        for record in records:
            waiting.append(record)
            if len(waiting) >= together:
                runs.append(_write(file, sorted(waiting, key=_ORDER)))
                waiting = []
        waiting.sort(key=_ORDER)
        yield from heapq.merge(*[_read(file, *run) for run in runs], waiting, key=_ORDER) if runs else waiting


def _write(file: IO[bytes], records: list[Record]) -> tuple[int, int]:
    """Write a sorted run. Return its start and its end."""
    try:
        begin = file.seek(0, 2)
        for at in range(0, len(records), PIECE):
            rows = [(r.time, r.status, r.count, r.key, r.amount, r.id) for r in records[at : at + PIECE]]
            content = marshal.dumps(rows)
            file.write(len(content).to_bytes(8, "little") + content)
        return begin, file.tell()
    except OSError as bad:
        import tempfile

        raise IoFailure(f"{tempfile.gettempdir()}: {bad.strerror}. Set TMPDIR to a folder with more space.") from bad


def _read(file: IO[bytes], at: int, end: int) -> Iterator[Record]:
    while at < end:
        file.seek(at)
        size = int.from_bytes(file.read(8), "little")
        rows = marshal.loads(file.read(size))
        at += 8 + size
        for row in rows:
            yield Record(*row)

"""The entries of the journal, as JSON: accepted rows, clock ticks that closed buckets, and acknowledgements."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import Record, Reject
from txmon.model.keys import pack_counts, pack_key, unpack_counts, unpack_key
from txmon.model.money import pack_money, unpack_money
from txmon.runtime.acknowledgements import Word, pack_word, unpack_word

SOURCE: Final = "journal"


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of the server that can be replayed."""

    at: float  # the wall clock, epoch seconds
    kind: str  # rows, tick or word
    records: Sequence[Item] = ()
    rejects: Sequence[Reject] = ()
    rejected: int = 0
    key: str | None = None  # an Idempotency-Key
    digest: str = ""
    word: Word | None = None  # an action on an incident or a status
    marks: Sequence[Sequence[Any]] = ()  # the last points of OTLP counters
    readings: Sequence[str] = ()  # how the rows were read, as the answer stated it

    def pack(self) -> bytes:
        """Return the entry as bytes."""
        row: dict[str, Any] = {"at": self.at, "kind": self.kind}
        if self.records:
            row["records"] = [_pack(item) for item in self.records]
        if self.rejected:
            row["rejects"] = [[reject.line, reject.kind, reject.reason] for reject in self.rejects]
            row["rejected"] = self.rejected
        if self.key is not None:
            row["key"], row["digest"] = self.key, self.digest
        if self.word is not None:
            row["word"] = pack_word(self.word)
        if self.marks:
            row["marks"] = self.marks
        if self.key is not None and self.readings:
            row["readings"] = list(self.readings)
        return json.dumps(row, separators=(",", ":")).encode()


def unpack(raw: bytes) -> Entry:
    """Return the entry that `pack` converted. Raise KeyError, TypeError or ValueError if `raw` is not valid."""
    row = json.loads(raw)
    return Entry(
        float(row["at"]),
        str(row["kind"]),
        [_unpack(item) for item in row.get("records", ())],
        [Reject(SOURCE, int(line), str(kind), str(reason), b"") for line, kind, reason in row.get("rejects", ())],
        int(row.get("rejected", 0)),
        row.get("key"),
        str(row.get("digest", "")),
        unpack_word(row["word"]) if "word" in row else None,
        row.get("marks", ()),
        [str(one) for one in row.get("readings", ())],
    )


def _pack(item: Item) -> list[object]:
    if isinstance(item, Tally):
        found = [item.start, item.first, item.time, item.rows, pack_counts(item.counts), 0]
        return [*found, pack_money(item.money), 0] if item.money else found
    return [item.time, item.status, item.count, pack_key(item.key), item.amount, item.id, 0]


def _unpack(row: Any) -> Item:
    if len(row) in (6, 8):
        start, first, time, rows, counts, _ = row[:6]
        tally = Tally(int(start), int(first))
        tally.time, tally.rows = int(time), int(rows)
        tally.counts = unpack_counts(counts)
        if len(row) == 8:
            tally.money = unpack_money(row[6])
        return tally
    time, status, count, key, amount, identity, _ = row
    return Record(
        int(time), str(status), int(count), unpack_key(key), None if amount is None else float(amount),
        None if identity is None else str(identity),
    )  # fmt: skip

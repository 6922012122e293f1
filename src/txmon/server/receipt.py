"""Defines the engine's result for a request, and its counters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import Reject
from txmon.model.keys import TOTAL
from txmon.model.verdict import Verdict
from txmon.pipeline.pipeline import Place
from txmon.server.http.message import Encoded, object_text
from txmon.sinks.lines import verdict_line


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The result of one request's records."""

    accepted: int
    repeated: int
    late: int
    verdicts: Sequence[Verdict]  # of each (bucket, series) that changed, in order
    omitted: int  # verdicts beyond these
    rejects: Sequence[Reject]  # the first rejects
    rejected: int = 0  # number of all rejects
    readings: Sequence[str] = ()  # how the rows were read, if no answer has stated it yet

    def recommendation(self) -> str:
        """Return the worst recommendation.

        It is never `ok` if a row was rejected, or arrived after its bucket had closed.
        """
        found: set[str] = {verdict.recommendation for verdict in self.verdicts}
        if self.rejected:
            found.add("rejected")
        if self.late:
            found.add("late")
        return next((word for word in GRAVEST if word in found), "ok")


OTHERS: Final = "(other)"  # statuses beyond those that are drawn, because a client may invent any number of them
GRAVEST: Final = ("alert", "pending", "rejected", "late", "warming")


@dataclass(slots=True)
class Totals:
    """Counts since the start, for the metrics."""

    records: int = 0
    rejected: int = 0
    verdicts: dict[str, int] | None = None
    sink_failures: int = 0
    transactions: dict[str, int] = field(default_factory=dict)  # in closed buckets, by status over all keys

    def close(self, counts: Mapping[str, float]) -> None:
        """Add the counts by status of a closed bucket. The part of TOTAL that they do not cover is added to OTHERS."""
        found = {status: int(count) for status, count in counts.items() if status != TOTAL}
        rest = int(counts.get(TOTAL, 0)) - sum(found.values())
        if rest > 0:
            found[OTHERS] = found.get(OTHERS, 0) + rest
        for status, count in found.items():
            self.transactions[status] = self.transactions.get(status, 0) + count


def gravest(verdicts: Sequence[Verdict], most: int) -> list[Verdict]:
    """Return at most `most` of `verdicts`, in their order: the worst, and of the others the newest."""
    if len(verdicts) <= most:
        return list(verdicts)
    ranks = {word: rank for rank, word in enumerate(GRAVEST)}
    places = sorted(range(len(verdicts)), key=lambda n: (ranks.get(verdicts[n].recommendation, len(ranks)), -n))
    return [verdicts[n] for n in sorted(places[:most])]


def places_of(item: Item, width: int) -> list[Place]:
    """Return the buckets and series that a record, or each part of a tally, counts for."""
    if isinstance(item, Tally):
        return [(item.start, key, status) for key, statuses in item.counts.items() for status in statuses]
    return [(item.time - item.time % width, item.key, item.status)]


def answer_of(result: IngestResult) -> tuple[int, str]:
    """Return the status and the JSON text of the answer for a request's records.

    If all of them are bad, it is a problem as in RFC 9457, with the members of the receipt added.
    """
    rejects = [{"index": r.line - 1, "kind": r.kind, "reason": r.reason} for r in result.rejects]
    members: dict[str, object] = {
        "accepted": result.accepted,
        "rejected": result.rejected,
        "repeated": result.repeated,
        "late": result.late,
        "recommendation": result.recommendation(),
        "verdicts": Encoded.array(map(verdict_line, result.verdicts)),
        "omitted": result.omitted,
        "rejects": rejects,
    }
    if result.readings:
        members["reading"] = "; ".join(result.readings)
    if result.accepted or not result.rejects:
        return 200, object_text(members)
    first = result.rejects[0]
    problem = {
        "type": "about:blank", "title": HTTPStatus(400).phrase, "status": 400, "code": "rejected",
        "detail": f"no row could be read; the first: {first.reason}", "row": first.line - 1,
        **members,
    }  # fmt: skip
    return 400, object_text(problem)

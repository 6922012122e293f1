"""What a request gets back from the engine, and what the engine counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from txmon.ingest.aggregate.ledger import Item, Tally
from txmon.ingest.records import Reject
from txmon.model.verdict import Verdict
from txmon.pipeline.pipeline import Place


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of one request's records."""

    accepted: int
    repeated: int
    late: int
    verdicts: Sequence[Verdict]  # of each (bucket, series) touched, in order
    omitted: int  # verdicts beyond those
    rejects: Sequence[Reject]

    def recommendation(self) -> str:
        """The gravest of all."""
        found = {verdict.recommendation for verdict in self.verdicts}
        return next((word for word in ("alert", "pending", "warming") if word in found), "ok")


@dataclass(slots=True)
class Totals:
    """Counts since the start, for the metrics."""

    records: int = 0
    rejected: int = 0
    verdicts: dict[str, int] | None = None
    sink_failures: int = 0


def places_of(item: Item, width: int) -> list[Place]:
    """What a record, or each of those that were added up, counts to."""
    if isinstance(item, Tally):
        return [(item.start, key, status) for key, statuses in item.counts.items() for status in statuses]
    return [(item.time - item.time % width, item.key, item.status)]

"""What a request gets back from the engine, and what the engine counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..records import Reject
from ..verdict import Verdict


@dataclass(frozen=True, slots=True)
class Receipt:
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


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer given before, by the key that came with its request."""

    digest: str
    status: int
    body: str


@dataclass(slots=True)
class Totals:
    """Counts since the start, for the metrics."""

    records: int = 0
    rejected: int = 0
    verdicts: dict[str, int] | None = None
    sink_failures: int = 0
    save_failures: int = 0
    saved: float = 0.0  # when, epoch seconds

"""Reports that the most frequent status has no role, because txmon then does not know which status is a success."""

from typing import Final

from txmon.model.keys import TOTAL
from txmon.model.outcome import Outcome, without_sums
from txmon.model.statuses import role_of
from txmon.settings.declarations import Settings

ENOUGH: Final = 30  # buckets with transactions before it is reported; a shorter run reports it at its end


class RoleNotice:
    """Counts the statuses of the first buckets, and reports once if the most frequent one has no role."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._counts: dict[str, int] = {}
        self._buckets = 0
        self._done = False

    def accept(self, outcome: Outcome) -> list[str]:
        """Count one bucket's outcome. Return the messages."""
        if self._done:
            return []
        some = False
        for verdict in without_sums(outcome.verdicts):
            if verdict.status != TOTAL and verdict.count and not verdict.partial and not verdict.revises:
                self._counts[verdict.status] = self._counts.get(verdict.status, 0) + verdict.count
                some = True
        self._buckets += some
        return self.finish() if self._buckets >= ENOUGH else []

    def finish(self) -> list[str]:
        """Return the messages at the end of a run."""
        if self._done or not self._counts:
            return []
        self._done = True
        status = max(self._counts, key=lambda one: (self._counts[one], one))
        if role_of(status, self._settings.role) or status in self._settings.direction:
            return []
        share = 100 * self._counts[status] / sum(self._counts.values())
        return [
            f"the most frequent status, {status!r} ({share:.0f} % of the transactions), has no known role, so it alerts"
            f" above normal. If it is a success, use --role {status}=success. --role {status}=other keeps it as it is."
        ]

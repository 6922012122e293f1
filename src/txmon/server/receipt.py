"""What a request gets back from the engine, and what the engine counts."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..records import Reject
from ..tally import Item, Tally
from ..verdict import Key, Verdict

REMEMBERED: Final = 2000  # answers kept by Idempotency-Key
REMEMBERED_BYTES: Final = 8 << 20

Place = tuple[int, Key, str]  # bucket, key, status


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


class GivenAnswers:
    """The newest answers by the Idempotency-Key of their requests: so many, and so many bytes of them."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, GivenAnswer] = OrderedDict()
        self._size = 0

    def once(self, key: str, digest: str, make: Callable[[], tuple[int, str]]) -> tuple[int, str] | None:
        """`make`'s answer, or the one given before under `key`; None where that was to another request."""
        before = self._answers.get(key)
        if before is not None:
            return (before.status, before.body) if before.digest == digest else None
        status, body = make()
        self._remember(key, GivenAnswer(digest, status, body))
        return status, body

    def _remember(self, key: str, answer: GivenAnswer) -> None:
        self._answers[key] = answer
        self._size += len(answer.body)
        while len(self._answers) > REMEMBERED or self._size > REMEMBERED_BYTES:
            self._size -= len(self._answers.popitem(last=False)[1].body)

    def snapshot(self) -> list[list[object]]:
        """All of them, as JSON takes them."""
        return [[key, a.digest, a.status, a.body] for key, a in self._answers.items()]

    def restore(self, rows: Iterable[Any]) -> None:
        """Take over what `snapshot` gave; TypeError or ValueError where that cannot be."""
        for key, digest, status, body in rows:
            self._remember(key, GivenAnswer(digest, status, body))


@dataclass(slots=True)
class Totals:
    """Counts since the start, for the metrics."""

    records: int = 0
    rejected: int = 0
    verdicts: dict[str, int] | None = None
    sink_failures: int = 0
    save_failures: int = 0
    saved: float = 0.0  # when, epoch seconds


def places_of(item: Item, width: int) -> list[Place]:
    """What a record, or each of those that were added up, counts to."""
    if isinstance(item, Tally):
        return [(item.start, key, status) for key, statuses in item.counts.items() for status in statuses]
    return [(item.time - item.time % width, item.key, item.status)]

"""Remembers answers by Idempotency-Key, so that a request that is sent twice counts once."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

REMEMBERED: Final = 2000  # answers that are remembered
REMEMBERED_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An earlier answer, with the key of its request."""

    digest: str
    status: int
    body: str


class IdempotencyCache:
    """The newest answers by the Idempotency-Key of their requests, limited in number and bytes."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, CachedAnswer] = OrderedDict()
        self._size = 0

    def once(self, key: str, digest: str, make: Callable[[], tuple[int, str]]) -> tuple[int, str] | None:
        """Return the answer of `make`, or the earlier one for `key`. Return None if that was for another request."""
        before = self._answers.get(key)
        if before is not None:
            return (before.status, before.body) if before.digest == digest else None
        status, body = make()
        self._remember(key, CachedAnswer(digest, status, body))
        return status, body

    def _remember(self, key: str, answer: CachedAnswer) -> None:
        self._answers[key] = answer
        self._size += len(answer.body)
        while len(self._answers) > REMEMBERED or self._size > REMEMBERED_BYTES:
            self._size -= len(self._answers.popitem(last=False)[1].body)

    def snapshot(self) -> list[list[object]]:
        """Return all answers as values that JSON can represent."""
        return [[key, a.digest, a.status, a.body] for key, a in self._answers.items()]

    def restore(self, state: Iterable[Any]) -> None:
        """Restore what `snapshot` returned. Raise TypeError or ValueError if it is not valid."""
        self._answers, self._size = OrderedDict(), 0
        for key, digest, status, body in state:
            self._remember(key, CachedAnswer(digest, status, body))

"""Waits until a live source, a signal or the keyboard has something."""

import selectors
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from txmon.ingest.follow import LiveSource

LOOK: Final = 0.1  # seconds between two looks at a source that cannot be waited for, such as a followed file


class Waiting(AbstractContextManager["Waiting"]):
    """Waits for sources with descriptors, and looks at the others now and then."""

    def __init__(
        self, sources: Sequence[LiveSource], others: Iterable[int | None], idle: float, files: bool = False
    ) -> None:
        """others: further descriptors. idle: seconds after which waiting ends though nothing came.

        files: followed files may come later.
        """
        self._sources = sources
        self._idle = idle
        self._selector = selectors.DefaultSelector()
        self._always: set[int] = set()  # ready at all times: a regular file as standard input
        self._polled = files or any(source.fileno() is None for source in sources)
        for other in others:
            if other is not None:
                self._selector.register(other, selectors.EVENT_READ)
        for source in sources:
            self._register(source.fileno())

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def patience(self, came: bool) -> float:
        """Return for how many seconds to wait at most. came: whether the last reading gave something."""
        if self._always or (self._polled and came) or any(source.holds() for source in self._sources):
            return 0.0
        return LOOK if self._polled else self._idle

    def wait(self, seconds: float) -> set[int]:
        """Wait for at most this long; return the descriptors that hold something."""
        return {key.fd for key, _ in self._selector.select(seconds)} | self._always

    def forget(self, descriptor: int) -> None:
        """Wait for this descriptor no longer: it will never hold anything again."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def _register(self, descriptor: int | None) -> None:
        if descriptor is None:
            return
        try:
            self._selector.register(descriptor, selectors.EVENT_READ)
        except PermissionError:
            self._always.add(descriptor)

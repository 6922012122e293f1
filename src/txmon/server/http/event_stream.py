"""Server-sent events: one publisher, many bounded listeners, and a memory for those who come back."""

import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

KEPT: Final = 2000  # events that a returning client is given
WAITING: Final = 500  # events a slow client may be behind before it is hung up on
LISTENERS: Final = 256
HEARTBEAT: Final = 5.0  # seconds
BEAT: Final = b"event: beat\ndata: {}\n\n"  # an event, since a page cannot see comments
RETRY: Final = b"retry: 2000\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it goes over the wire."""

    number: int
    raw: bytes


class Hub:
    """Gives every event to every listener; a listener that does not keep up is dropped, and may come back."""

    def __init__(self, heartbeat: float = HEARTBEAT) -> None:
        self._boot = secrets.token_hex(4)  # numbers of another process mean nothing here
        self._number = 0
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[queue.SimpleQueue[Event | None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._heartbeat = heartbeat

    def __len__(self) -> int:
        return len(self._listeners)

    def position(self) -> str:
        """Return the id of the newest event: where one who knows everything up to now goes on."""
        return f"{self._boot}-{self._number}"

    def publish(self, kind: str, data: str, keep: bool = True) -> None:
        """Send `data` (one line) as an event of `kind`; keep: also to those who come back later."""
        with self._lock:
            if keep:
                self._number += 1
            named = f"id: {self._boot}-{self._number}\n" if keep else ""
            event = Event(self._number, f"{named}event: {kind}\ndata: {data}\n\n".encode())
            if keep:
                self._kept.append(event)
            for waiting in list(self._listeners):
                if waiting.qsize() >= WAITING:
                    self._listeners.remove(waiting)
                    waiting.put(None)
                else:
                    waiting.put(event)

    def full(self) -> bool:
        """Return whether no more listeners are taken."""
        return self._closed or len(self._listeners) >= LISTENERS

    def stream(self, last: str | None) -> Callable[[Callable[[bytes], None]], None]:
        """What writes the events after the one with the id `last` until the hub closes or the client falls behind."""

        def stream(write: Callable[[bytes], None]) -> None:
            waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
            with self._lock:
                if self.full():
                    return
                missed = self._missed(last)
                self._listeners.append(waiting)
            try:
                write(RETRY + b"".join(missed))
                for block in self._blocks(waiting):
                    write(block)
            finally:
                with self._lock:
                    if waiting in self._listeners:
                        self._listeners.remove(waiting)

        return stream

    def _missed(self, last: str | None) -> list[bytes]:
        if last is None:
            return []
        boot, _, number = last.partition("-")
        known = boot == self._boot and number.isascii() and number.isdigit() and len(number) < 16
        oldest = self._kept[0].number if self._kept else self._number + 1
        if not known or int(number) + 1 < oldest or int(number) > self._number:
            return [b"event: reset\ndata: {}\n\n"]  # start again from a query
        return [event.raw for event in self._kept if event.number > int(number)]

    def _blocks(self, waiting: "queue.SimpleQueue[Event | None]") -> Iterator[bytes]:
        while True:
            try:
                event = waiting.get(timeout=self._heartbeat)
            except queue.Empty:
                yield BEAT
                continue
            if event is None:
                return
            yield event.raw

    def close(self) -> None:
        """End all streams, and take no more."""
        with self._lock:
            self._closed = True
            for waiting in self._listeners:
                waiting.put(None)

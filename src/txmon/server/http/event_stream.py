"""Server-sent events: one publisher, many listeners with limits, and a memory for reconnecting clients."""

import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

KEPT: Final = 2000  # events that a reconnecting client can receive
WAITING: Final = 500  # events by which a slow client may lag before it is disconnected
LISTENERS: Final = 256
HEARTBEAT: Final = 5.0  # seconds
BEAT: Final = b"event: beat\ndata: {}\n\n"  # an event rather than a comment, because a page cannot see comments
RETRY: Final = b"retry: 2000\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event in its wire format."""

    number: int
    raw: bytes


class Hub:
    """Sends every event to every listener. A listener that is too slow is disconnected and may reconnect."""

    def __init__(self, heartbeat: float = HEARTBEAT) -> None:
        self._boot = secrets.token_hex(4)  # ids of another process are not valid here
        self._number = 0
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[queue.SimpleQueue[Event | None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._heartbeat = heartbeat

    def __len__(self) -> int:
        return len(self._listeners)

    def position(self) -> str:
        """Return the id of the newest event, from which a client that knows everything so far continues."""
        return f"{self._boot}-{self._number}"

    def publish(self, kind: str, data: str, keep: bool = True) -> None:
        """Send `data` (one line) as an event of `kind`. keep: also for clients that reconnect later."""
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
        """Return whether the number of listeners has reached its limit."""
        return self._closed or len(self._listeners) >= LISTENERS

    def stream(self, last: str | None) -> Callable[[Callable[[bytes], None]], None]:
        """Return a function that writes the events after the id `last`.

        It ends when the hub closes or the client is too slow.
        """

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
            return [b"event: reset\ndata: {}\n\n"]  # the client must load everything again
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
        """End all streams and accept no more."""
        with self._lock:
            self._closed = True
            for waiting in self._listeners:
                waiting.put(None)

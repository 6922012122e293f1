"""Delivers notifications from a bounded queue for each channel, on a thread of its own, until the receiver takes them.

It sends the steps of one incident in their order. It merges steps that were overtaken while the receiver was away: it
sends the newest, which names the others.

`Courier` chooses the next notification, the time, and what an answer means. It never waits. `Delivery` is the thread
that waits. A notification is on the disk before `tell` returns, and leaves it after the receiver took it. So delivery
is at least once, with a stable id.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from txmon.model.outcome import IncidentEvent
from txmon.notify.channels.base import Answer, Channel, Stoppable, attempt
from txmon.notify.notification import Notification
from txmon.notify.pending import pack_notification, unpack_notification
from txmon.notify.spool import Spool, Spooled
from txmon.support.plurals import counted

RATE: Final = 4  # requests in any second
MOST_QUEUED: Final = 1000  # notifications; the oldest makes room
FIRST_DELAY: Final = 0.5  # seconds after a first failure, then twice as long each time
LONGEST_DELAY: Final = 60.0
LONGEST_ASKED: Final = 3600.0  # seconds of Retry-After that are obeyed
ROTATE_AFTER: Final = 8  # failures after which a notification lets those of other incidents go first
SLOW_DELAY: Final = 30.0  # seconds after a first timeout: the receiver may well have got it, and be busy with it
LONGEST_SLOW: Final = 900.0
MOST_MERGED: Final = 50  # steps that one notification names
REFRESH: Final = 60.0  # seconds between two times that an alert manager hears what is still open

Log = Callable[[str], None]
# a channel took or refused a step: incidents, step, channel, the result in words
Ended = Callable[[Collection[str], str, str, str], None]


class Waiting:
    """A notification in the queue."""

    __slots__ = ("attempts", "body", "id", "incidents", "name", "told")

    def __init__(self, identity: str, name: str | None, body: str | None) -> None:
        self.id = identity
        self.name = name  # of its file in the spool
        self.body = body  # only when it could not be kept there
        self.attempts = 0
        self.told: Notification | None = None  # to merge it with others; read from the spool when it is wanted
        self.incidents: frozenset[str] | None = None  # that it is of; None while that is not known


@dataclass(slots=True)
class Counts:
    """The results of the notifications of one channel."""

    sent: int = 0
    merged: int = 0  # steps that a later one names, since the receiver was away
    failed: int = 0  # attempts
    refused: int = 0
    dropped: int = 0  # by a full queue
    unkept: int = 0  # that the spool could not take
    unreadable: int = 0  # files in the spool
    last: str = ""  # failure


class Courier:
    """Holds one channel's queue, and chooses what to do next. Two threads may call `add` and `step`."""

    def __init__(self, channel: Channel, spool: Spool, clock: Callable[[], float], log: Log) -> None:
        """clock: seconds that never go back. log: prints a line when the channel fails or works again."""
        self.channel = channel
        self.counts = Counts()
        self.progress = clock()  # when something was last sent or refused
        self.ended: Ended | None = None
        self._spool = spool
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._queue = deque(Waiting(identity, name, None) for identity, name in spool.waiting())
        # of the newest requests. Counting from the end of one to the start of another keeps the rate at the receiver
        self._ends: deque[float] = deque(maxlen=RATE)
        self._not_before = 0.0
        self._in_a_row = 0  # failures
        self._late = len(self._queue) > 0  # what an earlier process left is late whatever happens now
        self._firing: tuple[IncidentEvent, ...] = ()
        self._refreshed = -REFRESH

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, notification: Notification) -> None:
        """Queue a notification, on the disk first; nothing where it is queued already."""
        identity, body = notification.id, self.channel.render(notification)
        with self._lock:
            if any(waiting.id == identity for waiting in self._queue):
                return
            try:
                packed = pack_notification(notification) if notification.events else None
                waiting = Waiting(identity, self._spool.put(identity, body, packed), None)
            except OSError as bad:
                self.counts.unkept += 1
                if self.counts.unkept == 1:
                    self._log(f"{self.channel.name}: the spool cannot keep notifications ({bad.strerror})")
                waiting = Waiting(identity, None, body)
            waiting.told = notification
            waiting.incidents = frozenset(event.id for event in notification.events)
            self._queue.append(waiting)
            while len(self._queue) > MOST_QUEUED:
                self._forget(self._queue.popleft())
                self.counts.dropped += 1

    def step(self) -> float | None:
        """Send the next notification if it is time. Return the seconds until the next step; None if none waits."""
        with self._lock:
            if not self._queue:
                return None
            pause = self._pause()
            if pause > 0:
                return pause
            waiting = self._queue[0]
            spooled = self._read(waiting)
            if spooled is None:
                self._queue.popleft()
                return 0.0
            together = self._overtaken(waiting) if self._in_a_row or self._late else [waiting]
            identity, body = spooled.id, spooled.body
            if len(together) > 1:
                identity, body = self._merged(together)
        # without the lock: sending may take long, and `add` must not wait
        answer = attempt(self.channel, identity, body)
        with self._lock:
            self._ends.append(self._clock())
            self._conclude(together, answer)
            pause = self._pause()
            more = len(self._queue) > 0
        if answer.outcome != "retry" and self.ended is not None:  # without the lock: `ended` may have to wait
            for one in together:
                step = one.told.kind if one.told is not None else "notification"
                outcome = "sent" if answer.outcome == "sent" else f"refused: {answer.text}"
                self.ended(one.incidents or (), step, self.channel.name, outcome)
        return pause if more else None

    def _overtaken(self, first: Waiting) -> list[Waiting]:
        """Return the first notification and all later ones that are of the same incidents, and of no others."""
        self._know(first)
        if not first.incidents or first.told is None or first.told.day is not None:
            return [first]
        found = [first]
        for waiting in list(self._queue)[1:]:
            self._know(waiting)
            if waiting.incidents == first.incidents and waiting.told is not None and waiting.told.kind != "digest":
                found.append(waiting)
            elif waiting.incidents is None or waiting.incidents & first.incidents:
                break  # its order matters
            if len(found) == MOST_MERGED:
                break
        return found

    def _know(self, waiting: Waiting) -> None:
        """Read the incidents of a notification that an earlier process left."""
        if waiting.incidents is not None or waiting.name is None:
            return
        try:
            spooled = self._spool.read(waiting.name)
            if spooled is not None and spooled.told is not None:
                waiting.told = unpack_notification(spooled.told)
                waiting.incidents = frozenset(event.id for event in waiting.told.events)
        except (OSError, KeyError, IndexError, TypeError, ValueError):
            waiting.told = None

    def _merged(self, together: list[Waiting]) -> tuple[str, str]:
        """Return the id and the body of the newest of several steps, which names those before it."""
        steps = [waiting.told for waiting in together if waiting.told is not None]
        earlier = tuple((step.kind, step.time) for step in steps[:-1])
        newest = replace(steps[-1], earlier=earlier)
        return newest.id, self.channel.render(newest)

    def _pause(self) -> float:
        now = self._clock()
        paced = self._ends[0] + 1.0 if len(self._ends) == RATE else now
        return max(self._not_before, paced) - now

    def _read(self, waiting: Waiting) -> Spooled | None:
        if waiting.name is None:
            return Spooled(waiting.id, waiting.body or "")
        try:
            spooled = self._spool.read(waiting.name)
        except OSError:
            spooled = None
        if spooled is None:
            self.counts.unreadable += 1
            self._aside(waiting)
        return spooled

    def _conclude(self, together: list[Waiting], answer: Answer) -> None:
        waiting = together[0]
        still_first = bool(self._queue) and self._queue[0] is waiting  # a full queue may have dropped it meanwhile
        if answer.outcome == "retry":
            waiting.attempts += 1
            self.counts.failed += 1
            if answer.slow:
                delay = min(SLOW_DELAY * 2**self._in_a_row, LONGEST_SLOW)
            else:
                delay = min(FIRST_DELAY * 2**self._in_a_row, LONGEST_DELAY)
            delay = delay if answer.after is None else min(answer.after, LONGEST_ASKED)
            self._not_before = self._clock() + delay
            self._fails(answer.text)
            if still_first and waiting.attempts % ROTATE_AFTER == 0:
                self._give_way(waiting)
            return
        self.progress = self._clock()
        for one in together:
            if one in self._queue:
                self._queue.remove(one)
        if answer.outcome == "sent":
            self.counts.sent += 1
            self.counts.merged += len(together) - 1
            for one in together:
                self._forget(one)
            if self._in_a_row:
                self._log(f"{self.channel.name}: works again after {counted(self._in_a_row, 'failed attempt')}")
                self._late = True  # all that waits now is late
            self._in_a_row = 0
            self._late = self._late and len(self._queue) > 0
        else:
            self.counts.refused += 1
            self.counts.last = answer.text
            self._log(f"{self.channel.name}: refused {waiting.id}: {answer.text}")
            for one in together:
                self._aside(one)

    def _give_way(self, waiting: Waiting) -> None:
        """Let the notifications of other incidents go first; those of the same keep their order behind it."""
        self._know(waiting)
        if waiting.incidents is None:
            self._queue.rotate(-1)
            return
        behind = []
        for one in self._queue:
            self._know(one)
            if one is waiting or one.incidents is None or one.incidents & waiting.incidents:
                behind.append(one)
        self._queue = deque([one for one in self._queue if one not in behind] + behind)

    def refresh(self, firing: tuple[IncidentEvent, ...]) -> None:
        """Note the open incidents that people know of, which `beat` repeats."""
        with self._lock:
            self._firing = firing

    def beat(self) -> float | None:
        """Repeat the open incidents if it is time: Alertmanager ends an alert that nobody repeats.

        Return the seconds until the next time; None for a channel that needs no repeats.
        """
        send = getattr(self.channel, "refresh", None)
        if send is None:
            return None
        with self._lock:
            wait = self._refreshed + REFRESH - self._clock()
            if wait > 0 or self._queue or not self._firing:
                return max(wait, 1.0)
            self._refreshed = self._clock()
            firing = self._firing
        send(firing)  # a failure shows in the notifications, and the next try is in a minute
        return REFRESH

    def _fails(self, text: str) -> None:
        """Count a failure; print it where it is the first in a row or another one than before."""
        if text != self.counts.last or not self._in_a_row:
            self._log(f"{self.channel.name}: {text}; will try again")
        self._in_a_row = min(self._in_a_row + 1, 30)
        self.counts.last = text

    def _forget(self, waiting: Waiting) -> None:
        self._leave(waiting, self._spool.remove, " and will come again")

    def _aside(self, waiting: Waiting) -> None:
        self._leave(waiting, self._spool.set_aside, "")

    def _leave(self, waiting: Waiting, out: Callable[[str], None], otherwise: str) -> None:
        """Take a notification's file from those that wait, with `out`; print what follows where that fails."""
        if waiting.name is not None:
            try:
                out(waiting.name)
            except OSError as bad:
                self._log(f"{self.channel.name}: {waiting.id} stays in the spool ({bad.strerror}){otherwise}")

    def close(self) -> None:
        """Release the spool for another process."""
        self._spool.close()

    def summary(self) -> list[str]:
        """Return the results, one line per kind."""
        counts, name = self.counts, self.channel.name
        lines = [f"{name}: {counted(counts.sent, 'notification')} sent"]
        if counts.merged:
            lines.append(f"{name}: {counted(counts.merged, 'overtaken step')} sent together with later ones")
        if counts.failed:
            lines.append(f"{name}: {counted(counts.failed, 'failed attempt')}, the last: {counts.last}")
        kept = sum(1 for waiting in self._queue if waiting.body is None)
        if kept:
            lines.append(f"{name}: {kept} not sent yet, kept in {self._spool.folder}")
        if lost := len(self._queue) - kept:
            lines.append(f"{name}: {counted(lost, 'notification')} lost: neither sent nor kept in {self._spool.folder}")
        if counts.refused:
            lines.append(f"{name}: {counts.refused} refused, kept in {self._spool.folder / 'refused'}: {counts.last}")
        if counts.unreadable:
            lines.append(f"{name}: {counts.unreadable} unreadable in {self._spool.folder}")
        if counts.dropped:
            lines.append(f"{name}: {counts.dropped} dropped, the oldest of more than {MOST_QUEUED}")
        if counts.unkept:
            lines.append(f"{name}: {counts.unkept} could not be kept in {self._spool.folder}")
        return lines


class Delivery:
    """Runs a courier on a thread of its own."""

    def __init__(self, courier: Courier, clock: Callable[[], float]) -> None:
        """clock: the courier's."""
        self.courier = courier
        self._clock = clock
        self._news = threading.Event()
        self._closing: float | None = None  # when closing began
        self._patience = 0.0
        # a daemon: a receiver that hangs must not keep the process from ending, and the spool keeps what it has
        self._thread = threading.Thread(target=self._work, name=f"notify-{courier.channel.name}", daemon=True)

    def start(self) -> None:
        """Start the thread, which begins with what an earlier process left in the spool."""
        self._thread.start()

    def tell(self, notification: Notification) -> None:
        """Queue a notification; never waits for the receiver."""
        self.courier.add(notification)
        self._news.set()

    def begin_close(self, patience: float) -> None:
        """Send what waits, then stop; give up when nothing got through for `patience` seconds."""
        self._patience = patience
        self._closing = self._clock()
        self._news.set()

    def end_close(self) -> None:
        """Wait until `begin_close` is done."""
        while self._thread.is_alive() and self._clock() < self._deadline():
            self._thread.join(0.05)
        if not self._thread.is_alive():  # otherwise it may still be sending from there
            self.courier.close()
        elif isinstance(self.courier.channel, Stoppable):
            self.courier.channel.stop()

    def _deadline(self) -> float:
        assert self._closing is not None
        return max(self.courier.progress, self._closing) + self._patience

    def _work(self) -> None:
        while True:
            self._news.clear()
            closing = self._closing is not None
            pause = self.courier.step()
            if closing and (pause is None or self._clock() + pause > self._deadline()):
                return
            beat = None if closing else self.courier.beat()
            self._news.wait(pause if beat is None else beat if pause is None else min(pause, beat))


class Deliveries:
    """Delivers to all channels of a process."""

    def __init__(
        self, channels: Iterable[Channel], folder: Path, clock: Callable[[], float], log: Log, patience: float
    ) -> None:
        """folder: has a spool for each channel. patience: seconds without progress after which closing gives up."""
        self._patience = patience
        self._spools: list[Spool] = []
        self._all: list[Delivery] = []
        try:
            for channel in channels:
                spool = Spool(folder / channel.name)
                self._spools.append(spool)
                self._all.append(Delivery(Courier(channel, spool, clock, log), clock))
        except BaseException:
            for spool in self._spools:
                spool.close()
            raise
        for delivery in self._all:
            delivery.start()

    def tell(self, notification: Notification, names: Collection[str] | None = None) -> None:
        """Queue a notification on every channel, or on those of these names."""
        for delivery in self._all:
            if names is None or delivery.courier.channel.name in names:
                delivery.tell(notification)

    def hear(self, ended: Ended) -> None:
        """Let `ended` get the result of each notification; the threads of the channels call it."""
        for delivery in self._all:
            delivery.courier.ended = ended

    def refresh(self, firing: Mapping[str, tuple[IncidentEvent, ...]]) -> None:
        """Note the open incidents by channel: some channels need them repeated."""
        for delivery in self._all:
            delivery.courier.refresh(firing.get(delivery.courier.channel.name, ()))

    def names(self) -> list[str]:
        """Return the channels' names."""
        return [delivery.courier.channel.name for delivery in self._all]

    def close(self) -> None:
        """Send what waits on all channels at once, within the patience of each; the spools keep the rest."""
        for delivery in self._all:
            delivery.begin_close(self._patience)
        for delivery in self._all:
            delivery.end_close()

    def summary(self) -> list[str]:
        """Return the results, one line per kind and channel."""
        return [line for delivery in self._all for line in delivery.courier.summary()]

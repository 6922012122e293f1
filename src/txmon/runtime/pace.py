"""Event time played at a multiple of real time; the clock and the sleep are the caller's."""

from collections.abc import Callable
from typing import Final

SLICE: Final = 0.1  # seconds slept at once, so that a screen stays alive meanwhile


class Pace:
    """Holds a replay back to `speed` seconds of event time a second."""

    def __init__(self, speed: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """speed: > 0. clock and sleep: in seconds, monotonic."""
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._origin: tuple[int, float] | None = None

    def wait(self, time: int, idle: Callable[[], None]) -> None:
        """Return when it is time for what happened at `time` (epoch seconds); call `idle` every now and then."""
        if self._origin is None:
            self._origin = (time, self._clock())
        first, began = self._origin
        due = began + (time - first) / self._speed
        while (left := due - self._clock()) > 0:
            self._sleep(min(left, SLICE))
            idle()

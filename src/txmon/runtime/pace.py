"""Event time played at a multiple of real time; the clock and the sleep are the caller's."""

from collections.abc import Callable
from typing import Final

SLICE: Final = 0.1  # seconds slept at once, so that a screen stays alive meanwhile
SPEEDS: Final = (1.0, 10.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)  # to choose from


class Pace:
    """Holds a replay back to `speed` seconds of event time a second, or stops it for a while."""

    def __init__(self, speed: float | None, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """speed: > 0, or None for as fast as possible. clock and sleep: in seconds, monotonic."""
        self.held = False  # it stands still
        self.ended = False  # nobody wants to see more
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._origin: tuple[int, float] | None = None

    @property
    def text(self) -> str:
        """Return the speed for people."""
        return "full speed" if self._speed is None else f"{self._speed:g}x"

    def faster(self) -> None:
        """Play at the next higher of `SPEEDS`; above them, as fast as possible."""
        if self._speed is not None:
            speed = self._speed
            self._change(next((one for one in SPEEDS if one > speed), None))

    def slower(self) -> None:
        """Play at the next lower of `SPEEDS`."""
        speed = float("inf") if self._speed is None else self._speed
        self._change(next((one for one in reversed(SPEEDS) if one < speed), self._speed))

    def _change(self, speed: float | None) -> None:
        self._speed = speed
        self._origin = None  # what is to come is measured from the moment of the change

    def wait(self, time: int, idle: Callable[[], None]) -> None:
        """Return when it is time for what happened at `time` (epoch seconds); call `idle` every now and then.

        `idle` may change the speed, hold the replay or end it.
        """
        while not self.ended:
            if self.held:
                self._origin = None
                self._sleep(SLICE)
            elif self._speed is None:
                return
            else:
                if self._origin is None:
                    self._origin = (time, self._clock())
                first, began = self._origin
                left = began + (time - first) / self._speed - self._clock()
                if left <= 0:
                    return
                self._sleep(min(left, SLICE))
            idle()

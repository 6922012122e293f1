"""Measures how fast an input is read, and how long the rest takes."""

from collections.abc import Callable
from typing import Final

AGE: Final = 5.0  # seconds over which the rate is measured


class Rate:
    """Measures the speed of one piece of work."""

    def __init__(self, name: str, clock: Callable[[], float], unit: str = "") -> None:
        """Create it. name: of the work. clock: monotonic, seconds.

        unit: of the work, in the plural; empty for bytes.
        """
        self.name = name
        self._unit = unit
        self._clock = clock
        self._marks: list[tuple[float, int]] = [(clock(), 0)]

    def note(self, done: int, size: int | None) -> str:
        """Return the rate and the time left in words, or "" at the start.

        done: units so far. size: all units; None if unknown.
        """
        now = self._clock()
        if now - self._marks[-1][0] >= AGE / 10:
            self._marks.append((now, done))
            while len(self._marks) > 2 and now - self._marks[0][0] > AGE:
                del self._marks[0]
        began, first = self._marks[0]
        if now - began < AGE / 10 or done <= first:
            return ""
        rate = (done - first) / (now - began)
        if self._unit:
            text = f"{rate:,.0f} {self._unit}/s" if rate >= 10 else f"{rate:.1f} {self._unit}/s"
        else:
            text = f"{rate / 1e6:.1f} MB/s" if rate >= 1e5 else f"{rate / 1e3:.1f} kB/s"
        return text if size is None else f"{text}, {left_text((size - done) / rate)} left"


def left_text(seconds: float) -> str:
    """Return a duration as 0:05 or 1:02:03."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"

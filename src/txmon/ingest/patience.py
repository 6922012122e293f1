"""Retries a live source whose server is away, at growing intervals, and reports it once."""

from collections.abc import Callable
from typing import Final

FIRST_WAIT: Final = 1.0  # seconds before the first retry; doubled each time
LONGEST_WAIT: Final = 60.0


class Patience:
    """Records whether a server answers, and when to ask it next."""

    def __init__(self, name: str, say: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        """Create it. name: of the source. say: receives a line when the server goes away and when it is back.

        monotonic: seconds.
        """
        self._name = name
        self._say = say
        self._monotonic = monotonic
        self._wait = 0.0  # seconds; above 0 while the server is away
        self.due = 0.0  # monotonic time of the next request

    @property
    def answers(self) -> bool:
        """Return whether the server answered the last request."""
        return not self._wait

    def failed(self, reason: str) -> None:
        """Note that the server did not answer."""
        if not self._wait:
            self._say(f"{reason}. txmon tries again until it answers")
        self._wait = min(LONGEST_WAIT, 2 * self._wait or FIRST_WAIT)
        self.due = self._monotonic() + self._wait

    def answered(self) -> None:
        """Note that the server answered."""
        if self._wait:
            self._say(f"{self._name}: answers again")
            self._wait = 0.0

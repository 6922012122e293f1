"""The time in the stream, which goes on by itself between two records."""


class EventClock:
    """Keeps event time: the newest record's time plus the seconds since it came.

    A pause in the stream therefore closes buckets and shows silence, whatever the wall clock does meanwhile. A stream
    that always comes late has a clock that is as late.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None  # event time less the moment that a record came, at its largest; seconds

    def note(self, time: int, wall: float, moment: float, settled: bool = True) -> None:
        """Note that the bulk of the stream had reached `time` when the wall clock stood at `wall` (epoch seconds).

        moment: the same on the clock that `now` is asked with, seconds. A record from the future only shows that it is
        now. Otherwise one sender with a wrong clock would make all other records late. settled: a bucket has closed;
        until then, the first record may turn out to be the one with the wrong time, and the clock is put back.
        """
        ahead = min(time, wall) - moment
        if self._ahead is None or ahead > self._ahead or not settled:
            self._ahead = ahead

    def now(self, moment: float) -> int | None:
        """Return event time in epoch seconds, or None before the first record."""
        return None if self._ahead is None else int(moment + self._ahead)

    def snapshot(self) -> float | None:
        """Return the state. It has a meaning after a restart only where `moment` is wall time."""
        return self._ahead

    def restore(self, state: float | None) -> None:
        """Restore what `snapshot` returned. Raise ValueError or TypeError if it is not valid."""
        self._ahead = None if state is None else float(state)

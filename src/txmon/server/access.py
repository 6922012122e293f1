"""Records the requests themselves: counters for the metrics, and the access log."""

import json
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final

from txmon.model.clock import iso
from txmon.server.http.message import Request
from txmon.support.line_file import LineFile

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
AGENT: Final = 200  # characters of a User-Agent that are logged


class HttpCounters:
    """Counts answers by path and status, and their durations. It may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, int], int] = {}
        # by path: how many answers took up to each bound, and how many took longer
        self._times: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count an answer. path: the path of its route."""
        with self._lock:
            self._answers[path, status] = self._answers.get((path, status), 0) + 1
            times = self._times.setdefault(path, [0] * (len(BOUNDS) + 1))
            times[bisect_left(BOUNDS, seconds)] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def answers(self) -> Mapping[tuple[str, int], int]:
        """Return the number of answers by path and status."""
        with self._lock:
            return dict(self._answers)

    def times(self) -> dict[str, tuple[list[tuple[str, float]], float]]:
        """Return by path how many answers took at most each bound (cumulative), and the sum of the seconds."""
        found = {}
        with self._lock:
            for path, times in self._times.items():
                rows, total = [], 0
                for bound, count in zip([*map(str, BOUNDS), "+Inf"], times, strict=True):
                    total += count
                    rows.append((bound, float(total)))
                found[path] = rows, self._seconds[path]
        return found


class AccessLog:
    """Writes one JSON line for each request and its result. It never contains a token, a query or a body."""

    def __init__(self, path: str, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        """Open the file. path: `-` is standard error. clock: epoch seconds. say: receives a line when writing fails.

        Raise OSError if the file cannot be opened.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._file = None if path == "-" else LineFile(path, say, private=True)

    def note(self, request: Request | None, peer: str, status: int, size: int, seconds: float) -> None:
        """Write the line of one answer. request: None if it could not be read."""
        row: dict[str, object] = {"time": iso(int(self._clock())), "event": "request", "peer": peer}
        if request is not None:
            row |= {"method": request.method, "path": request.path[:1000]}
        row |= {"status": status, "bytes": size, "seconds": round(seconds, 6)}
        if request is not None and "user-agent" in request.headers:
            row["agent"] = request.headers["user-agent"][:AGENT]
        line = json.dumps(row) + "\n"
        with self._lock:
            if self._file is None:
                sys.stderr.write(line)
            else:
                self._file.write(line.encode())

    def close(self) -> None:
        """Write out what is kept."""
        if self._file is not None:
            self._file.close()

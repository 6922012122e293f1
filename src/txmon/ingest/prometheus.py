"""A Prometheus server as a source: the points of a PromQL query become counts per step.

A point at 10:01 of `sum by (status) (increase(transactions_total[1m]))` counts the minute from 10:00, so its time is
one step earlier. PromQL's `increase` takes care of counter resets. A step without any point was not observed, which is
not the same as a count of zero, so txmon gives no line for it.
"""

import json
import math
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from txmon.errors import BadData, IoFailure
from txmon.ingest.asked import POINTS as POINTS_OF_QUERY
from txmon.ingest.fields import NAMES
from txmon.ingest.follow import Chunk
from txmon.ingest.patience import Patience
from txmon.support.frozen import frozen

POINTS: Final = 10_000  # steps per request; Prometheus refuses more than 11,000
PATIENCE: Final = 30.0  # seconds for an answer
LARGEST_ANSWER: Final = 256 << 20  # bytes


@frozen
class PromQuery:
    """A PromQL query and the server that answers it."""

    address: str  # http://host:9090
    text: str  # PromQL
    step: int  # seconds
    status: str | None = None  # the label with the status; None to find it by its name
    start: float | None = None  # epoch seconds
    end: float | None = None
    settle: int = 30  # seconds after a step's end before it is requested, because scrapes arrive late
    token: str | None = None  # for bearer authentication
    basic: str | None = None  # user:password
    ca_file: str | None = None


class Prometheus:
    """Queries one server and turns the answers into lines."""

    def __init__(self, query: PromQuery, say: Callable[[str], None]) -> None:
        """Create it. say: receives a line for values that are rounded or left out, once for each kind.

        Raise BadData if the address is not valid.
        """
        parts = urllib.parse.urlsplit(query.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadData(f"--prometheus {query.address!r} is not an address. Use for example http://localhost:9090.")
        if parts.password:
            raise BadData(
                "--prometheus must not contain a password, because other users see it in the process list. Set"
                " TXMON_PROMETHEUS_BASIC to user:password, or TXMON_PROMETHEUS_TOKEN."
            )
        self.name = f"prometheus:{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        self._query = query
        self._say = say
        self._said: set[str] = set()
        self._base = query.address.rstrip("/")
        self._context = ssl.create_default_context(cafile=query.ca_file) if parts.scheme == "https" else None
        self._opener = urllib.request.build_opener(
            *([urllib.request.HTTPSHandler(context=self._context)] if self._context is not None else []), _NoRedirect()
        )

    def lines(self, start: float, end: float) -> tuple[list[bytes], list[tuple[int, int]]]:
        """Return the lines of the points from `start` to `end`, in order of time, and the times without any point.

        Raise IoFailure or BadData.
        """
        step = self._query.step
        wanted = {"query": self._query.text, "start": _number(start), "end": _number(end), "step": str(step)}
        answer = self._ask("/api/v1/query_range", wanted)
        data = answer.get("data")
        if not isinstance(data, dict) or data.get("resultType") != "matrix":
            raise BadData(f"{self.name}: the answer is not a matrix. The query must give a range vector's values.")
        rows: list[tuple[float, dict[str, Any]]] = []
        for series in data.get("result", ()):
            labels = {str(name): str(value) for name, value in series.get("metric", {}).items() if name != "__name__"}
            status = self._status(labels)
            for at, text in series.get("values", ()):
                count = self._count(text, status)
                if count is not None:
                    rows.append((float(at), {"time": int(at) - step, "status": status, "count": count} | labels))
        rows.sort(key=lambda row: row[0])
        encode = json.dumps
        lines = [encode(row, ensure_ascii=False).encode() for _, row in rows]
        return lines, gaps({int(at) for at, _ in rows}, int(start), int(end), step)

    def _status(self, labels: dict[str, str]) -> str:
        """Return the labels without the status, and the status.

        Raise BadData, with the labels found, if it is missing.
        """
        wanted = (self._query.status,) if self._query.status else NAMES["status"]
        for name in wanted:
            if name in labels:
                return labels.pop(name)
        found = ", ".join(labels) or "none"
        raise BadData(
            f"{self.name}: a series has no label for the status (labels: {found}). Write `sum by (LABEL) (...)` in the"
            " query, and name another label with --map status=LABEL."
        )

    def _count(self, text: str, status: str) -> int | None:
        value = float(text)
        if not math.isfinite(value):
            self._once(f"{status}: {text} is not a count. txmon ignores such points")
            return None
        if value < 0:
            self._once(f"{status}: {text} is below zero. txmon ignores such points")
            return None
        whole = math.floor(value + 0.5)
        if abs(whole - value) > 1e-9:
            self._once("counts are fractions, because PromQL extrapolates. txmon rounds them")
        return whole

    def _once(self, text: str) -> None:
        if text not in self._said and len(self._said) < 20:
            self._said.add(text)
            self._say(f"{self.name}: {text}")

    def _ask(self, path: str, values: Mapping[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(self._base + path, urllib.parse.urlencode(values).encode())
        request.add_header("User-Agent", "txmon")
        if self._query.token:
            request.add_header("Authorization", f"Bearer {self._query.token}")
        elif self._query.basic:
            request.add_header("Authorization", "Basic " + b64encode(self._query.basic.encode()).decode())
        try:
            with self._opener.open(request, timeout=PATIENCE) as response:
                raw = response.read(LARGEST_ANSWER + 1)
        except urllib.error.HTTPError as bad:
            self._refused(bad)
        except (OSError, urllib.error.URLError) as bad:
            raise IoFailure(f"{self.name}: {getattr(bad, 'reason', bad)}") from None
        if len(raw) > LARGEST_ANSWER:
            raise BadData(f"{self.name}: an answer is larger than {LARGEST_ANSWER >> 20} MiB. Ask for fewer series.")
        try:
            answer = json.loads(raw)
        except ValueError:
            raise BadData(f"{self.name}: the answer is not JSON. Is this the address of a Prometheus server?") from None
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise BadData(
                f"{self.name}: {answer.get('error', 'no success') if isinstance(answer, dict) else 'no object'}"
            )
        return answer

    def _refused(self, bad: urllib.error.HTTPError) -> None:
        try:
            text = str(json.loads(bad.read(65536)).get("error", ""))
        except (ValueError, AttributeError, OSError):
            text = ""
        if bad.code in (401, 403):
            raise BadData(
                f"{self.name}: refused the login ({bad.code}). Set TXMON_PROMETHEUS_TOKEN, or TXMON_PROMETHEUS_BASIC to"
                " user:password."
            ) from None
        kind = BadData if bad.code in (400, 404, 405, 422) else IoFailure
        raise kind(f"{self.name}: answered {bad.code}{': ' + text if text else ''}") from None


def gaps(seen: Collection[int], start: int, end: int, step: int) -> list[tuple[int, int]]:
    """Return the times from `start` to `end` without a point in `seen`, as (start, end) in epoch seconds."""
    found: list[tuple[int, int]] = []
    for at in range(start, end + 1, step):
        if at in seen:
            continue
        if found and found[-1][1] == at - step:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at - step, at))
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, because a login must not be sent to another address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class PromRows:
    """All points of a query between two times, page by page, as lists of JSON lines."""

    container = POINTS_OF_QUERY

    def __init__(self, query: PromQuery, say: Callable[[str], None], now: float) -> None:
        """Create it. now: epoch seconds, used as the end if the query has none."""
        self._query = query
        self._now = now
        self._server = Prometheus(query, say)
        self.name = self._server.name
        self.size: int | None = None  # unknown, so a progress bar has no end
        self.consumed = 0
        self._missed: list[tuple[int, int]] = []

    def unobserved(self) -> list[tuple[int, int]]:
        """Return once the times without a point so far, as (start, end) in epoch seconds."""
        found, self._missed = self._missed, []
        return found

    def __enter__(self) -> "PromRows":
        """Return the source itself."""
        return self

    def __exit__(self, *what: object) -> None:
        """Do nothing, because each request has its own connection."""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield lists of lines."""
        step = self._query.step
        end = math.floor((self._query.end if self._query.end is not None else self._now) / step) * step
        start = self._query.start if self._query.start is not None else end - 86400
        at = math.ceil(start / step) * step + step  # the point that counts the first whole step
        while at <= end:
            last = min(end, at + (POINTS - 1) * step)
            lines, missed = self._server.lines(at, last)
            self._missed += missed
            if lines:
                yield lines
            at = last + step


class PromSource:
    """Runs a query at the end of each step. A position is the newest step that was returned."""

    container = POINTS_OF_QUERY

    def __init__(
        self,
        query: PromQuery,
        say: Callable[[str], None],
        position: Mapping[str, Any] | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it. wall: epoch seconds. monotonic: seconds.

        say: receives a line when the server goes away and when it is back.
        """
        self._query = query
        self._wall = wall
        self._monotonic = monotonic
        self._server = Prometheus(query, say)
        self.name = self._server.name
        self._patience = Patience(self.name, say, monotonic)
        self.ended = False
        step = query.step
        begin = query.start if query.start is not None else wall() - 86400
        self._asked = int(math.ceil(begin / step) * step) if position is None else int(position["asked"])
        self._count = 0
        self._missed: list[tuple[int, int]] = []

    def unobserved(self) -> list[tuple[int, int]]:
        """Return once the times without a point, as (start, end) in epoch seconds."""
        found, self._missed = self._missed, []
        return found

    def fileno(self) -> int | None:
        """Return None, because this source is polled."""
        return None

    @property
    def connected(self) -> bool:
        """Return whether the server answers."""
        return self._patience.answers

    def holds(self) -> bool:
        """Return False, because this source is polled."""
        return False

    def read(self) -> Chunk | None:
        """Return the points of the steps that have ended since the last call, or None for none or without an answer."""
        step, moment = self._query.step, self._monotonic()
        end = int((self._wall() - self._query.settle) // step * step)
        if end <= self._asked or moment < self._patience.due:
            return None
        last = min(end, self._asked + POINTS * step)
        try:
            lines, missed = self._server.lines(self._asked + step, last)
        except IoFailure as bad:
            self._patience.failed(str(bad))
            return None
        self._patience.answered()
        self._asked = last
        self._missed += missed
        if not lines:
            return None
        start = self._count
        self._count += sum(map(len, lines)) + len(lines)
        return Chunk(lines, start=start)

    def position(self, offset: int) -> dict[str, Any] | None:
        """Return where a restart continues. It is after the newest chunk, so a run can have only one such source."""
        return {"asked": self._asked}

    def saved(self, position: Mapping[str, Any]) -> None:
        """Do nothing, because the server stores no positions for its readers."""

    def close(self) -> None:
        """Do nothing, because each request has its own connection."""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

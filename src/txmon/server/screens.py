"""Answers the queries of the page: overview, history, keys, incidents."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from txmon.ingest.timestamps import TimeParser
from txmon.model.clock import iso
from txmon.model.keys import Key
from txmon.server.assets import ASSETS, PAGE, numbered_icon, page_below
from txmon.server.engine import Engine
from txmon.server.guard import READ, Guard
from txmon.server.http.message import HttpError, Request, Response, as_json
from txmon.server.http.router import Query, Route
from txmon.server.key_history import BUCKETS, KeyRow, key_text, parse_key
from txmon.server.logged import LoggedVerdicts, Point, csv_of, step_of, thinned

LONGEST: Final = 400 * 86400  # seconds of one range
BEFORE: Final = 3600  # seconds of counts shown before an incident
AFTER: Final = 1800  # seconds of counts shown after its end
CSV: Final = "text/csv; charset=utf-8"
STATES: Final = ("open", "resolved", "all")


class Screens:
    """Answers the queries of the page."""

    def __init__(self, engine: Engine, guard: Guard) -> None:
        self._engine = engine
        self._guard = guard
        self._log = None if engine.settings.log is None else LoggedVerdicts(engine.settings.log)

    def routes(self) -> list[Route]:
        """Return the routes, including the page's files."""
        return [
            Route("GET", "/v1/overview", self._overview, READ),
            Route("GET", "/v1/history", self._history, READ),
            Route("GET", "/v1/keys", self._keys, READ),
            Route("GET", "/v1/incidents", self._incidents, READ),
            Route("GET", "/v1/incidents/{id}", self._incident, READ),
            Route("GET", "/v1/incidents/{id}/counts.csv", self._counts, READ),
            Route("GET", "/", self._page, listed=False),
            Route("GET", "/incidents/{id}", self._below, listed=False),
            Route("GET", "/keys/{key}", self._below, listed=False),
            Route("GET", "/icons/{count}", self._icon, listed=False),
            *[Route("GET", path, self._asset, listed=False) for path in ASSETS],
        ]

    def _overview(self, request: Request, _: Mapping[str, str]) -> Response:
        Query(request)
        session, headers = self._guard.session(request)
        row = self._engine.overview()
        oldest = self._oldest()
        row |= {"session": session, "oldest": None if oldest is None else iso(oldest)}
        return as_json(row, headers=headers)

    def _oldest(self) -> int | None:
        """Return the time of the oldest available point, epoch seconds."""
        with self._engine.lock:
            recent = self._engine.recent.oldest()
        logged = None if self._log is None else self._log.oldest()
        return min((time for time in (recent, logged) if time is not None), default=None)

    def _history(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "from", "to", "key")
        since, until = time_of(query, "from"), time_of(query, "to")
        text = query.text("key")
        key = None if text is None else _key_of(text)
        with self._engine.lock:
            last = self._engine.recent.last
        until = (last or 0) if until is None else until
        since = max(0, until - 86400) if since is None else since
        if not since <= until <= since + LONGEST:
            raise HttpError(422, "from: must be before `to`, by at most 400 days")
        series, begins = self._points(key, since, until)
        bucket = self._engine.settings.bucket
        step = step_of(since, until, bucket)
        if step > bucket:
            series = {status: thinned(points, step) for status, points in series.items()}
        return as_json(
            {"from": iso(since), "to": iso(until), "begins": iso(begins), "bucket": bucket, "step": step,
             "series": series}
        )  # fmt: skip

    def _points(self, key: Key | None, since: int, until: int) -> tuple[dict[str, list[Point]], int]:
        """Return the points of a range and their start, from memory and, before that, from the log."""
        with self._engine.lock:
            recent = self._engine.recent
            oldest = recent.oldest() if key is None else recent.keys.oldest()
            series = recent.points(since, until) if key is None else recent.keys.points(key, since, until)
        if self._log is None or (oldest is not None and oldest <= since):
            return series, since if oldest is None else max(since, oldest)
        logged, begins = self._log.points(key, since, until if oldest is None else min(until, oldest - 1))
        for status, points in logged.items():
            known = series.get(status, [])
            series[status] = [point for point in points if not known or point[0] < known[0][0]] + known
        return series, begins

    def _keys(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "minutes", "find", "limit")
        minutes = query.whole("minutes", 60, 1, 1440)
        limit = query.whole("limit", 20, 1, 1000)
        bucket = self._engine.settings.bucket
        buckets = min(BUCKETS, max(1, minutes * 60 // bucket))
        with self._engine.lock:
            keys = self._engine.recent.keys
            rows, left_out = keys.rows(buckets, (query.text("find") or "").casefold()), keys.left_out
        shown = [_key_row(row) for row in rows[:limit]]
        return as_json({"minutes": buckets * bucket // 60, "count": len(rows), "left_out": left_out, "keys": shown})

    def _incidents(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "state", "find", "limit")
        state, find = query.text("state"), query.text("find")
        if state is None and find is None and query.text("limit") is None:
            rows = self._engine.incidents()
            return as_json({"incidents": rows, "truncated": False})
        if state not in (None, *STATES):
            raise HttpError(422, f"state: must be one of {', '.join(STATES)}")
        found, more = self._engine.find_incidents(state or "all", find or "", query.whole("limit", 100, 1, 1000))
        return as_json({"incidents": found, "truncated": more})

    def _incident(self, request: Request, variables: Mapping[str, str]) -> Response:
        Query(request)
        row = self._engine.incident(variables["id"])
        if row is None:
            raise HttpError(404, "no incident of the last 30 days has this id")
        return as_json(row)

    def _counts(self, request: Request, variables: Mapping[str, str]) -> Response:
        Query(request)
        with self._engine.lock:
            row = self._engine.recent.incidents.get(variables["id"])
            if row is None:
                raise HttpError(404, "no incident of the last 30 days has this id")
            key = tuple(row.key.items()) or None
            until = row.time if row.state == "resolved" else self._engine.recent.last or row.time
            since, until = row.start - BEFORE, until + AFTER
        series, _begins = self._points(key, since, until)
        name = f"attachment; filename*=UTF-8''{quote(variables['id'], safe='')}.csv"
        return Response(200, csv_of(series).encode(), CSV, (("Content-Disposition", name),))

    def _page(self, request: Request, _: Mapping[str, str]) -> Response:
        return PAGE()

    def _below(self, request: Request, _: Mapping[str, str]) -> Response:
        return page_below()

    def _icon(self, request: Request, variables: Mapping[str, str]) -> Response:
        count = variables["count"]
        if not (count.isascii() and count.isdigit() and 0 < len(count) < 6):
            raise HttpError(404, "the icon's name must be a number of incidents")
        return numbered_icon(int(count))

    def _asset(self, request: Request, _: Mapping[str, str]) -> Response:
        return ASSETS[request.path]()


def _key_row(row: KeyRow) -> dict[str, object]:
    cells = {
        status: {"count": cell.count, "expected": cell.expected, "score": cell.score, "mark": cell.mark}
        for status, cell in sorted(row.cells.items())
    }
    return {"key": dict(row.key), "name": key_text(row.key), "excess": round(row.excess, 1), "mark": row.mark,
            "statuses": cells}  # fmt: skip


def _key_of(text: str) -> Key:
    try:
        key = parse_key(text)
    except ValueError:
        key = ()
    if not key:
        raise HttpError(422, "key: write it as merchant=m1, several as merchant=m1&country=BR")
    return key


def time_of(query: Query, name: str) -> int | None:
    """Return the time `name` in epoch seconds, or None if it is absent. Raise HttpError 422 if it is not valid."""
    text = query.text(name)
    if text is None:
        return None
    try:
        return TimeParser().parse(text)
    except ValueError as bad:
        raise HttpError(422, f"{name}: {bad}") from None

"""The API: the answer of each path."""

import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from txmon.ingest.fields import NAMES
from txmon.ingest.records import Reject
from txmon.model.clock import iso
from txmon.server.access import AccessLog, HttpCounters
from txmon.server.actions import acknowledgement_of, silence_of
from txmon.server.engine import Engine
from txmon.server.guard import ADMIN, INGEST, READ, Guard
from txmon.server.http.listener import is_probe
from txmon.server.http.message import (
    JSON,
    PROBLEM,
    TEXT,
    Encoded,
    HttpError,
    Request,
    Response,
    as_error,
    as_json,
    object_text,
    packed,
)
from txmon.server.http.router import Query, Route, Router
from txmon.server.intake import Intake, content_type, decode_object, payload_of, unpack
from txmon.server.legacy import about_minute, one_count, page_data, row_of, rows_of
from txmon.server.locks import Busy
from txmon.server.openapi import document
from txmon.server.otlp import answer_of as answer_of_export
from txmon.server.otlp import export_of
from txmon.server.receipt import IngestResult, answer_of
from txmon.server.screens import Screens, time_of
from txmon.support.terminal_text import printable

NEWEST: Final = 10_000  # verdicts in one answer
OPEN_BODY: Final = 4096  # bytes of a body that a client without a token may send: a login
KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")  # an Idempotency-Key
BUSY: Final = HttpError(
    503, "the server is busy with earlier requests. Try again later", headers=(("Retry-After", "5"),)
)


class App:
    """Answers requests about one engine."""

    def __init__(
        self,
        engine: Engine,
        intake: Intake,
        guard: Guard,
        debug: bool = False,
        journal: AccessLog | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Create it. debug: print tracebacks of unexpected errors on standard error.

        journal: is called for every request.

        say: receives how bodies are read, once for each shape of them.
        """
        self._say = say
        self._engine = engine
        self._intake = intake
        self._guard = guard
        self._debug = debug
        self._journal = journal
        self._most = engine.settings.max_unpacked * engine.settings.max_body
        self._base = engine.settings.base_path
        self.draining = False
        self.counters = HttpCounters()
        self.router = Router(
            [
                Route("POST", "/v1/transactions", self._transactions, INGEST),
                *([Route("POST", "/v1/metrics", self._export, INGEST, listed=False)] if engine.settings.otlp else []),
                Route("POST", "/receive", self._receive, INGEST),
                Route("POST", "/send_transactions", self._send_transactions, INGEST),
                Route("GET", "/v1/verdicts", self._verdicts, READ),
                Route("POST", "/v1/incidents/{id}/ack", self._acknowledge, ADMIN),
                Route("GET", "/v1/silences", self._silences, READ),
                Route("POST", "/v1/silences", self._silence, ADMIN),
                Route("GET", "/v1/series/{status}", self._series, READ),
                Route("GET", "/v1/reading", self._reading, READ),
                Route("GET", "/v1/stream", self._stream, READ),
                Route("POST", "/v1/login", self._login),
                Route("POST", "/v1/logout", self._logout),
                Route("GET", "/metrics", self._metrics, READ),
                Route("GET", "/healthz", self._healthy),
                Route("GET", "/readyz", self._ready),
                Route("GET", "/openapi.json", self._openapi),
                Route("POST", "/", self._page_data, READ),
                *Screens(engine, guard).routes(),
            ]
        )

    def admit(self, request: Request, length: int) -> int:
        """Return the allowed length of the body.

        Raise HttpError, which ends the connection, if the client may not send one.

        length: of the body in bytes, or CHUNKED. Without this check, a client without a token could fill the memory
        with bodies.
        """
        route, _ = self._pass(self._arrived(request))
        if route.scope:
            return self._engine.settings.max_body
        if length > OPEN_BODY:
            raise HttpError(413, f"the body has {length} bytes, at most {OPEN_BODY} are read here")
        return OPEN_BODY

    def handle(self, request: Request) -> Response:
        """Return the answer to any request. It never raises."""
        try:
            request = self._arrived(request)
            if request.path == "" and self._base:
                return Response(308, headers=(("Location", f"{self._base}/"),))
            if request.method == "OPTIONS":
                self._guard.check_origin(request)
                return self.router.options(request)
            route, variables = self._pass(request)
            response = route.handle(request, variables)
            if route.method == "POST":
                self._engine.commit()
        except HttpError as wrong:
            response = as_error(wrong)
        except OSError as bad:
            response = as_error(HttpError(507, f"the journal cannot be written: {bad.strerror or bad}"))
        except Busy:
            response = as_error(BUSY)
        except Exception as bad:  # the last resort: one request must not end the server
            what, where = type(bad).__name__, self._where(request)
            print(f"txmon: unexpected {what} in {where}: {printable(str(bad), 500)}", file=sys.stderr)
            if self._debug:
                traceback.print_exc()
            response = as_error(HttpError(500, "unexpected failure. See the server's log"))
        return packed(request, response)

    def observe(self, request: Request | None, peer: str, status: int, size: int, seconds: float) -> None:
        """Note an answered request for the metrics and the access log. request: None if it could not be read."""
        request = None if request is None else self._arrived(request)
        self.counters.count("other" if request is None else self._where(request), status, seconds)
        if self._journal is not None:
            self._journal.note(request, peer if request is None else request.peer, status, size, seconds)

    def urgent(self, request: Request) -> bool:
        """Return whether to answer a request even if all connections are in use."""
        return is_probe(self._arrived(request))

    def _arrived(self, request: Request) -> Request:
        """Return `request` as it was before passing trusted proxies."""
        request = self._guard.seen_through(request)
        base = self._base
        if base and (request.path == base or request.path.startswith(base + "/")):
            return replace(request, path=request.path[len(base) :])
        return request

    def _pass(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        """Return the route of `request`, and the variables in its path. Raise HttpError if it is not allowed."""
        self._guard.check_origin(request)
        route, variables = self.router.find(request)
        if route.scope:
            self._guard.check_token(request, route.scope)
        return route, variables

    def _where(self, request: Request) -> str:
        try:
            return self.router.find(request)[0].path
        except HttpError:
            return "other"

    def _transactions(self, request: Request, _: Mapping[str, str]) -> Response:
        payload = payload_of(request, self._most)
        engine = self._engine

        def make() -> tuple[int, str]:
            source, width = "POST /v1/transactions", engine.settings.bucket
            # only this answer contains the readings that its body caused
            result = engine.take(self._intake.parse(payload, source, engine.latest(), width), news=self._news)
            for line in result.readings:
                self._say(line)
            return answer_of(result)

        return self._once(request, make)

    def _news(self) -> list[str]:
        """Return how rows were read, for readings that no answer has contained yet."""
        return [reading.statement() for reading in self._intake.readings.taken_news()]

    def _export(self, request: Request, _: Mapping[str, str]) -> Response:
        """Process an OTLP export of metrics. Its answer contains no verdicts; the stream and the page show them."""
        kind, engine, intake = content_type(request), self._engine, self._intake
        export = export_of(unpack(request, self._most), kind, engine.settings.otlp)
        for name in sorted(export.ignored):
            engine.session.say_once(f"otlp:{name}", f"OTLP metric {name!r} is not in --otlp, and is left out")
        names = intake.options.mapping.get("status")
        status = (names.lower(),) if names else NAMES["status"]
        source = "POST /v1/metrics"
        result = engine.take_export(
            export.points, status, intake.options.by, lambda rows: intake.rows(rows, source, engine.latest())
        )
        return Response(200, *answer_of_export(export, result.rejected, _first_reason(result), kind))

    def _once(self, request: Request, make: Callable[[], tuple[int, str]]) -> Response:
        """Return the answer of `make`, or the earlier answer if the request repeats an Idempotency-Key."""
        key = request.headers.get("idempotency-key")
        if key is None:
            status, body = make()
            return _answer(status, body)
        if not KEY.fullmatch(key):
            raise HttpError(400, "an Idempotency-Key has 1 to 200 characters of A-Z a-z 0-9 _ . : -")
        kind = f"{request.path} {request.headers.get('content-type')} {request.headers.get('content-encoding')}\n"
        digest = hashlib.sha256(kind.encode() + request.body).hexdigest()
        found = self._engine.once(key, digest, make)
        if found is None:
            raise HttpError(422, "this Idempotency-Key was used with another request")
        return _answer(*found)

    def _receive(self, request: Request, _: Mapping[str, str]) -> Response:
        row = row_of(decode_object(request, self._most))
        receipt = self._take([row], "POST /receive")
        if receipt.rejects:
            raise HttpError(400, receipt.rejects[0].reason)
        return Response(200, one_count(receipt).encode(), TEXT)

    def _send_transactions(self, request: Request, _: Mapping[str, str]) -> Response:
        rows = rows_of(decode_object(request, self._most))
        with self._engine.turn():  # so that the answer about the minute covers only these rows
            receipt = self._take(rows, "POST /send_transactions")
            if receipt.rejects:
                raise HttpError(400, receipt.rejects[0].reason)
            return as_json(about_minute(self._engine, receipt))

    def _take(self, rows: Sequence[Mapping[str, object]], source: str) -> IngestResult:
        """Feed rows that belong together: all of them, or none if one is bad."""
        engine = self._engine
        with engine.turn():
            items = list(self._intake.rows(rows, source, engine.latest()))
            bad = [item for item in items if isinstance(item, Reject)]
            return engine.take(bad or items)

    def _verdicts(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "since", "status", "limit")
        since, limit = time_of(query, "since"), query.whole("limit", 1000, 1, NEWEST)
        with self._engine.lock:
            lines, more = self._engine.recent.verdicts(since, query.text("status"), limit)
        return Response(200, object_text({"verdicts": Encoded.array(lines), "truncated": more}).encode())

    def _acknowledge(self, request: Request, variables: Mapping[str, str]) -> Response:
        Query(request)
        given = decode_object(request, self._most) if request.body else {}
        row = self._engine.act(acknowledgement_of(given, variables["id"]))
        if row is None:
            raise HttpError(404, "no incident of this id is open")
        return as_json(row)

    def _silences(self, request: Request, _: Mapping[str, str]) -> Response:
        Query(request)
        return as_json({"silences": self._engine.silences()})

    def _silence(self, request: Request, _: Mapping[str, str]) -> Response:
        Query(request)
        word = silence_of(decode_object(request, self._most), self._engine.now())
        if not self._engine.silence(word):
            raise HttpError(404, "no such silence is active")
        return as_json({"silences": self._engine.silences()})

    def _series(self, request: Request, variables: Mapping[str, str]) -> Response:
        query = Query(request, "minutes")
        minutes = query.whole("minutes", 1440, 1, 1440)
        status = variables["status"].lower()
        with self._engine.lock:
            points = list(self._engine.recent.series.get(status, ()))
        if not points:
            raise HttpError(404, "this status is unknown")
        oldest = points[-1][0] - minutes * 60
        shown = [point for point in points if point[0] > oldest]
        names = ("count", "expected", "low", "high", "score")
        columns: dict[str, object] = {name: [p[i] for p in shown] for i, name in enumerate(names, 1)}
        words = ("ok", "pending", "alert")
        columns["time"] = [iso(int(p[0])) for p in shown]
        columns["recommendation"] = [words[int(p[6])] for p in shown]
        return as_json({"status": status, "bucket": self._engine.settings.bucket, **columns})

    def _reading(self, request: Request, _: Mapping[str, str]) -> Response:
        Query(request)
        with self._engine.turn():
            found = self._intake.readings.all()
        found += [feed.reading for feed in self._engine.session.feeds.all if feed.reading is not None]
        return as_json({"readings": [reading.to_dict() for reading in found]})

    def _stream(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "after")
        hub = self._engine.feed.hub
        if hub.full():
            raise HttpError(503, "too many listeners", headers=(("Retry-After", "10"),))
        last = request.headers.get("last-event-id") or query.text("after")
        # otherwise nginx would buffer the events
        headers = (("X-Accel-Buffering", "no"),)
        return Response(200, b"", "text/event-stream", headers, stream=hub.stream(last))

    def _login(self, request: Request, _: Mapping[str, str]) -> Response:
        token = decode_object(request, self._most).get("token")
        if not isinstance(token, str):
            raise HttpError(422, "no token")
        return Response(204, headers=self._guard.log_in(token, request))

    def _logout(self, request: Request, _: Mapping[str, str]) -> Response:
        return Response(204, headers=(self._guard.no_cookie(request),))

    def _metrics(self, request: Request, _: Mapping[str, str]) -> Response:
        from txmon.server.metrics import exposition

        body, kind = exposition(self._engine, self.counters, request.headers.get("accept", ""))
        return Response(200, body, kind)

    def _healthy(self, request: Request, _: Mapping[str, str]) -> Response:
        return as_json({"status": "ok", "trouble": self._engine.trouble})

    def _ready(self, request: Request, _: Mapping[str, str]) -> Response:
        if self.draining:
            raise HttpError(503, "shutting down")
        return as_json({"status": "ready", "trouble": self._engine.trouble})

    def _openapi(self, request: Request, _: Mapping[str, str]) -> Response:
        return as_json(document())

    def _page_data(self, request: Request, _: Mapping[str, str]) -> Response:
        with self._engine.lock:
            return as_json(page_data(self._engine.recent, ZoneInfo(self._engine.settings.tz)))


def _first_reason(result: IngestResult) -> str:
    if not result.rejects:
        return ""
    reason = result.rejects[0].reason
    return f"{reason}: name the attribute of the status with --map status=ATTRIBUTE" if "status" in reason else reason


def _answer(status: int, body: str) -> Response:
    return Response(status, body.encode(), JSON if status < 400 else PROBLEM)

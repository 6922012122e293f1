"""The API: what each path answers."""

import hashlib
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from txmon.ingest.records import Reject
from txmon.ingest.timestamps import TimeParser
from txmon.model.clock import iso
from txmon.server.actions import acknowledgement_of, silence_of
from txmon.server.assets import ASSETS, PAGE
from txmon.server.engine import Engine
from txmon.server.guard import Guard
from txmon.server.http.message import TEXT, Encoded, HttpError, Request, Response, as_error, as_json, object_text
from txmon.server.http.router import Query, Route, Router
from txmon.server.intake import UNPACKED, Intake, decode_object, payload_of
from txmon.server.legacy import COMPLETED, POSSIBLE, about_minute, row_of, rows_of
from txmon.server.locks import Busy
from txmon.server.openapi import document
from txmon.server.receipt import IngestResult
from txmon.sinks.lines import verdict_line
from txmon.support.terminal_text import printable

LISTED: Final = 100  # rejects in one answer
NEWEST: Final = 10_000  # verdicts in one answer
OPEN_BODY: Final = 4096  # bytes of a body that somebody without the token may send: a login
KEY: Final = 200  # characters of an Idempotency-Key
BUSY: Final = HttpError(503, "requests that came before take long", headers=(("Retry-After", "5"),))


class App:
    """Answers requests about one engine."""

    def __init__(self, engine: Engine, intake: Intake, guard: Guard, debug: bool = False) -> None:
        """debug: show the traceback of what should not happen on standard error."""
        self._engine = engine
        self._intake = intake
        self._guard = guard
        self._debug = debug
        self._most = UNPACKED * engine.settings.max_body
        self.draining = False
        self._counting = threading.Lock()
        self.answers: dict[tuple[str, int], int] = {}  # (path as routed, status) -> how many
        self.router = Router(
            [
                Route("POST", "/v1/transactions", self._transactions),
                Route("POST", "/receive", self._receive),
                Route("POST", "/send_transactions", self._send_transactions),
                Route("GET", "/v1/verdicts", self._verdicts),
                Route("GET", "/v1/incidents", self._incidents),
                Route("POST", "/v1/incidents/{id}/ack", self._acknowledge),
                Route("GET", "/v1/silences", self._silences),
                Route("POST", "/v1/silences", self._silence),
                Route("GET", "/v1/series/{status}", self._series),
                Route("GET", "/v1/overview", self._overview),
                Route("GET", "/v1/stream", self._stream),
                Route("POST", "/v1/login", self._login, open=True),
                Route("POST", "/v1/logout", self._logout, open=True),
                Route("GET", "/metrics", self._metrics),
                Route("GET", "/healthz", self._healthy, open=True),
                Route("GET", "/readyz", self._ready, open=True),
                Route("GET", "/openapi.json", self._openapi, open=True),
                Route("GET", "/", self._page, open=True, listed=False),
                *[Route("GET", path, self._asset, open=True, listed=False) for path in ASSETS],
            ]
        )

    def admit(self, request: Request, length: int) -> None:
        """Refuse, before it is read, the body of who may not send one; HttpError, which ends the connection.

        length: of the body, bytes. Without this, whoever has no token could still fill the memory with bodies.
        """
        try:
            route, _ = self._pass(request)
            if route.open and length > OPEN_BODY:
                raise HttpError(413, f"the body has {length} bytes, at most {OPEN_BODY} are read here")  # noqa: TRY301
        except HttpError as wrong:
            self._count(request, wrong.status)
            raise

    def handle(self, request: Request) -> Response:
        """The answer to any request; never raises."""
        try:
            route, variables = self._pass(request)
            response = route.handle(request, variables)
        except HttpError as wrong:
            response = as_error(wrong)
        except Busy:
            response = as_error(BUSY)
        except Exception as bad:  # the last resort: one request must not end the server
            what, where = type(bad).__name__, self._where(request)
            print(f"txmon: unexpected {what} in {where}: {printable(str(bad), 500)}", file=sys.stderr)
            if self._debug:
                traceback.print_exc()
            response = as_error(HttpError(500, "unexpected failure; the server's log has it"))
        self._count(request, response.status)
        return response

    def _pass(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        """The route that `request` may take, and the variables in its path; HttpError where it may take none."""
        self._guard.check_origin(request)
        route, variables = self.router.find(request)
        if not route.open:
            self._guard.check_token(request)
        return route, variables

    def _where(self, request: Request) -> str:
        try:
            return self.router.find(request)[0].path
        except HttpError:
            return "other"

    def _count(self, request: Request, status: int) -> None:
        where = self._where(request)
        with self._counting:
            self.answers[where, status] = self.answers.get((where, status), 0) + 1

    def _transactions(self, request: Request, _: Mapping[str, str]) -> Response:
        payload = payload_of(request, self._most)
        engine = self._engine

        def make() -> tuple[int, str]:
            source, width = "POST /v1/transactions", engine.settings.bucket
            receipt = engine.take(self._intake.parse(payload, source, engine.latest(), width))
            return 200 if receipt.accepted else 400, _receipt(receipt)

        return self._once(request, make)

    def _once(self, request: Request, make: Callable[[], tuple[int, str]]) -> Response:
        """`make`'s answer, or the one given before where the request says that it is the same again."""
        key = request.headers.get("idempotency-key")
        if key is None:
            status, body = make()
            return Response(status, body.encode())
        if not 0 < len(key) <= KEY:
            raise HttpError(400, f"an Idempotency-Key has 1 to {KEY} characters")
        kind = f"{request.path} {request.headers.get('content-type')} {request.headers.get('content-encoding')}\n"
        digest = hashlib.sha256(kind.encode() + request.body).hexdigest()
        found = self._engine.once(key, digest, make)
        if found is None:
            raise HttpError(422, "this Idempotency-Key came with another request before")
        return Response(found[0], found[1].encode())

    def _receive(self, request: Request, _: Mapping[str, str]) -> Response:
        row = row_of(decode_object(request, self._most))
        receipt = self._take([row], "POST /receive")
        if receipt.rejects:
            raise HttpError(400, receipt.rejects[0].reason)
        alert = any(verdict.recommendation == "alert" for verdict in receipt.verdicts)
        return Response(200, (POSSIBLE if alert else COMPLETED).encode(), TEXT)

    def _send_transactions(self, request: Request, _: Mapping[str, str]) -> Response:
        rows = rows_of(decode_object(request, self._most))
        with self._engine.turn():  # what it says of the minute is of these rows alone
            receipt = self._take(rows, "POST /send_transactions")
            if receipt.rejects:
                raise HttpError(400, receipt.rejects[0].reason)
            return as_json(about_minute(self._engine, receipt))

    def _take(self, rows: Sequence[Mapping[str, object]], source: str) -> IngestResult:
        """Feed rows that belong together: all of them, or none where one is bad."""
        engine = self._engine
        with engine.turn():
            items = list(self._intake.rows(rows, source, engine.latest()))
            bad = [item for item in items if isinstance(item, Reject)]
            return engine.take(bad or items)

    def _verdicts(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "since", "status", "limit")
        since, limit = _time_of(query, "since"), query.whole("limit", 1000, 1, NEWEST)
        with self._engine.lock:
            lines, more = self._engine.recent.verdicts(since, query.text("status"), limit)
        return Response(200, object_text({"verdicts": Encoded.array(lines), "truncated": more}).encode())

    def _incidents(self, request: Request, _: Mapping[str, str]) -> Response:
        Query(request)
        return as_json({"incidents": self._engine.incidents()})

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
            raise HttpError(404, "there is no such silence to end")
        return as_json({"silences": self._engine.silences()})

    def _series(self, request: Request, variables: Mapping[str, str]) -> Response:
        query = Query(request, "minutes")
        minutes = query.whole("minutes", 1440, 1, 1440)
        status = variables["status"].lower()
        with self._engine.lock:
            points = list(self._engine.recent.series.get(status, ()))
        if not points:
            raise HttpError(404, "nothing is known of this status")
        oldest = points[-1][0] - minutes * 60
        shown = [point for point in points if point[0] > oldest]
        names = ("count", "expected", "low", "high", "score")
        columns: dict[str, object] = {name: [p[i] for p in shown] for i, name in enumerate(names, 1)}
        words = ("ok", "pending", "alert")
        columns["time"] = [iso(int(p[0])) for p in shown]
        columns["recommendation"] = [words[int(p[6])] for p in shown]
        return as_json({"status": status, "bucket": self._engine.settings.bucket, **columns})

    def _overview(self, request: Request, _: Mapping[str, str]) -> Response:
        Query(request)
        return as_json(self._engine.overview())

    def _stream(self, request: Request, _: Mapping[str, str]) -> Response:
        query = Query(request, "after")
        hub = self._engine.feed.hub
        if hub.full():
            raise HttpError(503, "too many listeners", headers=(("Retry-After", "10"),))
        last = request.headers.get("last-event-id") or query.text("after")
        return Response(200, b"", "text/event-stream", stream=hub.stream(last))

    def _login(self, request: Request, _: Mapping[str, str]) -> Response:
        token = decode_object(request, self._most).get("token")
        if not isinstance(token, str):
            raise HttpError(422, "no token")
        if not self._guard.is_token(token, request.peer):
            raise HttpError(401, "this is not the token")
        return Response(204, headers=self._guard.cookie())

    def _logout(self, request: Request, _: Mapping[str, str]) -> Response:
        return Response(204, headers=(self._guard.no_cookie(),))

    def _metrics(self, request: Request, _: Mapping[str, str]) -> Response:
        from txmon.server.metrics import exposition

        body, kind = exposition(self._engine, dict(self.answers), request.headers.get("accept", ""))
        return Response(200, body, kind)

    def _healthy(self, request: Request, _: Mapping[str, str]) -> Response:
        return as_json({"status": "ok", "trouble": self._engine.trouble})

    def _ready(self, request: Request, _: Mapping[str, str]) -> Response:
        if self.draining:
            raise HttpError(503, "shutting down")
        return as_json({"status": "ready", "trouble": self._engine.trouble})

    def _openapi(self, request: Request, _: Mapping[str, str]) -> Response:
        return as_json(document())

    def _page(self, request: Request, _: Mapping[str, str]) -> Response:
        return PAGE()

    def _asset(self, request: Request, _: Mapping[str, str]) -> Response:
        return ASSETS[request.path]()


def _receipt(receipt: IngestResult) -> str:
    rejects = [{"index": r.line - 1, "kind": r.kind, "reason": r.reason} for r in receipt.rejects[:LISTED]]
    members = {
        "accepted": receipt.accepted,
        "rejected": len(receipt.rejects),
        "repeated": receipt.repeated,
        "late": receipt.late,
        "recommendation": receipt.recommendation(),
        "verdicts": Encoded.array(map(verdict_line, receipt.verdicts)),
        "omitted": receipt.omitted,
        "rejects": rejects,
    }
    return object_text(members)


def _time_of(query: Query, name: str) -> int | None:
    """The time `name` in epoch seconds; None where it is absent, HttpError 422 where it cannot be read."""
    text = query.text(name)
    if text is None:
        return None
    try:
        return TimeParser().parse(text)
    except ValueError as bad:
        raise HttpError(422, f"{name}: {bad}") from None

"""A server in this process on a free port, with a clock that the test moves, and a client that keeps its connection."""

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date
from typing import Any

from paths import ROOT

from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import parsing_of
from txmon.server.app import App
from txmon.server.engine import Engine, Sink
from txmon.server.guard import Guard, Token
from txmon.server.http.connection import Limits
from txmon.server.http.listener import Listener
from txmon.server.intake import Intake
from txmon.settings.declarations import Settings

SAMPLE = ROOT / "examples" / "transactions.csv"
START = 1772409600  # 2026-03-02T00:00:00Z, when the sample begins
NONE: Mapping[str, str] = {}


class Clock:
    """Epoch seconds, as the test says."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json",
            headers: Mapping[str, str] = NONE) -> Answer:  # fmt: skip
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {"Content-Type": kind} if body is not None else {}
        self._connection.request(method, path, raw, {**named, **headers})
        answer = self._connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: object = None, kind: str = "application/json", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, kind, named)

    def close(self) -> None:
        self._connection.close()


@dataclass
class Server:
    """All the parts of a running server."""

    engine: Engine
    app: App
    listener: Listener
    client: Client
    clock: Clock

    @property
    def port(self) -> int:
        return self.listener.port

    def post(self, body: object, kind: str = "application/json", **headers: str) -> Answer:
        return self.client.post("/v1/transactions", body, kind, **headers)


@contextmanager
def serving(
    settings: Settings | None = None,
    token: str | None = None,
    tokens: Sequence[Token] = (),
    sinks: Sequence[Sink] = (),
    now: float = START + 10 * 86400,
) -> Iterator[Server]:
    """A server whose clock stands at `now`; with a state file it takes over what that holds."""
    settings = settings or Settings()
    clock = Clock(now)
    pipeline = pipeline_of(settings, live=True, partial=True, detailed=True)
    engine = Engine(settings, pipeline, clock, sinks=sinks)
    engine.session.restore()
    engine.session.remember(engine)
    engine.replay()
    guard = Guard(
        token, (settings.host, *settings.allow_host), clock, tokens, settings.trusted_proxy, settings.base_path
    )
    app = App(engine, Intake(*parsing_of(settings, date(2026, 3, 2)), clock, UTC), guard, debug=True)
    limits = replace(Limits(), body=settings.max_body, connections=settings.connections)
    listener = Listener("127.0.0.1", 0, app.handle, limits, app.admit, app.observe, app.urgent, guard.is_proxy)
    listener.start()
    client = Client(listener.port)
    try:
        yield Server(engine, app, listener, client, clock)
    finally:
        engine.feed.hub.close()
        client.close()
        listener.stop(5)


def minute(i: int) -> str:
    """The start of the minute `i` after the sample's beginning."""
    return f"2026-03-{2 + i // 1440:02d}T{i // 60 % 24:02d}:{i % 60:02d}:00Z"


def warm(server: Server, minutes: int = 45) -> None:
    """Post quiet minutes: 100 approved, 10 denied, 1 failed."""
    rows = [
        {"time": minute(i), "status": status, "count": count}
        for i in range(minutes)
        for status, count in (("approved", 100), ("denied", 10), ("failed", 1))
    ]
    assert server.post(rows).status == 200


def incident(server: Server, at: int = 45, minutes: int = 2) -> None:
    """Post minutes of failures after the quiet ones, and the row that closes the last of them."""
    for i in range(at, at + minutes):
        assert server.post({"time": minute(i), "status": "failed", "count": 60}).json()["recommendation"] == "alert"
        assert server.post({"time": minute(i), "status": "approved", "count": 100}).status == 200
    assert server.post({"time": minute(at + minutes), "status": "approved", "count": 100}).status == 200
    server.post({"time": minute(at + minutes)[:-3] + "10Z", "status": "approved", "count": 1})

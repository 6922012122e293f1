"""The live feed: what it sends, that it goes on after a break, and its bounds."""

import json
import socket
from collections.abc import Iterator

import pytest
from serving import Server, incident, minute, serving, warm

from txmon.server.engine import SHOWN
from txmon.server.http import event_stream as hub_module
from txmon.server.http.event_stream import Hub


class Listener:
    """A client of the feed that reads event by event."""

    def __init__(self, port: int, query: str = "", header: str = "") -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._sock.sendall(f"GET /v1/stream{query} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        self._file = self._sock.makefile("rb")
        self.head = b"".join(iter(self._file.readline, b"\r\n")).decode()
        if " 200 " in self.head:
            assert self._file.readline() == b"retry: 2000\n"  # said once the hub knows this listener

    def next(self) -> dict[str, str]:
        """The next event's fields; empty at the end."""
        fields: dict[str, str] = {}
        for line in self._file:
            if line == b"\n":
                if "event" in fields:
                    return fields
                fields = {}
                continue
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name] = value
        return {}

    def until(self, kind: str) -> dict[str, str]:
        while (event := self.next()) and event["event"] != kind:
            pass
        return event

    def close(self) -> None:
        self._file.close()
        self._sock.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def test_what_happens_is_sent(server: Server) -> None:
    listener = Listener(server.port)
    assert "Content-Type: text/event-stream\r\n" in listener.head
    warm(server)
    first = json.loads(listener.until("bucket")["data"])
    assert first["time"] == minute(0)
    assert first["series"]["approved"][1] == 100
    incident(server)
    assert json.loads(listener.until("verdict")["data"])["status"] == "failed"
    row = json.loads(listener.until("incident")["data"])
    assert (row["label"], row["state"]) == ("failures", "opened")
    server.engine.tick()
    assert json.loads(listener.until("minute")["data"])["counts"] == {"approved": 101}
    listener.close()


def test_so_many_minutes_at_once_are_not_sent_one_by_one(server: Server) -> None:
    """A day that closes at once would push every listener out; alerts and incidents are sent all the same."""
    warm(server, 60)
    listener = Listener(server.port, f"?after={server.client.get('/v1/overview').json()['position']}")
    server.post({"time": minute(60 + 1439), "status": "approved", "count": 100})
    told = []
    while (event := listener.next())["event"] != "reset":
        told.append(event["event"])
    assert told.count("bucket") == SHOWN
    assert told.count("incident") >= 1
    assert told.count("verdict") > 100  # silence, for two hours
    assert len(server.client.get("/v1/overview").json()["series"]["approved"]) == 1440
    server.post({"time": minute(60 + 1441), "status": "approved", "count": 100})
    assert json.loads(listener.until("bucket")["data"])["time"] == minute(60 + 1438)
    listener.close()


def test_an_early_alert_is_sent_before_its_minute_ends(server: Server) -> None:
    warm(server)
    listener = Listener(server.port)
    server.post({"time": minute(44), "status": "failed", "count": 90})
    server.engine.tick()
    found = json.loads(listener.until("verdict")["data"])
    assert (found["time"], found["partial"]) == (minute(44), True)
    listener.close()


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_returning_client_misses_nothing_and_hears_nothing_twice(server: Server, way: str) -> None:
    listener = Listener(server.port)
    warm(server, 5)
    seen = listener.next()
    listener.close()
    last = seen["id"]
    again = (
        Listener(server.port, header=f"Last-Event-ID: {last}\r\n")
        if way == "header"
        else Listener(server.port, f"?after={last}")
    )
    told = [json.loads(again.next()["data"])["time"] for _ in range(2)]
    assert json.loads(seen["data"])["time"] == minute(0)
    assert told == [minute(1), minute(2)]
    again.close()


@pytest.mark.parametrize("last", ["x-3", "", "-", "1", "%7f"])
def test_a_foreign_id_starts_anew(server: Server, last: str) -> None:
    warm(server, 5)
    listener = Listener(server.port, f"?after={last}")
    assert listener.next()["event"] == "reset"
    listener.close()


def test_an_id_too_old_starts_anew() -> None:
    hub = Hub()
    for i in range(hub_module.KEPT + 2):
        hub.publish("bucket", str(i))
    boot = hub.position().partition("-")[0]
    said: list[bytes] = []
    hub.close()
    assert hub._missed(f"{boot}-1") == [b"event: reset\ndata: {}\n\n"]
    assert len(hub._missed(f"{boot}-2")) == hub_module.KEPT
    assert hub._missed(hub.position()) == []
    assert hub._missed(f"{boot}-99999") == [b"event: reset\ndata: {}\n\n"]
    hub.stream(None)(said.append)
    assert said == []


def test_listeners_are_bounded_and_their_places_come_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LISTENERS", 2)
    listeners = [Listener(server.port), Listener(server.port)]
    answer = server.client.get("/v1/stream")
    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    listeners[0].close()
    for _ in range(500):
        server.engine.feed.hub.publish("bucket", "{}")  # the hub notices on its next word
        if len(server.engine.feed.hub) < 2:
            break
        server.client.get("/healthz")
    Listener(server.port).close()
    listeners[1].close()


def test_a_client_that_does_not_keep_up_is_dropped() -> None:
    hub = Hub()
    written: list[bytes] = []

    def slow(block: bytes) -> None:
        if not written:
            for i in range(hub_module.WAITING + 10):
                hub.publish("bucket", str(i))
        written.append(block)

    hub.stream(None)(slow)
    assert len(hub) == 0
    assert len(written) == hub_module.WAITING + 1


def test_a_quiet_feed_is_kept_alive() -> None:
    hub = Hub(heartbeat=0.01)
    written: list[bytes] = []

    def write(block: bytes) -> None:
        written.append(block)
        if len(written) == 3:
            hub.close()

    hub.stream(None)(write)
    assert written == [b"retry: 2000\n\n", hub_module.BEAT, hub_module.BEAT]

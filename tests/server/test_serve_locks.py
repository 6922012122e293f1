"""Who waits for whom: those who bring rows for their turn, those who ask for a moment."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import Server, minute, serving, warm

from txmon.server.locks import Busy, QueuedLock, WriterLock
from txmon.settings.declarations import Settings

ROW = {"time": minute(45), "status": "approved", "count": 100}


@contextmanager
def at_work(turn: WriterLock) -> Iterator[None]:
    """Somebody else has the turn."""
    has, ends = threading.Event(), threading.Event()

    def work() -> None:
        with turn():
            has.set()
            ends.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert has.wait(10)
    try:
        yield
    finally:
        ends.set()
        thread.join()


def test_the_lock_goes_to_those_who_wait_in_their_order() -> None:
    lock, order = QueuedLock(), list[str]()

    def wait(name: str) -> None:
        with lock:
            order.append(name)

    with lock:
        threads = []
        for n in range(5):
            threads.append(threading.Thread(target=wait, args=(str(n),)))
            threads[-1].start()
            while len(lock._waiting) <= n:
                time.sleep(0.001)
    with lock:  # though it asks at once
        order.append("again")
    for thread in threads:
        thread.join()
    assert order == ["0", "1", "2", "3", "4", "again"]
    with lock:
        pass


def test_a_turn_may_be_taken_twice_and_is_waited_for_so_long() -> None:
    turn = WriterLock(0.01)
    with turn(), turn():
        pass
    with at_work(turn):
        with pytest.raises(Busy), turn():
            pytest.fail("somebody else has it")
        began = time.monotonic()
        with pytest.raises(Busy), turn(0.3):
            pytest.fail("somebody else has it")
        assert time.monotonic() - began >= 0.3
    with turn(float("inf")):
        pass


@pytest.mark.parametrize("path", ["/v1/transactions", "/receive", "/send_transactions"])
def test_who_brings_rows_is_told_to_come_again(path: str) -> None:
    body = {"time": minute(45), "status": "failed", "F1": 3} if path == "/receive" else {**ROW, "approved": 3}
    with serving() as server:
        warm(server)
        server.engine.turn.patience = 0.05
        records = server.engine.totals.records
        with at_work(server.engine.turn):
            answer = server.client.post(path, body)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert server.client.post(path, body, Idempotency_Key="k").status == 503
            for asked in ("/healthz", "/readyz", "/metrics", "/v1/incidents", "/v1/overview", "/v1/verdicts"):
                assert server.client.get(asked).status == 200
            assert server.engine.totals.records == records
        assert server.client.post(path, body, Idempotency_Key="k").status == 200
        assert server.engine.totals.records == records + 1


def test_the_clock_lets_a_request_finish(tmp_path: Path) -> None:
    with serving(Settings(state=str(tmp_path / "state"))) as server:
        warm(server)
        server.engine.session.saver = _Due()  # type: ignore[assignment]
        with at_work(server.engine.turn):
            server.engine.tick(0.01)
            assert not (tmp_path / "state").exists()
        server.engine.tick(0.01)
        assert (tmp_path / "state").exists()


class _Due:
    def due(self, now: float) -> bool:
        return True

    def wrote(self, began: float, ended: float) -> None:
        pass


def test_the_end_does_not_keep_half_a_request(tmp_path: Path) -> None:
    with serving(Settings(state=str(tmp_path / "state"))) as server:
        warm(server)
        with at_work(server.engine.turn):
            assert server.engine.finish(0.01) is False
        assert "in the middle of a request" in server.engine.trouble
        assert not (tmp_path / "state").exists()
        assert server.engine.finish() is True
        assert (tmp_path / "state").exists()


def test_a_day_of_minutes_is_closed_as_minute_by_minute(tmp_path: Path) -> None:
    """In steps, with somebody asking in between, the same verdicts come out."""

    def lines(server: Server) -> list[str]:
        return [kept.line for kept in server.engine.recent.lines]

    last = {"time": minute(60 + 1439), "status": "approved", "count": 100}
    with serving() as server:
        warm(server, 60)
        for _ in range(8):  # one row ahead of the others closes nothing
            assert server.post(last).status == 200
        at_once = lines(server)
    with serving() as server:
        warm(server, 60)
        for i in range(60, 60 + 1440, 7):
            with server.engine.turn():
                server.engine._tell(server.engine.pipeline.advance(1772409600 + i * 60))
        for _ in range(8):
            assert server.post(last).status == 200
        assert lines(server) == at_once
    assert len(at_once) > 1500

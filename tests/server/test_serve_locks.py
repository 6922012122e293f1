"""Who waits for whom: those who bring rows for their turn, those who ask for a moment."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import Server, minute, serving, warm

from txmon.server import engine as engine_module
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


def test_a_lent_turn_is_for_short_ones_alone() -> None:
    turn, order = WriterLock(5.0), list[str]()
    inside, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with turn(), turn():  # taken twice, as a request does
            inside.set()
            go_on.wait(10)
            turn.lend()
            order.append("work")

    def briefly() -> None:
        with turn.short() as lent:
            order.append(f"short, lent: {lent}")

    def other() -> None:
        with turn():
            order.append("other")

    threads = [threading.Thread(target=work)]
    threads[0].start()
    assert inside.wait(10)
    for act in (other, briefly):
        threads.append(threading.Thread(target=act))
        threads[-1].start()
    while not turn._short:
        time.sleep(0.001)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["short, lent: True", "work", "other"]
    with turn.short() as lent:
        assert not lent


@pytest.mark.parametrize("beside", [False, True])
def test_rows_that_come_while_a_bucket_is_judged_change_no_verdict(
    beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many keys, buckets are judged by the clock's thread, in steps between which rows of later ones are taken."""

    def rows(i: int) -> list[dict[str, object]]:
        return [
            {"time": minute(i), "status": status, "count": count + (90 if i == 46 and key == 3 else 0), "m": f"m{key}"}
            for key in range(8) for status, count in (("approved", 60 + key), ("failed", 1))
        ]  # fmt: skip

    def lines(server: Server) -> list[str]:
        return [kept.line for kept in server.engine.recent.lines if '"partial"' not in kept.line]

    steps = list[int]()

    def counting(breathe: Callable[[], None]) -> Callable[[], None]:
        def step() -> None:
            steps.append(1)
            breathe()

        return step

    settings = Settings(group_by=("m",), state=str(tmp_path / "state"))
    with serving(Settings(group_by=("m",))) as server:
        for i in range(60):
            assert server.post(rows(i)).status == 200
        server.engine.tick()
        expected = lines(server)
    assert any('"alert"' in line for line in expected)
    monkeypatch.setattr(engine_module, "LARGE", 8)
    with serving(settings) as server:
        for judge in server.engine.pipeline.judges():
            judge.let_run(counting(server.engine._breathe), 1)
        for i in range(60):
            at_work = threading.Thread(target=server.engine.tick)
            if beside:
                at_work.start()
            assert server.post(rows(i)).json()["accepted"] == 16
            if beside:
                at_work.join(10)
        server.engine.tick()
        assert lines(server) == expected
        assert len(steps) >= 16 + 8 * 59  # a series is begun, and a key judged, at a time
        server.engine.save_now()
    with serving(settings) as server:
        assert not server.post(rows(60)).json()["late"]
        assert server.engine.pipeline.unsettled == 1
        server.engine.tick()
        assert (server.engine.pipeline.unsettled, len(lines(server))) == (0, 16 + 8 + 3)

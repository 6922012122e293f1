"""What was answered with 200 survives a crash: the journal, its replay, and states written by another process."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from serving import Server, minute, serving, warm
from test_serve_cli import call, end, running, wait_for

from txmon.server import engine as engine_module
from txmon.server.journal import Journal
from txmon.settings.declarations import Settings


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def counted(port: int) -> int:
    found = call(port, "GET", "/v1/overview")
    closed = sum(int(point[1]) for point in found["series"].get("failed", []))
    return closed + int(found["open"].get("counts", {}).get("failed", 0))


@pytest.mark.parametrize("durability", ["batch", "always"])
def test_rows_answered_with_200_survive_a_kill_and_count_once(durability: str, tmp_path: Path) -> None:
    arguments = ("--state", "state", "--durability", durability)
    for again in range(3):
        with running(tmp_path, *arguments) as (process, port):
            assert closed(port) == [40] * again
            threads = [threading.Thread(target=send, args=(port, minute(3 * again))) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            last = [{"time": minute(3 * again + 2), "status": "approved"}] * 500  # the bulk closes the minute
            assert call(port, "POST", "/v1/transactions", last)["accepted"] == 500
            kill(process)
    with running(tmp_path, *arguments) as (process, port):
        assert closed(port) == [40] * 3
        assert end(process)[0] == 0
    assert not list(tmp_path.glob("state.journal-*"))


def closed(port: int) -> list[int]:
    """What the minutes had that are closed and had any failures."""
    return [count for count in call(port, "GET", "/v1/series/failed").get("count", []) if count]


def send(port: int, time: str) -> None:
    for _ in range(10):
        assert call(port, "POST", "/v1/transactions", {"time": time, "status": "failed"})["accepted"] == 1


def test_without_the_journal_a_kill_loses_what_is_in_no_state(tmp_path: Path) -> None:
    arguments = ("--state", "state", "--durability", "none")
    with running(tmp_path, *arguments) as (process, port):
        call(port, "POST", "/v1/transactions", {"time": minute(0), "status": "failed"})
        kill(process)
    assert not list(tmp_path.glob("state.journal-*"))
    with running(tmp_path, *arguments) as (process, port):
        assert counted(port) == 0


def test_a_request_is_known_by_its_key_after_a_kill(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    row = {"time": minute(0), "status": "failed", "count": 3}
    with serving(settings) as server:
        first = server.post([row, {"status": "failed"}], Idempotency_Key="k1")
    with serving(settings) as server:  # the state was never written
        again = server.post([row, {"status": "failed"}], Idempotency_Key="k1")
        assert (again.status, again.body) == (first.status, first.body)
        assert server.post(row).json()["verdicts"][0]["count"] == 6


def test_acknowledgements_and_closed_buckets_survive_a_kill(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    told: list[Any] = []
    with serving(settings) as server:
        warm(server)
        for i in (45, 46):
            server.post([{"time": minute(i), "status": s, "count": n} for s, n in (("failed", 60), ("approved", 100))])
        server.post([{"time": minute(48), "status": "approved"}] * 500)
        row = server.client.get("/v1/incidents").json()["incidents"][0]
        server.client.post(f"/v1/incidents/{row['id']}/ack")
        told.append(server.client.get("/v1/overview").json())
    with serving(settings) as server:
        told.append(server.client.get("/v1/overview").json())
    for overview in told:
        overview.pop("position")
        overview.pop("open")
    assert told[0]["incidents"][0]["acknowledged"] is True
    assert told[0] == told[1]


def test_a_torn_entry_was_never_answered_and_is_said(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    with serving(settings) as server:
        server.post({"time": minute(0), "status": "failed", "count": 2})
        server.post({"time": minute(0), "status": "failed", "count": 5})
    (segment,) = tmp_path.glob("state.journal-*")
    segment.write_bytes(segment.read_bytes()[:-3])
    with serving(settings) as server:
        assert server.post({"time": minute(0), "status": "failed"}).json()["verdicts"][0]["count"] == 3
        assert "bytes at the end of the journal" in server.client.get("/healthz").json()["trouble"]


def test_what_cannot_be_kept_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    with serving(Settings(state=str(tmp_path / "state"))) as server:
        server.post({"time": minute(0), "status": "failed"})
        with monkeypatch.context() as patched:
            patched.setattr("txmon.server.journal.os.write", full)
            answer = server.post({"time": minute(0), "status": "failed"})
        assert (answer.status, answer.json()["code"]) == (507, "storage")
        assert server.post({"time": minute(0), "status": "failed"}).json()["verdicts"][0]["count"] == 2


def test_a_disk_that_refuses_is_not_believed_at_the_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(str(tmp_path / "state"), shared=True)
    journal.append(b"one")
    with monkeypatch.context() as patched:
        patched.setattr(
            "txmon.server.journal.os.fdatasync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output"))
        )
        with pytest.raises(OSError, match="Input"):
            journal.commit()
    with pytest.raises(OSError, match="Input"):
        journal.commit()
    with pytest.raises(OSError, match="Input"):
        journal.append(b"two")
    journal.rotate()  # the state that is written now has all of it
    journal.append(b"three")
    journal.commit()
    journal.close()


def test_a_copy_of_the_state_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path / "state"), shared=True)
    synced = list[int]()
    monkeypatch.setattr("txmon.server.journal.os.fdatasync", synced.append)
    monkeypatch.setattr("txmon.server.journal.os.fsync", synced.append)
    journal.append(b"one")
    assert (journal.rotate(), synced) == (2, [])
    journal.append(b"two")
    assert synced == []
    journal.commit()
    assert len(synced) == 3  # both segments and their folder
    journal.append(b"three")
    journal.rotate()
    journal.commit()  # of a segment that has ended
    assert len(synced) == 4
    journal.drop(journal.rotate())
    journal.commit()
    journal.close()
    assert list(Journal(str(tmp_path / "state"), shared=True).replay(1)) == []


def test_segments_are_read_in_order_from_the_one_that_the_state_names(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "state"), shared=True)
    names = []
    for i in range(3):
        names.append(journal.rotate())
        journal.append(b"%d" % i)
        journal.append(b"%d again" % i)
        journal.commit()
    journal.close()
    found = Journal(str(tmp_path / "state"), shared=True)
    assert list(found.replay(names[1])) == [b"1", b"1 again", b"2", b"2 again"]
    found.drop(names[2])
    assert len(list(tmp_path.iterdir())) == 1
    assert found.rotate() > names[2]


def saved(server: Server) -> bool:
    server.engine.tick()
    return server.engine._saving is None


def test_a_large_state_is_written_by_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LARGE", 0)
    settings = Settings(state=str(tmp_path / "state"))
    with serving(settings) as server:
        warm(server)
        server.engine.session.saver._due = 0.0
        server.engine.tick()
        server.post({"time": minute(45), "status": "failed", "count": 7})
        wait_for(lambda: saved(server))
        assert (tmp_path / "state").exists()
        assert server.engine.session.saved > 0
        assert len(list(tmp_path.glob("state.journal-*"))) == 1
    with serving(settings) as server:
        assert server.post({"time": minute(45), "status": "failed"}).json()["verdicts"][0]["count"] == 8


def test_a_process_that_cannot_write_the_state_is_a_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LARGE", 0)
    folder = tmp_path / "folder"
    folder.mkdir()
    with serving(Settings(state=str(folder / "state"), durability="none")) as server:
        warm(server)
        (folder).rename(tmp_path / "elsewhere")
        server.engine.session.saver._due = 0.0
        server.engine.tick()
        wait_for(lambda: saved(server))
        assert "the state cannot be written" in server.engine.trouble


def test_readyz_says_503_while_the_listener_is_still_open(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-delay", "30s") as (process, port):
        assert call(port, "GET", "/readyz")["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: call(port, "GET", "/readyz")["status"] == 503)
        assert call(port, "POST", "/v1/transactions", {"time": minute(0), "status": "failed"})["accepted"] == 1
        code, lines = end(process)  # the second signal ends it at once
        assert (code, json.loads(lines.splitlines()[0])["status"]) == (0, "failed")


def test_sighup_writes_the_state_and_sigusr1_prints_what_is_done(tmp_path: Path) -> None:
    with running(tmp_path, "--state", "state", "--log-format", "json") as (process, port):
        call(port, "POST", "/v1/transactions", {"time": minute(0), "status": "failed"})
        process.send_signal(signal.SIGHUP)
        wait_for((tmp_path / "state").exists)
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        said = ""
        while "records taken" not in said:
            row = json.loads(process.stderr.readline())
            said = row["message"]
            assert (row["level"], row["event"]) == ("info", "message")
        assert said.startswith("1 records taken, 0 rejected")
        assert end(process)[0] == 0

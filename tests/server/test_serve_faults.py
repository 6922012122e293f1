"""Faults of clients, tokens and the journal, against a server as a process: right, or one clear line."""

import gzip
import json
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from serving import minute, serving, warm
from test_serve_cli import call, end, running, wait_for
from test_serve_durability import kill

from txmon.server.receipt import gravest
from txmon.settings.declarations import Settings

ROW = {"time": minute(0), "status": "failed"}
CLOSE = "Connection: close\r\n"


def ask(port: int, data: bytes, half: bool = False) -> bytes:
    """Everything that comes back; half: the client ends its direction at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(data)
        if half:
            sock.shutdown(socket.SHUT_WR)
        found = b""
        while block := sock.recv(65536):
            found += block
    return found


def post(body: bytes, kind: str = "application/json", extra: str = CLOSE, length: int | None = None) -> bytes:
    head = f"POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{extra}"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def test_clients_that_speak_oddly(tmp_path: Path) -> None:
    row = json.dumps(ROW).encode()
    table = f'time,status,count,note\n{minute(0)},approved,1,"a\nb"\n{minute(0)},denied,2,c\n'
    bomb = gzip.compress(b"0" * (64 << 20))
    with running(tmp_path) as (process, port):
        for data, half, status, part in (
            (post(row, length=len(row) + 9), True, 400, b"the request ended too early"),
            (post(row, extra="") + b"\r\n" + post(row), False, 200, b'"count": 2,'),  # a line end after the body
            (post(row, extra="") + post(row, extra="") + post(row), False, 200, b'"count": 5,'),  # pipelined
            (b"GET http://localhost/healthz HTTP/1.1\r\nHost: x\r\n" + CLOSE.encode() + b"\r\n", False, 200, b"ok"),
            (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n" + CLOSE.encode() + b"\r\n", False, 421, b""),
            (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + CLOSE.encode() + b"\r\n", False, 204, b"Allow: GET, HEAD"),
            (b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4" + b"x" * 200, False, 400, b"speaks HTTP without TLS"),
            (post(b""), False, 422, b"the body is empty"),
            (post(b"time,status,count\n", "text/csv"), False, 422, b"the body has a header, but no row after it"),
            (post(table.encode(), "text/csv"), False, 200, b'"accepted": 2, "rejected": 0'),
            (post(table.encode("utf-16"), "text/csv"), False, 200, b'"accepted": 2, "rejected": 0'),
            (post(b'{"time":"x","status":"a"}\n' * 9, "application/x-ndjson"), False, 400, b'"accepted": 0'),
            (post(bomb, extra=CLOSE + "Content-Encoding: gzip\r\n"), False, 413, b"unpacks"),
        ):  # fmt: skip
            answer = ask(port, data, half)
            assert f"HTTP/1.1 {status} ".encode() in answer, (data[:80], answer)
            assert part in answer, (data[:80], answer)
            assert b'"recommendation": "ok"' not in answer
        assert end(process)[0] == 0


def test_the_tokens_of_a_file_are_renewed(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ingest first-token-of-all\n")
    with running(tmp_path, "--tokens-file", "tokens", "--state", "state") as (process, port):
        assert process.stderr is not None

        def status(token: str) -> int:
            extra = f"Authorization: Bearer {token}\r\n{CLOSE}"
            return int(ask(port, post(json.dumps(ROW).encode(), extra=extra)).split()[1])

        assert (status("first-token-of-all"), status("second-token-of-all")) == (200, 401)
        tokens.write_text("ingest second-token-of-all\n")
        process.send_signal(signal.SIGHUP)
        while b"tokens: 1 token read again" not in process.stderr.readline():
            pass
        assert status("second-token-of-all") == 200
        assert status("first-token-of-all") in (401, 429)
        tokens.write_text("ingest short\n")
        process.send_signal(signal.SIGHUP)
        while b"txmon continues with what it read before" not in process.stderr.readline():
            pass
        assert status("second-token-of-all") == 200


def test_the_gravest_of_many_verdicts_are_answered(tmp_path: Path) -> None:
    with serving(Settings(group_by=("merchant",))) as server:
        rows = [
            {"time": minute(i), "status": status, "count": count, "merchant": "m1"}
            for i in range(45) for status, count in (("approved", 100), ("failed", 1))
        ]  # fmt: skip
        assert server.post(rows).status == 200
        failing = {"time": minute(45), "status": "failed", "count": 90, "merchant": "m1"}
        others = [{"time": minute(45), "status": "approved", "merchant": f"x{n}"} for n in range(1500)]
        answer = server.post([failing, *others]).json()
        assert (answer["recommendation"], answer["omitted"]) == ("alert", 501)
        assert answer["verdicts"][0]["recommendation"] == "alert"
    assert gravest([], 3) == []


def test_rows_in_a_damaged_part_of_the_journal_are_said_to_be_lost(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    with serving(settings) as server:
        for _ in range(3):
            server.post({**ROW, "count": 2})
    (segment,) = tmp_path.glob("state.journal-*")
    raw = bytearray(segment.read_bytes())
    raw[raw.index(b'"records"')] ^= 1  # of the first entry
    segment.write_bytes(bytes(raw))
    with serving(settings) as server:
        assert server.post(ROW).json()["verdicts"][0]["count"] == 5
        trouble = server.client.get("/healthz").json()["trouble"]
        assert "bytes of the journal are damaged. The rows in them are lost" in trouble


def test_a_state_of_a_backup_is_older_than_the_journal(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    with serving(settings) as server:
        warm(server)
        assert server.engine.save_now()
        backup = (tmp_path / "state").read_bytes()
        server.post(ROW)
        assert server.engine.save_now()
        server.post(ROW)
    (tmp_path / "state").write_bytes(backup)
    with serving(settings) as server:
        trouble = server.client.get("/healthz").json()["trouble"]
        assert trouble.startswith("the state is older than the journal, as after a restored backup; rows taken between")
    with serving(settings) as server:
        assert server.engine.save_now()


def test_ids_are_known_after_a_kill(tmp_path: Path) -> None:
    rows = [{**ROW, "id": f"t{n}"} for n in range(5)]
    with running(tmp_path, "--state", "state") as (process, port):
        assert call(port, "POST", "/v1/transactions", rows)["repeated"] == 0
        kill(process)
    with running(tmp_path, "--state", "state") as (process, port):
        answer = call(port, "POST", "/v1/transactions", [*rows, {**ROW, "id": "t9"}])
        assert (answer["repeated"], answer["verdicts"][-1]["count"]) == (5, 6)
        assert end(process)[0] == 0


def test_a_full_disk_under_everything(tmp_path: Path) -> None:
    """State, journal and lines on a file system of 1 MB that fills up and is freed again."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("needs to mount a file system")
    try:
        with running(folder, "--state", "state", "--out", "out.jsonl") as (process, port):
            taken = 0
            for i in range(45):
                rows = [{"time": minute(i), "status": "approved", "count": 100}] * 2
                assert call(port, "POST", "/v1/transactions", rows)["accepted"] == 2
                taken += 200
            filler = folder / "filler"
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            refused = 0
            for i in range(45, 60):
                rows = [{"time": minute(i), "status": "approved", "count": 100, "merchant": "m" * 900}] * 9
                answer = call(port, "POST", "/v1/transactions", rows)
                if answer.get("accepted"):
                    taken += 900
                else:
                    assert (answer["status"], answer["code"]) == (507, "storage")
                    refused += 1
            assert refused
            filler.unlink()
            assert call(port, "POST", "/v1/transactions", [{"time": minute(61), "status": "approved"}] * 500)[
                "accepted"
            ]
            wait_for(lambda: "wait" not in call(port, "GET", "/healthz")["trouble"])
            kill(process)
        with running(folder, "--state", "state", "--out", "out.jsonl") as (process, port):
            found = call(port, "GET", "/v1/series/approved")
            assert sum(found["count"]) == taken
            assert end(process)[0] == 0
        lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
        last = {
            line["time"]: line["count"]
            for line in lines
            if line.get("status") == "approved" and not line.get("partial")
        }
        assert sum(last.values()) == taken
    finally:
        time.sleep(0.1)
        subprocess.run(["umount", "-l", str(folder)], check=False)

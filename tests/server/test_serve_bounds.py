"""What one request may cost: statuses without end, rejects without end, packed bodies, late rows."""

import gzip
import json
import tracemalloc
from pathlib import Path

from serving import START, minute, serving, warm

from txmon.detection.key_series import OTHER, STATUSES
from txmon.ingest.rejects import RejectLog
from txmon.settings.declarations import Settings


def flood(start: int, count: int) -> bytes:
    time = minute(start)
    return ("time,status\n" + "".join(f"{time},s{i:07d}\n" for i in range(count))).encode()


def test_statuses_beyond_a_thousand_are_counted_together_and_said() -> None:
    with serving(Settings(max_body=16 << 20)) as server:
        for i in range(3):
            assert server.post(flood(i, 2000), "text/csv").json()["accepted"] == 2000
        server.post({"time": minute(5), "status": "approved"})
        found = server.client.get(f"/v1/verdicts?since={START}&limit=10000").json()["verdicts"]
        first = [verdict for verdict in found if verdict["time"] == minute(0)]
        assert len(first) == STATUSES + 2
        assert next(verdict["count"] for verdict in first if verdict["status"] == OTHER) == 2000 - STATUSES
        assert next(verdict["count"] for verdict in first if verdict["status"] == "*") == 2000
        server.engine.tick()
        assert "statuses beyond 1000 of a key" in server.client.get("/healthz").json()["trouble"]
        assert any("(other)" in line for line in server.engine.farewell())


def test_memory_grows_with_the_statuses_and_not_with_their_square() -> None:
    def cost(count: int) -> int:
        with serving(Settings(max_body=16 << 20)) as server:
            server.post({"time": minute(0), "status": "approved"})
            tracemalloc.start()
            for i in range(3):
                server.post(flood(1, count) if i == 0 else {"time": minute(1 + i), "status": "approved"},
                            "text/csv" if i == 0 else "application/json")  # fmt: skip
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            return held

    assert cost(8000) < 6 * cost(2000)


def test_which_statuses_are_told_apart_does_not_depend_on_their_order() -> None:
    answers = []
    for turned in (False, True):
        with serving(Settings(max_body=16 << 20)) as server:
            header, *rows = flood(0, 1500).split(b"\n")
            rows = [row for row in rows if row]
            server.post(b"\n".join([header, *(rows[::-1] if turned else rows)]), "text/csv")
            server.post({"time": minute(2), "status": "approved"})
            lines = server.client.get("/v1/verdicts?limit=10000").json()["verdicts"]
            answers.append({(line["time"], line["status"]): line["count"] for line in lines})
    assert answers[0] == answers[1]


def test_rejects_beyond_a_hundred_are_counted_and_not_kept(tmp_path: Path) -> None:
    with serving() as server:
        server.engine.session.log = RejectLog(str(tmp_path / "rejects"))
        body = b"[" + b"{}," * 30_000 + b'{"time": "2026-03-02T10:00:00Z", "status": "failed"}]'
        packed = gzip.compress(body)
        answer = server.post(packed, Content_Encoding="gzip").json()
        assert (answer["accepted"], answer["rejected"], len(answer["rejects"])) == (1, 30_000, 100)
        assert answer["recommendation"] == "rejected"
        server.engine.session.log.close()
        assert len((tmp_path / "rejects").read_bytes().splitlines()) == 100
        assert any("30000 bad records" in line for line in server.engine.farewell())


def test_a_packed_body_has_at_most_four_times_the_size_of_a_plain_one() -> None:
    bomb = gzip.compress(b"[" + b"{}," * 2_000_000 + b"{}]")
    with serving() as server:
        answer = server.post(bomb, Content_Encoding="gzip")
        assert (answer.status, answer.json()["code"]) == (413, "too-large")
    with serving(Settings(max_unpacked=32)) as server:
        assert server.post(gzip.compress(b" " * (5 << 20)), "text/csv", Content_Encoding="gzip").status == 422


def test_a_late_or_rejected_row_is_never_ok() -> None:
    with serving() as server:
        warm(server)
        late = server.post({"time": minute(20), "status": "approved"}).json()
        assert (late["late"], late["recommendation"]) == (1, "late")
        half = server.post([{"time": minute(45), "status": "approved"}, {"status": "approved"}]).json()
        assert half["recommendation"] == "rejected"
        attack = server.post({"time": minute(40), "status": "failed", "count": 90}).json()
        assert (attack["late"], attack["recommendation"]) == (1, "alert")
        call = {"time": "2026-03-02 00:20:00", "status": "approved", "F1": 1}
        assert b"LATE" in server.client.post("/receive", call).body
        minute_late = {"time": "2026-03-02 00:20:00", "approved": 1}
        assert server.client.post("/send_transactions", minute_late).json()["late"] == 1
        server.engine.tick()
        assert "rows arrive after their minute has closed" in server.client.get("/healthz").json()["trouble"]


def test_json_lines_are_read_whatever_they_are_called() -> None:
    row = json.dumps({"time": minute(0), "status": "failed"}).encode()
    with serving() as server:
        for body in (row + b"\n" + row, row + b"\r\n" + row + b"\r\n", row + row, row + b" " + row + b"\n"):
            assert server.post(body).json()["accepted"] == 2, body
        assert server.post(row + b"\n{").json()["rejected"] == 1
        for bad in (row + b"x", b"3\n4", b'"a"\n"b"', row + b"[]"):
            assert server.post(bad).status == 400, bad


def test_an_array_is_read_like_lines() -> None:
    rows = [{"time": minute(i % 3), "status": ("approved", "failed")[i % 2], "count": i} for i in range(100)]
    odd: list[object] = [*rows, {"status": "failed"}, {"time": minute(2), "status": 'a "quoted"\n one'}]
    pretty, answers = json.dumps(odd, indent=2).encode(), []
    for body, kind in (
        (json.dumps(odd).encode(), "application/json"),
        (pretty, "application/json"),
        (b"\n".join(json.dumps(row).encode() for row in odd), "application/x-ndjson"),
    ):
        with serving() as server:
            answers.append(server.post(body, kind).json())
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["accepted"], answers[0]["rejects"][0]["index"]) == (101, 100)

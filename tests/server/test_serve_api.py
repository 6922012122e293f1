"""The API over a real socket: bodies of every kind, replay's verdicts, queries, the originals' calls, who may ask."""

import gzip
import io
import json
import socket
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from paths import ROOT
from serving import SAMPLE, START, Server, incident, minute, serving, warm

from txmon.ingest.rejects import RejectLog
from txmon.runtime.acknowledgements import Word, leave_word
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.server import intake
from txmon.server.openapi import SCHEMAS, document
from txmon.settings.declarations import Settings
from txmon.settings.rule import parse_rules
from txmon.sinks.jsonl import JsonLines

SCHEMA = json.loads((ROOT / "docs" / "verdict.schema.json").read_text())
FAILED = {"time": "2026-03-02T14:33:20Z", "status": "failed", "count": 2}
TOKEN = "a-long-and-secret-token"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def replayed() -> str:
    settings = Settings()
    stream = io.BytesIO()
    lines = JsonLines(stream)
    reader = reader_of(settings, RejectLog(), date(2026, 3, 2))
    for outcome in pipeline_of(settings, live=False).run(reader.records([str(SAMPLE)])):
        lines.accept(outcome)
    return stream.getvalue().decode()


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["text/csv", "application/json", "application/x-ndjson"])
def test_a_posted_file_gives_the_verdicts_of_replay(size: int, kind: str) -> None:
    stream = io.BytesIO()
    header, *rows = SAMPLE.read_text().splitlines()
    if size == 1:
        rows = rows[:900]  # enough for incidents; row by row takes long
    with serving(sinks=(JsonLines(stream).accept,)) as server:
        for i in range(0, len(rows), size):
            part = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows[i : i + size]]
            body: object = part if size > 1 else part[0]
            if kind == "text/csv":
                body = "\n".join([header, *rows[i : i + size]]).encode()
            elif kind == "application/x-ndjson":
                body = "".join(json.dumps(row) + "\n" for row in part).encode()
            receipt = server.post(body, kind).json()
            assert (receipt["accepted"], receipt["rejected"]) == (len(part), 0)
            server.engine.tick()
        server.engine.finish()
    lines = [line for line in stream.getvalue().decode().splitlines(keepends=True) if '"partial": true' not in line]
    expected = replayed()
    if size > 1:
        assert "".join(lines) == expected
    else:  # the last minute is cut in two
        given = "".join(lines[:-6])
        assert len(lines) > 900
        assert expected.startswith(given)


def test_each_series_touched_has_its_verdict_in_order_and_as_the_schema_says(server: Server) -> None:
    warm(server)
    rows = [
        {"time": minute(46), "status": "denied", "count": 11},
        {"time": minute(46), "status": "FAILED", "count": 80},
        {"time": minute(46), "status": "denied", "count": 1},
        {"time": minute(47), "status": "approved", "count": 3},
    ]
    receipt = server.post(rows).json()
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for verdict in receipt["verdicts"]:
        validator.validate(verdict)
    told = [(v["time"], v["status"], v["count"], v["recommendation"]) for v in receipt["verdicts"]]
    assert told == [
        (minute(46), "denied", 12, "ok"),
        (minute(46), "failed", 80, "alert"),
        (minute(47), "approved", 3, "ok"),  # far below, and the minute is young
    ]
    assert receipt["recommendation"] == "alert"
    assert "80 failed, " in receipt["verdicts"][1]["text"]


def test_warm_up_is_said(server: Server) -> None:
    verdict = server.post(FAILED).json()["verdicts"][0]
    assert (verdict["recommendation"], verdict["partial"]) == ("warming", True)
    jsonschema.Draft202012Validator(SCHEMA).validate(verdict)


def test_an_open_incident_is_named_in_the_answer(server: Server) -> None:
    warm(server)
    incident(server)
    verdict = server.post({"time": minute(47), "status": "failed", "count": 60}).json()["verdicts"][0]
    assert verdict["incident"] == "20260302T0045-failed"


def test_rejects_are_listed_with_index_and_reason(server: Server) -> None:
    receipt = server.post([FAILED, {"status": "failed"}, FAILED | {"count": -1}, 7]).json()
    assert [(r["index"], r["kind"]) for r in receipt["rejects"]] == [(1, "time"), (2, "count"), (3, "json")]
    csv = server.post(b"time,status\n2026-03-02T14:33:20Z,failed\nnever,failed\n", "text/csv")
    assert [(r["index"], r["kind"]) for r in csv.json()["rejects"]] == [(2, "time")]
    lines = server.post(json.dumps(FAILED).encode() + b"\n{\n", "application/x-ndjson")
    assert [(r["index"], r["kind"]) for r in lines.json()["rejects"]] == [(1, "json")]
    late = server.post(FAILED | {"time": "2026-03-12T02:00:01Z"})
    assert late.status == 400
    assert late.json()["rejects"][0]["kind"] == "future"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"3", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"[3]", "application/json", 400),
        (b'{"time": "2026-03-02T14:33:20Z", "status": "\\ud800"}', "application/json", 400),
        (b'{"time": NaN, "status": "failed"}', "application/json", 400),
        (b'{"time": 1e400, "status": "failed"}', "application/json", 400),
        (b"", "application/json", 422),
        (b"time,status,count\n", "text/csv", 422),
        (b"\n\n", "application/x-ndjson", 422),
        (b"a,b\n1,2\n", "text/csv", 422),
        (b"\0\1", "text/csv", 422),
        (b"x", "text/plain", 415),
        (b"x", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_bad_body_says_what_is_wrong(server: Server, body: bytes, kind: str, status: int) -> None:
    answer = server.post(body, kind)
    assert answer.status == status
    assert answer.json()["detail"]
    assert server.engine.totals.records == 0


def test_lines_that_join_into_other_rows_are_read_one_by_one(server: Server) -> None:
    good = json.dumps(FAILED)
    body = f'{{"a": [{good}\n{good}]}}\n{good},{good}\n'.encode()
    assert server.post(body, "application/x-ndjson").json()["rejected"] == 3
    body = f"{good[:-1]}\n{good[1:]}\n{good}, {good}\n".encode()
    assert server.post(body, "application/x-ndjson").json()["rejected"] == 3


def test_gzip_is_unpacked_up_to_a_limit(server: Server) -> None:
    packed = gzip.compress(SAMPLE.read_bytes())
    assert server.post(packed, "text/csv", Content_Encoding="gzip").json()["accepted"] == 4783
    bomb = gzip.compress(b" " * (40 << 20))
    assert server.post(bomb, "text/csv", Content_Encoding="gzip").status == 413
    assert server.post(packed[:-100], "text/csv", Content_Encoding="gzip").status == 400
    assert server.post(b"no gzip", "text/csv", Content_Encoding="gzip").status == 400
    assert server.post(packed, "text/csv", Content_Encoding="br").status == 415
    in_parts = b"".join(
        gzip.compress(line + b"\n") + b"\0" * 5000 for line in (b"time,status", b"2026-03-02T10:00:00Z,a")
    )
    assert server.post(in_parts, "text/csv", Content_Encoding="gzip").json()["accepted"] == 1
    assert server.post(in_parts + b"\x1f", "text/csv", Content_Encoding="gzip").status == 400


def test_thousands_of_gzip_members_take_no_longer_than_their_length(server: Server) -> None:
    member = gzip.compress(b"")
    began = time.process_time()
    assert server.post(member * (1_000_000 // len(member)), "text/csv", Content_Encoding="gzip").status == 422
    assert time.process_time() - began < 1.5  # each was once given a copy of all that follows it: 3 s and more


def test_a_repeated_id_is_counted_once(server: Server) -> None:
    assert server.post(FAILED | {"id": "t-1"}).json()["verdicts"][0]["count"] == 2
    again = server.post([FAILED | {"id": "t-1"}, FAILED | {"id": "t-2"}]).json()
    assert again["repeated"] == 1
    assert again["verdicts"][0]["count"] == 4


def test_an_idempotency_key_gives_the_same_answer_and_counts_once(server: Server) -> None:
    first = server.post(FAILED, Idempotency_Key="k1")
    assert server.post(FAILED, Idempotency_Key="k1").body == first.body
    assert server.engine.totals.records == 1
    assert server.post(FAILED | {"count": 3}, Idempotency_Key="k1").status == 422
    assert server.post(FAILED, Idempotency_Key="k2").json()["verdicts"][0]["count"] == 4
    assert server.post(FAILED, Idempotency_Key="k" * 201).status == 400


def test_the_first_original_is_answered_as_it_was(server: Server) -> None:
    warm(server)
    call = {"time": "2026-03-02 00:46:00", "status": "failed", "F1": 1}
    answer = server.client.post("/receive", call)
    assert (answer.status, answer.body) == (200, b"TRANSACTION COMPLETED")
    assert answer.headers["content-type"].startswith("text/plain")
    answer = server.client.post("/receive", call | {"F1": 50})
    assert answer.body == b"TRANSACTION COMPLETED WITH POSSIBLE ANOMALY"
    assert server.client.post("/receive", {"time": "x", "status": "failed", "F1": 1}).status == 400
    assert server.client.post("/receive", {"status": "failed", "F1": 1}).status == 422


@pytest.mark.parametrize("twice", [False, True])
def test_the_second_original_is_answered_as_it_was(twice: bool) -> None:
    with serving(now=START + 47 * 60) as server:  # a time of day is the one nearest to the clock
        warm(server)
        call: object = {"time": "00h 46", "approved": 100, "denied": 70, "failed": 1, "denied_roll30_avg": 9.5}
        answer = server.client.post("/send_transactions", json.dumps(call) if twice else call).json()
        assert {status: about["anomaly"] for status, about in answer["info_dict"].items()} == {
            "approved": False, "denied": True, "failed": False,
        }  # fmt: skip
        assert sum(answer["anomalies_dataframe"].values()) == pytest.approx(1.0, abs=0.001)
        assert answer["anomalies_dataframe"]["denied"] > 0.9
        assert answer["info_dict"]["denied"]["pct"] == answer["anomalies_dataframe"]["denied"]
        few = server.client.post("/send_transactions", {"time": "00h 47", "approved": 5, "denied": 1}).json()
        assert few["info_dict"]["approved"]["anomaly"] is True


def test_a_wrong_time_of_day_does_not_move_the_date_of_the_times_after_it() -> None:
    noon = START + 12 * 3600
    with serving(now=noon) as server:
        wrong = server.client.post("/send_transactions", {"time": "00h 05", "approved": 27, "denied": 4})
        assert wrong.status == 200  # today's, nearly twelve hours ago
        for n in range(3):
            server.clock.now = noon + 60.0 * n
            assert server.post({"time": f"12:{n:02}:30", "status": "failed", "count": 5}).json()["accepted"] == 1
        after = server.post({"time": "23:59:30", "status": "failed"}).json()
        assert after["accepted"] == 0  # the nearest is today's, in the future
        answer = server.post({"time": "13:30", "status": "failed"}).json()
        assert "in the future" in answer["rejects"][0]["reason"]
        newest = server.engine.pipeline.bucketer.newest()
        assert newest is not None
        assert (newest.start, newest.counts[()]) == (noon + 120, {"failed": 5})


def test_times_without_a_date_are_todays_after_a_night() -> None:
    with serving(now=START + 17 * 3600) as server:
        assert server.post({"time": "17:00", "status": "failed"}).json()["verdicts"][0]["time"] == minute(17 * 60)
        server.clock.now += 16 * 3600  # 9:00 is not far enough back to be told from a late row
        assert server.post({"time": "09:00", "status": "failed"}).json()["verdicts"][0]["time"] == minute(33 * 60)


def test_times_of_day_from_the_future_do_not_move_the_date() -> None:
    with serving(now=START + 3600) as server:
        rows = [{"time": time, "status": "a"} for time in ("00:30", "11:00", "22:00", "00:31")]
        answer = server.post(rows).json()
        assert [reject["kind"] for reject in answer["rejects"]] == [
            "future"
        ]  # 11:00; without it before, 22:00 is yesterday
        assert server.post({"time": "00:32", "status": "a"}).json()["accepted"] == 1


def test_a_minute_with_a_bad_count_is_not_taken_by_half(server: Server) -> None:
    answer = server.client.post("/send_transactions", {"time": "00h 05", "approved": 100, "denied": -1})
    assert answer.status == 400
    assert server.engine.totals.records == 0


def test_verdicts_can_be_asked_for(server: Server) -> None:
    warm(server)
    found = server.client.get("/v1/verdicts?status=failed&limit=3").json()
    assert [(v["time"], v["status"]) for v in found["verdicts"]] == [(minute(i), "failed") for i in (40, 41, 42)]
    assert found["truncated"] is True
    found = server.client.get("/v1/verdicts?since=2026-03-02T00:41:00Z&status=*").json()
    assert [v["time"] for v in found["verdicts"]] == [minute(41), minute(42)]
    assert found["truncated"] is False
    for bad in ("limit=0", "limit=x", "since=soon", "statsu=failed", "limit=1&limit=2", "status=%ff"):
        assert server.client.get(f"/v1/verdicts?{bad}").status == 422


def test_incidents_are_listed_and_acknowledged(server: Server) -> None:
    warm(server)
    incident(server)
    row = server.client.get("/v1/incidents").json()["incidents"][0]
    assert (row["id"], row["state"], row["acknowledged"]) == ("20260302T0045-failed", "opened", False)
    assert "60 failed" in row["explanation"]
    acknowledged = server.client.post(f"/v1/incidents/{row['id']}/ack")
    assert (acknowledged.status, acknowledged.json()["acknowledged"]) == (200, True)
    assert server.client.get("/v1/incidents").json()["incidents"][0]["acknowledged"] is True
    assert server.client.post("/v1/incidents/none/ack").status == 404
    assert server.client.post("/v1/incidents/..%2f..%2fetc/ack").status == 404


def test_a_series_can_be_asked_for(server: Server) -> None:
    warm(server)
    found = server.client.get("/v1/series/failed?minutes=10").json()
    assert found["time"] == [minute(i) for i in range(33, 43)]
    assert found["count"] == [1] * 10
    assert all(low <= 1 <= high for low, high in zip(found["low"], found["high"], strict=True))
    assert server.client.get("/v1/series/unheard").status == 404


def test_late_rows_of_one_key_correct_the_sum_over_all_keys() -> None:
    """Where only rules alert, all keys together are no series of their own, whose count would be the sum."""
    rules = parse_rules(["count > 50"])
    with serving(Settings(group_by=("shop",), rule=rules, mode="rules")) as server:

        def send(first: int, last: int) -> None:
            for i in range(first, last):
                server.post(
                    [{"time": minute(i), "status": "failed", "shop": f"s{k}", "count": 5 + k} for k in range(3)]
                )

        send(0, 8)
        assert server.client.get("/v1/series/failed?minutes=3").json()["count"] == [18, 18, 18]
        server.post([{"time": minute(5), "status": "failed", "shop": "s1", "count": 4},
                     {"time": minute(5), "status": "failed", "shop": "new", "count": 2}])  # fmt: skip
        send(8, 12)
        found = server.client.get("/v1/series/failed?minutes=20").json()
        assert found["count"][found["time"].index(minute(5))] == 24
        assert found["count"][found["time"].index(minute(4))] == 18


def test_silence_is_seen_by_the_clock_alone() -> None:
    with serving(now=START) as server:
        for i in range(50):
            server.clock.now = START + 60 * i + 5
            assert server.post({"time": minute(i), "status": "approved", "count": 100}).status == 200
            server.engine.tick()
        opened: list[Any] = []
        for _ in range(180):
            server.clock.now += 1
            server.engine.tick()
            opened = [row["label"] for row in server.engine.incidents()]
            if opened:
                break
        assert opened == ["silence"]
        assert server.clock.now <= START + 60 * 50 + 2 * 60


def test_a_feed_that_is_posted_by_the_minute_is_neither_late_nor_silent(tmp_path: Path) -> None:
    """Each minute comes whole, ten seconds after its end: the clock waits for it, after a restart too."""
    settings = Settings(state=str(tmp_path / "state"))

    def go_on(server: Server, first: int, last: int) -> None:
        for i in range(first, last):
            server.clock.now = START + 60 * i + 70
            rows = [{"time": START + 60 * i + second, "status": "approved", "count": 40} for second in (5, 30, 55)]
            assert server.post(rows).status == 200
            for _ in range(60):
                server.clock.now += 1
                server.engine.tick()

    with serving(settings, now=START) as server:
        go_on(server, 0, 45)
        assert server.engine.finish()
        late, now = server.engine.pipeline.bucketer.late, server.clock.now
    with serving(settings, now=now) as server:
        go_on(server, 45, 60)
        late += server.engine.pipeline.bucketer.late
        assert server.engine.incidents() == []
        # the clock is that late, and no later
        server.clock.now += 180
        server.engine.tick()
        assert [row["label"] for row in server.engine.incidents()] == ["silence"]
    assert late == 0


def test_the_past_posted_is_not_hurried_by_the_clock(server: Server) -> None:
    warm(server)
    server.engine.tick()
    server.clock.now += 3600
    server.engine.tick()
    assert server.engine.recent.last == START + 42 * 60


def test_the_state_brings_everything_back(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    with serving(settings) as server:
        warm(server)
        incident(server)
        more = {"time": minute(48), "status": "approved"}
        answered = server.post(more, Idempotency_Key="k1").body
        server.client.post("/v1/incidents/20260302T0045-failed/ack")
        before = server.client.get("/v1/overview").json()
        assert server.engine.finish()
    with serving(settings) as server:
        after = server.client.get("/v1/overview").json()
        for part in ("series", "incidents", "trends", "hour"):
            assert after[part] == before[part]
        assert after["incidents"][0]["acknowledged"] is True
        assert server.post(more, Idempotency_Key="k1").body == answered
        assert server.engine.totals.records == 0


def test_an_acknowledgement_left_beside_the_state_is_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    with serving(Settings(state=path)) as server:
        warm(server)
        incident(server)
        leave_word(path, Word("ack", "20260302T0045-failed"))
        assert server.engine.finish()
        assert server.engine.incidents()[0]["acknowledged"] is True


def test_an_acknowledgement_has_an_author_and_can_be_taken_back() -> None:
    with serving() as server:
        warm(server)
        incident(server)
        path = "/v1/incidents/20260302T0045-failed/ack"
        row = server.client.post(path, {"author": "ana", "note": "known"}).json()
        assert (row["acknowledged"], row["author"], row["note"]) == (True, "ana", "known")
        assert row["explanation"].endswith("expected (at most 4)") or "failed" in row["explanation"]
        assert server.client.post(path, {"action": "undo"}).json()["acknowledged"] is False
        assert server.client.post(path, {"action": "accept", "author": "ana"}).status == 200
        for wrong in ({"action": "sing"}, {"who": "ana"}, {"note": 3}, {"note": "a\nb"}):
            assert server.client.post(path, wrong).status == 422
        assert server.client.post("/v1/incidents/none/ack", {"action": "undo"}).status == 404


def test_silences_are_made_listed_and_ended() -> None:
    with serving() as server:
        client = server.client
        assert client.get("/v1/silences").json() == {"silences": []}
        made = client.post("/v1/silences", {"status": "Denied", "for": "2h", "author": "ana", "note": "load test"})
        [row] = made.json()["silences"]
        assert (row["status"], row["key"], row["author"], row["note"]) == ("denied", {}, "ana", "load test")
        assert client.get("/v1/silences").json() == made.json()
        keyed = {"status": "*", "key": {"merchant": "m1"}, "for": "30m"}
        assert len(client.post("/v1/silences", keyed).json()["silences"]) == 2
        assert len(client.post("/v1/silences", {"status": "denied", "for": "0s"}).json()["silences"]) == 1
        assert client.post("/v1/silences", {"status": "denied", "for": "0s"}).status == 404
        for wrong in (
            {"for": "2h"}, {"status": "denied"}, {"status": "denied", "for": "31d"}, {"status": "denied", "for": "x"},
            {"status": "denied", "for": "1h", "key": "m1"}, {"status": "denied", "until": "x"},
        ):  # fmt: skip
            assert client.post("/v1/silences", wrong).status == 422


def test_a_failed_state_or_sink_is_told_and_stops_nothing(tmp_path: Path) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    settings = Settings(state=str(tmp_path / "none" / "state"), durability="none")
    with serving(settings, sinks=(full,)) as server:
        warm(server)
        assert "No space left" in server.client.get("/readyz").json()["trouble"]
        assert not server.engine.finish()
        assert "cannot be written" in server.client.get("/healthz").json()["trouble"]
        metrics = server.client.get("/metrics").body.decode()
        assert "txmon_state_failures_total 1.0" in metrics


def test_metrics_count_what_happened(server: Server) -> None:
    warm(server)
    server.post([FAILED, 3])
    answer = server.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert "txmon_records_total 136.0" in text
    assert "txmon_rejects_total 1.0" in text
    assert 'txmon_http_answers_total{code="200",path="/v1/transactions"} 2.0' in text
    assert 'txmon_verdicts_total{recommendation="warming"}' in text
    other = server.client.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert other.headers["content-type"].startswith("application/openmetrics-text")
    assert other.body.endswith(b"# EOF\n")


def test_paths_and_methods_that_are_none(server: Server) -> None:
    assert server.client.get("/v2/verdicts").status == 404
    assert server.client.get("/assets/../app.py").status == 404
    assert server.client.get("/assets/%2e%2e/%2e%2e/cli.py").status == 404
    answer = server.client.get("/v1/transactions")
    assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert server.client.ask("DELETE", "/v1/verdicts").headers["allow"] == "GET, HEAD, OPTIONS"
    head = server.client.ask("HEAD", "/v1/verdicts")
    assert (head.status, head.body) == (200, b"")


def test_a_failure_inside_is_a_500_that_tells_nothing(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.engine.incidents = None  # type: ignore[assignment, method-assign]
    answer = server.client.get("/v1/incidents")
    problem = answer.json()
    assert (answer.status, problem["status"], problem["code"]) == (500, 500, "internal")
    assert problem["detail"] == "unexpected failure. See the server's log"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unexpected TypeError in /v1/incidents" in capsys.readouterr().err
    assert server.client.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:80", 200), ("localhost", 200), ("LOCALHOST:8080", 200), ("[::1]:80", 200), ("10.1.2.3", 200),
     ("txmon.example", 200), ("evil.example", 421), ("localhost.evil.example", 421), ("", 421),
     ("localhost:80@evil.example", 421), ("localhost:", 200), ("127.0.0.1:80:90", 421)],
)  # fmt: skip
def test_a_foreign_host_name_is_refused(host: str, status: int) -> None:
    with serving(Settings(allow_host=("txmon.example",))) as server:
        assert server.client.get("/healthz", Host=host).status == status


def test_another_sites_page_can_write_nothing(server: Server) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        assert server.post(FAILED, **headers).status == 403
    own = f"http://127.0.0.1:{server.port}"
    assert server.post(FAILED, Origin=own, Sec_Fetch_Site="same-origin").status == 200


def test_the_token_is_asked_for() -> None:
    with serving(token=TOKEN) as server:
        for path in ("/v1/verdicts", "/v1/incidents", "/v1/overview", "/v1/stream", "/metrics", "/v1/series/failed"):
            answer = server.client.get(path)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="txmon"')
        for path in ("/healthz", "/readyz", "/openapi.json", "/"):
            assert server.client.get(path).status == 200
        assert server.post(FAILED).status == 401
        assert server.post(FAILED, Authorization="Bearer wrong").status == 401
        assert server.post(FAILED, Authorization=f"Basic {TOKEN}").status == 401
        assert server.post(FAILED, Authorization=f"Bearer {TOKEN}").status == 200


def test_a_body_is_not_read_of_who_has_no_token() -> None:
    with serving(token=TOKEN) as server:
        refused = {"/v1/transactions": b"401", "/v1/login": b"413", "/nothing": b"404", "/metrics": b"405"}
        for path, status in refused.items():
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
            with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
                sock.sendall(head.encode())  # and nothing of the body: the answer comes all the same
                assert sock.recv(1000).startswith(b"HTTP/1.1 " + status)
        for _ in range(100):  # counted after it was sent
            if ("/v1/transactions", 401) in server.app.counters.answers():
                break
            time.sleep(0.05)
        assert server.app.counters.answers()["/v1/transactions", 401] == 1


def test_a_login_begins_a_session_that_ends() -> None:
    with serving(token=TOKEN) as server:
        assert server.client.post("/v1/login", {"token": "wrong"}).status == 401
        answer = server.client.post("/v1/login", {"token": TOKEN})
        assert answer.status == 204
        cookie = answer.headers["set-cookie"]
        assert "; HttpOnly; SameSite=Strict" in cookie
        assert TOKEN not in cookie
        session = cookie.split(";")[0]
        assert server.client.get("/v1/overview", Cookie=f"other=1; {session}").status == 200
        assert server.post(FAILED, Cookie=session, Origin="http://evil.example").status == 403
        until, _, signature = session.partition("=")[2].partition(".")
        later = f"txmon_session={int(until) + 1000}.{signature}"
        assert server.client.get("/v1/overview", Cookie=later).status == 401
        server.clock.now += 3600
        fresh = server.client.get("/v1/overview", Cookie=session)
        assert (fresh.json()["session"], fresh.headers.get("set-cookie")) == (True, None)
        server.clock.now += 6 * 86400  # a session that is used goes on
        renewed = server.client.get("/v1/overview", Cookie=session).headers["set-cookie"].split(";")[0]
        server.clock.now += 2 * 86400
        assert server.client.get("/v1/overview", Cookie=session).status == 401
        assert server.client.get("/v1/overview", Cookie=renewed).status == 200
        server.clock.now += 8 * 86400  # and one that is not ends
        assert server.client.get("/v1/overview", Cookie=renewed).status == 401
        assert "Max-Age=0" in server.client.post("/v1/logout").headers["set-cookie"]


def test_a_login_where_no_token_is_needed_changes_nothing(server: Server) -> None:
    answer = server.client.post("/v1/login", {"token": "any"})
    assert (answer.status, answer.headers.get("set-cookie")) == (204, None)


def test_the_document_lists_the_routes_and_no_others(server: Server) -> None:
    listed = {
        (method.upper(), path) for path, methods in document()["paths"].items() for method in methods
    }  # fmt: skip
    assert listed == {(route.method, route.path) for route in server.app.router.routes if route.listed}
    for route in server.app.router.routes:
        if route.listed:
            operation = document()["paths"][route.path][route.method.lower()]
            assert (operation.get("security") == []) is (not route.scope)
    assert server.client.get("/openapi.json").json() == json.loads(json.dumps(document()))


def test_the_documents_verdict_is_the_contracts() -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return plain(SCHEMA["$defs"][value["$ref"].rpartition("/")[2].lower()])
            return {k: plain(v) for k, v in value.items() if k != "description"}
        return value

    assert plain(SCHEMAS["Verdict"]) == plain(SCHEMA["$defs"]["verdict"])


ODD_LINES = (
    b"", b"{", b'{"time": "x", "status": "failed"}', b'{"time": 1772409600, "status": ""}', b"[1, 2]", b"\xff",
    b'{"time": "2026-03-02T00:40:00Z", "status": "failed", "count": -1}',
    b'{"status": "Failed", "time": "2026-03-02T00:40:30Z"}', b'{"TIME": 1772411999.5, "state": "denied", "n": 3}',
)  # fmt: skip


@pytest.mark.parametrize("kind", ["application/x-ndjson", "text/csv"])
@pytest.mark.parametrize("odd", ["", "ids", "future", "bad"])
def test_a_batch_that_is_added_up_is_answered_as_one_read_line_by_line(
    kind: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer, the same counts, the same rejects in the same places."""
    rows = []
    for i in range(400):
        row: dict[str, object] = {
            "time": minute(i // 8),
            "status": ("approved", "denied", "failed")[i % 3],
            "count": i % 5,
        }
        if odd == "ids":
            row["id"] = str(i % 300)
        if odd == "future" and i in (100, 390):
            row["time"] = "2036-01-01T00:00:00Z"
        rows.append(row)
    if kind == "text/csv":
        lines = [",".join(rows[0]).encode(), *(",".join(map(str, row.values())).encode() for row in rows)]
    else:
        lines = [json.dumps(row).encode() for row in rows]
    if odd == "bad":
        for n, line in enumerate(ODD_LINES):
            lines.insert(40 * n + 7, line)
    answers = []
    for many in (intake.MANY, 10**9):
        monkeypatch.setattr(intake, "MANY", many)
        with serving() as server:
            first, second = lines[:250], [*lines[: kind == "text/csv"], *lines[250:], lines[20]]
            found = [server.post(b"\n".join(part), kind) for part in (first, second)]
            told = [answer.json() for answer in found]
            overview = server.client.get("/v1/overview").json()
            overview.pop("position")
            answers.append((told, overview, server.engine.totals.records, server.engine.farewell()))
    added, read = answers
    assert added[0] == read[0]
    assert added[1:] == read[1:]
    rejected = sum(answer["rejected"] for answer in added[0])
    assert rejected == {"": 0, "ids": 0, "future": 2, "bad": 6 if kind != "text/csv" else 8}[odd]
    assert sum(answer["accepted"] for answer in added[0]) > 390

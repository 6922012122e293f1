"""What the page asks for: incidents of 30 days with their timeline, keys, and ranges of time."""

import csv
import io
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from serving import START, Server, incident, minute, serving, warm

from txmon.model.keys import Key
from txmon.model.verdict import Stated, Verdict
from txmon.server.incident_book import INCIDENTS, KEPT, STEPS
from txmon.server.key_history import BUCKETS, SERIES, KeyHistory, key_text, parse_key
from txmon.server.logged import POINTS, LoggedVerdicts, step_of, thinned
from txmon.settings.declarations import Settings
from txmon.sinks.log_folder import LogFolder

DAY = 86400


def keyed(server: Server, minutes: int = 45, merchants: int = 3) -> None:
    """Post quiet minutes of some merchants."""
    rows = [
        {"time": minute(i), "status": status, "merchant": f"m{m}", "count": count}
        for i in range(minutes)
        for m in range(merchants)
        for status, count in (("approved", 60), ("failed", 1))
    ]
    assert server.post(rows).status == 200


def failing(server: Server, at: int = 45, merchant: str = "m1") -> None:
    """Post two minutes of failures of one merchant, and the rows that close them."""
    for i in (at, at + 1):
        rows = [{"time": minute(i), "status": "approved", "merchant": f"m{m}", "count": 60} for m in range(3)] + [
            {"time": minute(i), "status": "failed", "merchant": merchant, "count": 60}
        ]
        assert server.post(rows).status == 200
    server.post([{"time": minute(at + 3), "status": "approved", "merchant": "m0"}] * 500)


def test_an_incident_has_a_timeline_with_what_people_said_and_who_was_told() -> None:
    with serving() as server:
        warm(server)
        incident(server)
        identity = server.engine.incidents()[0]["id"]
        path = f"/v1/incidents/{identity}"
        server.client.post(f"{path}/ack", {"author": "Ana", "note": "gateway"})
        server.engine.notified([str(identity)], "opened", "teams", "sent")
        found = server.client.get(path).json()
        steps = [(step["kind"], step["what"], step["by"], step["text"]) for step in found["timeline"]]
        assert steps[0][:3] == ("step", "opened", "")
        assert ("word", "acknowledged", "Ana", "gateway") in steps
        assert steps[-1] == ("notification", "opened", "teams", "sent")
        assert (found["acknowledged"], found["author"], found["note"]) == (True, "Ana", "gateway")
        assert server.client.get("/v1/incidents/none").status == 404
        assert server.client.get(f"{path}?x=1").status == 422


def test_the_timeline_survives_a_restart(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    with serving(settings) as server:
        warm(server)
        incident(server)
        identity = server.engine.incidents()[0]["id"]
        server.client.post(f"/v1/incidents/{identity}/ack", {"author": "Ana", "note": "gateway"})
        before = server.client.get(f"/v1/incidents/{identity}").json()["timeline"]
        assert server.engine.save()
    with serving(settings) as server:
        assert server.client.get(f"/v1/incidents/{identity}").json()["timeline"] == before


def test_incidents_are_found_by_state_and_words() -> None:
    with serving() as server:
        warm(server)
        incident(server)
        rows = [{"time": minute(i), "status": "approved", "count": 100} for i in range(48, 90)]
        server.post(rows)
        incident(server, at=90)
        found = server.client.get("/v1/incidents?state=open").json()["incidents"]
        assert [row["start"] for row in found] == ["2026-03-02T01:30:00Z"]
        found = server.client.get("/v1/incidents?state=resolved&find=FAIL").json()["incidents"]
        assert [row["start"] for row in found] == ["2026-03-02T00:45:00Z"]
        assert server.client.get("/v1/incidents?find=nothing-like-it").json() == {"incidents": [], "truncated": False}
        limited = server.client.get("/v1/incidents?limit=1").json()
        assert (len(limited["incidents"]), limited["truncated"]) == (1, True)
        assert limited["incidents"][0]["state"] != "resolved"
        assert server.client.get("/v1/incidents?state=closed").status == 422


def test_resolved_incidents_are_kept_for_30_days_and_no_more_than_there_is_room_for() -> None:
    with serving() as server:
        warm(server)
        incident(server)
        book = server.engine.recent.incidents
        first = book.rows()[0]
        first.state = "resolved"
        for n in range(STEPS + 10):
            first.add_step("step", START, "reminder", str(n))
        assert len(first.steps) == STEPS
        assert (first.steps[0]["what"], first.steps[-1]["text"]) == ("opened", str(STEPS + 9))
        event = server.engine.pipeline.tracker._event("opened", server.engine.pipeline.tracker.open()[0], START + KEPT)
        for n in range(INCIDENTS + 5):
            from dataclasses import replace

            book.take(replace(event, id=f"i{n}", state="resolved", time=START + KEPT))
        assert len(book) == INCIDENTS
        assert book.get(f"i{INCIDENTS + 4}") is not None
        late = replace(event, id="late", time=START + 2 * KEPT + DAY)
        book.take(late)
        assert [row.id for row in book.rows()] == ["late"]


def test_counts_of_an_incident_as_csv() -> None:
    with serving() as server:
        server.post([{"time": minute(i), "status": "=cmd()", "count": 5} for i in range(6)])
        warm(server)
        incident(server)
        identity = server.engine.incidents()[0]["id"]
        answer = server.client.get(f"/v1/incidents/{identity}/counts.csv")
        assert answer.headers["content-type"].startswith("text/csv")
        assert f"{identity}.csv" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        failed = [row for row in rows if row["status"] == "failed" and row["time"] == "2026-03-02T00:45:00Z"]
        assert (failed[0]["count"], failed[0]["recommendation"]) == ("60", "alert")
        assert {row["status"] for row in rows} >= {"'=cmd()", "approved"}  # no spreadsheet computes a name
        assert server.client.get("/v1/incidents/none/counts.csv").status == 404


def test_keys_come_worst_first_and_have_a_history_of_their_own() -> None:
    with serving(Settings(group_by=("merchant",))) as server:
        keyed(server)
        failing(server)
        found = server.client.get("/v1/keys").json()
        assert found["count"] == 3
        worst = found["keys"][0]
        assert (worst["name"], worst["mark"]) == ("merchant=m1", 2)
        assert worst["statuses"]["failed"]["count"] >= 120
        assert worst["excess"] > 100
        assert [row["name"] for row in server.client.get("/v1/keys?find=M2").json()["keys"]] == ["merchant=m2"]
        assert len(server.client.get("/v1/keys?limit=1").json()["keys"]) == 1
        history = server.client.get("/v1/history?key=merchant%3Dm1").json()
        assert [point[1] for point in history["series"]["failed"]][-2:] == [60, 60]
        assert server.client.get("/v1/history?key=merchant%3Dnobody").json()["series"] == {}
        whole = server.client.get("/v1/history").json()["series"]["failed"]
        assert whole[-1][1] == 60
        for wrong in (
            "key=",
            "key=merchant",
            "from=x",
            "from=20260303&to=20260302",
            "to=20260302T00:00:00Z&from=2019-01-01",
        ):
            assert server.client.get(f"/v1/history?{wrong}").status == 422, wrong


@pytest.mark.parametrize("value", ["m1", "a&b=c", "50%", "a b", "a+b", "متجر", "a/b", "#?", ""])
def test_a_key_survives_its_address(value: str) -> None:
    key: Key = (("merchant id", value), ("country", "BR"))
    assert parse_key(key_text(key)) == key
    with serving() as server:
        for path in (f"/keys/{quote(key_text(key), safe='')}", "/incidents/20260302T0045-failed"):
            body = server.client.get(path).body
            assert b'src="../assets/main.js"' in body
            assert b'="assets/' not in body


def told(time: int, key: Key, count: int) -> Verdict:
    return Verdict(time, "failed", key, count, count, 1.0, 2.0, 1, "ok", (), Stated(0, 4, "text"))


def test_the_memory_of_keys_is_bounded_and_forgets_what_is_over() -> None:
    history = KeyHistory(60)
    for n in range(SERIES + 3):
        history.add(told(START, (("m", str(n)),), n), 0)
    assert (len(history), history.left_out) == (SERIES, 3)
    later = START + BUCKETS * 60
    history.add(told(later, (("m", "new"),), 7), 0)  # all others were not seen for as long as a ring reaches
    assert len(history) == 1
    key = (("m", "new"),)
    history.add(told(later + 5 * 60, key, 9), 2)  # nothing came in between
    history.add(told(later, key, 8), 0)  # a correction
    history.add(told(later - BUCKETS * 60, key, 1), 0)  # too late to be of use
    points = history.points(key, 0, later + 3600)["failed"]
    assert [(point[0] - later, point[1]) for point in points] == [
        (0, 8),
        (60, 0),
        (120, 0),
        (180, 0),
        (240, 0),
        (300, 9),
    ]
    assert history.points(key, later + 60, later + 240) == {}
    row = history.rows(60)[0]
    assert (row.mark, row.cells["failed"].count) == (2, 17)


def test_ranges_before_the_last_day_come_from_the_log(tmp_path: Path) -> None:
    log = LogFolder(str(tmp_path / "log"))
    settings = Settings(log=str(tmp_path / "log"), group_by=("merchant",))
    with serving(settings, sinks=[log.accept]) as server:
        keyed(server, minutes=20)
        keyed(server, minutes=1)  # late: nothing changes
        server.post([{"time": minute(2 * 1440), "status": "approved", "merchant": "m0"}] * 500)
        server.post([{"time": minute(2 * 1440 + 3), "status": "approved", "merchant": "m0"}] * 500)
        overview = server.client.get("/v1/overview").json()
        assert overview["oldest"] == "2026-03-02T00:00:00Z"
        assert "2026-03-02T00:05:00Z" not in json.dumps(overview["series"])
        found = server.client.get("/v1/history?from=2026-03-02T00:00:00Z&to=2026-03-02T00:19:00Z").json()
        assert found["step"] == 60
        assert [point[1] for point in found["series"]["approved"]] == [180] * 20
        one = server.client.get(
            "/v1/history?from=2026-03-02T00:00:00Z&to=2026-03-02T00:19:00Z&key=merchant%3Dm1"
        ).json()
        assert [point[1] for point in one["series"]["approved"]] == [60] * 20
        long = server.client.get("/v1/history?from=2026-03-02T00:00:00Z&to=2026-03-04T00:03:00Z").json()
        assert long["step"] == 120
        assert len(long["series"]["*"]) <= POINTS
        assert long["series"]["approved"][0][:2] == [START, 180.0]
    log.close()


def test_a_log_with_damage_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    line = '{"time": "2026-03-02T00:01:00Z", "status": "failed", "count": 3, "expected": 1, "low": 0, "high": 4'
    tail = ', "score": 1, "recommendation": "ok", "reasons": ["unobserved"], "text": ""}\n'
    (tmp_path / "verdicts-20260302T00.jsonl").write_text(line + tail + "no line\n" + line)
    (tmp_path / "verdicts-20269902T00.jsonl").write_text("")
    log = LoggedVerdicts(str(tmp_path))
    assert log.oldest() == START  # there is no month 99
    assert log.points(None, START, START + 3600) == ({"failed": [[START + 60, 3, 1, 0, 4, 1, -1]]}, START)
    assert LoggedVerdicts(str(tmp_path / "none")).points(None, 0, START) == ({}, 0)


def test_points_are_thinned_to_means_with_the_gravest_mark() -> None:
    points = [[60.0 * i, i, 2.0, 0, 4, (-1) ** i * i, 2 if i == 3 else 0] for i in range(6)]
    assert step_of(0, 360, 60) == 60
    assert step_of(0, 30 * DAY, 60) == 29 * 60
    assert thinned(points, 180) == [[0, 1.0, 2.0, 0.0, 4.0, 2, 0], [180, 4.0, 2.0, 0.0, 4.0, -5, 2]]


def test_icons_have_numbers() -> None:
    with serving() as server:
        assert b">3<" in server.client.get("/icons/3").body
        assert b">9+<" in server.client.get("/icons/12").body
        assert server.client.get("/icons/x").status == 404

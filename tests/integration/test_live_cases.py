"""Live operation with real processes: what is late, ahead, silent, unobserved, closed, and long past."""

import json
import random
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_tools import TXMON, txmon

MINUTE = 60


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes(now: int, first: int, last: int, failing: range = range(0)) -> list[str]:
    """Rows of the minutes from `first` to before `last`, counted from `now`; in `failing`, 60 failed each."""
    chance = random.Random(first)
    rows = []
    for minute in range(first, last):
        failed = 60 if minute in failing else chance.randint(0, 2)
        rows.append(f"{stamp(now + minute * MINUTE)},approved,{chance.randint(90, 110)}")
        rows.append(f"{stamp(now + minute * MINUTE)},failed,{failed}")
    return rows


def table(rows: list[str]) -> bytes:
    return "\n".join(["time,status,count", *rows, ""]).encode()


def incidents(lines: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(line["state"], line["label"], line["time"]) for line in lines if line.get("event") == "incident"]


def this_minute() -> int:
    return int(time.time()) // MINUTE * MINUTE


def simulated(path: Path, *options: str) -> Path:
    done = txmon("simulate", "--seed", "3", *options, "--out", path)
    assert done.code == 0
    return path


@contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """A server with its state, its verdicts and what it says in `folder`; its address."""
    with (folder / "err").open("ab") as err, subprocess.Popen(
        [TXMON, "serve", "--port", "0", "--state", "state", "--out", "verdicts.jsonl", *options],
        cwd=folder, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        try:
            line = process.stderr.readline().decode()
            yield line.split()[-1].rstrip("/")
        finally:
            process.send_signal(signal.SIGTERM)
            err.write(process.stderr.read())
            assert process.wait(20) == 0


def post(address: str, body: bytes, kind: str = "text/csv", path: str = "/v1/transactions") -> Any:
    request = urllib.request.Request(address + path, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith("{") else text


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]


def cards(spool: Path) -> list[Mapping[str, Any]]:
    """The notifications that wait in a spool, oldest first."""
    return [json.loads(json.loads(file.read_text())["body"]) for file in sorted((spool / "webhook").glob("*.json"))]


@pytest.mark.parametrize("strays", [1, 3])
@pytest.mark.parametrize("ahead", [1, 2, 5, 40])
def test_rows_ahead_of_a_piped_feed_change_no_incident(strays: int, ahead: int) -> None:
    now = this_minute()
    rows = minutes(now, -180, 1, failing=range(-50, -40))
    plain = txmon("watch", stdin=table(rows))
    stray = [f"{stamp(now + (ahead - 60) * MINUTE)},approved,1"] * strays
    done = txmon("watch", stdin=table([*rows[:241], *stray, *rows[241:]]))
    assert [(state, label) for state, label, _ in incidents(plain.lines)] == [
        ("opened", "failures"), ("resolved", "failures"),
    ]  # fmt: skip
    assert incidents(done.lines) == incidents(plain.lines)
    counted = {line["time"]: line["count"] for line in done.volume()}
    before = {line["time"]: line["count"] for line in plain.volume()}
    place = stamp(now + (ahead - 60) * MINUTE)
    assert counted == {**before, place: before[place] + strays}
    assert "after" not in done.err


def test_a_followed_file_with_a_row_ahead_goes_on(tmp_path: Path) -> None:
    now = this_minute()
    rows = minutes(now, -120, -1, failing=range(-50, -40))
    (tmp_path / "app.csv").write_bytes(table([*rows[:120], f"{stamp(now - 20 * MINUTE)},approved,1", *rows[120:]]))
    with subprocess.Popen(
        [TXMON, "watch", "--follow", "app.csv", "--out", "verdicts.jsonl"], cwd=tmp_path, stderr=subprocess.PIPE
    ) as process:
        try:
            found: list[tuple[str, str, str]] = []
            until = time.monotonic() + 30
            while len(found) < 2 and time.monotonic() < until:
                time.sleep(0.1)
                if (tmp_path / "verdicts.jsonl").exists():
                    text = (tmp_path / "verdicts.jsonl").read_text()
                    found = incidents([json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            said = process.stderr.read().decode()
    assert [(state, label) for state, label, _ in found] == [("opened", "failures"), ("resolved", "failures")]
    assert found[0][2] == stamp(now - 50 * MINUTE)
    assert "after" not in said


def test_a_client_an_hour_ahead_neither_blinds_the_server_nor_makes_others_late(tmp_path: Path) -> None:
    now = this_minute()
    with served(tmp_path) as address:
        assert post(address, table(minutes(now, -180, 0)))["late"] == 0
        for ahead in (59, 3):
            row = json.dumps({"time": stamp(time.time() + ahead * MINUTE), "status": "approved"}).encode()
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(address, row, "application/json")
            assert "in the future" in refused.value.read().decode()
        for _ in range(5):  # within the two minutes that a clock may be ahead
            post(
                address,
                json.dumps({"time": stamp(time.time() + 100), "status": "approved"}).encode(),
                "application/json",
            )
        answer = post(address, table([f"{stamp(time.time())},failed,150"]))
        assert (answer["late"], answer["recommendation"]) == (0, "alert")
    assert [line for line in incidents(written(tmp_path)) if line[1] == "silence"] == []


def test_the_time_in_which_a_server_did_not_run_is_unobserved(tmp_path: Path) -> None:
    now = this_minute()
    with served(tmp_path) as address:
        post(address, table(minutes(now, -200, -15)))
    with served(tmp_path) as address:
        post(address, table(minutes(now, -1, 1)))
    lines = written(tmp_path)
    assert incidents(lines) == []
    unobserved = [line["time"] for line in lines if line.get("reasons") == ["unobserved"] and line["count"] == 0]
    assert unobserved == [stamp(now + minute * MINUTE) for minute in range(-15, -1)]
    assert [line["text"] for line in lines if line["time"] == stamp(now - 5 * MINUTE)] == [
        "not observed: txmon was not running or not connected"
    ]


def test_the_time_between_two_pipes_is_unobserved_and_that_of_a_file_is_silence(tmp_path: Path) -> None:
    now = this_minute()
    before, after = minutes(now, -200, -15), minutes(now, -1, 1)
    state = tmp_path / "state"
    found = [*txmon("watch", "--state", state, stdin=table(before)).lines]
    found += txmon("watch", "--state", state, stdin=table(after)).lines
    assert incidents(found) == []
    assert len([line for line in found if line.get("reasons") == ["unobserved"]]) == 14
    (tmp_path / "all.csv").write_bytes(table([*before, *after]))
    replayed = txmon("replay", tmp_path / "all.csv")
    assert incidents(replayed.lines)[0][:2] == ("opened", "silence")


WEEK = [
    "--days", "7", "--incident", "denied:x4@d2,10:00/20m", "--incident", "failed:+12@d3,12:00/10m",
    "--incident", "silence@d5,14:00/30m",
]  # fmt: skip


def watched(folder: Path, *options: str) -> str:
    """What `watch --follow log.csv --notify` says, run until the log has been read."""
    with subprocess.Popen(
        [TXMON, "watch", "--follow", "log.csv", "--state", "state", "--out", "verdicts.jsonl", "--notify", "--spool",
         "spool", "--flush-timeout", "0", *options],
        cwd=folder, stderr=subprocess.PIPE, env={"TXMON_WEBHOOK": "http://127.0.0.1:1/", "PATH": "/usr/bin:/bin"},
    ) as process:  # fmt: skip
        newest = (folder / "log.csv").read_text().splitlines()[-2].split(",")[0][:16]
        until = time.monotonic() + 40
        while time.monotonic() < until:
            time.sleep(0.2)
            out = folder / "verdicts.jsonl"
            if out.exists() and newest in out.read_text()[-2000:]:
                break
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        return process.stderr.read().decode()


def test_the_first_start_notifies_nobody_of_last_week(tmp_path: Path) -> None:
    simulated(tmp_path / "log.csv", *WEEK)
    said = watched(tmp_path)
    ended = len([line for line in written(tmp_path) if line.get("state") == "resolved"])
    assert ended >= 3
    assert cards(tmp_path / "spool") == []
    assert f"notifications: {ended} incidents not sent, over for more than 1h (--max-age)" in said


def test_what_is_still_open_at_the_first_start_is_told(tmp_path: Path) -> None:
    now = this_minute()
    rows = minutes(now, -400, 0, failing=range(-380, -370))
    rows = minutes(now, -400, -300) + minutes(now, -300, -290, failing=range(-300, -290)) + minutes(now, -290, -90)
    rows += minutes(now, -90, 0, failing=range(-90, 0))
    (tmp_path / "log.csv").write_bytes(table(rows))
    said = watched(tmp_path, "--level-shift", "1d")
    assert cards(tmp_path / "spool")[0]["kind"] == "opened"
    assert {card["kind"] for card in cards(tmp_path / "spool")} <= {"opened", "reminder", "escalated"}
    assert "notifications: 1 incident not sent, over for more than 1h" in said


def test_an_age_can_be_chosen(tmp_path: Path) -> None:
    simulated(tmp_path / "log.csv", *WEEK)
    said = watched(tmp_path, "--max-age", "0")
    assert len(cards(tmp_path / "spool")) >= 6
    assert "not told" not in said


DEAD = ["--days", "2", "--incident", "silence@d1,12:00/9h"]


def replayed(tmp_path: Path, source: Path) -> list[tuple[str, str, str]]:
    """The notifications of a replay: time, kind, title."""
    import os

    done = subprocess.run(
        [TXMON, "replay", source, "--notify", "--flush-timeout", "0", "--spool", "spool", "--out", "verdicts.jsonl",
         "--trend-every", "0"],
        cwd=tmp_path, env={**os.environ, "TXMON_WEBHOOK": "http://127.0.0.1:1/"}, check=True, capture_output=True,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    return [(card["time"], card["kind"], card["title"]) for card in cards(tmp_path / "spool")]


def test_a_silent_feed_stays_an_incident_until_rows_come(tmp_path: Path) -> None:
    found = replayed(tmp_path, simulated(tmp_path / "dead.csv", *DEAD))
    assert found[0][:2] == ("2026-03-03T12:00:00Z", "opened")
    resolved = [time for time, kind, _ in found if kind == "resolved"]
    assert len(resolved) == 1
    assert "2026-03-03T21:00" < resolved[0] < "2026-03-03T21:30"
    assert len([kind for _, kind, _ in found if kind == "reminder"]) >= 7
    expected = [line["expected"] for line in written(tmp_path) if line.get("time") == "2026-03-03T18:00:00Z"]
    assert max(expected) > 50


def test_nothing_is_resolved_because_the_feed_died(tmp_path: Path) -> None:
    source = simulated(tmp_path / "all.csv", "--days", "2", "--incident", "failed:+12@d1,12:00/60m")
    rows = source.read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.csv"
    cut.write_text("".join(row for row in rows if not "2026-03-03T12:08" <= row[:16] < "2026-03-03T12:48"))
    found = replayed(tmp_path, cut)
    resolved = [time for time, kind, title in found if kind == "resolved" and "failures" in title]
    opened = [time for time, kind, title in found if kind == "opened" and "failures" in title]
    assert len(opened) == 1
    assert resolved
    assert min(resolved) > "2026-03-03T13:00"


def test_closed_hours_of_a_file_are_said_in_replay_and_watch_alike(tmp_path: Path) -> None:
    source = simulated(tmp_path / "open.csv", "--days", "6")
    rows = source.read_text().splitlines(keepends=True)
    # closed at night: no rows from 20:00 to 08:00
    kept = [rows[0], *(row for row in rows[1:] if "08" <= row[11:13] < "20")]
    source.write_text("".join(kept))
    (tmp_path / "txmon.toml").write_text('[[closed]]\ntime = "20:00-08:00"\n')
    found = {}
    for name, command in (("replay", ["replay", "open.csv"]), ("watch", ["watch"])):
        done = subprocess.run(
            [TXMON, *command], cwd=tmp_path, input=source.read_bytes(), capture_output=True, check=True
        )
        found[name] = done.stdout
    assert found["watch"] == found["replay"]
    lines = [json.loads(line) for line in found["replay"].splitlines()]
    closed = [line for line in lines if line.get("reasons") == ["closed"]]
    assert len(closed) == 5 * 12 * 60
    assert {(line["recommendation"], line["count"]) for line in closed} == {("ok", 0)}
    assert [line for line in incidents(lines) if line[1] in ("silence", "volume loss")] == []

"""Whole days as people hear of them: real commands, a receiver in a process of its own, and the real Alertmanager."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from paths import SHARED

from conftest import Start

TXMON = str(Path(sys.executable).with_name("txmon"))
Rows = Callable[[int], dict[str, int]]
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def table(start: datetime, first: int, last: int, of: Rows) -> str:
    """CSV rows of these minutes after `start`, without a header."""
    lines = []
    for minute in range(first, last):
        stamp = (start + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines += [f"{stamp},{status},{count}" for status, count in of(minute).items()]
    return "\n".join(lines) + "\n" if lines else ""


def events_of(path: Path) -> list[dict[str, Any]]:
    """The incident lines of a file, as far as they are whole."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines if '"event": "incident"' in line]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **more}


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [TXMON, *arguments], cwd=folder, env=environment(folder, **env), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def story(folder: Path, receiver: Start, text: str, *arguments: str) -> list[tuple[str, str, str]]:
    """(kind, time of day, text) of what a replay of these rows sends."""
    endpoint = receiver({"code": 200})
    (folder / "day.csv").write_text("time,status,count\n" + text)
    run(folder, "replay", "day.csv", "--notify", "--trend-every", "0", "--out", "v.jsonl", *arguments,
        TXMON_WEBHOOK=endpoint.url)  # fmt: skip
    found = [json.loads(row["body"]) for row in endpoint.requests]
    return [(row["kind"], row["time"][11:16], row["text"]) for row in found]


def busy(minute: int) -> int:
    """Around 100 approved, without chance."""
    return 95 + minute * 7 % 11


def test_a_dead_feed_is_open_until_rows_come(tmp_path: Path, receiver: Start) -> None:
    """Nine hours without a row: longer than any memory of what was usual."""
    text = table(START, 0, 720, lambda m: {} if 120 <= m < 660 else {"approved": busy(m), "denied": 7})
    told = story(tmp_path, receiver, text)
    assert told[0][:2] == ("opened", "10:00")
    assert told[-1][:2] == ("resolved", "19:04")
    assert {kind for kind, _, _ in told[1:-1]} == {"reminder"}
    assert len(told) >= 8
    assert all("No data since 10:00." in words for _, _, words in told[:-1])


def test_failures_are_not_over_because_the_feed_died(tmp_path: Path, receiver: Start) -> None:
    def rows(m: int) -> dict[str, int]:
        if 128 <= m < 168:
            return {}
        return {"approved": busy(m), "failed": 12 if 120 <= m < 180 else 0}

    told = story(tmp_path, receiver, table(START, 0, 240, rows))
    assert [one[:2] for one in told] == [("opened", "10:00"), ("no data", "10:08"), ("resolved", "11:04")]
    assert told[1][2].startswith("No data since 10:08.")
    assert len({event["id"] for event in events_of(tmp_path / "v.jsonl")}) == 1


def test_six_hours_of_denials_are_no_new_normal(tmp_path: Path, receiver: Start) -> None:
    text = table(START, 0, 540, lambda m: {"approved": busy(m), "denied": 32 if 120 <= m < 480 else 8})
    told = story(tmp_path, receiver, text)
    assert told[0][:2] == ("opened", "10:01")
    [changed] = [one for one in told if one[0] == "changed level"]
    assert changed[1] < "13:00"
    assert "times the usual" in changed[2]
    assert [one[1] for one in told if one[0] == "resolved"] == ["16:03"]


def test_what_goes_on_and_off_is_told_once(tmp_path: Path, receiver: Start) -> None:
    text = table(START, 0, 420, lambda m: {"approved": busy(m), "failed": 12 if 120 <= m < 360 and m % 10 < 2 else 0})
    told = story(tmp_path, receiver, text)
    assert [one[0] for one in told] == ["opened", "resolved", "reopened", "resolved"]
    last = json.loads(
        next(line for line in reversed((tmp_path / "v.jsonl").read_text().splitlines()) if "event" in line)
    )
    assert "on and off since 10:00, 24 times" in last["text"]


def test_a_replay_ends_with_a_table_of_what_was_sent(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver({"code": 200})
    text = table(START, 0, 200, lambda m: {"approved": busy(m), "failed": 30 if 120 <= m < 130 else 0})
    (tmp_path / "day.csv").write_text("time,status,count\n" + text)
    done = run(tmp_path, "replay", "day.csv", "--notify", "--out", "v.jsonl", TXMON_WEBHOOK=endpoint.url)
    lines = done.stderr.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("time (UTC)"))
    assert [line.split() for line in lines[at : at + 2]] == [
        ["time", "(UTC)", "severity", "notification", "to"],
        ["2026-03-02", "10:00", "critical", "Opened:", "failures", "-", "failed", "webhook"],
    ]
    assert "2 notifications of 1 incident: 1 opened, 1 resolved" in lines


class Watch:
    """A `txmon watch` that follows a file with a state."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self.folder = folder
        with (folder / "err").open("a") as err:
            self.process = subprocess.Popen(
                [TXMON, "watch", "--follow", "app.csv", "--state", "s", "--out", "v.jsonl", *arguments], cwd=folder,
                env=environment(folder, **env), stdout=subprocess.DEVNULL, stderr=err,
            )  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        return events_of(self.folder / "v.jsonl")

    def until(self, done: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, (self.folder / "err").read_text()
            time.sleep(0.05)

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        return (self.folder / "err").read_text()


def denials(m: int) -> dict[str, int]:
    """7 denied a minute, then 40."""
    return {"approved": busy(m), "denied": 40 if m >= 120 else 5 + m % 5}


def until_opened(folder: Path, of: Rows, last: int) -> str:
    """Rows up to an open incident, read by a run that then stops; the incident's id."""
    (folder / "app.csv").write_text("time,status,count\n" + table(START, 0, last, of))
    watch = Watch(folder)
    watch.until(watch.events)
    watch.stop()
    return str(watch.events()[0]["id"])


def go_on(folder: Path, of: Rows, first: int, last: int) -> list[str]:
    with (folder / "app.csv").open("a") as file:
        file.write(table(START, first, last, of))
    watch = Watch(folder)
    watch.until(lambda: watch.events()[-1]["state"] == "resolved")
    watch.stop()
    return [event["state"] for event in watch.events()]


def test_what_is_acknowledged_while_nothing_runs_counts_before_the_first_row(tmp_path: Path) -> None:
    def rows(m: int) -> dict[str, int]:
        return denials(m) if m < 220 else {"approved": busy(m), "denied": 7}

    identity = until_opened(tmp_path, rows, 130)
    run(tmp_path, "ack", identity, "--state", "s", "--author", "ana", "--note", "the issuer knows")
    assert go_on(tmp_path, rows, 130, 260) == ["opened", "resolved"]


def test_what_becomes_twenty_times_worse_is_told_although_it_is_acknowledged(tmp_path: Path) -> None:
    def rows(m: int) -> dict[str, int]:
        return {"approved": busy(m), "denied": 800} if 170 <= m < 230 else denials(m) if m < 230 else denials(0)

    identity = until_opened(tmp_path, rows, 130)
    run(tmp_path, "ack", identity, "--state", "s")
    assert go_on(tmp_path, rows, 130, 270) == ["opened", "worsened", "resolved"]


@pytest.mark.parametrize(
    ("words", "states"),
    [
        (("ack", "ID", "--accept", "--note", "a new issuer"), ["opened", "resolved"]),
        (("ack", "ID", "--undo"), ["opened", "reminder", "resolved"]),
        (("ack", "ID", "--ignore"), ["opened", "resolved"]),
    ],
)
def test_an_incident_is_accepted_ignored_or_no_longer_acknowledged(
    tmp_path: Path, words: tuple[str, ...], states: list[str]
) -> None:
    identity = until_opened(tmp_path, denials, 130)
    run(tmp_path, *[identity if word == "ID" else word for word in words], "--state", "s")
    calm: Rows = lambda m: denials(m) if m < 200 else {"approved": busy(m), "denied": 7}  # noqa: E731
    found = go_on(tmp_path, calm, 130, 240)
    assert found[: len(states)] == states or (words[2] == "--accept" and found[:2] == states)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ack", "nobody"), 2, "no open incident 'nobody'"),
        (("ack", "ID", "--undo", "--accept"), 2, "--undo, --accept and --ignore exclude each other. Give one of them."),
        (("silence", "denied"), 2, "A silence needs an end"),
        (("silence", "denied", "--for", "0s"), 2, "a silence lasts from 1s to 30d"),
        (("silence", "denied", "--for", "soon"), 2, "is not a duration"),
        (("silence", "denied", "--for", "31d"), 2, "a silence lasts from 1s to 30d"),
        (("silence", "failed", "--for", "1h"), 2, "failed is silenced until"),
        (("silence", "denied", "--end"), 2, "denied is not silenced; silenced: failed"),
        (("silence", "denied", "--for", "1h", "--key", "m1"), 2, "is not COLUMN=VALUE. Use for example merchant=m1."),
        (("silence", "--for", "1h"), 2, "STATUS is missing. Name a status"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...], code: int, message: str,
    stopped: tuple[Path, str],
) -> None:  # fmt: skip
    folder, identity = stopped
    done = subprocess.run(
        [TXMON, *[identity if word == "ID" else word for word in arguments], "--state", "s"], cwd=folder,
        env=environment(folder), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if "Usage" not in line and "Try" not in line and line]) == 1


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the state of a run that has stopped, and the incident in it; `failed` is silenced."""
    folder = tmp_path_factory.mktemp("stopped")
    identity = until_opened(folder, denials, 130)
    run(folder, "silence", "failed", "--for", "2h", "--note", "load test", "--state", "s")
    return folder, identity


def test_silences_are_listed_and_ended(stopped: tuple[Path, str]) -> None:
    folder, _ = stopped
    assert "failed until " in run(folder, "silence", "--state", "s").stdout
    run(folder, "silence", "refunded", "--for", "1h", "--key", "merchant=m1", "--state", "s")
    assert "refunded merchant=m1 until " in run(folder, "silence", "--state", "s").stdout
    narrower = (
        ("refunded", "--key", "merchant=m1", "--key", "country=BR", "--for", "30m"),
        ("failed", "--key", "a=b", "--for", "1h"),
    )  # fmt: skip
    for arguments in narrower:
        done = subprocess.run(
            [TXMON, "silence", *arguments, "--state", "s"], cwd=folder, env=environment(folder), capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "already, by the silence of " in done.stderr
    run(folder, "silence", "failed", "--key", "a=b", "--for", "3h", "--state", "s")  # longer than the other
    run(folder, "silence", "refunded", "--key", "merchant=m1", "--end", "--state", "s")
    assert "refunded" not in run(folder, "silence", "--state", "s").stdout


def test_nobody_is_told_of_what_ended_long_ago(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver({"code": 200})
    rows: Rows = lambda m: {"approved": busy(m), "failed": 12 if 120 <= m < 130 or 300 <= m < 310 else 0}  # noqa: E731
    (tmp_path / "app.csv").write_text("time,status,count\n" + table(START, 0, 400, rows))
    watch = Watch(tmp_path, "--notify", TXMON_WEBHOOK=endpoint.url)
    watch.until(lambda: [one["state"] for one in watch.events()].count("resolved") == 2)
    assert "2 incidents not sent, over for more than 1h (--max-age)" in watch.stop()
    assert endpoint.requests == []


def recent(minutes: int) -> datetime:
    """The start of a stream that ends about now."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def test_steps_that_a_receiver_missed_arrive_as_one_in_order(tmp_path: Path, receiver: Start) -> None:
    """The receiver refuses until both incidents are over; then each is told once, the first first."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    rows: Rows = lambda m: {  # noqa: E731
        "approved": busy(m), "failed": 12 if 120 <= m < 125 else 0, "denied": 60 if 150 <= m < 155 else 7,
    }  # fmt: skip
    (tmp_path / "app.csv").write_text("time,status,count\n" + table(recent(175), 0, 174, rows))
    watch = Watch(
        tmp_path, "--notify", "--flush-timeout", "0", "--trend-every", "0", TXMON_WEBHOOK=f"http://127.0.0.1:{port}/"
    )
    watch.until(lambda: [one["state"] for one in watch.events()].count("resolved") == 2)
    watch.stop()
    endpoint = receiver({"code": 200})
    again = Watch(tmp_path, "--notify", "--trend-every", "0", TXMON_WEBHOOK=endpoint.url)
    again.until(lambda: len(endpoint.requests) >= 2)
    again.stop()
    told = [json.loads(row["body"]) for row in endpoint.requests]
    assert [(one["kind"], one["incidents"][0]["dedup_key"].partition("-")[2]) for one in told] == [
        ("resolved", "failed"), ("resolved", "denied"),
    ]  # fmt: skip
    assert all([step["state"] for step in one["delivered_late"]] == ["opened"] for one in told)
    assert all("Delivered late: opened " in one["text"] for one in told)


def test_a_receiver_that_is_slow_gets_no_copies(tmp_path: Path, receiver: Start) -> None:
    """It takes longer than it has, and may have got the notification: the same one is not sent again at once."""
    slow = receiver({"hang": True})
    rows: Rows = lambda m: {"approved": busy(m), "failed": 12 if 120 <= m < 125 else 0}  # noqa: E731
    (tmp_path / "day.csv").write_text("time,status,count\n" + table(START, 0, 124, rows))
    flags = ("--notify", "--notify-timeout", "1s", "--flush-timeout", "6s", "--spool", "sp", "--out", "v.jsonl")
    done = run(tmp_path, "replay", "day.csv", *flags, TXMON_WEBHOOK=slow.url)
    assert len(slow.requests) == 1
    assert "webhook: no answer in time" in done.stderr
    assert "1 not sent yet, kept in sp/webhook" in done.stderr
    quick = receiver({"code": 200})
    (tmp_path / "empty.csv").write_text("time,status,count\n2026-03-02T08:00:00Z,approved,1\n")
    run(tmp_path, "replay", "empty.csv", *flags, TXMON_WEBHOOK=quick.url)
    first, again = json.loads(slow.requests[0]["body"]), json.loads(quick.requests[0]["body"])
    assert again["id"] == first["id"]  # by which a receiver knows what it got already


def test_a_route_to_a_channel_that_is_not_set_up_is_refused(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("time,status,count\n2026-03-02T10:00:00Z,approved,1\n")
    (tmp_path / "txmon.toml").write_text('[[route]]\nseverity = ["critical"]\nto = ["teams"]\n')
    done = subprocess.run(
        [TXMON, "replay", "day.csv", "--notify"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=environment(tmp_path, TXMON_WEBHOOK="http://127.0.0.1:1/"),
    )  # fmt: skip
    assert done.returncode == 78
    assert (
        done.stderr.splitlines()[-1]
        == "txmon: route severity=critical;to=teams: no channel 'teams' is set up (webhook)"
    )


def test_routes_lead_by_severity(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver({"code": 200})
    (tmp_path / "txmon.toml").write_text(
        'exec = "tee -a told"\n[[route]]\nseverity = ["critical"]\nto = ["webhook"]\n\n[[route]]\nto = ["exec"]\n'
    )
    rows: Rows = lambda m: {  # noqa: E731
        "approved": busy(m), "failed": 5 if 120 <= m < 125 else 0, "denied": 80 if 200 <= m < 205 else 7,
    }  # fmt: skip
    (tmp_path / "day.csv").write_text("time,status,count\n" + table(START, 0, 300, rows))
    run(tmp_path, "replay", "day.csv", "--notify", "--trend-every", "0", "--out", "v", TXMON_WEBHOOK=endpoint.url)
    critical = [json.loads(row["body"])["incidents"][0]["severity"] for row in endpoint.requests]
    others = [json.loads(line)["incidents"][0]["severity"] for line in (tmp_path / "told").read_text().splitlines()]
    assert critical == ["critical", "critical"]
    assert others == ["warning", "warning"]


# the real Alertmanager


class Manager:
    """Alertmanager on a free port, with a configuration of the test's own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = folder / "alertmanager.yml"
        config.write_text("route: {receiver: none, group_by: [alertname]}\nreceivers: [{name: none}]\n")
        with (folder / "alertmanager.log").open("w") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus-alertmanager", "--log.level=debug", f"--config.file={config}",
                    f"--storage.path={folder / 'am'}",
                    f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.until(self.is_ready)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def until(self, done: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v2/{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, row: object) -> Any:
        data = json.dumps(row).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    if shutil.which("prometheus-alertmanager") is None:
        pytest.skip("prometheus-alertmanager is not installed")
    one = Manager(tmp_path)
    yield one
    one.process.terminate()
    one.process.wait(20)


def test_alertmanager_gets_alerts_that_group_are_silenced_and_resolve(tmp_path: Path, manager: Manager) -> None:
    start = recent(140)

    def rows(m: int) -> str:
        failed = {"m1": 30 if 120 <= m < 130 else 0, "m2": 20 if 125 <= m < 200 else 0}
        both = {f"approved,{key}": busy(m) for key in failed} | {f"failed,{key}": bad for key, bad in failed.items()}
        return table(start, m, m + 1, lambda _: both)

    head = "time,status,merchant,count\n"
    (tmp_path / "app.csv").write_text(head + "".join(rows(m) for m in range(128)))
    flags = ("--notify", "--group-by", "merchant", "--alertmanager", manager.url, "--trend-every", "0")
    watch = Watch(tmp_path, *flags)
    manager.until(lambda: len(manager.get("alerts")) == 2)
    alerts = manager.get("alerts")
    assert {one["labels"]["merchant"] for one in alerts} == {"m1", "m2"}
    assert {one["labels"]["alertname"] for one in alerts} == {"failures"}
    assert all(one["labels"]["status"] == "failed" and one["labels"]["severity"] == "critical" for one in alerts)
    assert all("failed, normal is 0 to" in one["annotations"]["summary"] for one in alerts)
    assert [one["labels"] for one in manager.get("alerts/groups")] == [{"alertname": "failures"}]
    now = datetime.now(UTC)
    manager.post("silences", {
        "matchers": [{"name": "merchant", "value": "m2", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(), "createdBy": "ana",
        "comment": "known",
    })  # fmt: skip
    manager.until(lambda: {one["status"]["state"] for one in manager.get("alerts")} == {"active", "suppressed"})
    with (tmp_path / "app.csv").open("a") as file:
        file.write("".join(rows(m) for m in range(128, 139)))
    manager.until(lambda: [one["labels"]["merchant"] for one in manager.get("alerts")] == ["m2"])
    watch.stop()


def test_alertmanager_hears_only_of_what_is_routed_there(tmp_path: Path, manager: Manager) -> None:
    """Also in what is repeated for as long as it is open, which Alertmanager would take for new."""
    (tmp_path / "txmon.toml").write_text(
        'exec = "tee -a told"\n[[route]]\nstatus = ["failed"]\nto = ["alertmanager"]\n\n[[route]]\nto = ["exec"]\n'
    )
    start = recent(130)

    def rows(m: int) -> str:
        bad = {"failed,m1": 30 if m >= 125 else 0, "denied,m2": 80 if m >= 120 else 7}
        return table(start, m, m + 1, lambda _: {"approved,m1": busy(m), "approved,m2": busy(m), **bad})

    (tmp_path / "app.csv").write_text("time,status,merchant,count\n" + "".join(rows(m) for m in range(129)))
    watch = Watch(tmp_path, "--notify", "--group-by", "merchant", "--alertmanager", manager.url, "--trend-every", "0")
    manager.until(lambda: manager.get("alerts") and (tmp_path / "told").exists())
    log = tmp_path / "alertmanager.log"
    manager.until(lambda: log.read_text().count("component=dispatcher") >= 3)  # the first post, and what repeats it
    assert {one["labels"]["merchant"] for one in manager.get("alerts")} == {"m1"}
    watch.stop()


@pytest.mark.skipif(not (SHARED / "data" / "unlabelled").exists(), reason="the file of three days is not here")
def test_each_outage_of_three_days_is_one_incident(tmp_path: Path) -> None:
    lines = (SHARED / "data" / "unlabelled" / "transactions_3.csv").read_text().splitlines()
    (tmp_path / "days.csv").write_text("\n".join([lines[0], *sorted(lines[1:])]) + "\n")
    run(tmp_path, "replay", "days.csv", "--only", "alerts", "--out", "v.jsonl")
    events = events_of(tmp_path / "v.jsonl")
    opened = [event for event in events if event["state"] == "opened"]
    assert 12 <= len(opened) <= 16
    assert len(opened) == len({event["id"] for event in events})
    starts = [datetime.fromisoformat(event["start"]) for event in opened]
    assert all(later - earlier > timedelta(minutes=30) for earlier, later in pairwise(starts))

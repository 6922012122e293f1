"""Notifications as the shell sees them: the installed txmon, a receiver of the tests' own, real data."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from paths import ROOT, TESTS

from conftest import FLOW, SIGNATURE, Endpoint, Start, card_id

TXMON = str(Path(sys.executable).with_name("txmon"))
SCHEMA = json.loads((TESTS / "data" / "adaptive-card-1.4.schema.json").read_text())
SAMPLE = str(ROOT / "examples" / "transactions.csv")
REAL = ROOT.parent / "shared" / "data" / "transactions_2.csv"
needs_data = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", **more}


def txmon(tmp_path: Path, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TXMON, *arguments],
        capture_output=True, text=True, cwd=tmp_path, env=environment(tmp_path, **env), timeout=60, check=False,
    )  # fmt: skip


def all_texts(folder: Path) -> bytes:
    """Every byte that a run left in a folder, names too; not what the receiver wrote down."""
    paths = [path for path in folder.rglob("*") if not path.name.startswith("received")]
    return b"\n".join([p.name.encode() for p in paths] + [p.read_bytes() for p in paths if p.is_file()])


def assert_no_secret(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    found = all_texts(folder) + done.stdout.encode() + done.stderr.encode()
    assert SIGNATURE.encode() not in found
    assert FLOW.encode() not in found


@needs_data
def test_a_real_day_is_at_most_twenty_cards(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver({"code": 202})
    env = {"TXMON_TEAMS_WEBHOOK": endpoint.url}
    done = txmon(tmp_path, "replay", str(REAL), "--date", "2026-03-02", "--notify", "--out", "out.jsonl", env=env)
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    events = [(row["state"], row["id"]) for row in rows if row.get("event") == "incident"]
    opened = {name for state, name in events if state == "opened"}
    cards = [json.loads(row["body"])["attachments"][0]["content"]["body"] for row in endpoint.requests]
    titles = [body[0]["text"] for body in cards]
    for row in endpoint.requests:
        jsonschema.validate(json.loads(row["body"]), SCHEMA)
        assert len(row["body"]) < 24_000
    told = [
        (body[0]["text"].partition(":")[0].lower(), fact["value"])
        for body in cards
        for container in body
        if container["type"] == "Container"
        for fact in container["items"][-1]["facts"]
        if fact["title"] == "Incident"
    ]
    for state in ("opened", "resolved"):
        assert sorted(name for kind, name in told if kind == state) == sorted(opened)
    assert {kind for kind, _ in told} <= {"opened", "resolved", "reminder", "worsened", "changed level"}
    assert len(titles) <= 20
    assert len(set(endpoint.taken)) == len(endpoint.taken) == len(titles)
    at = [row["at"] for row in endpoint.requests]
    assert all(later - earlier > 0.999 for earlier, later in zip(at, at[4:], strict=False))
    assert f"txmon: teams: {len(titles)} notifications sent" in done.stderr
    assert_no_secret(done, tmp_path)


def test_replay_tells_nobody_unless_asked(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver()
    plain = txmon(tmp_path, "replay", SAMPLE, env={})
    with_address = txmon(tmp_path, "replay", SAMPLE, env={"TXMON_TEAMS_WEBHOOK": endpoint.url})
    assert endpoint.requests == []
    assert plain.stdout == with_address.stdout
    assert plain.stderr == with_address.stderr


def test_killed_between_queueing_and_sending_the_cards_arrive_after_a_restart(tmp_path: Path, receiver: Start) -> None:
    hung, good = receiver({"hang": True}), receiver({"code": 202})
    command = [TXMON, "replay", SAMPLE, "--notify", "--only", "alerts", "--spool", "spool", "--flush-timeout", "1h"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path, TXMON_TEAMS_WEBHOOK=hung.url), stdout=subprocess.DEVNULL
    )
    spool = tmp_path / "spool" / "teams"
    deadline = time.monotonic() + 30
    while len(list(spool.glob("*.json"))) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sorted(spool.glob("*.json"))
    assert len(kept) >= 10
    (tmp_path / "empty.csv").write_text("time,status,count\n2026-03-03T00:00:00Z,approved,5\n")
    env = {"TXMON_TEAMS_WEBHOOK": good.url}
    done = txmon(tmp_path, "replay", "empty.csv", "--notify", "--spool", "spool", env=env)
    assert done.returncode == 0, done.stderr
    # the steps of an incident that wait are told as one, the newest, in the order of their incidents
    resolved = [path.name for path in kept if "-resolved-" in path.name]
    assert [name for name in good.taken if "-resolved-" in name] == [
        name.partition("-")[2].removesuffix(".json") for name in resolved
    ]
    assert len(good.taken) < len(kept)
    late = [row["body"] for row in good.requests if "Delivered late: opened" in row["body"]]
    assert len(late) >= len(resolved) - 1
    assert list(spool.glob("*.json")) == []
    # the one that hangs has got the first, or nothing yet
    assert {card_id(row["body"]) for row in hung.requests} <= {kept[0].name.partition("-")[2].removesuffix(".json")}
    assert_no_secret(done, tmp_path)


@pytest.mark.parametrize("trouble", ["hang", "closed port", "echo"])
def test_a_dead_webhook_changes_no_verdict_and_keeps_every_card(trouble: str, tmp_path: Path, receiver: Start) -> None:
    if trouble == "closed port":
        with socket.create_server(("127.0.0.1", 0)) as gone:
            url = Endpoint(gone.getsockname()[1], tmp_path / "received").url
    else:
        url = receiver({"hang": True} if trouble == "hang" else {"code": 500, "echo": True}).url
    env = {"TXMON_TEAMS_WEBHOOK": url}
    done = txmon(tmp_path, "--debug", "replay", SAMPLE, "--notify", "--flush-timeout", "1s", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == txmon(tmp_path, "replay", SAMPLE, env={}).stdout
    spool = tmp_path / ".local" / "state" / "txmon" / "spool" / "teams"
    assert f"not sent yet, kept in {spool}" in done.stderr
    assert len(list(spool.glob("*.json"))) >= 10
    if trouble != "hang":
        assert ", the last: " in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("txmon: ")]) <= 5
    assert "notifications of 6 incidents: 6 opened, 6 resolved" in done.stderr
    assert_no_secret(done, tmp_path)


def test_notify_test_says_what_came_back(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver({"code": 202}, {"code": 429, "headers": {"Retry-After": "9"}}, {"code": 404, "echo": True})
    env = {"TXMON_TEAMS_WEBHOOK": endpoint.url}
    done = txmon(tmp_path, "notify", "--test", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "teams: taken (202 Accepted)\n", "")
    assert "Test: txmon can reach you here" in endpoint.requests[0]["body"]
    done = txmon(tmp_path, "notify", "--test", env=env)
    assert done.returncode == 74
    assert done.stdout == "teams: not taken: 429 Too Many Requests; to be tried again in 9 s\n"
    assert done.stderr == "txmon: the test notification did not arrive: teams\n"
    done = txmon(tmp_path, "notify", "--test", env=env)
    assert done.returncode == 74
    assert "teams: not taken: 404 Not Found: no such flow: [secret]" in done.stdout
    assert_no_secret(done, tmp_path)


@pytest.mark.parametrize("host", ["a..b.invalid", "x" * 70 + ".invalid", "127.0.0.1:1", "[::1]:1", "é.invalid"])
@pytest.mark.parametrize("variable", ["TXMON_TEAMS_WEBHOOK", "TXMON_WEBHOOK"])
def test_a_strange_address_is_not_shown_either(host: str, variable: str, tmp_path: Path) -> None:
    url = f"https://{host}/{FLOW}?sig={SIGNATURE}"
    done = txmon(tmp_path, "--debug", "notify", "--test", env={variable: url})
    assert done.returncode in (74, 78)
    assert "unexpected" not in done.stderr
    assert_no_secret(done, tmp_path)


def test_the_address_may_be_in_a_file_and_all_channels_are_tried(tmp_path: Path, receiver: Start) -> None:
    endpoint, other = receiver({"code": 202}), receiver({"code": 200})
    (tmp_path / "address").write_text(endpoint.url + "\n")
    (tmp_path / "other").write_text(other.url + "\n")
    (tmp_path / "txmon.toml").write_text('teams_webhook_file = "address"\nwebhook_file = "other"\nexec = "false"\n')
    done = txmon(tmp_path, "notify", "--test", env={"TXMON_WEBHOOK_SECRET": SIGNATURE})
    assert done.stdout == (
        "teams: taken (202 Accepted)\nwebhook: taken (200 OK)\nexec: not taken: false: exit code 1\n"
    )
    assert done.stderr == "txmon: the test notification did not arrive: exec\n"
    assert done.returncode == 74
    assert other.requests[0]["headers"]["X-Txmon-Signature"].startswith("sha256=")


def test_dry_run_prints_and_sends_nothing(tmp_path: Path, receiver: Start) -> None:
    endpoint = receiver()
    done = txmon(tmp_path, "notify", "--dry-run", env={"TXMON_TEAMS_WEBHOOK": endpoint.url})
    assert json.loads(done.stdout)["attachments"][0]["content"]["version"] == "1.4"
    assert endpoint.requests == []
    assert_no_secret(done, tmp_path)
    legacy = txmon(tmp_path, "notify", "--dry-run", "--teams-format", "messagecard", env={})
    assert json.loads(legacy.stdout)["@type"] == "MessageCard"


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        (["notify"], {}, 2, "Choose --test or --dry-run."),
        (["notify", "--test"], {}, 78, "no channel for notifications is set up. Set TXMON_TEAMS_WEBHOOK"),
        (["replay", SAMPLE, "--notify"], {}, 78, "no channel for notifications is set up"),
        (
            ["notify", "--test"],
            {"TXMON_TEAMS_WEBHOOK": f"ftp://{SIGNATURE}"},
            78,
            "is not an address. It begins with http:// or https://.",
        ),
        (
            ["notify", "--test"],
            {"TXMON_TEAMS_WEBHOOK": f"https://h/{SIGNATURE} x"},
            78,
            "is not an address. It begins with http:// or https://.",
        ),
        (["notify", "--test"], {"TXMON_WEBHOOK": f"file:///{SIGNATURE}"}, 78, "webhook_file is not an address"),
        (["notify", "--test", "--teams-webhook-file", "gone"], {}, 78, "gone: No such file or directory"),
        (["notify", "--test"], {"TXMON_APPRISE": f"bad://{SIGNATURE}"}, 78, "Apprise does not know"),
        (["notify", "--test", "--teams-webhook-file", f"https://h/?sig={SIGNATURE}"], {}, 2, "this is an address"),
        (["config"], {"TXMON_WEBHOOK_FILE": f"https://h/{FLOW}"}, 78, "TXMON_WEBHOOK_FILE: this is an address"),
        (["notify", "--test", "--exec", "'x"], {}, 2, "no closing quotation"),
        (["notify", "--test", "--link", "javascript:x"], {}, 2, "not an address. Use for example"),
        (["replay", SAMPLE, "--silence", "staus=denied"], {}, 2, "did you mean 'status'?"),
        (["replay", SAMPLE, "--digest", "9"], {}, 2, "not a time of day. Use for example 09:00"),
        (["replay", SAMPLE], {"TXMON_TEAMS_WEBHOK": SIGNATURE}, 78, "did you mean 'TXMON_TEAMS_WEBHOOK'?"),
    ],
)
def test_what_is_wrong_is_one_line_without_the_secret(
    arguments: list[str], env: dict[str, str], code: int, says: str, tmp_path: Path
) -> None:
    done = txmon(tmp_path, *arguments, env=env)
    assert done.returncode == code
    assert says in done.stderr
    assert len([line for line in done.stderr.splitlines() if "; time=" not in line]) == 1  # besides the reading
    assert_no_secret(done, tmp_path)


def test_no_flag_takes_the_address(tmp_path: Path) -> None:
    done = txmon(tmp_path, "replay", "--help", env={})
    assert "--teams-webhook-file FILE" in done.stdout
    assert "--teams-webhook " not in done.stdout


def test_silences_are_tables_and_config_reads_them_back(tmp_path: Path) -> None:
    toml = """
digest = "09:00"
quiet_hours = "22:00-06:00"
[[silence]]
status = ["denied", "failed"]
key = { merchant = "a,b;c" }
weekday = ["sat", "sun"]
[[silence]]
time = "02:00-04:00"
"""
    (tmp_path / "txmon.toml").write_text(toml)
    done = txmon(tmp_path, "config", env={"TXMON_TEAMS_WEBHOOK": SIGNATURE})
    assert done.returncode == 0, done.stderr
    assert 'digest = "09:00"' in done.stdout
    assert "# TXMON_TEAMS_WEBHOOK is set" in done.stdout
    assert_no_secret(done, tmp_path)
    (tmp_path / "txmon.toml").write_text(done.stdout)
    again = txmon(tmp_path, "config", "--json", env={})
    text = json.loads(again.stdout)["silence"]["value"]
    assert text == "status=denied+failed;key=merchant:a%2Cb%3Bc;weekday=sat+sun,time=02:00-04:00"


def test_a_maintenance_window_keeps_its_incident_back(tmp_path: Path) -> None:
    found = []
    for silence in ([], ["--silence", "status=denied"]):
        command = [
            "replay",
            SAMPLE,
            "--notify",
            "--out",
            "out",
            "--spool",
            f"spool{len(silence)}",
            "--flush-timeout",
            "0s",
        ]
        txmon(tmp_path, *command, *silence, env={"TXMON_TEAMS_WEBHOOK": "http://127.0.0.1:1/"})  # none gets out
        found.append([path.read_text() for path in sorted((tmp_path / f"spool{len(silence)}").rglob("*.json"))])
    every, fewer = ([json.loads(json.loads(text)["body"]) for text in texts] for texts in found)
    missing = [str(card) for card in every if card not in fewer]
    assert "Opened: issuer declines - denied" in str(missing)
    assert "issuer declines - denied" not in str(fewer)
    assert len(missing) == len(every) - len(fewer) >= 2
    assert all("denied" in card for card in missing)


def test_telling_nobody_imports_nothing_for_it() -> None:
    code = (
        "import sys; from txmon.cli.main import run; run(['replay', sys.argv[1], '--out', '/dev/null']);"
        " print(sorted({'pymsteams', 'apprise', 'ssl', 'urllib.request', 'txmon.notify.delivery'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, SAMPLE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_the_process_ends_although_the_receiver_hangs(tmp_path: Path, receiver: Start) -> None:
    """With ten seconds a try and ten cards, waiting for the receiver would outlive this test's limit."""
    endpoint = receiver({"hang": True})
    began = time.monotonic()
    done = txmon(
        tmp_path, "replay", SAMPLE, "--notify", "--flush-timeout", "0s", env={"TXMON_TEAMS_WEBHOOK": endpoint.url}
    )
    assert done.returncode == 0
    assert time.monotonic() - began < 60


def quiet_night(tmp_path: Path, hours: str, *arguments: str, stdin: bytes) -> tuple[int, str]:
    """`watch` over some rows with a state, telling a command that adds what it is told to a file."""
    command = f"{sys.executable} {tmp_path / 'note.py'}"
    (tmp_path / "note.py").write_text(
        "import json, sys\nrow = json.load(sys.stdin)\n"
        "print(row['kind'], file=open('told', 'a'))\n"
    )  # fmt: skip
    done = subprocess.run(
        [
            TXMON, "watch", "--notify", "--exec", command, "--quiet-hours", hours, "--out", "out.jsonl",
            "--max-age", "0",
            *arguments,
        ],
        input=stdin, capture_output=True, cwd=tmp_path, env=environment(tmp_path), timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.decode()


def night(first: int, last: int) -> bytes:
    """Rows of the minutes from the first to before the last of a day, with a surge of failures from the 50th on."""
    rows = ["time,status,count"]
    for minute in range(first, last):
        time = f"2026-03-02T{minute // 60:02}:{minute % 60:02}:00Z"
        rows += [f"{time},approved,100", f"{time},failed,{60 if 50 <= minute < 70 else 1}"]
    return ("\n".join(rows) + "\n").encode()


def test_what_quiet_hours_hold_back_outlives_a_restart(tmp_path: Path) -> None:
    told = tmp_path / "told"
    code, err = quiet_night(tmp_path, "00:00-01:30", "--state", "state", stdin=night(0, 60))
    assert (code, told.exists()) == (0, False), err
    code, err = quiet_night(tmp_path, "00:00-01:30", "--state", "state", stdin=night(60, 65))
    assert (code, told.exists()) == (0, False), err
    code, err = quiet_night(tmp_path, "00:00-01:30", "--state", "state", stdin=night(65, 95))
    assert code == 0, err
    assert told.read_text() == "resolved\n"


def test_without_a_state_it_is_told_at_the_end(tmp_path: Path) -> None:
    assert quiet_night(tmp_path, "00:00-01:30", stdin=night(0, 60))[0] == 0
    assert (tmp_path / "told").read_text() == "opened\n"


def test_a_state_that_cannot_say_what_was_left_to_tell_is_refused(tmp_path: Path) -> None:
    quiet_night(tmp_path, "00:00-01:30", "--state", "state", stdin=night(0, 60))
    row = json.loads(gzip.decompress((tmp_path / "state").read_bytes()))
    row["sources"]["notifications:"]["due"] = [7]
    (tmp_path / "state").write_bytes(gzip.compress(json.dumps(row).encode()))
    code, err = quiet_night(tmp_path, "00:00-01:30", "--state", "state", stdin=night(60, 65))
    assert code == 78
    assert "txmon: state: the notifications in it are damaged (IndexError" in err

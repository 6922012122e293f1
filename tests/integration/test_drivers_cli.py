"""`--drivers` through the real command: lines, errors, the configuration file, kills and restarts."""

import json
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any, Final

import pytest
from following import until

COLUMNS: Final = "issuer,merchant,code"
INCIDENT: Final = "denied:x20@05:00/15m where issuer=B3"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "txmon", *arguments]


def txmon(*arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    env = os.environ | ({"TXMON_CONFIG": str(config)} if config is not None else {})
    return subprocess.run(command(*arguments), capture_output=True, timeout=120, check=False, env=env)


def simulated(path: Path, *more: str, hours: float = 6.0) -> Path:
    dimensions = ["--events", "--dimensions", "issuer:10,merchant:50,code:8"]
    done = txmon("simulate", *dimensions, "--days", str(hours / 24), "--peak", "600", "--out", str(path), *more)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drivers")
    return simulated(folder / "s.csv", "--incident", INCIDENT, "--labels", str(folder / "labels.json"))


@pytest.fixture(scope="module")
def replayed(stream: Path) -> list[dict[str, Any]]:
    done = txmon("replay", str(stream), "--drivers", COLUMNS, "--only", "alerts")
    assert done.returncode == 0, done.stderr
    return told(done.stdout)


def told(output: bytes) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in output.splitlines()]
    return [row for row in rows if row.get("event") != "trend" and not row.get("partial")]


def test_alerts_and_incidents_name_what_drives_them(stream: Path, replayed: list[dict[str, Any]]) -> None:
    labels = json.loads(stream.with_name("labels.json").read_text())
    assert labels["incidents"][0]["where"] == {"issuer": "B3"}
    alerts = [row for row in replayed if row.get("recommendation") == "alert" and row["status"] == "denied"]
    assert {tuple(row["drivers"][0]["values"].items()) for row in alerts} == {(("issuer", "B3"),)}
    opened = next(row for row in replayed if row.get("state") == "opened")
    assert opened["drivers"][0]["values"] == {"issuer": "B3"}
    assert "% of the excess is issuer B3 (" in opened["text"]


def test_without_the_flag_the_same_alerts_say_nothing_of_it(stream: Path) -> None:
    plain = told(txmon("replay", str(stream), "--only", "alerts").stdout)
    assert not any("drivers" in row for row in plain)
    flags = ["--drivers", COLUMNS, "--drivers-share", "0"]  # all of the budget is for the statuses
    found = told(txmon("replay", str(stream), *flags, "--only", "alerts").stdout)
    assert [(row["time"], row.get("score")) for row in plain] == [(row["time"], row.get("score")) for row in found]


def test_a_silence_has_no_drivers(tmp_path: Path) -> None:
    """An empty list would read as "spread evenly", but where nothing comes there are no values."""
    path = simulated(tmp_path / "silent.csv", "--incident", "silence@04:00/20m", hours=5)
    found = told(txmon("replay", str(path), "--drivers", "issuer", "--only", "alerts").stdout)
    silent = [row for row in found if row.get("label") == "silence" or "silence" in row.get("reasons", [])]
    assert [row["state"] for row in silent if row.get("event") == "incident"][:1] == ["opened"]
    assert not any("drivers" in row for row in silent)


def test_the_configuration_file_has_a_table(stream: Path, replayed: list[dict[str, Any]], tmp_path: Path) -> None:
    config = tmp_path / "txmon.toml"
    config.write_text('[drivers]\ncolumns = ["issuer", "merchant", "code"]\nkeep = 5000\n')
    done = txmon("replay", str(stream), "--only", "alerts", config=config)
    assert told(done.stdout) == replayed
    config.write_text('[drivers]\ncolums = ["issuer"]\n')
    done = txmon("replay", str(stream), config=config)
    assert done.returncode == 78
    assert b"unknown key 'colums' in [drivers]. Use columns, keep or share." in done.stderr


def test_a_live_stream_names_the_same(stream: Path, replayed: list[dict[str, Any]]) -> None:
    with stream.open("rb") as file:
        done = subprocess.run(
            command("watch", "--drivers", COLUMNS, "--only", "alerts"),
            stdin=file, capture_output=True, timeout=120, check=True,
        )  # fmt: skip
    assert told(done.stdout) == replayed


@pytest.mark.parametrize("number", range(2))
def test_kills_at_random_moments_and_restarts_give_the_same_drivers(
    stream: Path, replayed: list[dict[str, Any]], tmp_path: Path, number: int
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    lines = stream.read_bytes().splitlines(keepends=True)
    begin = next(i for i, line in enumerate(lines) if line.startswith(b"2026-03-02T04:55"))
    end = next(i for i, line in enumerate(lines) if line.startswith(b"2026-03-02T05:20"))
    # one kill at any time, two near the incident
    cuts = sorted([chance.randrange(len(lines)), *(chance.randrange(begin, end) for _ in range(2))])
    log, out = tmp_path / "app.log", tmp_path / "out.jsonl"
    log.write_bytes(b"")
    arguments = command(
        "watch", "--follow", str(log), "--from", "start", "--state", str(tmp_path / "state"), "--out", str(out),
        "--only", "alerts", "--drivers", COLUMNS,
    )  # fmt: skip
    for first, last in pairwise([0, *cuts]):
        with log.open("ab") as file:
            file.write(b"".join(lines[first:last]))
        watch = subprocess.Popen(arguments)
        sleep(chance.uniform(0.2, 3.0))
        watch.kill()
        watch.wait()
    with log.open("ab") as file:
        file.write(b"".join(lines[cuts[-1] :]))
    watch = subprocess.Popen(arguments)
    try:
        assert until(lambda: out.exists() and b'"state": "resolved"' in out.read_bytes(), 90)
    finally:
        watch.terminate()
        watch.wait(30)
    assert {json.dumps(row) for row in told(out.read_bytes())} == {json.dumps(row) for row in replayed}, (number, seed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--drivers", "isuer"], b"no column 'isuer' for --drivers; columns found: time, status, id, issuer"),
        (["--drivers", "issuer", "--group-by", "issuer"], b"--drivers: 'issuer' is in --group-by already."),
        (["--drivers", "status"], b"--drivers: 'status' cannot be a dimension."),
        (["--drivers", ","], b"not a list of different columns"),
        (["--drivers-keep", "3"], b"--drivers-keep"),
    ],
)
def test_what_cannot_be_is_one_clear_line(stream: Path, arguments: list[str], message: bytes) -> None:
    done = txmon("replay", str(stream), *arguments)
    assert done.returncode in (2, 65)
    assert message in done.stderr
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dimensions", "issuer:10"], "--dimensions needs --events"),
        (["--events", "--dimensions", "issuer"], "is not COLUMN:N"),
        (["--events", "--dimensions", "issuer:0"], "a column has 1 to 1000000 values"),
        (["--events", "--dimensions", "code:99"], "there are 2 to 24 response codes"),
        (["--events", "--dimensions", "issuer:3,issuer:4"], "there is a column 'issuer' already"),
        (["--events", "--dimensions", "issuer:3", "--merchants", "4"], "Use --dimensions merchant:N."),
        (["--incident", INCIDENT], "`where` needs --events and --dimensions issuer:N"),
        (
            ["--events", "--dimensions", "issuer:2", "--incident", INCIDENT],
            "issuer has no value 'B3'. It has B1",
        ),
        (["--events", "--dimensions", "isuer:9", "--incident", INCIDENT], "no column 'issuer' in --dimensions"),
        (
            ["--incident", "denied:x2@01:00/5m where issuer"],
            "is not COLUMN=VALUE. Use for example merchant=m1. like issuer=B7",
        ),
        (["--incident", "silence@01:00/5m where issuer=B3"], "cannot follow silence"),
    ],
)
def test_a_wrong_stream_is_one_clear_line(arguments: list[str], message: str) -> None:
    done = txmon("simulate", *arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_an_incident_changes_only_the_transactions_it_names(tmp_path: Path) -> None:
    clean = simulated(tmp_path / "clean.csv", hours=3).read_text().splitlines()
    spec = "*:x0@01:00/10m where issuer=B1 and merchant=m2"
    changed = simulated(tmp_path / "changed.csv", "--incident", spec, hours=3).read_text().splitlines()
    assert changed[0] == "time,status,id,issuer,merchant,code"

    def counted(rows: list[str], named: bool, during: bool) -> int:
        return sum((",B1,m2," in row) == named and row.startswith("2026-03-02T01:0") == during for row in rows[1:])

    assert counted(changed, named=True, during=True) == 0 < counted(clean, named=True, during=True)
    for named, during in ((True, False), (False, True), (False, False)):
        assert counted(changed, named=named, during=during) == counted(clean, named=named, during=during)
    codes = {(row.split(",")[1] == "approved", row.split(",")[5] == "00") for row in clean[1:]}
    assert codes == {(True, True), (False, False)}

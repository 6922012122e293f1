"""Every command's --help shows examples, and each of them does what it says, in a folder with the files it names."""

import gzip
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import doc_blocks
import openpyxl
import pytest
from paths import ROOT

from conftest import Start
from txmon.cli.main import txmon

TXMON = str(Path(sys.executable).with_name("txmon"))
# what goes on until it is told to end
SERVICES = ("txmon serve", "txmon watch --follow", "txmon simulate --live")
SERVED = f"http://127.0.0.1:{doc_blocks.PORT}/readyz"
# until it is no shell any more and catches SIGTERM: before that it can only be killed
CATCHES = """until [[ $(readlink /proc/$!/exe) == *python* ]] &&
    (( 0x$(awk '/SigCgt/ {print $2}' /proc/$!/status) & 0x4000 )); do sleep 0.2; done"""
# what needs more than this machine has; parsed all the same
ELSEWHERE = {"txmon spark": "PySpark and Java", "txmon watch --kafka": "a broker", "txmon watch --sql": "a database"}


def paths(command: click.Command = txmon, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All commands: (), ("replay",), ("state", "show") ..."""
    yield before
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from paths(below, (*before, name))


@cache
def examples(path: tuple[str, ...]) -> list[str]:
    """The examples of a command, from what --help prints."""
    done = subprocess.run([TXMON, *path, "--help"], capture_output=True, text=True, timeout=60, check=True)
    _, found, after = done.stdout.partition("  Examples:\n")
    assert found, done.stdout
    lines = after.partition("\n\n")[0].splitlines()
    assert all(line.startswith("    ") for line in lines), done.stdout
    return [line.strip() for line in lines]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("transactions.csv", "checkouts.csv"):
        shutil.copy(ROOT / "examples" / name, folder)
    head, *rows = (folder / "transactions.csv").read_text().splitlines(keepends=True)
    until = head + "".join(row for row in rows if row < "2026-03-02T14:40")

    def run(*arguments: str, given: str = "") -> None:
        subprocess.run(
            [TXMON, *arguments], cwd=folder, input=given.encode(), capture_output=True, timeout=60, check=True
        )

    codes = {"approved": "00", "denied": "51"}
    counted = (row.strip().split(",") for row in rows)
    (folder / "auth_codes.csv").write_text(
        "time,auth_code,count\n"
        + "".join(f"{time},{codes[status]},{count}\n" for time, status, count in counted if status in codes)
    )
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE payments (created_at TEXT, status TEXT)")
        database.execute("INSERT INTO payments VALUES ('2026-03-02 10:00:00', 'approved')")
    database.close()
    run("watch", "--state", "txmon.state", given=until)
    incident = ("--incident", "denied:x3@12:00/20m", "--labels", "truth.json")
    run("simulate", "--days", "0.6", *incident, "--out", "day.csv")
    (folder / "last_week.csv.gz").write_bytes(gzip.compress((folder / "day.csv").read_bytes()))
    timed = gzip.compress(
        (head + "".join(row.partition("T")[2].replace("Z,", ",") for row in rows)).encode()
    )  # the date is --date's
    (folder / "monday.csv.gz").write_bytes(timed)
    (folder / "tuesday.csv.gz").write_bytes(timed)
    (folder / "old.toml").write_text("sigma = 8\n")
    sheet = openpyxl.Workbook()
    for row in (["time", "status", "count"], ["2026-03-02 10:00", "approved", 120], ["2026-03-02 10:01", "failed", 2]):
        sheet.active.append(row)
    sheet.save(folder / "sales.xlsx")
    (folder / "export.csv").write_text("date,status,total\n05/03/2026 10:00,approved,120\n05/03/2026 10:01,failed,2\n")
    (folder / "app.jsonl").write_text('{"time": "2026-03-02T00:00:00Z", "status": "approved"}\n')
    return folder


@pytest.mark.parametrize("path", list(paths()), ids=" ".join)
def test_the_examples_do_what_they_say(path: tuple[str, ...], made: Path, receiver: Start, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    (folder / "webhook").write_text(receiver().url)
    (folder / "webhook").chmod(0o600)
    steps, running = [], False
    for line in examples(path):
        for words in doc_blocks.commands(line):
            assert doc_blocks.unknown(words) is None, line
        if not line.startswith(tuple(ELSEWHERE)):
            service = line.startswith(SERVICES)
            running = running or service
            steps.append(doc_blocks.Step(0, f"{line} &\n{CATCHES}" if service else line, None))
            if line.startswith(SERVICES[0]):
                steps.append(doc_blocks.Step(0, f"until curl -s -o ready {SERVED}; do sleep 0.2; done", None))
    if running:  # it must have lived until now, and end well when it is told to
        steps.append(doc_blocks.Step(0, "kill -0 $! && kill $(jobs -p) $! && wait $!", ""))
    wrong = doc_blocks.run(steps, folder)
    assert not wrong, "\n".join(wrong)


def test_there_are_examples_of_all_kinds() -> None:
    found = [line for path in paths() for line in examples(path)]
    for kind in (*SERVICES, *ELSEWHERE):
        assert any(line.startswith(kind) for line in found), kind

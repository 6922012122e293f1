"""`txmon explain`: a page from the folder of --log, checked against the lines of the run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def txmon(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "txmon", *arguments]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of six hours in which an issuer denies payments, with amounts, and the lines of its incidents."""
    found = tmp_path_factory.mktemp("explain")
    incident = "denied:x30@05:00/15m where issuer=B2"
    made = ["--events", "--dimensions", "issuer:10,code:8", "--days", "0.25", "--peak", "600", "--incident", incident]
    assert txmon("simulate", *made, "--out", str(found / "plain.csv")).returncode == 0
    lines = (found / "plain.csv").read_text().splitlines()
    rows = [f"{lines[0]},amount,currency", *(f"{line},10.00,USD" for line in lines[1:])]
    (found / "events.csv").write_text("\n".join(rows) + "\n")
    log = ["--log", str(found / "logs"), "--out", str(found / "v.jsonl")]
    assert txmon("replay", str(found / "events.csv"), "--drivers", "issuer,code", *log).returncode == 0
    return found


def incident_of(folder: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in (folder / "v.jsonl").read_text().splitlines()]
    return next(row for row in reversed(rows) if row.get("event") == "incident")


def test_the_page_says_what_where_and_how_much(folder: Path) -> None:
    row = incident_of(folder)
    page = txmon("explain", row["id"], "--log", str(folder / "logs")).stdout
    assert page.startswith(f"# Incident {row['id']}: issuer declines\n")
    for part in ("## Timeline", "## Counts against normal", "## Where", "## Money", "## Notifications"):
        assert part in page
    assert f"{row['excess']:,.0f} denied above normal" in page
    assert "of the excess is issuer B2 (" in page
    assert f"- {row['money'][0]['excess']:,.0f} USD above normal" in page
    assert "opened 05:0" in page
    assert len(page.splitlines()) < 80  # one page


def test_last_is_the_newest_and_json_has_the_counts(folder: Path) -> None:
    row = incident_of(folder)
    done = txmon("explain", "last", "--log", str(folder / "logs"), "--json")
    found = json.loads(done.stdout)
    assert found["id"] == row["id"]
    assert found["incident"] == row
    lines = [json.loads(line) for line in (folder / "v.jsonl").read_text().splitlines()]
    own = {line["time"]: line["count"] for line in lines if line.get("status") == "denied" and "key" not in line}
    assert found["counts"]
    assert {one["time"]: one["count"] for one in found["counts"]}.items() <= own.items()


def test_the_query_gives_the_same_counts(folder: Path) -> None:
    logs = str(folder / "logs")
    found = json.loads(txmon("explain", "last", "--log", logs, "--json").stdout)
    done = txmon("query", found["sql"], logs, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["count"] for line in done.stdout.splitlines()] == [one["count"] for one in found["counts"]]


def test_times_are_shown_in_the_zone_that_is_asked_for(folder: Path) -> None:
    page = txmon("explain", "last", "--log", str(folder / "logs"), "--tz", "America/Sao_Paulo").stdout
    assert "2026-03-02 02:0" in page
    assert " -03, " in page


def test_the_page_goes_to_a_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    assert txmon("explain", "last", "--log", str(folder / "logs"), "-o", str(out)).stdout == ""
    assert out.read_text() == txmon("explain", "last", "--log", str(folder / "logs")).stdout


def test_a_torn_last_line_is_left_out(folder: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in (folder / "logs").iterdir():
        text = path.read_text()
        (logs / path.name).write_text(text + '{"time": "2026-03-02T05:1')
    assert txmon("explain", "last", "--log", str(logs)).stdout.startswith("# Incident ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["last"], 2, "explaining an incident needs --log DIR"),
        (["last", "--log", "{}/none"], 66, "none: No such file or directory. Use the folder of --log."),
        (["last", "--log", "{}"], 66, "no incidents in it. Use the folder of --log."),
        (["20260302T0500-deneid", "--log", "{}/logs"], 65, "no incident '20260302T0500-deneid'"),
        (["last", "--log", "{}/logs", "--out", "{}/logs"], 74, "logs: Is a directory"),
    ],
)
def test_what_cannot_be_is_one_clear_line(folder: Path, arguments: list[str], code: int, message: str) -> None:
    done = txmon("explain", *[one.replace("{}", str(folder)) for one in arguments])
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_analyze_gives_the_same_page(folder: Path) -> None:
    log = ["--log", str(folder / "logs")]
    for flags in ([], ["--json"]):
        page = txmon("explain", "last", *log, *flags)
        assert (page.returncode, page.stdout) != (0, "")
        assert txmon("analyze", "--incident", "last", *log, *flags).stdout == page.stdout
    query = txmon("analyze", "--incident", "last", *log, "--sql").stdout
    assert query.strip() in txmon("explain", "last", *log).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--incident", "last"], "explaining an incident needs --log DIR"),
        (["--incident", "last", "--log", "logs", "day.csv"], "--incident reads the folder of --log. Give it only"),
        ([], "Missing argument 'FILE...'. Name a file, or an incident with --incident ID --log DIR."),
    ],
)
def test_analyze_refuses_what_does_not_go_together(arguments: list[str], message: str) -> None:
    done = txmon("analyze", *arguments)
    assert done.returncode == 2
    assert message in done.stderr

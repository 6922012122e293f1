"""`txmon doctor` as a process: what it finds, its exit code, and that it never shows a secret."""

import gzip
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from paths import ROOT

from txmon.cli import checks
from txmon.cli.checks import Screen, installation, libraries, machine

TXMON = str(Path(sys.executable).with_name("txmon"))
SECRET = "https://example.invalid/workflows/sig-0123456789"
SAMPLE = ROOT / "examples" / "transactions.csv"
Found = dict[str, list[tuple[str, str]]]


def doctor(folder: Path, *arguments: str | Path, **env: str) -> tuple[int, Found]:
    """Exit code, and name -> (level, text) of each finding."""
    done = subprocess.run(
        [TXMON, "doctor", "--json", *arguments], capture_output=True, cwd=folder, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **env},
    )  # fmt: skip
    assert done.stderr == b""
    assert SECRET.encode() not in done.stdout
    assert b"sig-0123456789" not in done.stdout
    found: Found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        found.setdefault(row["name"], []).append((row["level"], row["text"]))
    return done.returncode, found


def test_a_fresh_installation_is_in_order(tmp_path: Path) -> None:
    code, found = doctor(tmp_path)
    assert code == 0
    assert [level for findings in found.values() for level, _ in findings if level in ("bad", "warning")] == []
    assert found["version"][0][1].startswith("txmon ")
    assert [one.split()[0] for one in found["libraries"][0][1].split(", ")] == libraries(requires("txmon") or ())[0]
    assert found["notifications"][0][0] == "note"


def test_the_libraries_are_those_that_the_package_declares() -> None:
    """No list in the code: what pyproject.toml names is what is looked for."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    needed = sorted(re.split(r"[^\w-]", text)[0] for text in project["dependencies"])
    extras = {re.split(r"[^\w-]", text)[0] for texts in project["optional-dependencies"].values() for text in texts}
    assert libraries(requires("txmon") or ()) == (needed, sorted(extras - {"txmon", *needed}))


def test_requirements_are_told_apart_by_their_extra() -> None:
    some = [
        "B>=1",
        "a[x]>=2,<3",
        "c-d>=1; extra == 'one'",
        'E; python_version < "4" and extra == "two"',
        "a<9; extra == 'one'",
    ]
    assert libraries([*some, "txmon[one,two]; extra == 'all'"]) == (["a", "b"], ["c-d", "e"])
    with pytest.raises(ValueError, match="is not a requirement"):
        libraries(["; extra == 'x'"])


def test_a_library_that_is_missing_is_bad_and_no_package_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "requires", lambda _: ["click>=8", "no-such-library>=1", "nor-this; extra == 'x'"])
    found = [(one.level, one.text) for one in installation() if one.name in ("libraries", "extras")]
    assert found[0][0] == "ok"
    assert found[0][1].startswith("click ")
    assert found[1:] == [
        ("bad", "missing: no-such-library; install txmon again"),
        ("note", "not installed: nor-this"),
    ]
    monkeypatch.undo()
    monkeypatch.setattr(checks, "PACKAGE", "no-such-package")
    assert [one.level for one in installation() if one.name == "libraries"] == ["warning"]


def test_a_bad_setting_is_found_and_the_rest_still_looked_at(tmp_path: Path) -> None:
    (tmp_path / "txmon.toml").write_text('buckett = "1m"\n')
    code, found = doctor(tmp_path)
    assert code == 1
    assert found["configuration"][0][0] == "bad"
    assert "did you mean 'bucket'" in found["configuration"][0][1]
    assert "version" in found


def test_settings_and_where_they_came_from(tmp_path: Path) -> None:
    (tmp_path / "txmon.toml").write_text(f'rejects = "{tmp_path}/r"\nlog = "{tmp_path}"\n')
    code, found = doctor(tmp_path, TXMON_BUCKET="5m")
    assert code == 0
    assert found["configuration"][0][1].startswith(f"from {tmp_path}/txmon.toml; 3 of ")
    assert found["rejects"] == [("ok", f"{tmp_path}/r is not there yet; it can be made")]
    assert found["log"] == [("ok", f"{tmp_path} can be written")]


def test_a_state_is_read_and_summed_up(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with SAMPLE.open("rb") as sample:
        subprocess.run([TXMON, "watch", "--state", state, "--out", "/dev/null"], stdin=sample, check=True, timeout=60)
    code, found = doctor(tmp_path, "--state", state)
    assert code == 0
    assert found["state"] == [("ok", f"{state}: judged until 2026-03-02T23:57:00Z, 8 series, no open incidents")]
    state.chmod(0o644)
    code, found = doctor(tmp_path, "--state", state)
    assert (code, found["state"][1][0]) == (0, "warning")
    assert "chmod 600" in found["state"][1][1]
    code, found = doctor(tmp_path, "--state", state, "--bucket", "5m")
    assert (code, found["state"][0][0]) == (1, "bad")
    assert "was written with bucket 60, the settings say 300" in found["state"][0][1]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"x", "is not a txmon state"),
        (gzip.compress(b'{"txmon": 7, "written_by": "8.8"}', mtime=0), "has format 7, written by txmon 8.8"),
    ],
)
def test_a_bad_state_is_bad(raw: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(raw)
    code, found = doctor(tmp_path, "--state", tmp_path / "state")
    assert (code, found["state"][0][0]) == (1, "bad")
    assert text in found["state"][0][1]
    assert (tmp_path / "state").read_bytes() == raw


def test_whether_a_webhook_is_set_is_said_and_which_is_not(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, TXMON_TEAMS_WEBHOOK=SECRET, TXMON_WEBHOOK=SECRET)
    assert (code, found["notifications"]) == (0, [("ok", "set up: teams, webhook (txmon notify --test tries them)")])
    file = tmp_path / "webhook"
    file.write_text(SECRET)
    file.chmod(0o640)
    code, found = doctor(tmp_path, "--teams-webhook-file", file)
    assert (code, found["teams_webhook_file"][0][0]) == (0, "warning")
    file.write_text(f"no address: {SECRET}")
    code, found = doctor(tmp_path, "--teams-webhook-file", file)
    assert (code, found["notifications"][0][0]) == (1, "bad")
    code, found = doctor(tmp_path, "--teams-webhook-file", tmp_path / "none")
    assert code == 1


def test_notifications_that_wait_are_counted(tmp_path: Path) -> None:
    (tmp_path / "spool" / "teams").mkdir(parents=True)
    for n in range(3):
        (tmp_path / "spool" / "teams" / f"000000000{n}-a.json").write_text("{}")
    code, found = doctor(tmp_path, "--spool", tmp_path / "spool")
    assert (code, found["spool"][0][0]) == (0, "warning")
    assert found["spool"][0][1].startswith("3 notifications wait in ")


@pytest.mark.parametrize(
    ("screen", "env", "level", "text"),
    [
        (Screen(True, "utf-8", 90, 30), {"TERM": "xterm"}, "ok", "90 by 30, colours, Braille lines"),
        (
            Screen(True, "latin-1", 90, 30),
            {"TERM": "xterm", "NO_COLOR": "1"},
            "ok",
            "no colours (NO_COLOR), ASCII lines",
        ),
        (Screen(True, "utf-8", 90, 30), {"TERM": "dumb"}, "note", "TERM is dumb"),
        (Screen(False, "utf-8", 90, 30), {"TERM": "xterm"}, "note", "standard error is not a terminal"),
    ],
)
def test_what_the_terminal_can_show(screen: Screen, env: dict[str, str], level: str, text: str) -> None:
    finding = next(found for found in machine(screen, env) if found.name == "terminal")
    assert finding.level == level
    assert text in finding.text

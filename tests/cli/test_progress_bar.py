"""The progress bar: on a terminal, after a second, on standard error, with a rate and the time left; nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from paths import ROOT

from txmon.terminal.rate import Rate, left_text

SAMPLE = ROOT / "examples" / "transactions.csv"
LABELS = ROOT / "examples" / "transactions.labels.json"
AT_ONCE = "import txmon.cli.progress_bar as bar; bar.DELAY = 0; from txmon.__main__ import main; main()"


def in_terminal(command: str) -> str:
    env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    child = pexpect.spawn("bash", ["-c", command], dimensions=(24, 100), timeout=60, encoding="utf-8", env=env)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    return str(child.before)


def at_once(arguments: str, output: str = "/dev/null") -> str:
    return in_terminal(f'{sys.executable} -c "{AT_ONCE}" {arguments} > {output}')


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    path = tmp_path / "verdicts.jsonl"
    subprocess.run([sys.executable, "-m", "txmon", "replay", SAMPLE, "--out", path], check=True, capture_output=True)
    return path


def test_replay_without_a_chart(tmp_path: Path) -> None:
    seen = at_once(f"replay {SAMPLE} --chart never --out {tmp_path}/v.jsonl")
    assert "transactions.csv" in seen
    assert "100 %" in seen


def test_analyze() -> None:
    assert "100 %" in at_once(f"analyze {SAMPLE}")


def test_evaluate(verdicts: Path) -> None:
    seen = at_once(f"evaluate {verdicts} --labels {LABELS}")
    assert "verdicts.jsonl" in seen
    assert " %" in seen


def test_tune() -> None:
    seen = at_once(f"tune {SAMPLE} --budget 1/day")
    assert "settings 1 of at most 18" in seen or "settings 2 of at most 18" in seen


def test_a_bar_does_not_mix_with_lines_on_the_same_terminal() -> None:
    seen = in_terminal(f'{sys.executable} -c "{AT_ONCE}" replay {SAMPLE} --chart never --only alerts')
    assert '{"time"' in seen
    assert "100 %" not in seen


def test_what_is_done_within_a_second_has_no_bar(tmp_path: Path) -> None:
    code = "from txmon.cli.progress_bar import Where, progress\nwith progress(lambda: Where('f', 1, 2)): pass"
    script = tmp_path / "quick.py"
    script.write_text(code)
    assert in_terminal(f"{sys.executable} {script}") == ""


def test_a_pipe_gets_no_bar() -> None:
    run = subprocess.run(
        [sys.executable, "-c", AT_ONCE, "analyze", str(SAMPLE)], check=True, capture_output=True, text=True
    )
    assert "%" not in run.stderr


def test_the_rate_and_the_time_left() -> None:
    now = [0.0]
    rate = Rate("f", lambda: now[0])
    assert rate.note(0, 10_000_000) == ""
    now[0] = 2.0
    assert rate.note(4_000_000, 10_000_000) == "2.0 MB/s, 0:03 left"
    now[0] = 12.0  # only what is new counts
    rate.note(5_000_000, None)
    now[0] = 17.0
    assert rate.note(5_050_000, None) == "10.0 kB/s"
    tasks = Rate("stage", lambda: now[0], "tasks")
    now[0] = 27.0
    assert tasks.note(25, 100) == "2.5 tasks/s, 0:30 left"
    assert left_text(3723) == "1:02:03"

"""What the shell sees of the installed txmon: pipes, exit codes, start-up."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = ROOT / "examples" / "transactions.csv"


def txmon(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([TXMON, *arguments], input=stdin, capture_output=True, timeout=60, check=False)


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{TXMON} replay -q {SAMPLE} | head -1; echo ${{PIPESTATUS[*]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith('{"time"')
    assert lines[1] == "0 0"
    assert done.stderr == b""


@pytest.mark.parametrize("words", [[], ["state"]])
def test_without_a_command_there_is_help(words: list[str]) -> None:
    done = subprocess.run([TXMON, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == " ".join(["Usage: txmon", *words, "[OPTIONS] COMMAND [ARGS]..."])
    assert {"Commands:", "Judge:"} & set(lines)
    assert len(lines) > 10


def test_fail_on_alert_exits_3() -> None:
    assert txmon("replay", str(SAMPLE), "--fail-on", "alert").returncode == 3
    assert txmon("replay", str(SAMPLE), "--fail-on", "alert", "--min-count", "1000000").returncode == 0


def test_gzip_gives_the_same_verdicts(tmp_path: Path) -> None:
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    assert txmon("replay", str(packed)).stdout == txmon("replay", str(SAMPLE)).stdout


def test_a_truncated_gzip_is_an_error_after_the_lines_before_it(tmp_path: Path) -> None:
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(SAMPLE.read_bytes())[:-2000])
    done = txmon("replay", str(packed))
    assert done.returncode == 74
    assert done.stdout.count(b"\n") > 100
    assert b"the gzip data ends too early after line" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["F1", "f0_", "count", "COUNT"])
def test_header_variants_and_column_order_change_nothing(name: str, tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    other = tmp_path / "other.csv"
    other.write_text(f"{name},Status,Time\n" + "".join(f"{c},{s},{t}\n" for t, s, c in rows))
    assert txmon("replay", str(other)).stdout == txmon("replay", str(SAMPLE)).stdout


def test_replay_needs_neither_pandas_nor_scipy() -> None:
    code = (
        "import sys; from txmon.cli.main import run; code = run(['replay', sys.argv[1], '--out', '/dev/null']);"
        " print(code, sorted({'pandas', 'scipy', 'duckdb', 'pymsteams', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(SAMPLE)], capture_output=True, timeout=60, check=True)
    assert done.stdout.decode().split("\n")[0] == "0 []"


def test_version_says_whether_the_core_is_compiled() -> None:
    done = txmon("--version")
    assert done.returncode == 0
    assert b"(compiled core" in done.stdout or b"(interpreted core" in done.stdout


def test_partial_lines_are_added_and_change_no_other() -> None:
    plain = txmon("replay", str(SAMPLE)).stdout.splitlines()
    with_partial = txmon("replay", str(SAMPLE), "--partial").stdout.splitlines()
    early = [line for line in with_partial if b'"partial": true' in line]
    assert early
    assert all(b'"recommendation": "alert"' in line for line in early)
    assert [line for line in with_partial if b'"partial": true' not in line] == plain


def test_out_of_order_rows_are_revised_and_said_in_a_stream_alone(tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    moved = [*lines[:2000], *lines[2001:2020], lines[2000], *lines[2020:]]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(moved))
    live = txmon("watch", "--lateness", "0s", stdin=path.read_bytes())
    assert b'"revises": true' in live.stdout
    assert b"1 record came after its bucket had closed" in live.stderr
    file = txmon("replay", str(path))
    assert file.stdout == txmon("replay", str(SAMPLE)).stdout
    assert b"after" not in file.stderr

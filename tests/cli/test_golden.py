"""Golden cases: what the installed `txmon` prints for given arguments and input, kept as small TOML files.

A case holds `args`, and optionally `stdin`, `files` (a table of names and contents), `env`, `stdout`, `stderr`
(compared whole), `stdout_starts`, `stdout_contains` and `stderr_contains` (lists), and `exit`. Run with
TXMON_GOLDEN=write to print what a case gives now.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CASES = sorted((Path(__file__).parent / "golden").glob("*.toml"))
TXMON = str(Path(sys.executable).with_name("txmon"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, tmp_path: Path) -> None:
    case = tomllib.loads(path.read_text())
    for name, content in case.get("files", {}).items():
        (tmp_path / name).write_text(content)
    own = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", **own, **case.get("env", {})}
    done = subprocess.run(
        [TXMON, *case["args"]],
        input=case.get("stdin", "").encode(),
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        timeout=60,
        check=False,
    )
    stdout, stderr = done.stdout.decode(), done.stderr.decode()
    if os.environ.get("TXMON_GOLDEN") == "write":
        print(f"stdout = '''\n{stdout}'''\nstderr = '''\n{stderr}'''\nexit = {done.returncode}")
    assert "Traceback" not in stderr
    if "stdout" in case:
        assert stdout == case["stdout"]
    if "stdout_starts" in case:
        assert stdout.startswith(case["stdout_starts"])
    if "stderr" in case:
        assert stderr == case["stderr"]
    for part in case.get("stdout_contains", []):
        assert part in stdout
    for part in case.get("stderr_contains", []):
        assert part in stderr
    assert done.returncode == case.get("exit", 0)


def test_there_are_cases() -> None:
    assert len(CASES) >= 9

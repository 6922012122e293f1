"""The compiled core and its plain source give the same verdicts, byte for byte."""

import shutil
import subprocess
import sys

import pytest
from paths import ROOT

CODE = """
import sys
if sys.argv[1] == "plain":
    sys.path.insert(0, sys.argv[2])
from txmon import version
from txmon.cli.main import run
print(version.describe(), file=sys.stderr)
sys.exit(run(["replay", sys.argv[3], "--explain"]))
"""


def replay(kind: str) -> tuple[str, bytes]:
    arguments = [sys.executable, "-c", CODE, kind, str(ROOT / "src"), str(ROOT / "examples" / "transactions.csv")]
    done = subprocess.run(arguments, capture_output=True, timeout=120, check=True)
    return done.stderr.decode(), done.stdout


def test_interpreted_and_compiled_verdicts_are_the_same() -> None:
    plain, compiled = replay("plain"), replay("installed")
    assert "interpreted core" in plain[0]
    if "compiled core" not in compiled[0] and shutil.which("gcc") is None:
        pytest.skip("needs a C compiler (Debian: gcc, libc6-dev)")
    assert "compiled core" in compiled[0]
    assert plain[1] == compiled[1]

"""docs/reliability.md says what the fault tests assert."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_is_current() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "docs" / "reliability.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (check.returncode, check.stderr) == (0, "")


def test_every_fault_test_is_a_row() -> None:
    tests = [
        line.removeprefix("def ").partition("(")[0]
        for path in Path(__file__).parent.glob("test_fault_*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def test_")
    ]
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert len(tests) >= 25
    assert [test for test in tests if f": {test}`" not in page] == []

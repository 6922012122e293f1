"""Every line of a replay against docs/verdict.schema.json."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from paths import ROOT

TXMON = str(Path(sys.executable).with_name("txmon"))
REAL = ROOT.parent / "shared" / "data"
SCHEMA = json.loads((ROOT / "docs" / "verdict.schema.json").read_text())
ORDER = list(SCHEMA["$defs"]["verdict"]["properties"])


def check(*arguments: str) -> int:
    done = subprocess.run([TXMON, "replay", *arguments], capture_output=True, timeout=120, check=True)
    validator = Draft202012Validator(SCHEMA)
    lines = done.stdout.decode().splitlines()
    for line in lines:
        row = json.loads(line)
        validator.validate(row)
        if "recommendation" in row:
            assert list(row) == [name for name in ORDER if name in row]
    return len(lines)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_line_of_the_sample() -> None:
    assert check(str(ROOT / "examples" / "transactions.csv")) > 3000


def test_every_line_by_merchant(tmp_path: Path) -> None:
    rows = [f"{h:02}:{m:02},{s},m{k},{2 + k}\n" for h in range(3) for m in range(60) for s in "ab" for k in range(3)]
    path = tmp_path / "by.csv"
    path.write_text("time,status,merchant,count\n" + "".join(rows))
    assert check(str(path), "--group-by", "merchant", "--date", "2026-03-02") > 1000


@pytest.mark.skipif(not REAL.exists(), reason="../shared/data is not here")
@pytest.mark.parametrize("name", ["transactions_1.csv", "transactions_2.csv"])
def test_every_line_of_the_real_files(name: str) -> None:
    assert check(str(REAL / name), "--date", "2026-03-02") > 4000

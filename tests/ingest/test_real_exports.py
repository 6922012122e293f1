"""Exports of databases, monitoring systems and processors give their counts, minute by minute, or a message."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from exports import ALL, Export

from txmon.cli.main import run


@pytest.mark.parametrize("export", ALL, ids=lambda export: export.name)
def test_export(export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input"
    path.write_bytes(export.data)
    code = run(["replay", str(path), "--bucket", "1m", *export.flags])
    out, err = capsys.readouterr()
    if isinstance(export.expected, str):
        assert code == 65, err
        assert re.search(export.expected, err), err
        return
    found: Counter[tuple[str, str]] = Counter()
    for line in map(json.loads, out.splitlines()):
        if "event" not in line and line["status"] != "*" and line["count"]:
            found[line["time"], line["status"]] += line["count"]
    expected = Counter(
        {(datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), status): n
         for (time, status), n in export.expected.items()}
    )  # fmt: skip
    assert code == 0, err
    assert found == expected, err

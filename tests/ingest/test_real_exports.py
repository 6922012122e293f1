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


def test_a_status_within_a_text_is_named_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of a container's log: what the service wrote is a text in them."""
    path = tmp_path / "pods.jsonl"
    rows = [
        {"stream": "stdout", "time": f"2026-03-02T10:{m:02d}:00Z", "log": f"level=info status=ok id=tx{m}\n"}
        for m in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(["replay", str(path)]) == 65
    err = capsys.readouterr().err
    assert "the status is within the text of column 'log'" in err
    assert r"""jq -r '"time=\(.time) \(.log)"' FILE | txmon replay -""" in err
    assert len(err.splitlines()) == 1

"""Numbers that are none, days without any, ten thousand statuses, text that is no text."""

import json
import resource
import subprocess
from pathlib import Path

import pytest
from fault_tools import TXMON, ordinary, table, txmon

NO_COUNTS = [
    "nan", "NaN", "inf", "-inf", "-1", "-0.5", "1.5", "1e999", "9" * 400, "1000000000000001", "0x10", "", "1 2", "٣٫٥",
]  # fmt: skip


@pytest.mark.fault(
    "counts that are NaN, infinite, negative, broken or above 10^15",
    "are bad records, with one message for each kind; no verdict changes",
)
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_counts_that_are_none(kind: str) -> None:
    rows = ordinary(50)
    bad = [("2026-03-02T10:30:00Z", "denied", text) for text in NO_COUNTS]
    if kind == "csv":
        given, clean = table([*rows[:62], *bad, *rows[62:]]), table(rows)
    else:
        numbers = ["NaN", "Infinity", "-Infinity", "-1", "1.5", "1e999", "9" * 400, "true", "[1]", '"x"']
        line = '{{"time": "{}", "status": "{}", "count": {}}}\n'
        bad = [("2026-03-02T10:30:00Z", "denied", text) for text in numbers]
        given, clean = (
            "".join(line.format(*r) for r in part).encode() for part in ([*rows[:62], *bad, *rows[62:]], rows)
        )
    done = txmon("replay", "-", stdin=given)
    assert (done.code, done.out) == (0, txmon("replay", "-", stdin=clean).out)
    assert f"({len(bad)} bad records of this kind: count)" in done.err


@pytest.mark.fault("the largest counts (10^15 a row)", "are added up exactly; every number written is finite")
def test_the_largest_counts() -> None:
    rows = [
        (f"2026-03-02T10:{m:02}:00Z", s, 10**15) for m in range(40) for s in ("approved", "denied") for _ in range(3)
    ]
    done = txmon("replay", "-", stdin=table(rows))
    assert (done.code, done.err) == (0, "")
    assert {line["total"] for line in done.volume()} == {6 * 10**15}
    assert done.alerts() == []


@pytest.mark.fault(
    "a day of zeros",
    "is no silence and no alert, and teaches no shares: failures in the very first minute that has any are not judged, "
    "those of the next minute alert as usual",
)
def test_a_day_of_zeros() -> None:
    rows = [
        (f"2026-03-02T{m // 60:02}:{m % 60:02}:00Z", s, 0)
        for m in range(1440)
        for s in ("approved", "denied", "failed")
    ]
    quiet = txmon("replay", "-", stdin=table(rows))
    assert (quiet.code, quiet.err) == (0, "")
    assert len(quiet.volume()) == 1440
    assert quiet.alerts() == []
    after = txmon(
        "replay", "-", stdin=table([*rows, *ordinary(30, "2026-03-03"), ("2026-03-03T10:30:00Z", "failed", 50)])
    )
    assert "failed" in {line["status"] for line in after.alerts()}
    at_once = [(f"2026-03-03T00:0{m}:00Z", s, n) for m in range(3) for s, n in (("approved", 100), ("failed", 50))]
    attack = txmon("replay", "-", stdin=table([*rows, *at_once])).lines
    judged = [v["recommendation"] for v in attack if v.get("status") == "failed" and "recommendation" in v]
    assert judged[-3:] == ["ok", "alert", "alert"]


@pytest.mark.fault(
    "10,000 statuses a minute",
    "a thousand of them are judged separately, the others are added up as `(other)`, within 300 MB",
)
def test_ten_thousand_statuses(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        table((f"2026-03-02T10:{m:02}:00Z", f"s{n}", 1 + (n + m) % 3) for m in range(4) for n in range(10_000))
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run([TXMON, "replay", str(path)], capture_output=True, timeout=60, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 4 * 1002  # a thousand statuses, the others added up, and the total
    assert sum(line["count"] for line in lines if line["status"] == "(other)") > 4 * 9000
    assert {line["recommendation"] for line in lines} == {"warming"}
    # the largest of all children so far: an upper bound of this one's
    assert max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) < 300_000 or before > 300_000


@pytest.mark.fault("half a character in JSON (`\\ud800`)", "is a bad record, because no output could hold it")
def test_half_a_surrogate_pair() -> None:
    rows = [
        '{"time": "2026-03-02T10:00:00Z", "status": "' + text + '", "count": 1}'
        for text in ("\\ud800", "\\ud83d\\ude00", "failed", "failed")
    ]
    done = txmon("replay", "-", stdin="\n".join(rows).encode())
    assert done.code == 0
    assert [line["status"] for line in done.lines] == ["failed", "😀", "*"]
    assert done.err.splitlines()[0] == (
        "txmon: <stdin>:1: half of a surrogate pair is not a character (1 bad record of this kind: encoding)"
    )


@pytest.mark.fault(
    "a late row, and at once a row that closes many minutes",
    "corrects its minute before it is forgotten, and is counted",
)
def test_a_late_row_and_then_many_minutes_at_once() -> None:
    oldest = 23
    rows = [*ordinary(40), (f"2026-03-02T10:{oldest}:00Z", "denied", 5), ("2026-03-02T11:10:00Z", "denied", 5)]
    done = txmon("watch", stdin=table(rows))
    late = f"txmon: 1 record came after its bucket had closed; the first at 2026-03-02T10:{oldest}:00Z\n"
    assert (done.code, done.err) == (0, late)
    assert len([line for line in done.volume() if "revises" not in line]) == 71


@pytest.mark.fault("a locale without UTF-8", "lines in files and pipes are UTF-8; what else cannot be shown is escaped")
def test_an_output_that_is_not_utf_8() -> None:
    done = subprocess.run(
        [TXMON, "replay", "-"], input=table([("2026-03-02T10:00:00Z", "négatif€", 1)]), capture_output=True, timeout=60,
        check=True, env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[0])["status"] == "négatif€"
    told = subprocess.run(
        [TXMON, "replay", "négatif€.csv"], capture_output=True, timeout=60, check=False,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert b"txmon: n\\xe9gatif\\u20ac.csv: " in told.stderr

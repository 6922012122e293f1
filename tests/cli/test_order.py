"""A file is read as a whole: the order of its rows, and of files, changes no verdict; repeats; unreadable input."""

import gzip
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from paths import ROOT, SHARED

TXMON = str(Path(sys.executable).with_name("txmon"))
SAMPLE = ROOT / "examples" / "transactions.csv"
HEADER, *ROWS = SAMPLE.read_text().splitlines()
GROUPED = SHARED / "data" / "unlabelled" / "transactions_3.csv"


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([TXMON, *map(str, arguments)], input=stdin, capture_output=True, timeout=120, check=False)


def verdicts(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    done = run("replay", *arguments, stdin=stdin)
    # each source's reading is said, and nothing else
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if b"; time=" not in line] == []
    return done.stdout


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


def totals(lines: bytes) -> Counter[str]:
    found = {}
    for line in map(json.loads, lines.splitlines()):
        if "event" not in line:
            found[line["time"], line["status"]] = line["count"]
    counts: Counter[str] = Counter()
    for (_, status), count in found.items():
        counts[status] += count
    return counts


@pytest.fixture(scope="module")
def usual() -> bytes:
    return verdicts(SAMPLE)


@pytest.mark.parametrize("order", ["reversed", "shuffled", "by status", "sorted as texts"])
def test_the_order_of_rows_changes_no_verdict(tmp_path: Path, usual: bytes, order: str) -> None:
    rows = list(ROWS)
    if order == "reversed":
        rows.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(rows)
    else:
        rows.sort(key=(lambda row: row.split(",")[1]) if order == "by status" else None)
    assert verdicts(write(tmp_path / "t.csv", rows)) == usual


def test_several_files_in_any_order_and_overlapping_are_one_stream(tmp_path: Path, usual: bytes) -> None:
    parts = [ROWS[:3000:2], ROWS[2000:], ROWS[1:2000:2], ROWS[2000:3000:2]]
    whole = Counter(ROWS)
    parts[1] = list((whole - Counter(parts[0]) - Counter(parts[2])).elements())
    files = [write(tmp_path / f"{n}.csv", rows) for n, rows in enumerate(parts[:3])]
    packed = tmp_path / "2.csv.gz"
    packed.write_bytes(gzip.compress(files[2].read_bytes()))
    assert verdicts(files[1], packed, files[0]) == usual
    assert verdicts(files[0], files[1], "-", stdin=files[2].read_bytes()) == usual


def test_the_order_of_rows_changes_nothing_by_key_either(tmp_path: Path) -> None:
    rng = random.Random(2)
    rows = [f"2026-03-02 {m // 60:02}:{m % 60:02}:{s:02},{status},{rng.randrange(1, 9)},m{rng.randrange(20)}"
            for m in range(90) for s in (0, 20, 40) for status in ("paid", "denied", "failed")]  # fmt: skip
    header = "time,status,count,merchant"
    flags = ("--group-by", "merchant", "--warmup", "10m", "--bucket", "30s")
    in_order = verdicts(write(tmp_path / "a.csv", rows, header), *flags)
    rng.shuffle(rows)
    assert verdicts(write(tmp_path / "b.csv", rows, header), *flags) == in_order
    table = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    lines = [json.dumps({**row, "count": int(row["count"])}) for row in table]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    assert verdicts(tmp_path / "c.jsonl", *flags) == in_order


@pytest.mark.parametrize("flags", [("--partial",), ("--inject", "denied:x4@14:00/20m")])
def test_single_records_are_sorted_too(tmp_path: Path, flags: tuple[str, ...]) -> None:
    rows = sorted(ROWS, key=lambda row: row.split(",")[1])
    assert run("replay", write(tmp_path / "t.csv", rows), *flags).stdout == run("replay", SAMPLE, *flags).stdout


def test_analyze_and_tune_read_a_whole_file_too(tmp_path: Path) -> None:
    shuffled = list(ROWS)
    random.Random(3).shuffle(shuffled)
    other = write(tmp_path / SAMPLE.name, shuffled)
    for command in (("analyze", "--json"), ("tune", "--budget", "1/day")):
        there, here = run(*command, SAMPLE), run(*command, other)
        assert there.returncode == here.returncode == 0
        assert here.stdout.replace(bytes(other), bytes(SAMPLE)) == there.stdout


def test_the_file_grouped_by_status_has_the_verdicts_of_the_sorted_one(tmp_path: Path) -> None:
    if not GROUPED.exists():
        pytest.skip("the shared data is not here")
    header, *rows = GROUPED.read_text().splitlines()
    assert verdicts(GROUPED) == verdicts(write(tmp_path / "sorted.csv", sorted(rows), header))
    expected: Counter[str] = Counter()
    for row in rows:
        _, status, count = row.split(",")
        expected[status] += int(count)
    found = totals(verdicts(GROUPED))
    assert {status: found[status] for status in expected} == expected


def lifecycle(form: str, rows: list[tuple[str, str, str]]) -> bytes:
    if form == "csv":
        return "\n".join(["id,time,status", *map(",".join, rows), ""]).encode()
    return "\n".join(json.dumps({"id": i, "time": t, "status": s}) for i, t, s in rows).encode()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("command", ["replay", "watch"])
def test_a_repeat_has_the_same_id_status_and_time(form: str, command: str) -> None:
    rows = [(f"t{n}", f"2026-03-02T10:{n % 60:02}:{n % 7:02}Z", "approved") for n in range(600)]
    rows += [(i, t, "reversed") for i, t, _ in rows[:300]]  # the same transactions, reversed at once
    rows += [(i, t.replace(":0", ":1"), s) for i, t, s in rows[:20]]  # and the same status again later
    repeats = rows[100:105]
    rows = sorted([*rows, *repeats], key=lambda row: row[1])
    done = run(command, *(["-"] if command == "replay" else []), stdin=lifecycle(form, rows))
    expected = Counter(status for _, _, status in set(rows))
    found = totals(done.stdout)
    assert done.returncode == 0
    assert {status: found[status] for status in expected} == expected
    assert b"5 records repeat the id, status and time of one counted before" in done.stderr


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_many_repeats_are_a_question(form: str, tmp_path: Path) -> None:
    rows = [(f"terminal{n % 3}", f"2026-03-02T10:{n // 10:02}:00Z", "approved") for n in range(300)]
    path = tmp_path / "t"
    path.write_bytes(lifecycle(form, rows))
    done = run("replay", path)
    assert (done.returncode, done.stdout) == (65, b"")
    assert b"210 of 300 rows repeat the id, status and time of another row. Use --map id= " in done.stderr
    confirmed = run("replay", path, "--map", "id=id")
    assert (confirmed.returncode, totals(confirmed.stdout)["approved"]) == (0, 90)


def test_the_wrong_half_is_an_error_after_the_verdicts(tmp_path: Path) -> None:
    good = ROWS[:40]
    bad = ["yesterday," + row.split(",", 1)[1] for row in ROWS[:50]]
    path = write(tmp_path / "t.csv", [*good, *bad])
    for command in ("replay", "watch", "analyze"):
        stdin = path.read_bytes() if command == "watch" else b""
        done = run(command, *([] if command == "watch" else [path]), stdin=stdin)
        assert done.returncode == 65, command
        assert done.stdout
        assert b"only 40 of 90 records could be read. For example in line 42: " in done.stderr
        assert b"--map time=COLUMN" in done.stderr
    assert run("replay", path, "--fail-on", "alert").returncode == 65
    assert run("replay", write(path, [*good, *bad[:40]])).returncode == 0


def test_a_query_answers_and_then_says_that_most_rows_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [*ROWS[:4], *["yesterday,approved,1"] * 5])
    done = run("query", "SELECT count(*) AS n FROM transactions", path, "--format", "csv")
    assert (done.returncode, done.stdout) == (65, b"n\n4\n")
    assert b"only 4 of 9 records could be read: a time that cannot be read. Use --map FIELD=COLUMN" in done.stderr
    write(path, [])
    done = run("query", "SELECT count(*) AS n FROM transactions", path, "--format", "csv")
    assert (done.returncode, done.stdout) == (65, b"n\n0\n")
    assert b"no record could be read, because no line follows the header" in done.stderr
    write(path, [*ROWS[:5], *["yesterday,approved,1"] * 5])
    assert run("query", "SELECT count(*) AS n FROM transactions", path).returncode == 0


@pytest.mark.parametrize("command", ["replay", "watch", "analyze", "tune"])
def test_an_input_without_any_record_is_an_error(tmp_path: Path, command: str) -> None:
    path = write(tmp_path / "t.csv", ["yesterday,approved,1", "today,approved,2"])
    more = ["--budget", "1/day"] if command == "tune" else []
    for content in (path.read_bytes(), HEADER.encode() + b"\n"):
        path.write_bytes(content)
        done = run(command, *([] if command == "watch" else [path]), *more, stdin=content)
        assert (done.returncode, done.stdout) == (65, b""), command
        assert b"no record could be read" in done.stderr

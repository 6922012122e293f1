"""txmon simulate: the incident grammar, the statistics, the labels, the pace."""

import csv
import io
import itertools
import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from txmon.cli.commands.simulate import simulate
from txmon.errors import IoFailure, TxmonError, UsageError
from txmon.evaluation.incident_spec import Change, Origin, changed_mean, parse_incident, resolve
from txmon.evaluation.simulate import STATUSES, Simulation, paced
from txmon.evaluation.simulate_text import count_batches, event_batches, labels

MONDAY = 1772409600  # 2026-03-02T00:00:00Z
HOUR = 3600


def run(*arguments: str) -> str:
    result = CliRunner().invoke(simulate, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def failure(*arguments: str) -> TxmonError:
    error = CliRunner().invoke(simulate, list(arguments)).exception
    assert isinstance(error, TxmonError)
    return error


def simulation(*specs: str, days: float = 1, peak: float = 200, seed: int = 0, width: int = 60) -> Simulation:
    return Simulation(MONDAY, days, peak, seed, width, tuple(map(parse_incident, specs)))


def counts(stream: Simulation, status: str) -> dict[int, int]:
    """Count by bucket; "*" for all statuses together."""
    return {b.begin: sum(n for s, n in b.counts if status in ("*", s)) for b in stream.buckets()}


def between(series: dict[int, int], begin: int, end: int) -> list[int]:
    return [n for moment, n in series.items() if begin <= moment < end]


# the grammar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("denied:x3@14:00/20m", ("denied", Change.MULTIPLY, 3, Origin.FIRST_DAY, 14 * HOUR, 1200)),
        ("failed:+6@16:00/30m", ("failed", Change.ADD, 6, Origin.FIRST_DAY, 16 * HOUR, 1800)),
        ("denied:rampx2.5@d2,9:30/40m", ("denied", Change.RAMP, 2.5, Origin.FIRST_DAY, 2 * 86400 + 34200, 2400)),
        ("*:x0.2@10:00:30/90s", ("*", Change.MULTIPLY, 0.2, Origin.FIRST_DAY, 36030, 90)),
        ("silence@03:10/1d", ("*", Change.SILENCE, 0, Origin.FIRST_DAY, 11400, 86400)),
        ("sale:x1.8@2026-03-03T14:00/2h", ("*", Change.SALE, 1.8, Origin.EPOCH, MONDAY + 38 * HOUR, 7200)),
        ("denied:x3@2026-03-02T14:00+02:00/1h30m", ("denied", Change.MULTIPLY, 3, Origin.EPOCH, MONDAY + 43200, 5400)),
        ("backend_reversed:x.5@+10m/5m", ("backend_reversed", Change.MULTIPLY, 0.5, Origin.STREAM, 600, 300)),
    ],
)
def test_spec_is_read(text: str, expected: tuple[object, ...]) -> None:
    spec = parse_incident(text)
    assert (spec.status, spec.change, spec.amount, spec.origin, spec.offset, spec.duration) == expected
    assert spec.text == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "at character 1, '' has no @"),
        ("denied:x3", "has no @"),
        ("denied:x3@14:00", "at character 11, '14:00' has no /"),
        ("denied@14:00/20m", "at character 1, 'denied' is not a change"),
        ("denied:@14:00/20m", "'denied:' is not a change"),
        ("denied:y3@14:00/20m", "at character 8, 'y3' is not a change"),
        ("denied:x-3@14:00/20m", "'x-3' is not a change"),
        ("denied:xnan@14:00/20m", "'xnan' is not a change"),
        ("denied:x1@14:00/20m", "'x1' changes nothing"),
        ("denied:+0@14:00/20m", "'+0' changes nothing"),
        ("denied:x9999@14:00/20m", "'x9999' is more than x1000"),
        ("denied:+1" + "0" * 400 + "@14:00/20m", "is more than +1000000"),
        ("De nied:x3@14:00/20m", "at character 1, 'De nied' is not a status"),
        (":x3@14:00/20m", "is not a status"),
        ("silence:x3@14:00/20m", "at character 9, 'x3' cannot follow silence"),
        ("sale:x0.5@14:00/20m", "'x0.5' is not valid for a sale"),
        ("sale:+5@14:00/20m", "'+5' is not valid for a sale"),
        ("denied:x3@25:00/20m", "at character 11, '25:00' is not a time of day"),
        ("denied:x3@noon/20m", "'noon' is not a time like"),
        ("denied:x3@2026-03-03/20m", "'2026-03-03' is not a time like"),
        ("denied:x3@2026-13-03T10:00/20m", "is not a time like"),
        ("denied:x3@+10/20m", "'+10' is not a time after the start"),
        ("denied:x3@14:00/20", "at character 17, '20' is not a duration"),
        ("denied:x3@14:00/", "'' is not a duration"),
        ("denied:x3@14:00/0m", "'0m' is too short"),
    ],
)
def test_bad_spec_is_quoted_with_the_wrong_part_and_an_example(text: str, part: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_incident(text)
    said = str(error.value)
    assert repr(text) in said
    assert part in said
    assert "denied:x3@14:00/20m" in said.rsplit("example", 1)[1]
    assert "\n" not in said


@given(st.text(alphabet="denied*:x+ramp0123456789.@/dThmsale- ²", max_size=30))
def test_any_text_is_a_spec_or_a_usage_error(text: str) -> None:
    try:
        spec = parse_incident(text)
    except UsageError:
        return
    assert spec.duration >= 1


def test_a_day_is_counted_from_midnight_of_the_first_day_and_plus_from_the_start() -> None:
    noon = MONDAY + 12 * HOUR
    assert resolve(parse_incident("denied:x3@d1,14:00/20m"), noon) == (MONDAY + 38 * HOUR, MONDAY + 38 * HOUR + 1200)
    assert resolve(parse_incident("denied:x3@+14m/20m"), noon) == (noon + 840, noon + 2040)
    assert resolve(parse_incident("denied:x3@1970-01-01T00:01/20m"), noon) == (60, 1260)


@pytest.mark.parametrize(
    ("text", "begin", "expected"),
    [
        ("denied:x3@00:10/10m", 540, 100),  # the minute before
        ("denied:x3@00:10/10m", 600, 300),
        ("denied:x3@00:10/10m", 1140, 300),
        ("denied:x3@00:10/10m", 1200, 100),  # the end is not in it
        ("failed:x3@00:10/10m", 600, 100),  # another status
        ("*:x0.2@00:10/10m", 600, 20),
        ("denied:+6@00:10/90s", 660, 103),  # half of the minute
        ("silence@00:10/90s", 660, 50),
        ("denied:rampx3@00:10/10m", 600, 110),
        ("denied:rampx3@00:10/10m", 1140, 290),
        ("sale:x2@00:00/1h", 1800, 200),
        ("sale:x2@00:00/1h", 270, 150),
    ],
)
def test_the_changed_mean(text: str, begin: int, expected: float) -> None:
    spec = parse_incident(text)
    assert changed_mean(spec, resolve(spec, 0), begin, "denied", 100) == pytest.approx(expected)


# the statistics


def test_the_day_has_its_shape_and_the_statuses_their_shares() -> None:
    stream = simulation(days=7, peak=1000)
    total, approved = counts(stream, "*"), counts(stream, "approved")
    friday = MONDAY + 4 * 86400
    busiest = statistics.mean(between(approved, friday + 57600 - 300, friday + 57600 + 300))
    assert busiest == pytest.approx(1000, rel=0.05)
    hours = [sum(between(approved, MONDAY + h * HOUR, MONDAY + (h + 1) * HOUR)) for h in range(24)]
    assert min(hours) < 0.05 * max(hours)
    assert hours[13] < hours[11] < hours[16] > hours[21]
    days = [sum(between(total, MONDAY + d * 86400, MONDAY + (d + 1) * 86400)) for d in range(7)]
    assert max(days[5:]) < 0.9 * min(days[:5])
    for status, share in {"denied": 0.10, "failed": 0.0005, "reversed": 0.01, "backend_reversed": 0.001}.items():
        assert sum(counts(stream, status).values()) / sum(total.values()) == pytest.approx(share, rel=0.1)


def test_counts_are_mildly_overdispersed() -> None:
    ratios = []
    for status in ("approved", "denied", "reversed"):
        series = list(counts(simulation(days=3), status).values())
        steps = [(b - a) ** 2 / 2 for a, b in itertools.pairwise(series)]  # the slow profile cancels
        ratios.append(sum(steps) / sum(series))
    assert ratios == pytest.approx([1.5, 1.3, 1.1], rel=0.1)


@pytest.mark.parametrize(
    ("spec", "status", "factor", "added"),
    [
        ("denied:x3@14:00/1h", "denied", 3, 0),
        ("failed:+6@14:00/1h", "failed", 1, 6),
        ("denied:rampx3@14:00/1h", "denied", 2, 0),
        ("*:x0.2@14:00/1h", "*", 0.2, 0),
        ("silence@14:00/1h", "*", 0, 0),
        ("sale:x1.8@14:00/1h", "*", 1.6, 0),
    ],
)
def test_the_labels_tell_where_the_mean_changed(spec: str, status: str, factor: float, added: float) -> None:
    stream, clean = simulation(spec, peak=1000), simulation(peak=1000)
    truth = labels(stream)
    (label,) = truth["incidents"] + truth["traps"]
    begin, end = (int(datetime.fromisoformat(label[key]).timestamp()) for key in ("start", "end"))
    assert (begin, end) == (MONDAY + 14 * HOUR, MONDAY + 15 * HOUR - 60)
    before, after = counts(clean, status), counts(stream, status)
    inside = statistics.mean(between(after, begin, end + 60))
    usual = statistics.mean(between(before, begin, end + 60))
    assert inside == pytest.approx(usual * factor + added, rel=0.08)
    outside = {m: n for m, n in after.items() if not begin <= m <= end}
    assert all(before[m] == n for m, n in outside.items())
    if "statuses" in label and status != "*":
        assert label["statuses"] == [status]
        others = [s for s in STATUSES if s != status]
        assert all(counts(stream, s) == counts(clean, s) for s in others)


def test_silence_wins_over_what_is_added() -> None:
    series = counts(simulation("silence@14:00/10m", "failed:+6@13:55/30m"), "*")
    assert not any(between(series, MONDAY + 14 * HOUR, MONDAY + 14 * HOUR + 600))


# the labels


def test_the_labels_are_what_the_scorer_reads(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    specs = ["*:x0.2@18:00/4m", "silence@12:10/15m", "sale:x1.8@20:00/90s", "approved:x0.3@13:00/5m"]
    specs += ["backend_reversed:x9@15:00:30/2m", "*:x3@16:00/1m", "failed:+6@23:50/1h"]
    run("--labels", str(path), *itertools.chain.from_iterable(("--incident", spec) for spec in specs))
    truth = json.loads(path.read_text())
    assert list(truth) == ["warmup", "incidents", "traps"]
    assert truth["warmup"] == "2026-03-02T06:00:00Z"
    every = [*STATUSES, "*"]
    assert truth["traps"] == [{"kind": "sale", "start": "2026-03-02T20:00:00Z", "end": "2026-03-02T20:01:00Z"}]
    assert [(row["kind"], row["statuses"], row.get("affects")) for row in truth["incidents"]] == [
        ("silence", every, None),
        ("approved drop", ["approved", "*"], None),
        ("backend reversed step", ["backend_reversed"], None),
        ("surge", every, None),
        ("dip", ["approved", "*"], every),
        ("failed burst", ["failed"], None),
    ]
    step, burst = truth["incidents"][2], truth["incidents"][-1]
    assert (step["start"], step["end"]) == ("2026-03-02T15:00:00Z", "2026-03-02T15:02:00Z")
    assert burst["end"] == "2026-03-02T23:59:00Z"  # cut to the stream


@pytest.mark.parametrize(
    ("spec", "kind"),
    [("denied:rampx3", "denied ramp"), ("denied:rampx.3", "denied decline"), ("denied:x.3", "denied drop")],
)
def test_a_label_is_named_by_its_change(spec: str, kind: str) -> None:
    assert labels(simulation(f"{spec}@10:00/20m"))["incidents"][0]["kind"] == kind


# the text


def test_csv_rows_are_whole_minutes_and_never_zero() -> None:
    rows = list(csv.DictReader(io.StringIO(run("--days", "0.5", "--incident", "silence@03:00/1h"))))
    assert list(rows[0]) == ["time", "status", "count"]
    assert rows[0]["time"] == "2026-03-02T00:00:00Z"
    assert rows[-1]["time"] == "2026-03-02T11:59:00Z"
    assert all(row["time"].endswith(":00Z") and int(row["count"]) > 0 for row in rows)
    assert not any("T03:" in row["time"] for row in rows)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_jsonl_says_the_same_as_csv() -> None:
    table = csv.DictReader(io.StringIO(run("--days", "0.1")))
    lines = [json.loads(line) for line in run("--days", "0.1", "--format", "jsonl").splitlines()]
    assert lines == [{**row, "count": int(row["count"])} for row in table]


def test_events_are_the_counts_one_by_one() -> None:
    arguments = ("--days", "0.4", "--incident", "denied:x3@07:00:30/90s", "--incident", "silence@08:00:20/30s")
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "--events", "--merchants", "5"))))
    by_minute = Counter((row["time"][:16] + ":00Z", row["status"]) for row in rows)
    expected = {(r["time"], r["status"]): int(r["count"]) for r in csv.DictReader(io.StringIO(run(*arguments)))}
    assert by_minute == expected
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["merchant"] for row in rows} == {f"m{n}" for n in range(1, 6)}
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    at_eight = {row["time"][17:19] for row in rows if row["time"].startswith("2026-03-02T08:00")}
    assert at_eight
    assert not any("20" <= second < "50" for second in at_eight)  # silent to the second


def test_events_as_jsonl_name_their_fields() -> None:
    first = json.loads(run("--days", "0.01", "--events", "--format", "jsonl").splitlines()[0])
    assert list(first) == ["time", "status", "id", "merchant"]


@pytest.mark.parametrize("width", [10, 3600])
def test_another_bucket_has_the_same_volume(width: int) -> None:
    wide, minutes = counts(simulation(width=width), "*"), counts(simulation(), "*")
    assert sum(wide.values()) == pytest.approx(sum(minutes.values()), rel=0.02)
    assert all(begin % width == 0 for begin in wide)


# the same bytes


@pytest.mark.parametrize("more", [(), ("--events",), ("--format", "jsonl")])
def test_the_same_arguments_are_the_same_bytes(more: tuple[str, ...]) -> None:
    arguments = ("--days", "0.3", "--incident", "denied:x3@02:00/20m", *more)
    assert run(*arguments) == run(*arguments)
    assert run(*arguments) != run(*arguments, "--seed", "1")


def test_a_longer_stream_begins_with_the_shorter_and_a_later_one_is_its_end() -> None:
    two = run("--days", "2")
    assert two.startswith(run("--days", "1.5"))
    assert two.endswith(run("--days", "1", "--start", "2026-03-03T00:00:00Z").split("\n", 1)[1])


def test_the_start_may_be_in_a_day_and_in_a_zone() -> None:
    rows = run("--days", "0.01", "--start", "2026-03-02T14:00:20+02:00").splitlines()
    assert rows[1].startswith("2026-03-02T12:00:00Z,approved,")


# the pace


class Clock:
    """Sleeping is what makes its time pass."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_speed_gives_the_same_bytes_each_minute_at_its_end() -> None:
    stream = simulation(days=0.01)
    clock = Clock(5000.0)
    batches = paced(count_batches(stream), MONDAY, 5000.0, 30.0, clock.time, clock.sleep)
    seen = [(clock.now, batch.text) for batch in batches]
    assert "".join(text for _, text in seen) == "".join(batch.text for batch in count_batches(stream))
    assert [moment for moment, _ in seen] == pytest.approx([5000 + 2 * n for n in range(len(seen))])


def test_a_late_batch_comes_at_once_and_the_pace_is_kept() -> None:
    clock = Clock(0.0)
    paces = paced(event_batches(simulation(days=0.01)), MONDAY, 0.0, 60.0, clock.time, clock.sleep)
    next(paces)
    next(paces)
    clock.now += 1.5  # the reader was slow
    next(paces)
    next(paces)
    assert clock.slept == pytest.approx([1.0, 0.5])


def fake_time(monkeypatch: pytest.MonkeyPatch, now: float) -> Clock:
    clock = Clock(now)
    monkeypatch.setattr("txmon.cli.commands.simulate.time", clock)  # the command's clock alone
    return clock


def test_the_command_with_speed_writes_what_it_writes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = fake_time(monkeypatch, 1e9)
    assert run("--days", "0.05", "--speed", "3600") == run("--days", "0.05")
    assert sum(clock.slept) == pytest.approx(1.2)


def test_live_begins_now_and_a_row_comes_when_its_minute_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = fake_time(monkeypatch, MONDAY + 12 * HOUR + 20)
    rows = run("--live", "--days", "0.00139", "--incident", "failed:+50@+1m/1m").splitlines()
    assert clock.slept == pytest.approx([40, 60])
    assert {row[:20] for row in rows[1:]} == {"2026-03-02T12:00:00Z", "2026-03-02T12:01:00Z"}
    assert any(row.startswith("2026-03-02T12:01:00Z,failed,") for row in rows)


def test_out_holds_what_standard_output_would(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    assert run("--days", "0.1", "--out", str(path)) == ""
    assert path.read_bytes().decode() == run("--days", "0.1")


# what cannot be


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--incident", "denied:y3@14:00/20m"], "'y3' is not a change"),
        (["--incident", "deneid:x3@14:00/20m"], "did you mean 'denied'?"),
        (["--incident", "denied:x3@d1,14:00/20m"], "outside the stream"),
        (["--start", "2026-03-02T12:00", "--incident", "denied:x3@10:00/20m"], "outside the stream"),
        (["--days", "0"], "0 days"),
        (["--days", "nan"], "nan days"),
        (["--days", "1e9"], "1970 and 2100"),
        (["--start", "1960-01-01"], "1970 and 2100"),
        (["--start", "monday"], "'monday'"),
        (["--peak", "0"], "peak of 0"),
        (["--peak", "nan"], "peak of nan"),
        (["--seed", "-1"], "seed -1"),
        (["--bucket", "7m"], "divide a day"),
        (["--bucket", "minute"], "not a duration"),
        (["--speed", "0"], "--speed 0"),
        (["--speed", "inf"], "--speed inf"),
        (["--live", "--speed", "2"], "--live"),
        (["--live", "--start", "2026-03-02"], "--live"),
        (["--merchants", "3"], "--events"),
        (["--events", "--merchants", "0"], "0 merchants"),
        (["--out", "x", "--labels", "x"], "--labels x is --out x too"),
        (["--peak", "1e6", *["--incident", "*:x1000@00:00/1m"] * 3], "more than 100000000"),
    ],
)
def test_what_cannot_be_is_a_usage_error(arguments: Sequence[str], said: str) -> None:
    error = failure(*arguments)
    assert isinstance(error, UsageError)
    assert said in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("option", ["--out", "--labels"])
def test_a_file_that_cannot_be_written_is_an_io_failure(option: str, tmp_path: Path) -> None:
    error = failure(option, str(tmp_path / "absent" / "file"))
    assert isinstance(error, IoFailure)
    assert "No such file" in str(error)


def test_a_width_that_does_not_divide_a_day_is_refused() -> None:
    with pytest.raises(UsageError, match="divide a day"):
        replace(simulation(), width=7)


def test_a_closed_pipe_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        simulate.main(["--days", "0.1"], standalone_mode=False)


def test_importing_the_command_does_not_import_numpy() -> None:
    code = "import sys, txmon.cli.commands.simulate; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

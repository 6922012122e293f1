"""replay --inject: what is added and taken away, the same each time, and what the report says of it."""

from collections import Counter

import pytest
from click.testing import CliRunner
from paths import ROOT

from txmon.cli.commands.replay import replay
from txmon.errors import UsageError
from txmon.evaluation.incident_spec import parse_incident
from txmon.evaluation.inject import Injector, Watch, report, shows
from txmon.ingest.records import Record
from txmon.model.keys import Key
from txmon.model.outcome import Outcome
from txmon.model.verdict import Stated, Verdict

SAMPLE = str(ROOT / "examples" / "transactions.csv")
MONDAY = 1772409600  # 2026-03-02T00:00:00Z
HOUR = 3600
M1: Key = (("merchant", "m1"),)
M2: Key = (("merchant", "m2"),)


def steady(hours: float = 2, **counts: int) -> list[Record]:
    """So many of each status every minute."""
    minutes = range(MONDAY, MONDAY + int(hours * HOUR), 60)
    return [Record(minute, status, count) for minute in minutes for status, count in counts.items()]


def injected(records: list[Record], *specs: str, width: int = 60) -> list[Record]:
    return list(Injector([parse_incident(spec) for spec in specs], width).apply(records))


def by_minute(records: list[Record], status: str) -> dict[int, int]:
    found: Counter[int] = Counter()
    for record in records:
        if record.status == status:
            found[(record.time - MONDAY) // 60] += record.count
    return dict(found)


def between(records: list[Record], status: str, first: int, end: int) -> int:
    return sum(count for minute, count in by_minute(records, status).items() if first <= minute < end)


def test_a_factor_adds_what_it_says_and_leaves_the_rest_alone() -> None:
    records = steady(approved=400, denied=50)
    changed = injected(records, "denied:x3@01:00/20m")
    # 20 minutes of 50 more by 100, Poisson: 2,000 +- 45
    assert between(changed, "denied", 60, 80) == pytest.approx(3000, abs=180)
    assert [r for r in changed if r in set(records)] == records
    extra = [r for r in changed if r not in set(records)]
    assert {(r.status, 60 <= (r.time - MONDAY) // 60 < 80) for r in extra} == {("denied", True)}


def test_the_records_stay_in_order_of_time() -> None:
    times = [record.time for record in injected(steady(approved=9, denied=5), "*:x2@00:10/1h", "failed:+3@00:30/10m")]
    assert times == sorted(times)


def test_the_same_command_gives_the_same_stream() -> None:
    records, specs = steady(approved=40, denied=5), ("denied:x3@01:00/20m", "approved:x0.5@01:10/20m")
    assert injected(records, *specs) == injected(records, *specs)
    assert injected(records, *specs) != injected(records, "denied:x4@01:00/20m", specs[1])


def test_a_factor_below_one_thins() -> None:
    changed = injected(steady(approved=100, denied=10), "*:x0.2@01:00/10m")
    assert between(changed, "approved", 60, 70) == pytest.approx(200, abs=65)  # 5 binomial sigmas
    assert between(changed, "denied", 60, 70) < 60
    assert between(changed, "approved", 70, 120) == 5000


def test_single_transactions_are_thinned_each_by_itself() -> None:
    records = [Record(MONDAY + second, "approved", 1, id=str(second)) for second in range(7200)]
    changed = injected(records, "approved:x0.5@01:00/10m")
    kept = by_minute(changed, "approved")
    assert sum(kept[minute] for minute in range(60, 70)) == pytest.approx(300, abs=65)
    assert all(10 < kept[minute] < 50 for minute in range(60, 70))


def test_silence_takes_every_record_even_those_that_count_nothing() -> None:
    records = steady(approved=100, failed=0)
    changed = injected(records, "silence@01:00/10m", "failed:+5@01:00/20m")
    assert [r for r in changed if 60 <= (r.time - MONDAY) // 60 < 70] == []
    assert between(changed, "failed", 70, 80) == pytest.approx(50, abs=36)


def test_a_bucket_that_is_covered_in_part_changes_in_part() -> None:
    changed = injected(steady(approved=10_000), "approved:x0@2026-03-02T01:00:00/90s")
    assert by_minute(changed, "approved").get(60, 0) == 0
    assert by_minute(changed, "approved")[61] == pytest.approx(5000, abs=250)


def test_a_ramp_climbs() -> None:
    changed = by_minute(injected(steady(denied=1000), "denied:rampx3@01:00/40m"), "denied")
    assert changed[61] < 1250
    assert changed[80] == pytest.approx(2025, abs=200)
    assert changed[99] > 2700


def test_a_sparse_status_surges_in_minutes_that_had_none() -> None:
    records = [r for r in steady(approved=100, reversed=1) if r.status == "approved" or r.time % 300 == 0]
    changed = by_minute(injected(records, "reversed:x20@01:00/20m"), "reversed")
    assert sum(changed.get(minute, 0) for minute in range(60, 80)) == pytest.approx(80, abs=45)
    assert sum(minute in changed for minute in range(60, 80)) > 15


@pytest.mark.parametrize("width", [10, 300, 3600])
def test_buckets_of_any_width(width: int) -> None:
    records = steady(hours=6, approved=100, denied=10)
    changed = injected(records, "denied:x3@03:00/1h", width=width)
    assert between(changed, "denied", 180, 240) == pytest.approx(1800, abs=250)
    assert between(changed, "denied", 0, 180) == 1800
    assert between(changed, "denied", 240, 360) == 1200


def test_a_status_that_never_was_can_be_added() -> None:
    assert between(injected(steady(approved=100), "failed:+6@01:00/20m"), "failed", 60, 80) == pytest.approx(
        120, abs=55
    )


def test_each_key_surges_at_its_own_level() -> None:
    minutes = range(MONDAY, MONDAY + 2 * HOUR, 60)
    records = [Record(m, "denied", n, key) for m in minutes for key, n in ((M1, 90), (M2, 10))]
    changed = injected(records, "denied:x2@01:00/20m", "failed:+10@01:00/20m")
    sums: Counter[tuple[Key, str]] = Counter()
    for record in changed:
        if 60 <= (record.time - MONDAY) // 60 < 80:
            sums[record.key, record.status] += record.count
    assert sums[M1, "denied"] == pytest.approx(3600, abs=220)
    assert sums[M2, "denied"] == pytest.approx(400, abs=75)
    assert sums[M1, "failed"] == pytest.approx(180, abs=68)  # as the volume is spread
    assert sums[M2, "failed"] == pytest.approx(20, abs=19)


def test_a_silent_feed_multiplied_is_silent_but_can_be_added_to() -> None:
    records = [r for r in steady(approved=100) if not 60 <= (r.time - MONDAY) // 60 < 80]
    assert injected(records, "approved:x5@01:00/20m") == records
    assert len(by_minute(injected(records, "approved:+50@01:00/20m"), "approved")) == 120


def test_late_records_are_changed_too_and_disturb_nothing() -> None:
    records = steady(approved=100)
    late = Record(MONDAY + 61 * 60, "approved", 1000)
    records.insert(100, late)
    changed = injected(records, "approved:x0.5@01:00/10m")
    assert late not in changed
    assert between(changed, "approved", 61, 62) == pytest.approx(550, abs=90)


def test_no_records_no_incident() -> None:
    injector = Injector([parse_incident("denied:x2@01:00/20m")], 60)
    assert list(injector.apply([])) == []
    assert report(injector, Watch(injector), None) == ["inject: the input contains no record"]


@pytest.mark.parametrize(
    ("spec", "statuses"),
    [
        ("denied:x2@1:00/5m", {"denied"}),
        ("approved:x0.2@1:00/5m", {"approved", "*"}),
        ("*:x0.2@1:00/5m", {"approved", "*"}),
        ("*:x3@1:00/5m", {"approved", "denied", "failed", "*"}),
        ("silence@1:00/5m", {"approved", "denied", "failed", "*"}),
    ],
)
def test_the_statuses_that_should_show_it(spec: str, statuses: set[str]) -> None:
    found = {s for s in ("approved", "denied", "failed", "*") if shows(parse_incident(spec), s)}
    assert found == statuses


def verdict(minute: int, status: str, score: float, recommendation: str) -> Outcome:
    judged = Verdict(
        MONDAY + minute * 60, status, (), 9, 90, 2.0, score, 1, recommendation, (),  # type: ignore[arg-type]
        Stated(0, 5, "nine"),
    )  # fmt: skip
    return Outcome(judged.time, [judged])


def reported(*outcomes: Outcome, without: tuple[Outcome, ...] = (), spec: str = "denied:x3@01:00/20m") -> str:
    injector = Injector([parse_incident(spec)], 60)
    list(injector.apply(steady(denied=5)))
    watches = Watch(injector), Watch(injector)
    for watch, seen in zip(watches, (outcomes, without), strict=True):
        for outcome in seen:
            watch.accept(outcome)
    return report(injector, *watches)[0].removeprefix(f"inject {spec}: ")


def test_the_report_is_of_the_incidents_own_time_and_status() -> None:
    early, other, hit = (
        verdict(59, "denied", 9, "alert"),
        verdict(60, "*", 9, "alert"),
        verdict(63, "denied", 5, "alert"),
    )
    assert reported(early, other, hit, verdict(64, "denied", 8, "alert")) == (
        "caught after 3 min by denied (2026-03-02T01:03:00Z: nine)"
    )
    assert reported(early, other, verdict(80, "denied", 9, "alert")).startswith("not caught: ")
    assert reported(verdict(61, "denied", 3, "ok"), verdict(62, "denied", -1, "ok")) == (
        "not caught; the strongest score was +3.0 sigmas of denied at 2026-03-02T01:01:00Z"
    )
    assert reported(verdict(61, "denied", 9, "warming")).startswith("not caught: the detector was warming up")


def test_the_report_says_when_the_input_alerts_by_itself() -> None:
    hit = verdict(60, "denied", 5, "alert")
    told = "denied alerts at once, but equally early without the incident. Choose a quieter part of the input"
    assert reported(hit, without=(hit,)) == told
    assert reported(hit, without=(verdict(61, "denied", 5, "alert"),)).startswith("caught at once by denied")
    assert reported(hit, without=(verdict(60, "failed", 5, "alert"),)).startswith("caught at once by denied")


def test_a_sale_should_raise_no_alert() -> None:
    spec = "sale:x1.8@01:00/20m"
    assert reported(verdict(61, "denied", 3, "ok"), spec=spec).startswith("no alert of its own, as it should be; the s")
    hit = verdict(61, "failed", 5, "alert")
    assert reported(hit, spec=spec, without=(hit,)) == "no alert of its own, as it should be"
    assert reported(verdict(61, "denied", 5, "alert"), spec=spec).startswith("a false alarm after 1 min by denied")


def run(*arguments: str, stdin: str = "") -> tuple[str, str]:
    done = CliRunner().invoke(replay, [*arguments, "--chart", "never"], input=stdin, catch_exceptions=False)
    return done.stdout, done.stderr


def test_replay_tells_what_became_of_it() -> None:
    plain, _ = run(SAMPLE)
    out, err = run(SAMPLE, "--inject", "denied:x3@10:20/20m", "--inject", "denyed:x2@12:00/5m")
    assert out != plain
    assert out.startswith(plain[:100_000])  # nothing before it changes
    lines = err.splitlines()
    assert lines[0].startswith("txmon: inject denied:x3@10:20/20m: caught a")
    assert " by denied (2026-03-02T10:2" in lines[0]
    assert lines[1].endswith("changed nothing: the input has no 'denyed'; did you mean 'denied'?")
    assert lines[2].startswith("txmon: inject: ")


def test_replay_compares_with_the_input_as_it_is() -> None:
    # the sample's own surge of reversed begins at 11:20
    _, err = run(SAMPLE, "--inject", "reversed:x2@11:20/10m", "--inject", "denied:x2@d2,14:00/5m")
    assert (
        "reversed alerts after 1 min, but equally early without the incident. Choose a quieter part of the input" in err
    )
    assert "lies outside the input, which is from 2026-03-02T00:00:00Z to 2026-03-03T00:00:00Z" in err


def test_replay_refuses_a_spec_that_is_none() -> None:
    assert isinstance(CliRunner().invoke(replay, [SAMPLE, "--inject", "denied@14:00/5m"]).exception, UsageError)


def test_without_inject_nothing_is_said() -> None:
    assert run(SAMPLE)[1] == ""

"""txmon simulate --scenario: the statistics of each kind, the labels against the stream, the same bytes for a seed."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from txmon.cli.commands.simulate import simulate
from txmon.errors import TxmonError, UsageError
from txmon.evaluation.evaluate import read_labels
from txmon.evaluation.scenario import MINUTES, Draft
from txmon.evaluation.scenario_kinds import SCENARIOS, draft_of
from txmon.evaluation.scenario_text import scenario_batches, scenario_labels, series

MONDAY = 1772409600  # 2026-03-02T00:00:00Z
TXMON = str(Path(sys.executable).with_name("txmon"))
SMALL = [name for name in SCENARIOS if name != "merchants"]
Counts = NDArray[np.int64]


def draft(name: str, seed: int = 1, days: int | None = None, clean: bool = False, start: int = MONDAY) -> Draft:
    return draft_of(name, seed, start, days, clean)


def text(name: str, **options: Any) -> str:
    return "".join(batch.text for batch in scenario_batches(draft(name, **options)))


def by_day(counts: Counts) -> Counts:
    return counts.reshape(-1, MINUTES)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(simulate, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def failure(*arguments: str) -> TxmonError:
    error = CliRunner().invoke(simulate, list(arguments)).exception
    assert isinstance(error, TxmonError)
    return error


# every scenario


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(name: str) -> None:
    days = 2 if name == "merchants" else 3
    first = text(name, days=days)
    assert first == text(name, days=days)
    assert first != text(name, days=days, seed=2)


@pytest.mark.parametrize("name", SMALL)
def test_a_day_is_the_same_in_a_longer_stream(name: str) -> None:
    scenario = SCENARIOS[name]
    short, long = (
        series(draft(name, days=scenario.days, clean=True)),
        series(draft(name, clean=True, days=scenario.days + 2)),
    )
    for status, counts in short.items():
        same = counts[: -MINUTES - 60] == long[status][: len(counts) - MINUTES - 60]
        assert same.all(), status


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_counts_differ_from_the_clean_stream_in_the_incidents_alone(name: str, seed: int) -> None:
    made, clean = draft(name, seed), draft(name, seed, clean=True)
    assert not clean.marks
    assert clean.traps == made.traps
    differs = (made.counts() != clean.counts()).any(axis=0)
    for place, status in enumerate(made.statuses):
        marked = np.zeros(made.minutes, dtype=bool)
        for mark in made.marks:
            if status in mark.get("affects", mark["statuses"]) or "*" in mark["statuses"]:
                marked[mark["first"] : mark["last"] + 1] = True
        assert not (differs[place] & ~marked).any(), status


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_incident_shows_in_a_status_that_its_label_names(name: str, seed: int) -> None:
    """What the label says must be in the stream, 3.5 standard deviations or more away from what was expected."""
    made, clean = draft(name, seed), draft(name, seed, clean=True)
    counts = made.counts()
    for mark in made.marks:
        span = slice(mark["first"], mark["last"] + 1)
        key = made.keys.index(mark["key"]) if "key" in mark else 0
        strongest = 0.0
        for status in mark["statuses"]:
            if status == "*":
                continue
            usual = float(clean.base[key, status][span].sum())
            seen = float(counts[key, made.statuses.index(status), span].sum())
            strongest = max(strongest, abs(seen - usual) / (made.spread(status, key) * max(usual, 1)) ** 0.5)
        assert strongest > 3.5, mark


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scorer_reads_the_labels(name: str) -> None:
    made = draft(name)
    truth = scenario_labels(made)
    labels = read_labels(json.dumps(truth).encode(), name)
    assert len(labels.incidents) == len(made.marks) >= 10
    assert int(labels.warmup.timestamp()) == made.start + made.warmup * 60
    starts = [row["start"] for row in truth["incidents"]]
    assert starts == sorted(starts)
    if name != "long":
        assert all(label.start >= labels.warmup for label in labels.incidents)
    assert all(label.start <= label.end for label in labels.incidents)
    assert labels.keyed == (name in ("merchants", "issuer"))
    assert all("statuses" not in trap for trap in truth["traps"])


@pytest.mark.parametrize("name", ["cron", "issuer"])
def test_the_rows_of_both_formats_are_the_counts(name: str) -> None:
    made = draft(name, days=2)
    counts = made.counts()
    rows = list(csv.DictReader(io.StringIO(text(name, days=2))))
    lines = "".join(batch.text for batch in scenario_batches(made, "jsonl")).splitlines()
    assert [{k: str(v) for k, v in json.loads(line).items()} for line in lines] == rows
    assert sum(int(row["count"]) for row in rows) == counts.sum()
    assert len(rows) == np.count_nonzero(counts)
    if made.column:
        assert {row[made.column] for row in rows} == set(made.keys)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


# the statistics of each kind, measured on the counts with numpy


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shop_is_empty_at_night_and_on_sundays(seed: int) -> None:
    total = sum(series(draft("shop", seed, clean=True)).values())
    days = by_day(np.asarray(total))
    assert days[6].sum() == days[13].sum() == 0
    assert days[:, : 7 * 60].sum() == days[:, 22 * 60 + 30 :].sum() == 0
    open_days = [day for n, day in enumerate(days) if n % 7 != 6]
    first = [int(np.nonzero(day)[0][0]) for day in open_days]
    assert max(first) - min(first) <= 10  # the same minute but for chance
    assert all(day[m + 8 : m + 20].mean() > 0.2 * day.max() / 1.5 for day, m in zip(open_days, first, strict=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_batch_job_jumps_each_hour_and_another_at_night(seed: int) -> None:
    made = series(draft("batch", seed, clean=True))
    hourly, nightly = [], []
    for status in ("reversed", "backend_reversed", "refunded"):
        rest = np.delete(by_day(made[status]), slice(0, 240), axis=1)
        by_minute = rest.reshape(-1, 60).mean(axis=0)
        if by_minute.max() > 10 * (np.median(by_minute) + 0.5):
            hourly.append(status)
        night = by_day(made[status])[:, 60:220]
        if (
            night.reshape(len(night), -1, 10).mean(axis=2).max() > 5 * (np.median(made[status]) + 1)
            and status not in hourly
        ):
            nightly.append(status)
    assert len(hourly) == len(nightly) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cron_pulses_every_quarter_of_an_hour(seed: int) -> None:
    total = np.asarray(sum(series(draft("cron", seed, clean=True)).values()))
    by_phase = total.reshape(-1, 15).mean(axis=0)
    assert by_phase.max() > 1.25 * np.median(by_phase)
    assert np.count_nonzero(by_phase > 1.12 * np.median(by_phase)) in (1, 2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clustered_variances_are_what_is_promised(seed: int) -> None:
    made = draft("clustered", seed, clean=True)
    counts = made.counts()[0]
    for place, status in enumerate(made.statuses):
        mean = made.base[0, status]
        ratio = float(((counts[place] - mean) ** 2).sum() / mean.sum())
        assert 1.5 <= made.spread(status) <= 10
        if mean.sum() > 5000:  # of fewer transactions it cannot be measured
            assert ratio == pytest.approx(made.spread(status), rel=0.2), status
        assert counts[place].sum() == pytest.approx(mean.sum(), rel=0.15), status


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bursty_feed_delivers_everything_but_not_every_minute(seed: int) -> None:
    made = draft("bursty", seed, clean=True)
    deliver, made.deliver = made.deliver, None
    assert deliver is not None
    sent = made.counts()
    arrived = deliver(made, sent)
    assert (arrived.sum(axis=2) == sent.sum(axis=2)).all()
    total = arrived.sum(axis=(0, 1))
    assert 0.3 < (total == 0).mean() < 0.85
    assert (np.cumsum(total) <= np.cumsum(sent.sum(axis=(0, 1)))).all()  # nothing arrives before it was sent


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_weekend_has_another_shape_than_a_working_day(seed: int) -> None:
    days = by_day(np.asarray(sum(series(draft("weekly", seed, clean=True)).values())))
    hours = days.reshape(-1, 7, 24, 60).sum(axis=(0, 3))
    shapes = hours / hours.sum(axis=1, keepdims=True)
    assert np.corrcoef(shapes[0], shapes[3])[0, 1] > 0.98
    assert np.corrcoef(shapes[5], shapes[6])[0, 1] > 0.98
    assert np.corrcoef(shapes[1], shapes[5])[0, 1] < 0.85


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 1, 3.5), ("large", 2500, 7500), ("merchants", 300, 1200)])
def test_the_level_is_as_named(name: str, low: float, high: float) -> None:
    total = np.asarray(sum(series(draft(name, clean=True, days=2)).values()))
    assert low < total.mean() < high


def test_merchants_follow_zipf() -> None:
    sizes = draft("merchants", days=2, clean=True).counts().sum(axis=(1, 2))
    assert len(sizes) == 500
    ranks = np.arange(1, 501)
    slope = np.polyfit(np.log(ranks), np.log(sizes), 1)[0]
    assert slope == pytest.approx(-1, abs=0.05)


def test_some_merchants_close_at_night_and_some_charge_at_once() -> None:
    made = draft("merchants", days=2, clean=True)
    largest = made.counts()[:100].sum(axis=1)
    closed = (largest[:, : 6 * 60].sum(axis=1) == 0).mean()
    assert 0.15 < closed < 0.45
    smooth = np.array([[made.base[key, "approved"][:MINUTES]] for key in range(100)])[:, 0]
    charges = (smooth.max(axis=1) > 4 * np.quantile(smooth, 0.97, axis=1)).mean()
    assert 0.03 < charges < 0.25
    assert len({round(made.spread("approved", key), 3) for key in range(100)}) > 90


def test_an_outage_of_everything_is_one_label_over_all_merchants() -> None:
    made = draft("merchants")
    (mark,) = [mark for mark in made.marks if mark["kind"] == "outage of everything"]
    assert "key" not in mark
    assert made.counts()[:, :, mark["first"] : mark["last"] + 1].sum() == 0


def test_long_incidents_are_long_and_relapse_and_one_is_in_the_warm_up() -> None:
    made = draft("long")
    lengths = [mark["last"] - mark["first"] + 1 for seed in (1, 2, 3) for mark in draft("long", seed).marks]
    assert max(lengths) >= 300
    assert made.marks[0]["first"] < 240
    night = [mark for mark in made.marks if mark["first"] % MINUTES < 240 and mark["first"] > MINUTES]
    assert len(night) == made.days - 1
    again = [(a, b) for a, b in zip(made.marks, made.marks[1:], strict=False)
             if a["kind"] == b["kind"] and 60 <= b["first"] - a["last"] <= 122]  # fmt: skip
    assert again


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_partial_outage_takes_its_part_of_the_approvals(seed: int) -> None:
    made = draft("partial", seed)
    approved = made.counts()[0, 0]
    for mark in made.marks:
        if "loss" in mark["kind"]:
            span = slice(mark["first"], mark["last"] + 1)
            left = approved[span].sum() / made.base[0, "approved"][span].sum()
            assert 0.1 < left < 0.8, mark


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_opening_days_begin_with_empty_hours_and_at_another_minute_each(seed: int) -> None:
    days = by_day(np.asarray(sum(series(draft("opening", seed, clean=True)).values())))
    working = [day for n, day in enumerate(days) if n % 7 < 5]
    first = [int(np.nonzero(day)[0][0]) for day in working]
    assert min(first) > 5 * 60
    assert len(set(first)) > len(first) / 2


def test_a_payday_has_more_and_is_no_incident() -> None:
    made = draft("payday", 3, clean=True)
    days = by_day(np.asarray(sum(series(made).values()))).sum(axis=1)
    paid = sorted({trap["first"] // MINUTES for trap in made.traps})
    assert paid
    for day in paid:
        assert days[day] > 1.25 * days[day - 7 if day >= 7 else day + 7]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_flash_sale_multiplies_the_volume_and_not_the_shares(seed: int) -> None:
    made = draft("sale", seed, clean=True)
    counts = series(made)
    total = np.asarray(sum(counts.values()))
    assert made.traps
    for trap in made.traps:
        at = trap["first"]
        assert total[at + 4 : at + 10].mean() > 1.5 * total[at - 10 : at].mean()
        before, during = slice(at - 240, at), slice(at, at + 60)
        shares = [counts["denied"][s].sum() / total[s].sum() for s in (before, during)]
        assert shares[1] == pytest.approx(shares[0], rel=0.2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_drift_is_steady(seed: int) -> None:
    weeks = np.asarray(sum(series(draft("drift", seed, clean=True, days=21)).values())).reshape(3, -1).sum(axis=1)
    steps = weeks[1:] / weeks[:-1]
    assert np.all(steps > 1.05) or np.all(steps < 0.95)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_day_is_an_hour_earlier_once_the_clocks_have_changed(seed: int) -> None:
    made = draft("dst", seed, clean=True)
    (trap,) = made.traps
    assert trap["first"] % MINUTES == 60
    change = trap["first"] // MINUTES
    days = by_day(np.asarray(sum(series(made).values()))).astype(float)
    before, after = days[change - 6 : change - 1].mean(axis=0), days[change + 1 : change + 6].mean(axis=0)

    def likeness(minutes: int) -> float:
        return float(np.corrcoef(np.roll(before, minutes), after)[0, 1])

    assert likeness(-60) > likeness(0)
    assert likeness(-60) > likeness(60)
    assert likeness(-60) > 0.97


def test_a_bank_that_fails_turns_its_approvals_into_denials_or_failures() -> None:
    made, clean = draft("issuer"), draft("issuer", clean=True)
    counts, usual = made.counts(), clean.counts()
    for mark in made.marks:
        span = slice(mark["first"], mark["last"] + 1)
        key = made.keys.index(mark["key"])
        assert counts[key, 0, span].sum() < 0.5 * usual[key, 0, span].sum()
        place = made.statuses.index(mark["statuses"][0])
        assert counts[key, place, span].sum() > 2 * usual[key, place, span].sum()
        assert counts[key, :, span].sum() == pytest.approx(usual[key, :, span].sum(), rel=0.3)


# the command


def test_the_list_names_every_scenario() -> None:
    lines = run("--scenario", "list").splitlines()
    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    shown = run("--help")
    assert all(f" {name}" in shown for name in SCENARIOS)


def test_the_command_writes_the_stream_and_its_labels(tmp_path: Path) -> None:
    out, truth = tmp_path / "cron.csv", tmp_path / "truth.json"
    run("--scenario", "cron", "--seed", "4", "--days", "3", "--labels", str(truth), "--out", str(out))
    assert out.read_text() == text("cron", seed=4, days=3)
    assert json.loads(truth.read_text()) == scenario_labels(draft("cron", 4, 3))


def test_clean_has_no_incidents(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    run("--scenario", "sale", "--days", "4", "--clean", "--labels", str(truth), "--out", str(tmp_path / "sale.csv"))
    labels = json.loads(truth.read_text())
    assert labels["incidents"] == []
    assert labels["traps"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scenario", "shpo"], "did you mean"),
        (["--scenario", "shop", "--days", "1.5"], "whole days"),
        (["--scenario", "shop", "--days", "nan"], "whole days"),
        (["--scenario", "shop", "--days", "0"], "from 1 to 400"),
        (["--scenario", "shop", "--days", "401"], "from 1 to 400"),
        (["--scenario", "merchants", "--days", "60"], "Use at most"),
        (["--scenario", "shop", "--seed", "-1"], "seed -1"),
        (["--scenario", "shop", "--start", "2100-12-31T00:00:00Z"], "between the years"),
        (["--scenario", "shop", "--peak", "10"], "--peak does not go with --scenario"),
        (["--scenario", "shop", "--bucket", "1h"], "--bucket does not go with --scenario"),
        (["--scenario", "shop", "--events"], "--events does not go with --scenario"),
        (["--scenario", "shop", "--live"], "--live does not go with --scenario"),
        (["--scenario", "shop", "--incident", "denied:x3@14:00/20m"], "--inject"),
        (["--clean"], "--clean needs --scenario"),
    ],
)
def test_a_wrong_choice_is_told(arguments: list[str], told: str) -> None:
    error = failure(*arguments)
    assert isinstance(error, UsageError)
    assert told in str(error)


def test_the_example_in_the_help_alerts() -> None:
    """Issue of a newcomer: the first command of --help printed nothing, for its stream had no incident."""
    example = next(line.strip() for line in run("--help").splitlines() if "| txmon replay" in line)
    made, judged = (part.split() for part in example.split("|"))
    stream = subprocess.run([TXMON, *made[1:]], capture_output=True, timeout=120, check=True).stdout
    done = subprocess.run([TXMON, *judged[1:]], input=stream, capture_output=True, timeout=120, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(row.get("recommendation") == "alert" and row["status"] == "denied" for row in rows)
    assert all("T14:" in row["time"] for row in rows if row.get("recommendation") == "alert")


def test_the_live_example_in_the_help_alerts() -> None:
    """The same stream, replayed: the incident comes after the warm-up of the detector."""
    example = next(line.strip() for line in run("--help").splitlines() if "--live --incident" in line)
    spec = example.split("--incident ")[1].split(" |")[0]
    stream = subprocess.run(
        [TXMON, "simulate", "--days", "0.05", "--start", "2026-03-02T14:17:00Z", "--incident", spec],
        capture_output=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    done = subprocess.run(
        [TXMON, "replay", "-", "--only", "alerts"], input=stream, capture_output=True, timeout=120, check=True
    )
    assert b'"status": "failed"' in done.stdout

"""`txmon analyze` on transactions: sums, incidents, what changed, what goes together."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, SHARED

from txmon.analysis.report.transactions import transaction_report
from txmon.analysis.transactions import HOUR, TransactionAnalysis, analyze_transactions, correlations
from txmon.errors import BadData
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.model.clock import iso
from txmon.query.database import Database
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings

SAMPLE = ROOT / "examples" / "transactions.csv"
DATA = SHARED / "data"
TXMON = str(Path(sys.executable).with_name("txmon"))
DAY = 1772409600  # 2026-03-02T00:00:00Z


@pytest.fixture(scope="module")
def sample() -> TransactionAnalysis:
    return analyzed([SAMPLE])


def analyzed(paths: Sequence[Path]) -> TransactionAnalysis:
    settings = Settings()
    names = [str(path) for path in paths]
    reader = reader_of(settings, RejectLog(), date(2026, 3, 2))
    return analyze_transactions(reader.tallies(names, 60), pipeline_of(settings, live=False), 60, names)


def txmon(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TXMON, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_sums_and_shares_are_the_files_own(sample: TransactionAnalysis) -> None:
    lines = [line.split(",") for line in SAMPLE.read_text().splitlines()[1:]]
    total = sum(int(count) for *_, count in lines)
    assert sample.total == total
    denied = sum(int(count) for _, status, count in lines if status == "denied")
    (found,) = [item for item in sample.statuses if item.status == "denied"]
    assert found.count == denied
    assert found.share == pytest.approx(denied / total)
    assert sum(item.share for item in sample.statuses) == pytest.approx(1)
    assert sample.silent == 12  # the labelled silence


def test_every_labelled_incident_is_an_episode_and_the_sale_is_none(sample: TransactionAnalysis) -> None:
    truth = json.loads((ROOT / "examples" / "transactions.labels.json").read_text())
    spans = [(e.start, e.end if e.end is not None else sample.last) for e in sample.episodes]
    assert len(truth["incidents"]) >= 6
    for label in truth["incidents"]:
        start, end = (datetime.fromisoformat(label[name]).timestamp() for name in ("start", "end"))
        assert any(first < end and last > start for first, last in spans), label
    assert len(spans) <= len(truth["incidents"]) + 2


def test_what_changed_is_the_status_that_was_made_to(sample: TransactionAnalysis) -> None:
    at = {iso(e.start)[11:13]: e for e in sample.episodes}
    denied = next(change for change in at["14"].changes if change.status == "denied")
    assert denied.during > 1.5 * denied.before
    assert at["14"].above > 500
    assert at["13"].below > 500
    text = next(t for t in transaction_report(sample).of("finding") if t.startswith(iso(at["14"].start)[11:16]))
    assert "denied from 10" in text


def test_what_is_missing_counts_once(sample: TransactionAnalysis) -> None:
    """approved and the total miss the same transactions."""
    silence = next(e for e in sample.episodes if iso(e.start)[11:13] == "16")
    assert silence.end is not None
    hour = range(silence.start - HOUR, silence.start, 60)
    usual = sum(sum(sample.counts[time].values()) for time in hour) / 60
    seen = [sum(sample.counts.get(time, {}).values()) for time in range(silence.start, silence.end, 60)]
    missing = sum(max(0.0, usual - count) for count in seen)
    assert 0.7 * missing < silence.below < 1.3 * missing


def test_moments_are_the_strongest_alerts(sample: TransactionAnalysis) -> None:
    scores = [abs(moment.score) for moment in sample.moments]
    assert scores == sorted(scores, reverse=True)
    assert all(moment.recommendation == "alert" for moment in sample.moments)
    assert len({(moment.incident, moment.status) for moment in sample.moments}) == len(sample.moments)


def test_correlation_is_of_what_is_beyond_the_common_level() -> None:
    rng = np.random.default_rng(5)
    level = 100 + 80 * np.sin(np.arange(1440) / 230)
    shared = rng.normal(0, 8, 1440)
    values = {
        "approved": level + rng.normal(0, 5, 1440) + shared,
        "denied": level / 4 + rng.normal(0, 2, 1440) + shared / 3,
        "failed": level / 8 + rng.normal(0, 2, 1440),
        "rare": (np.arange(1440) < 10) * 3.0,
    }
    counts = {n * 60: {name: max(0, int(v[n])) for name, v in values.items()} for n in range(1440)}
    found = {(a, b): value for a, b, value in correlations(counts, list(values), 60)}
    assert found[("approved", "denied")] > 0.5
    assert abs(found[("approved", "failed")]) < 0.1  # they share the day's curve and nothing else
    assert not any("rare" in pair for pair in found)


def test_no_records_is_an_error() -> None:
    with pytest.raises(BadData, match="no transaction"):
        analyze_transactions(iter(()), pipeline_of(Settings(), live=False), 60, ["x.csv"])


def test_a_quiet_file_says_so() -> None:
    def quiet() -> Iterator[Record]:
        for minute in range(180):
            yield Record(DAY + 60 * minute, "approved", 100)

    found = analyze_transactions(quiet(), pipeline_of(Settings(), live=False), 60, ["x.csv"])
    report = transaction_report(found)
    assert report.of("finding") == ["No incident: nothing is above or below what the file itself teaches."]
    assert "per_hour" in report.sql


def test_over_many_days_the_table_is_by_day() -> None:
    def days() -> Iterator[Record]:
        for hour in range(24 * 5):
            yield Record(DAY + 3600 * hour, "approved", 100)

    grids = transaction_report(analyze_transactions(days(), pipeline_of(Settings(), live=False), 60, ["x.csv"])).grids
    (grid,) = [grid for grid in grids if grid.title == "By day and status"]
    assert grid.rows == tuple((f"2026-03-{2 + n:02d}", "2,400", "2,400") for n in range(5))


def test_the_sql_runs_as_it_stands(sample: TransactionAnalysis) -> None:
    report = transaction_report(sample)
    with closing(Database([str(SAMPLE)])) as database:
        rows = list(database.run(report.sql))
    worst = sample.episodes[0]
    assert worst.end is not None
    assert len(rows) == (worst.end - worst.start) // 60 + 31


def test_outputs(tmp_path: Path) -> None:
    page = tmp_path / "t.html"
    done = txmon("analyze", str(SAMPLE), "--json", "--html", str(page), "--svg", str(tmp_path / "t.svg"))
    assert done.returncode == 0, done.stderr
    (data,) = json.loads(done.stdout)
    assert data["kind"] == "transactions"
    assert sum(sum(v for k, v in hour.items() if k != "hour") for hour in data["hours"]) == data["total"]
    assert page.read_text().count("<figure") == 6  # four statuses that went wrong, all together, approved
    text = txmon("analyze", str(SAMPLE)).stdout
    for part in ("Findings", "Incidents", "By hour and status", "Top moments", "Correlation of statuses"):
        assert part in text
    mixed = txmon("analyze", str(SAMPLE), "--observed", "today")
    assert mixed.returncode == 2
    assert "are for files of checkouts. Leave them out for transactions" in mixed.stderr


@pytest.mark.skipif(not (DATA / "transactions_1.csv").exists(), reason=f"the real transaction files are not in {DATA}")
def test_the_real_afternoon_is_one_episode() -> None:
    found = analyzed([DATA / "transactions_1.csv"])
    worst = found.episodes[0]
    (text, *_) = transaction_report(found).of("finding")
    assert text.startswith("14:31 to 18:48: ")  # docs/analysis.md says so
    assert "approved from 90.6% to 64.7%, reversed from 0.3% to 19.8%" in text
    assert iso(worst.start)[11:13] == "14"
    assert worst.end is not None
    assert "18:20" <= iso(worst.end)[11:16] <= "19:10"
    assert {change.status for change in worst.changes[:2]} == {"approved", "reversed"}


def test_a_sum_over_keys_does_not_count_the_transactions_of_its_keys_again(tmp_path: Path) -> None:
    """--group-by gives each alert twice: at its key, and over all keys together."""
    path = tmp_path / "keys.csv"
    rows = ["time,status,merchant,count"]
    for minute in range(600):
        for merchant in ("m1", "m2"):
            bad = 100 if 400 <= minute < 420 else 5 + minute % 3
            time = iso(DAY + 60 * minute)
            rows += [f"{time},approved,{merchant},{100 + minute % 7}", f"{time},denied,{merchant},{bad}"]
    path.write_text("\n".join(rows) + "\n")
    settings = Settings(group_by=("merchant",))
    reader = reader_of(settings, RejectLog(), date(2026, 3, 2))
    found = analyze_transactions(
        reader.tallies([str(path)], 60), pipeline_of(settings, live=False), 60, [str(path)]
    )  # fmt: skip
    (episode,) = found.episodes
    assert 0.85 * 20 * 2 * 94 < episode.above < 1.1 * 20 * 2 * 94

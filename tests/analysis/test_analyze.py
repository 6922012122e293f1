"""`txmon analyze` on checkouts: what is found in real and simulated days, and in bad files."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, SHARED
from scipy import stats
from tools import need

from txmon.analysis.checkout_model import _interval, _tails, adjusted
from txmon.analysis.checkouts import Analysis, analyze_checkouts, mean_of
from txmon.analysis.report.checkouts import checkout_report, lost_against
from txmon.analysis.report.plot import write_plot
from txmon.errors import BadData, TxmonError, UsageError
from txmon.ingest.checkouts import Checkouts, parse_checkouts, read_checkouts
from txmon.query.database import Database

DATA = SHARED / "data"
TXMON = str(Path(sys.executable).with_name("txmon"))
REAL = pytest.mark.skipif(not (DATA / "checkout_1.csv").exists(), reason=f"the real checkout files are not in {DATA}")
NIGHT = set(range(7))

# what an hour of an average day has in the real files, about
SHAPE = np.array(
    [4.9, 1.9, 0.8, 0.5, 0.2, 0.8, 2.2, 5.1, 10, 18.5, 28.4, 28.4, 25.6, 24.2, 25, 27.7, 25.6, 22.5, 18.4, 18.4, 18.7,
     17.7, 15.6, 8.8]
)  # fmt: skip
WEEK = np.array([1.25, 1.2, 1.2, 1.2, 1.25, 0.6, 0.5])  # how busy each weekday is


def simulated(rng: np.random.Generator, outage: int | None = None, dispersion: float = 0.03) -> Checkouts:
    """A day and its references from 29 days: weekdays, busy and quiet days, hours overdispersed; an outage of 3 h."""
    weekday = int(rng.integers(7))
    levels = WEEK[(weekday - np.arange(29)) % 7] * rng.lognormal(0, 0.1, 29)
    mean = levels[:, None] * SHAPE[None, :]
    days = rng.poisson(mean * rng.gamma(1 / dispersion, dispersion, mean.shape)).astype(float)
    if outage is not None:
        days[0, outage : outage + 3] = rng.poisson(0.02 * mean[0, outage : outage + 3])
    columns = {
        "today": days[0],
        "yesterday": days[1],
        "same_day_last_week": days[7],
        "avg_last_week": np.floor(days[1:8].mean(axis=0) * 100) / 100,
        "avg_last_month": np.floor(days[1:29].mean(axis=0) * 100) / 100,
    }
    return Checkouts(
        "simulated", tuple(range(24)), {name: tuple(map(float, values)) for name, values in columns.items()}
    )


def real(number: int) -> Analysis:
    return analyze_checkouts(read_checkouts(str(DATA / f"checkout_{number}.csv")))


# --- the real files ---


@REAL
def test_checkout_2_has_one_outage_of_three_hours() -> None:
    found = real(2)
    assert [run.hours for run in found.findings] == [(15, 16, 17)]
    (run,) = found.findings
    assert run.direction == "below"
    assert run.seen == 0
    name, difference = lost_against(found, run)
    assert name == "avg_last_week"
    assert difference == pytest.approx(-62, abs=0.5)
    (first, *_) = checkout_report(found).of("finding")
    assert first.startswith("15h to 17h: an outage. 0 seen (0, 0, 0)")
    assert "About 62 sales lost against avg_last_week (22.4, 21.6, 17.7)" in first


@REAL
def test_checkout_2_has_an_odd_yesterday() -> None:
    odd = {reference.name: [run.hours for run in reference.odd] for reference in real(2).references}
    assert odd["yesterday"] == [(8, 9)]
    assert odd["same_day_last_week"] == []
    said = " ".join(checkout_report(real(2)).of("reference"))
    assert "yesterday is the odd one at 08h and 09h: 2 where its own pace asks" in said
    assert re.search(r"same_day_last_week is busier all day: 1\.4 times avg_last_month \(its peaks: 11h 47", said)


@REAL
def test_checkout_1_has_one_finding_in_the_morning() -> None:
    found = real(1)
    assert [run.hours for run in found.findings] == [(8, 9)]
    assert found.findings[0].seen == 2
    alike = {item.hour: set(item.like) for item in found.alike}
    assert {10, 12, 15} <= set(alike)
    assert "yesterday" in alike[10]
    said = checkout_report(found).of("alike")
    assert any(text.startswith("17h: 45 seen") and "1 in " in text for text in said)


@REAL
@pytest.mark.parametrize("number", [1, 2])
def test_no_hour_of_the_night_is_a_finding(number: int) -> None:
    found = real(number)
    assert not NIGHT & {hour for run in found.findings for hour in run.hours}
    assert not NIGHT & {hour for r in found.references for run in r.odd for hour in run.hours}


@REAL
def test_the_days_of_the_real_means() -> None:
    for number in (1, 2):
        days = {reference.name: reference.days for reference in real(number).references}
        assert days == {"yesterday": 1, "same_day_last_week": 1, "avg_last_week": 7, "avg_last_month": 28}


# --- simulated days: TXMON_SIMULATED_DAYS=1000 pytest -s -k "quiet or outages" prints what docs/analysis.md says ---

DAYS = int(os.environ.get("TXMON_SIMULATED_DAYS", "200"))


@pytest.mark.parametrize("dispersion", [0.001, 0.03, 0.1])
def test_quiet_days_rarely_have_a_finding(dispersion: float) -> None:
    rng = np.random.default_rng(11)
    cried = sum(bool(analyze_checkouts(simulated(rng, None, dispersion)).findings) for _ in range(DAYS))
    print(f"dispersion {dispersion}: {cried} of {DAYS} quiet days have a finding")
    assert cried <= 0.05 * DAYS


def test_outages_of_three_hours_are_found_and_named() -> None:
    rng = np.random.default_rng(12)
    found, exact, wrong = 0, 0, 0
    for _ in range(DAYS):
        start = int(rng.integers(8, 21))
        outage = set(range(start, start + 3))
        runs = [set(run.hours) for run in analyze_checkouts(simulated(rng, start)).findings]
        found += any(run & outage for run in runs)
        exact += outage in runs
        wrong += any(not run & outage for run in runs)
    print(f"of {DAYS} outages {found} found, {exact} named hour by hour; {wrong} days have a false finding besides")
    assert found >= 0.99 * DAYS
    assert exact >= 0.95 * DAYS
    assert wrong <= 0.05 * DAYS


def test_a_surge_and_a_whole_day_without_sales_are_findings() -> None:
    table = simulated(np.random.default_rng(13))
    more = list(table.columns["avg_last_week"])
    surge = [*map(round, more[:12]), 140.0, 150.0, *map(round, more[14:])]
    found = analyze_checkouts(Checkouts("x", table.hours, {**table.columns, "today": tuple(map(float, surge))}))
    assert [(run.direction, run.hours) for run in found.findings] == [("above", (12, 13))]
    nothing = analyze_checkouts(Checkouts("x", table.hours, {**table.columns, "today": (0.0,) * 24}))
    assert nothing.findings
    assert {12, 15, 18} <= set(nothing.findings[0].hours)
    assert nothing.pace_is_bounded


# --- the statistics against scipy's ---


def test_tails_and_intervals_are_the_negative_binomials() -> None:
    seen, mean, shape = np.array([0.0, 3, 40, 9]), np.array([4.0, 4, 20, 9]), np.array([2.0, 30, 25, 1e6])
    below, above = _tails(seen, mean, shape)
    law = stats.nbinom(shape, shape / (shape + mean))
    assert below == pytest.approx(law.cdf(seen))
    assert above == pytest.approx(law.sf(seen - 1))
    low, high = _interval(mean, shape)
    assert low.tolist() == np.asarray(law.ppf(0.025)).tolist()
    assert high.tolist() == np.asarray(law.ppf(0.975)).tolist()


def test_adjusted_is_benjamini_and_hochberg() -> None:
    p = [0.001, 0.2, 0.012, 0.9, 0.012, 1.0]
    assert adjusted(p) == pytest.approx(stats.false_discovery_control(p))


def test_dispersion_is_estimated_from_the_references() -> None:
    rng = np.random.default_rng(14)
    means = [
        np.mean([analyze_checkouts(simulated(rng, None, true)).dispersion for _ in range(40)]) for true in (0.003, 0.15)
    ]
    assert means[0] < 0.03
    assert 0.08 < means[1] < 0.25


@pytest.mark.parametrize(
    ("name", "values", "days"),
    [
        ("yesterday", (3.0, 0.0), 1),
        ("avg_last_week", (6.42, 1.85), 7),
        ("avg_last_month", (4.85, 1.92, 0.82, 0.46, 0.21, 0.75, 2.28, 5.21), 28),
        ("avg_last_month", (4.86, 1.3, 0.83, 0.46, 0.23, 0.76), 30),
        ("mean_of_90", (1.5,), 90),
    ],
)
def test_the_days_of_a_mean(name: str, values: tuple[float, ...], days: int) -> None:
    assert mean_of(name, values) == days


# --- reading ---

HEAD = "time,today,yesterday,avg_last_week\n"
ROWS = [f"{hour:02d}h,{hour},{hour + 1},{hour + 0.5}" for hour in range(24)]
PLAIN = HEAD + "\n".join(ROWS) + "\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", ";").replace(".", ",").encode(),
        PLAIN.replace(",", "\t").replace("\n", "\r\n").encode(),
        PLAIN.replace("h,", ":00,").encode(),
        PLAIN.encode("utf-16"),
        (HEAD + "\n".join(reversed(ROWS))).encode(),
        re.sub(r"(\d+)\.5", r'"\1,5"', PLAIN).encode(),
    ],
    ids=["bom", "semicolons", "decimal commas", "tabs and crlf", "clock", "utf-16", "reversed", "quoted commas"],
)
def test_what_can_be_read_in_one_way_is_read(data: bytes) -> None:
    assert parse_checkouts("x", data) == parse_checkouts("x", PLAIN.encode())


def test_latin_1_names() -> None:
    table = parse_checkouts("x", "hora;hoje;m\xe9dia\n00h;1;2,5\n".encode("latin-1"))
    assert table.columns == {"hoje": (1.0,), "m\xe9dia": (2.5,)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x: is empty"),
        ("today,yesterday,avg\n1,2,3\n", "no column for the hour (accepted: time"),
        ("time,today\n00h,1\n", "at least one to compare"),
        (HEAD, "a header and no hour"),
        (HEAD + "00h,1,many,3\n", "x:2: yesterday 'many' is not a count"),
        (HEAD + "00h,1,,3\n", "x:2: yesterday is empty"),
        (HEAD + "00h,-1,2,3\n", "'-1' is not a count"),
        (HEAD + "00h,1,2,nan\n", "'nan' is not a count"),
        (HEAD + "24h,1,2,3\n", "x:2: '24h' is not an hour"),
        (HEAD + "\n".join([*ROWS, ROWS[7]]), "x:26: hour 07h is there twice"),
        (HEAD + "00h,1,2\n", "x:2: the line has 3 columns, but the header has 4"),
        (HEAD + "00h,1,2,3,5\n", "decimal commas need another separator"),
        ("time,today,today\n00h,1,2\n", "two columns are called 'today'"),
        ("time,today,\n00h,1,2\n", "column 3 has no name"),
        ("time,today,x\0\n", "is binary"),
    ],
)
def test_bad_files_are_clear_errors(text: str, said: str) -> None:
    with pytest.raises(BadData) as bad:
        parse_checkouts("x", text.encode())
    assert said in str(bad.value)
    assert "\n" not in str(bad.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"observed": "todya"}, UsageError),
        ({"references": ["yesterdy"]}, UsageError),
        ({"references": ["yesterday:0"]}, UsageError),
        ({"observed": "avg_last_week"}, BadData),
    ],
)
def test_bad_choices_are_clear_errors(options: dict[str, object], error: type[TxmonError]) -> None:
    with pytest.raises(error):
        analyze_checkouts(parse_checkouts("x", PLAIN.encode()), **options)  # type: ignore[arg-type]


def test_references_that_are_all_zero_and_few_hours() -> None:
    with pytest.raises(BadData, match="every reference is 0"):
        analyze_checkouts(parse_checkouts("x", (HEAD + "00h,1,0,0\n").encode()))
    few = analyze_checkouts(parse_checkouts("x", (HEAD + "10h,1,30,31.5\n11h,40,33,31\n").encode()))
    assert few.evidence == 0
    assert any("is assumed" in text for text in checkout_report(few).of("limit"))


# --- outputs ---


def txmon(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TXMON, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


@pytest.fixture
def outage(tmp_path: Path) -> Path:
    """A file with an outage from 13h to 15h, and a name that is an attack on everything that prints it."""
    table = simulated(np.random.default_rng(15), 13)
    names = {"avg_last_week": "avg_last_week</script><img src=x>\x1b[31m|*=1+1"}
    path = tmp_path / "a day's.csv"
    lines = ["time," + ",".join(names.get(name, name) for name in table.columns)]
    for n, hour in enumerate(table.hours):
        lines.append(f"{hour:02d}h," + ",".join(f"{values[n]:g}" for values in table.columns.values()))
    path.write_text("\n".join(lines))
    return path


def test_the_terminal_says_it_first_and_obeys_nothing(outage: Path) -> None:
    done = txmon("analyze", str(outage))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2] == "Summary"
    assert lines[3].startswith("  What happened: Sales stopped from 13:00 to 16:00 (3 hours): ")
    assert lines[lines.index("Findings") + 1].startswith("  - 13h to 15h: an outage.")
    assert "\x1b" not in done.stdout
    assert "^^ ^^ ^^" in done.stdout


def test_the_sql_runs_as_it_stands_and_shows_the_hours(outage: Path) -> None:
    sql = txmon("analyze", str(outage), "--sql").stdout
    with closing(Database([str(outage)])) as database:
        rows = list(database.run(sql))
    assert {row[0] for row in rows[:3]} == {13, 14, 15}
    assert len(rows) == 24


def test_json_and_markdown(outage: Path) -> None:
    (data,) = json.loads(txmon("analyze", str(outage), "--json").stdout)
    assert [run["hours"] for run in data["findings"]] == [[13, 14, 15]]
    assert data["findings"][0]["difference"] < -10
    assert len(data["hours"]) == 24
    assert data["conclusions"][0]["kind"] == "finding"
    text = txmon("analyze", str(outage), "--markdown").stdout
    assert text.startswith(
        "# a day's.csv: today\n\n## Summary\n\n- **What happened**: Sales stopped from 13:00 to 16:00"
    )
    assert "\n\n## Findings\n\n- 13h to 15h" in text
    assert "<img" not in text.split("```sql")[0].replace("\\<img", "")
    assert "\x1b" not in text


def test_pictures_are_the_same_each_time(outage: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        done = txmon("analyze", str(outage), "--png", f"{name}.png", "--svg", f"{name}.svg", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    import matplotlib.image

    pixels = matplotlib.image.imread(tmp_path / "a.png")
    assert pixels.shape[1] > 1000
    reddish = (pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.9) & (pixels[..., 2] < 0.92)  # the finding's span
    blue = (pixels[..., 0] < 0.2) & (pixels[..., 2] > 0.5)  # the day's line
    assert 0.02 < reddish.mean() < 0.2
    assert 0.001 < blue.mean() < 0.1
    svg = (tmp_path / "a.svg").read_text()
    assert "<script" not in svg
    assert "<img" not in svg


def test_without_matplotlib_it_says_what_to_install(outage: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from txmon.cli.main import run\nsys.exit(run(['analyze', sys.argv[1], '--png', sys.argv[2]]))"
    )
    arguments = [sys.executable, "-c", code, str(outage), str(tmp_path / "x.png")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "pip install 'txmon[plot]'" in done.stderr


def test_heavy_libraries_wait_until_they_are_needed() -> None:
    code = (
        "import sys\nfrom txmon.cli.main import run\n"
        "codes = [run(['--version']), run(['analyze', '--help']), run(['query', '--help'])]\n"
        "print(codes, sorted({'numpy', 'scipy', 'pandas', 'duckdb', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0] []"


# --- the page ---


def test_the_page_asks_for_nothing_and_runs_no_other_script(outage: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert txmon("analyze", str(outage), "--html", str(page)).returncode == 0
    text = page.read_text()
    assert text.count("<script") == 2
    assert "<img" not in text
    assert not re.search(r'\b(?:src|href)="(?!data:,)', text)
    assert "default-src 'none'" in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


def test_the_page_draws_in_a_browser(outage: Path, tmp_path: Path, browse: Callable[[Path], str]) -> None:
    page = tmp_path / "page.html"
    assert txmon("analyze", str(outage), "--html", str(page)).returncode == 0
    # a driver of its own: hide a line, move to an hour, and leave what came of it in the document
    driver = """
      const svg = document.querySelector("svg"), lines = () => document.querySelectorAll("path.line").length;
      const before = lines(); document.querySelector("button.key.other").click(); const after = lines();
      svg.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
      document.title = JSON.stringify([before, after, document.querySelectorAll("rect.span").length,
        document.querySelector(".tip").textContent, performance.getEntriesByType("resource").length]);
    """
    text = page.read_text()
    # the policy forbids a second script, so the test's copy does without the policy
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "driven.html").write_text(text.replace("</body>", f"<script>{driver}</script></body>"))
    title = re.search(r"<title>(.*?)</title>", browse(tmp_path / "driven.html"))
    assert title is not None
    before, after, spans, tip, requests = json.loads(title[1])
    assert (before, after, spans, requests) == (6, 5, 1, 0)
    assert tip.startswith("00h: today ")
    # with the policy the chart draws, and another script does not run
    kept = tmp_path / "kept.html"
    kept.write_text(page.read_text().replace("</body>", f"<script>{driver}</script></body>"))
    seen = browse(kept)
    assert seen.count('class="line ') == 6
    assert "<title>a day's.csv: today</title>" in seen


def test_no_word_of_the_page_is_split_at_1280_pixels(
    outage: Path, tmp_path: Path, browse: Callable[[Path], str]
) -> None:
    page = tmp_path / "page.html"
    assert txmon("analyze", str(ROOT / "examples" / "transactions.csv"), "--html", str(page)).returncode == 0
    driver = """
      const split = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = new Range();
      while (walk.nextNode()) {
        const node = walk.currentNode, own = node.parentElement;
        if (own.closest("script, svg, pre")) continue;
        for (const found of node.data.matchAll(/[\\w.,%+-]+/g)) {
          range.setStart(node, found.index); range.setEnd(node, found.index + found[0].length);
          if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) split.push(found[0]);
        }
      }
      document.title = JSON.stringify([innerWidth, split]);
    """
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    driven = tmp_path / "driven.html"
    driven.write_text(text.replace("</body>", f"<script>{driver}</script></body>"))
    title = re.search(r"<title>(.*?)</title>", browse(driven))
    assert title is not None
    width, split = json.loads(title[1])
    assert (width, split) == (1280, [])


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[Path], str]:
    """The document of a page after its scripts ran, in a browser without network."""
    chromium = need("chromium")

    def dump(page: Path) -> str:
        flags = ["--headless", "--no-sandbox", "--window-size=1280,1000", "--disable-gpu", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update",
                 f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
        done = subprocess.run(
            [chromium, *flags, "--virtual-time-budget=2000", "--dump-dom", page.as_uri()],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return done.stdout

    return dump


@REAL
def test_the_written_analysis_says_what_the_command_says() -> None:
    text = (ROOT / "docs" / "analysis.md").read_text()
    flowing = " ".join(text.replace("\n> ", " ").split())
    for number in (1, 2):
        (finding,) = checkout_report(real(number)).of("finding")
        assert finding in flowing
    assert "1.64 times" in flowing
    assert f"{real(2).pace:.2f}" == "1.64"
    assert f"{real(1).dispersion:.3f} in checkout_1, {real(2).dispersion:.3f} in checkout_2" in flowing


@REAL
@pytest.mark.parametrize("number", [1, 2])
def test_the_pictures_of_the_written_analysis_are_current(number: int, tmp_path: Path) -> None:
    """Compared by their lines' points: fonts and versions of matplotlib may differ elsewhere."""

    def points(path: Path) -> list[str]:
        return re.findall(r'd="(M [^"]{200,})"', path.read_text())

    fresh = tmp_path / "fresh.svg"
    write_plot([checkout_report(real(number))], str(fresh), "svg")
    assert len(points(fresh)) >= 6
    kept = ROOT / "docs" / f"checkout_{number}.svg"
    assert points(kept) == points(fresh)


def test_any_table_of_counts_gives_finite_numbers_or_a_clear_error() -> None:
    rng = np.random.default_rng(16)
    judged = 0
    for _ in range(120):
        count = int(rng.choice([1, 2, 5, 24]))
        hours = tuple(sorted(map(int, rng.choice(24, count, replace=False))))
        columns = {"today": tuple(map(float, rng.poisson(rng.choice([0, 0.1, 50, 1e6]), count)))}
        for name, days in (("a", 1), ("b", 1), ("avg_week", 7), ("avg_month", 28))[: rng.integers(1, 5)]:
            means = rng.poisson(float(rng.choice([0, 0.05, 40, 1e9])), count) / days
            columns[name] = tuple(map(float, np.floor(means * 100) / 100))
        try:
            found = analyze_checkouts(Checkouts("x", hours, columns))
        except BadData:
            continue
        judged += 1
        numbers = [x for h in found.hours for x in (h.expected, h.low, h.high, h.z, h.p, h.q)]
        assert np.isfinite(numbers).all()
        assert all(0 <= h.low <= h.high and 0 <= h.p <= 1 and 0 <= h.q <= 1 for h in found.hours)
        assert checkout_report(found).statements
    assert judged > 60

"""How well, how fast and in how much memory txmon finds what drives an alert, beside two published methods.

    python benchmarks/drivers.py [--cases 80] [--json FILE]

Root causes: streams with 2 to 5 columns are learned from, then one status rises: at one value, at a pair of values, or
everywhere. The size of the effect is the excess of the whole status in sigmas. F1 counts pairs (column, value) that
were named and that are true; where everything rises, naming anything is wrong. Adtributor (Bhagwan et al., NSDI 2014)
and Squeeze (Li et al., ISSRE 2019) are written here from the papers, with their parameters, and get the same expected
counts: usual shares of single values.
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from txmon.detection.drivers import BucketParts, DriverBook, parts_of
from txmon.detection.value_table import ValueTable
from txmon.model.keys import Counts

SIZES = (("issuer", 10), ("merchant", 500), ("code", 8), ("country", 20), ("brand", 5))
SIGMAS = (3.0, 5.0, 8.0, 12.0)
ROWS = 2000  # transactions in a bucket
DENIED = 0.1  # of them
LEARNED = 150  # buckets
Cause = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class World:
    """Columns, and how often each of their values comes."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    shares: tuple[Any, ...]

    def draw(self, rng: np.random.Generator, count: int, fixed: dict[str, str]) -> list[tuple[tuple[str, str], ...]]:
        columns = []
        for name, values, shares in zip(self.names, self.values, self.shares, strict=True):
            if name in fixed:
                columns.append([fixed[name]] * count)
            else:
                columns.append([values[i] for i in rng.choice(len(values), count, p=shares)])
        return [tuple(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]


def world(columns: int) -> World:
    some = SIZES[:columns]
    shares = []
    for _, size in some:
        weights = np.arange(1, size + 1) ** -0.8
        shares.append(weights / weights.sum())
    values = tuple(tuple(f"{name[0]}{n}" for n in range(size)) for name, size in some)
    return World(tuple(name for name, _ in some), values, tuple(shares))


def bucket(w: World, rng: np.random.Generator, extra: int = 0, fixed: dict[str, str] | None = None) -> Counts:
    found: Counts = {}
    denied = int(rng.poisson(ROWS * DENIED))
    for status, rows in (("approved", w.draw(rng, ROWS - denied, {})), ("denied", w.draw(rng, denied, {}))):
        for row in rows:
            counts = found.setdefault(row, {})
            counts[status] = counts.get(status, 0) + 1
    for row in w.draw(rng, extra, fixed or {}):
        counts = found.setdefault(row, {})
        counts["denied"] = counts.get("denied", 0) + 1
    return found


def learned(w: World, rng: np.random.Generator) -> DriverBook:
    book = DriverBook(w.names, 10_000)
    for minute in range(LEARNED):
        book.learn(60 * minute, BucketParts(bucket(w, rng), len(w.names)), [])
    return book


# the methods: (book, world, leaves, expected denied) -> the cause


def by_txmon(book: DriverBook, w: World, leaves: Counts, expected: float) -> Cause:
    drivers = book.explain((), "denied", expected, [leaves], True) or ()
    return frozenset(pair for one in drivers for pair in one.values)


def _compared(book: DriverBook, w: World, leaves: Counts, expected: float) -> list[tuple[list[str], Any, Any]]:
    found = []
    for place in range(len(w.names)):
        seen: dict[str, int] = {}
        for part in parts_of(leaves, len(w.names), ()):
            count = part.counts.get("denied", 0)
            if count:
                seen[part.values[place]] = seen.get(part.values[place], 0) + count
        table = book.table((), place)
        assert table is not None
        found.append(table.compare(seen, "denied", expected))
    return found


def by_adtributor(book: DriverBook, w: World, leaves: Counts, expected: float) -> Cause:
    """NSDI 2014, algorithm 1: T_EEP 10 %, T_EP 67 %; the set with the largest surprise."""
    best: tuple[float, Cause] = (0.0, frozenset())
    for name, (names, came, due) in zip(w.names, _compared(book, w, leaves, expected), strict=True):
        actual, forecast = came.sum(), due.sum()
        p, q = due / max(forecast, 1e-9), came / max(actual, 1e-9)
        with np.errstate(divide="ignore", invalid="ignore"):
            one = np.where(p > 0, p * np.log(2 * p / (p + q)), 0.0)
            other = np.where(q > 0, q * np.log(2 * q / (p + q)), 0.0)
        surprise = 0.5 * (one + other)
        power = (came - due) / (actual - forecast)
        chosen, explained, total = [], 0.0, 0.0
        for i in np.argsort(-surprise, kind="stable").tolist():
            if power[i] <= 0.1:
                continue
            chosen.append((name, names[i]))
            explained += power[i]
            total += surprise[i]
            if explained > 0.67:
                if total > best[0]:
                    best = (total, frozenset(chosen))
                break
    return best[1]


def by_squeeze(book: DriverBook, w: World, leaves: Counts, expected: float) -> Cause:
    """ISSRE 2019: leaves with large residuals, clustered by deviation score; per cuboid the best prefix by GPS."""
    parts = [part for part in parts_of(leaves, len(w.names), ()) if part.counts.get("denied")]
    if not parts:
        return frozenset()
    tables = [book.table((), place) for place in range(len(w.names))]
    v = np.array([float(part.counts["denied"]) for part in parts])
    f = np.array(
        [
            expected
            * float(np.prod([table.share(value, "denied") for table, value in zip(tables, part.values, strict=True)]))
            for part in parts
        ]
    )
    residual = np.abs(v - f)
    order = np.argsort(residual)
    curve = np.cumsum(residual[order]) / max(residual.sum(), 1e-9)
    knee = int(np.argmax(np.linspace(0, 1, len(curve)) - curve))  # the point furthest below the chord
    kept = np.zeros(len(parts), bool)
    kept[order[knee:]] = True
    score = 2 * (f - v) / np.maximum(f + v, 1e-9)
    heights, edges = np.histogram(score[kept], bins=min(50, max(5, int(kept.sum() ** 0.5))), range=(-2, 2))
    smooth = np.convolve(heights, [0.25, 0.5, 0.25], "same")
    peak = int(np.argmax(smooth))
    low, high = peak, peak
    while low > 0 and smooth[low - 1] <= smooth[low] and smooth[low - 1] > 0:
        low -= 1
    while high < len(smooth) - 1 and smooth[high + 1] <= smooth[high] and smooth[high + 1] > 0:
        high += 1
    cluster = kept & (score >= edges[low]) & (score <= edges[high + 1])
    best: tuple[float, Cause] = (-np.inf, frozenset())
    for layer in (1, 2):
        for places in combinations(range(len(w.names)), layer):
            groups: dict[tuple[str, ...], list[int]] = {}
            for i, part in enumerate(parts):
                groups.setdefault(tuple([part.values[at] for at in places]), []).append(i)
            descent = sorted(groups.items(), key=lambda one: (-cluster[one[1]].mean(), -cluster[one[1]].sum()))
            inside = np.zeros(len(parts), bool)
            for number, (_, members) in enumerate(descent[:5], 1):
                inside[members] = True
                a = f * (v[inside].sum() / max(f[inside].sum(), 1e-9))
                rest = np.abs(v[~inside] - f[~inside]).mean() if (~inside).any() else 0.0
                under = np.abs(v[inside] - f[inside]).mean() + rest
                gps = 1 - (np.abs(v[inside] - a[inside]).mean() + rest) / max(under, 1e-9)
                value = gps * 10.0 - number * layer
                if value > best[0]:
                    named = [
                        (w.names[at], text) for key, _ in descent[:number] for at, text in zip(places, key, strict=True)
                    ]
                    best = (value, frozenset(named))
    return best[1]


METHODS: dict[str, Callable[[DriverBook, World, Counts, float], Cause]] = {
    "txmon": by_txmon, "Adtributor": by_adtributor, "Squeeze": by_squeeze,
}  # fmt: skip


def causes(w: World, rng: np.random.Generator, number: int) -> dict[str, str]:
    """Of four cases two have one value, one a pair, and one none."""
    kind = number % 4
    if kind == 3:
        return {}
    places = rng.choice(len(w.names), 2 if kind == 2 else 1, replace=False)
    # one of the values that come least has no excess of many sigmas that anybody would see: of the first half
    return {w.names[at]: w.values[at][int(rng.integers(1, max(2, len(w.values[at]) // 2)))] for at in places}


def scores(cases: int) -> list[dict[str, Any]]:
    rows = []
    for columns in (2, 3, 4, 5):
        w = world(columns)
        rng = np.random.default_rng(columns)
        book = learned(w, rng)
        for sigma in SIGMAS:
            counts = {name: [0, 0, 0] for name in METHODS}  # true positives, false positives, false negatives
            for number in range(cases):
                fixed = causes(w, rng, number)
                expected = ROWS * DENIED
                leaves = bucket(w, rng, round(sigma * expected**0.5), fixed)
                truth = frozenset(fixed.items())
                for name, method in METHODS.items():
                    found = method(book, w, leaves, expected)
                    counts[name][0] += len(found & truth)
                    counts[name][1] += len(found - truth)
                    counts[name][2] += len(truth - found)
            row: dict[str, Any] = {"columns": columns, "sigma": sigma}
            for name, (right, wrong, missed) in counts.items():
                row[name] = round(2 * right / max(1, 2 * right + wrong + missed), 3)
            rows.append(row)
            print(row, flush=True)
    return rows


def speed_and_memory(values: int = 100_000) -> dict[str, float]:
    """Milliseconds of processor time per alert, and bytes per value, with three columns of so many values each."""
    names = [f"merchant-{n:07d}" for n in range(values)]
    statuses = ("approved", "denied", "failed", "reversed", "backend_reversed", "processing", "refunded")
    counts = {name: {statuses[n % 7]: 3, statuses[(n + 1) % 7]: 2} for n, name in enumerate(names)}
    gc.collect()
    tracemalloc.start()
    copies = {str.encode(name).decode(): row for name, row in counts.items()}
    before = tracemalloc.get_traced_memory()[0]
    table = ValueTable(values)
    table.learn(0, copies, frozenset())
    bytes_each = (tracemalloc.get_traced_memory()[0] - before) / values + sys.getsizeof(names[0])
    tracemalloc.stop()
    book = DriverBook(("a", "b", "c"), values)
    leaves: Counts = {(("a", name), ("b", name), ("c", name)): row for name, row in counts.items()}
    book.learn(0, BucketParts(leaves, 3), [])
    few: Counts = {key: {"denied": 1} for key in list(leaves)[:1000]}
    few[("a", "x"), ("b", names[5]), ("c", names[6])] = {"denied": 500}
    times = []
    for _ in range(20):
        began = time.process_time()
        book.explain((), "denied", 900.0, [few], True)
        times.append(time.process_time() - began)
    return {"ms_per_alert": round(1000 * sorted(times)[10], 2), "bytes_per_value": round(bytes_each, 1)}


def throughput() -> dict[str, float]:
    """Rows per second of processor time of `txmon replay` over raw events, without and with drivers."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "events.csv")
        txmon = [sys.executable, "-m", "txmon"]
        made = ["simulate", "--events", "--dimensions", "issuer:10,merchant:500,code:8", "--out", path]
        # many rows: over a short stream the start of the program is most of both times, and hides the difference
        subprocess.run([*txmon, *made, "--peak", "2000", "--days", "1"], check=True)
        with open(path, "rb") as file:
            rows = sum(1 for _ in file) - 1
        found = {"rows": float(rows)}
        for name, flags in (("without", []), ("with", ["--drivers", "issuer,merchant,code"])):
            best = 1e9
            for _ in range(3):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run([*txmon, "replay", path, "-q", "--jobs", "1", "--out", "/dev/null", *flags], check=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            found[f"rows_per_s_{name}"] = round(rows / best)
        found["part"] = round(found["rows_per_s_with"] / found["rows_per_s_without"], 2)
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=80, help="of each number of columns and size of effect")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args(arguments)
    result = {"scores": scores(given.cases), **speed_and_memory(), **throughput()}
    print({name: value for name, value in result.items() if name != "scores"})
    if given.json:
        Path(given.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""txmon with its defaults, two textbook detectors and the two original systems on the same labelled data.

usage: .venv/bin/pip install --group bench && .venv/bin/python benchmarks/detection.py [--seeds 0:20] [--json]

Real files and the maker of streams are read from ../shared (or --shared DIR); without it, the shipped sample is all.
Scored by the rules of `txmon evaluate`, which are score.py's. Every method judges the same minutes from the same 30
minutes on, a status without a row as zero, and alerts above normal, on approved below.

EWMA         level and variance with a half-life of 15 minutes, alert beyond 3.5 standard deviations
rolling MAD  median of the last hour, alert beyond 3.5 times 1.4826 MAD; `floored`: at least one transaction's
outlier factor   original system A: a local outlier factor (20 neighbours, 2 % contamination) refitted every minute on
             all counts of the status so far; an alert where the newest is an outlier
components   original system B: standardised features of a minute rebuilt from three principal components, an alert
             where a feature's squared error is beyond 3 sigma. Fitted on the other real file; of a stream, on its
             first day, which it has then seen. More components were tried on the real files: more was false.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from txmon.evaluation.evaluate import Alerts, Labels, Score, read_labels, score, total
from txmon.evaluation.tune import alerts_of
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import DEFAULTS

ROOT = Path(__file__).resolve().parents[1]
STATUSES = ("approved", "denied", "failed", "reversed", "backend_reversed", "processing", "refunded")
PROBLEMS = ("denied", "failed", "reversed")  # all that the original systems look at
SIGMAS = 3.5
WARMUP = 30  # minutes
DAY = 1440
NEIGHBOURS = 20  # of the local outlier factor

Floats = NDArray[np.float64]
Hits = dict[str, NDArray[np.bool_]]  # by status, a flag a minute


@dataclass(frozen=True, slots=True)
class Stream:
    """A labelled stream, minute by minute."""

    records: Sequence[Record]
    start: int  # epoch seconds
    counts: dict[str, Floats]
    labels: Labels
    training: dict[str, Floats]  # counts that the components are fitted on


@dataclass(frozen=True, slots=True)
class Method:
    """A way to find alerts."""

    name: str
    run: Callable[[Stream], Alerts]
    statuses: Sequence[str] = (*STATUSES, "*")  # that it judges


def load(path: Path, labels: Path) -> Stream:
    reader = reader_of(DEFAULTS, RejectLog(None, True), date(2026, 3, 2))  # the day that the real files' labels name
    records = list(reader.records([str(path)]))
    first, last = min(r.time for r in records) // 60, max(r.time for r in records) // 60
    counts = {status: np.zeros(last - first + 1) for status in STATUSES}
    for record in records:
        counts[record.status][record.time // 60 - first] += record.count
    training = {status: series[:DAY] for status, series in counts.items()}
    return Stream(records, first * 60, counts, read_labels(labels.read_bytes(), str(labels)), training)


def real_files(shared: Path) -> list[Stream]:
    found = [
        load(path, path.with_suffix(".labels.json")) for path in sorted((shared / "data").glob("transactions_*.csv"))
    ]
    return [replace(stream, training=found[n - 1].counts) for n, stream in enumerate(found)]


def made_streams(shared: Path, seeds: str, days: int) -> list[Stream]:
    with tempfile.TemporaryDirectory() as folder:
        maker = [sys.executable, str(shared / "bench" / "streams.py"), folder, "--seeds", seeds, "--days", str(days)]
        subprocess.run(maker, check=True)
        return [load(path, path.with_suffix(".json")) for path in sorted(Path(folder).glob("*.csv"))]


def txmon(stream: Stream) -> Alerts:
    return alerts_of(pipeline_of(DEFAULTS, live=False).run(stream.records))


def ewma(stream: Stream) -> Alerts:
    return alerts_from(stream, {s: beyond(s, *ewma_scores(x)) for s, x in stream.counts.items()})


def ewma_scores(x: Floats) -> tuple[Floats, Floats]:
    """(distance from the level, standard deviation) of each minute, both as known before it."""
    gain = 1 - 0.5 ** (1 / 15)
    level, variance = float(x[0]), 0.0
    distance, deviation = np.zeros(len(x)), np.zeros(len(x))
    for n, value in enumerate(x):
        step = distance[n] = value - level
        deviation[n] = variance**0.5
        level += gain * step
        variance = (1 - gain) * (variance + gain * step * step)
    return distance, deviation


def mad(floor: float) -> Callable[[Stream], Alerts]:
    def run(stream: Stream) -> Alerts:
        return alerts_from(stream, {s: beyond(s, *mad_scores(x, floor)) for s, x in stream.counts.items()})

    return run


def mad_scores(x: Floats, floor: float) -> tuple[Floats, Floats]:
    """(distance from the median of the hour before, 1.4826 MAD of that hour) of each minute."""
    past = sliding_window_view(np.concatenate([np.full(60, np.nan), x[:-1]]), 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the first minute has no hour before it
        median = np.nanmedian(past, axis=1)
        spread = 1.4826 * np.nanmedian(np.abs(past - median[:, None]), axis=1)
    return np.nan_to_num(x - median), np.maximum(np.nan_to_num(spread), floor)


def beyond(status: str, distance: Floats, deviation: Floats) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (-distance if status == "approved" else distance) > SIGMAS * deviation
    return found


def outlier_factor(stream: Stream) -> Alerts:
    return alerts_from(stream, {status: outliers(stream.counts[status]) for status in PROBLEMS})


def outliers(x: Floats) -> NDArray[np.bool_]:
    from sklearn.neighbors import LocalOutlierFactor  # type: ignore[import-untyped]

    found = np.zeros(len(x), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it finds the many equal counts suspicious
        for n in range(WARMUP, len(x)):
            if np.count_nonzero(x[:n] == x[n]) >= NEIGHBOURS:  # all neighbours are equal to it: its factor is 1
                continue
            model = LocalOutlierFactor(n_neighbors=NEIGHBOURS, contamination=0.02)
            found[n] = model.fit_predict(x[: n + 1, None])[-1] == -1
    return found


def components(stream: Stream) -> Alerts:
    train, test = features(stream.training), features(stream.counts)
    centre, scale = train.mean(), train.std().replace(0, 1)
    known, judged = ((train - centre) / scale).to_numpy(), ((test - centre) / scale).to_numpy()
    axes = np.linalg.svd(known, full_matrices=False)[2][:3]
    usual = (known - known @ axes.T @ axes) ** 2
    hits = (judged - judged @ axes.T @ axes) ** 2 > usual.mean(axis=0) + 3 * usual.std(axis=0)
    owner = test.columns.get_level_values(0).to_numpy()
    return alerts_from(stream, {status: hits[:, owner == status].any(axis=1) for status in PROBLEMS})


def features(counts: dict[str, Floats]) -> pd.DataFrame:
    """What system B derives from a minute: (status, feature) -> value."""
    approved, whole = pd.Series(counts["approved"]), pd.Series(sum(counts.values()))
    found: dict[tuple[str, str], Any] = {("*", "hour"): pd.Series(np.arange(len(whole)) // 60 % 24)}
    for status in STATUSES:
        x = pd.Series(counts[status])
        recent = x.rolling(15, min_periods=1)
        correlation = recent.corr(approved).replace([np.inf, -np.inf], 0).fillna(0)
        made = {"count": x, "share": x / whole.clip(1), "ratio": x / approved.clip(1), "square": x**2, "root": x**0.5}
        made |= {"sum": recent.sum(), "mean": recent.mean(), "max": recent.max(), "min": recent.min()}
        found |= {(status, name): series for name, series in {**made, "correlation": correlation}.items()}
    return pd.DataFrame(found)


def alerts_from(stream: Stream, hits: Hits) -> Alerts:
    def moment(minute: int) -> datetime:
        return datetime.fromtimestamp(stream.start + 60 * minute, UTC)

    times = {s: [moment(int(n)) for n in np.nonzero(flags)[0] if n >= WARMUP] for s, flags in hits.items()}
    return Alerts(times, moment(0), moment(len(stream.counts["approved"]) - 1), told=False)


METHODS = (
    Method("txmon, defaults", txmon),
    Method("EWMA, 3.5 sigma", ewma, STATUSES),
    Method("rolling MAD, 3.5 sigma", mad(0.0), STATUSES),
    Method("rolling MAD, floored", mad(1.0), STATUSES),
    Method("outlier factor (original A)", outlier_factor, PROBLEMS),
    Method("components (original B)", components, PROBLEMS),
)


def measure(method: Method, streams: Sequence[Stream]) -> Score:
    """The method's score on the incidents that show on a status it judges."""
    found = total([score(method.run(stream), stream.labels) for stream in streams])
    open_to_it = tuple(catch for catch in found.catches if set(catch.label.statuses) & set(method.statuses))
    return replace(found, catches=open_to_it)


def markdown(sets: dict[str, Sequence[Stream]], scores: dict[str, dict[str, Score]]) -> str:
    head = ["method"]
    for name in sets:
        head += [f"{name}: caught", "false episodes", "a day", "median delay (min)"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for method, found in scores.items():
        row = [method]
        for one in found.values():
            delay = "-" if one.delay_median is None else f"{one.delay_median:g}"
            row += [f"{one.caught} of {len(one.catches)}", str(len(one.false)), f"{one.false_per_day:.2f}", delay]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    cli = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    cli.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of data/ and bench/")
    cli.add_argument("--seeds", default="0:20", help="FIRST:END of the streams' seeds; 0:0 for none")
    cli.add_argument("--days", type=int, default=2, help="length of a stream")
    cli.add_argument("--only", action="append", default=[], help="methods whose name contains this (repeatable)")
    cli.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    args = cli.parse_args()
    sets: dict[str, Sequence[Stream]] = {}
    if args.shared.is_dir():
        sets["real files"] = real_files(args.shared)
        made = made_streams(args.shared, args.seeds, args.days)
        sets |= {f"{len(made)} streams": made} if made else {}
    else:
        sample = ROOT / "examples" / "transactions.csv"
        sets["sample"] = [load(sample, sample.with_suffix(".labels.json"))]
    scores: dict[str, dict[str, Score]] = {}
    for method in METHODS:
        if args.only and not any(word in method.name for word in args.only):
            continue
        began = time.monotonic()
        scores[method.name] = {name: measure(method, streams) for name, streams in sets.items()}
        print(f"{method.name}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    if args.json:
        print(json.dumps({m: {name: one.as_json() for name, one in found.items()} for m, found in scores.items()}))
    else:
        print(markdown(sets, scores))


if __name__ == "__main__":
    main()

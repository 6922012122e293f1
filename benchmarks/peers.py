#!/usr/bin/env python3
"""txmon beside what a user might take instead: quality and speed on the same data, in the same run.

usage: .venv/bin/pip install --group bench && .venv/bin/python benchmarks/peers.py [--seeds 0:2] [--json FILE]

The data are a few scenarios of `txmon simulate --scenario` (see --scenarios). Each peer gets the counts by status and
minute, and judges each minute. `caught`, `false a day` and `delay` are scored by the rules of `txmon evaluate`, and
`counts a second` are judged counts over processor seconds of this process: reading a file and writing verdicts are not
part of it. txmon also groups alerts into incidents and explains each of its verdicts in that time.

txmon                  the pipeline with its defaults
river GaussianScorer   a rolling Gaussian of 2 hours, 3.5 standard deviations
river HalfSpaceTrees   25 trees of height 8, windows of 250 values, a score above 0.95
ADTK SeasonalAD        a day's season, fitted on the warm-up
pandas script          (count - rolling mean) / rolling deviation of the last 2 hours, 3.5 standard deviations
DuckDB window SQL      the same in one SELECT over a window of 120 rows
Bytewax                the same in a stateful step of a flow, each series a key
Prometheus z-score     the same as PromQL, as recording rules have it: avg_over_time and stddev_over_time. A real server
                       evaluates the rule at each minute. Its processor time is that of the server
weekly profile         negative binomial limits around the same quarter of an hour of earlier days
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from common import processor_time
from detectors import SIGMAS, alerts_from, directions, gaussian, half_space, per_series, seasonal, txmon, weekly_profile
from feeds import KEYED, Stream, chosen, scenario, seeds

from txmon.evaluation.evaluate import Alerts, score, total

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
WINDOW = 120  # minutes
LEAST = 30  # minutes, before which nothing is judged
POINTS = 10_000  # that one query of Prometheus may ask for
Timed = Callable[[Stream], tuple[Alerts, float]]  # the alerts, and seconds of processor time


def pandas_script(stream: Stream) -> Alerts:
    frame = pd.DataFrame(stream.counts.T)
    before = frame.shift(1).rolling(WINDOW, min_periods=30)
    away = (frame - before.mean()).to_numpy() * directions(stream)
    return alerts_from(stream, (away > SIGMAS * before.std().to_numpy()).T)


def window_sql(stream: Stream) -> Alerts:
    """One thread, as every other peer has."""
    rows = pd.DataFrame({
        "minute": np.tile(np.arange(stream.minutes), len(stream.series)),
        "series": np.repeat(np.arange(len(stream.series)), stream.minutes),
        "sign": np.repeat(directions(stream), stream.minutes),
        "count": stream.counts.ravel(),
    })  # fmt: skip
    with duckdb.connect(config={"threads": 1}) as database:
        database.register("counts", rows)
        found = database.execute(f"""
            SELECT series, minute FROM (
                SELECT *, avg("count") OVER past AS mean, stddev("count") OVER past AS deviation FROM counts
                WINDOW past AS (PARTITION BY series ORDER BY minute ROWS BETWEEN {WINDOW} PRECEDING AND 1 PRECEDING))
            WHERE sign * ("count" - mean) > {SIGMAS} * deviation""").fetchnumpy()
    flags = np.zeros(stream.counts.shape, dtype=bool)
    flags[found["series"].astype(int), found["minute"].astype(int)] = True
    return alerts_from(stream, flags)


class Rolling:
    """The counts of the last two hours of one series, and their sums."""

    def __init__(self) -> None:
        self.past: deque[float] = deque(maxlen=WINDOW)
        self.sum = self.squares = 0.0

    def beyond(self, count: float, sign: float) -> bool:
        """Return whether a count is too far from the mean; then learn it."""
        n, found = len(self.past), False
        if n >= LEAST:
            mean = self.sum / n
            variance = max(0.0, (self.squares - n * mean * mean) / (n - 1))
            found = sign * (count - mean) > SIGMAS * variance**0.5
        if n == WINDOW:
            self.sum -= self.past[0]
            self.squares -= self.past[0] ** 2
        self.past.append(count)
        self.sum += count
        self.squares += count * count
        return found


def bytewax_flow(stream: Stream) -> Alerts:
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    signs = directions(stream).tolist()
    counts = stream.counts.T.tolist()
    source = [(str(row), (minute, value)) for minute, values in enumerate(counts) for row, value in enumerate(values)]
    found: list[tuple[str, int]] = []

    def step(state: Rolling | None, item: tuple[int, float], row: str) -> tuple[Rolling, int]:
        state = state or Rolling()
        return state, item[0] if state.beyond(item[1], signs[int(row)]) else -1

    flow = Dataflow("peers")
    rows = op.input("in", flow, TestingSource(source, batch_size=1000))
    named = op.map("name", rows, lambda pair: (pair[0], (pair[0], pair[1])))
    scored = op.stateful_map("score", named, lambda state, pair: step(state, pair[1], pair[0]))
    op.output("out", op.filter("alerts", scored, lambda pair: pair[1] >= 0), TestingSink(found))
    run_main(flow)
    flags = np.zeros(stream.counts.shape, dtype=bool)
    for row, minute in found:
        flags[int(row), minute] = True
    return alerts_from(stream, flags)


def prometheus_rules(stream: Stream) -> tuple[Alerts, float]:
    """Ask a server whose history is the stream; filling that is not part of its time, as with every other peer."""
    from servers import prometheus

    lines = ["# TYPE tx gauge\n"]
    for row, (_, status) in enumerate(stream.series):
        sign = directions(stream)[row]
        for minute, count in enumerate(stream.counts[row].tolist()):
            name = f'tx{{series="{row}",status="{status}",sign="{sign:g}"}}'
            lines.append(f"{name} {sign * count:g} {stream.start + 60 * minute}\n")
    past = f"[{WINDOW}m] offset 1m"
    rule = f"tx - avg_over_time(tx{past}) > {SIGMAS} * stddev_over_time(tx{past})"
    flags = np.zeros(stream.counts.shape, dtype=bool)
    with tempfile.TemporaryDirectory() as folder, prometheus(Path(folder), "".join([*lines, "# EOF\n"])) as address:
        began = processor_time(os.getpid())
        for first in range(LEAST, stream.minutes, POINTS):
            last = min(first + POINTS, stream.minutes) - 1
            asked = {"query": rule, "step": 60, "start": stream.start + 60 * first, "end": stream.start + 60 * last}
            with urllib.request.urlopen(f"{address}/api/v1/query_range?{urllib.parse.urlencode(asked)}") as answer:
                for series in json.load(answer)["data"]["result"]:
                    for time_of, _ in series["values"]:
                        flags[int(series["metric"]["series"]), (int(time_of) - stream.start) // 60] = True
        seconds = processor_time(os.getpid()) - began
    return alerts_from(stream, flags), seconds


def timed(run: Callable[[Stream], Alerts]) -> Timed:
    def measured(stream: Stream) -> tuple[Alerts, float]:
        began = time.process_time()
        alerts = run(stream)
        return alerts, time.process_time() - began

    return measured


def installed(need: str) -> bool:
    return find_spec(need) is not None or shutil.which(need) is not None


PEERS: dict[str, tuple[Timed, str | None]] = {  # and the module or the program that it needs
    "txmon": (timed(txmon), None),
    "river GaussianScorer": (timed(per_series(gaussian)), "river"),
    "river HalfSpaceTrees": (timed(per_series(half_space)), "river"),
    "ADTK SeasonalAD": (timed(seasonal), "adtk"),
    "pandas script": (timed(pandas_script), None),
    "DuckDB window SQL": (timed(window_sql), None),
    "Bytewax": (timed(bytewax_flow), "bytewax"),
    "Prometheus z-score": (prometheus_rules, "prometheus"),
    "weekly profile": (timed(weekly_profile), None),
}


def measure(name: str, streams: list[Stream]) -> dict[str, Any]:
    run, _ = PEERS[name]
    seconds, scores = 0.0, []
    for stream in streams:
        list(stream.records())  # once before, so that no peer pays for what is made once
        alerts, spent = run(stream)
        seconds += spent
        scores.append(score(alerts, stream.labels))
    found = total(scores)
    counts = sum(stream.counts.size for stream in streams)
    return {
        "peer": name, "incidents": len(found.catches), "caught": found.caught, "false a day": found.false_per_day,
        "delay (min)": found.delay_median, "counts": counts, "seconds": round(seconds, 3),
        "counts a second": round(counts / seconds) if seconds else None,
    }  # fmt: skip


def main() -> None:
    cli = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    cli.add_argument("--scenarios", default="partial,sale,tiny,large,drift", help="names with commas between, or all")
    cli.add_argument("--seeds", default="0:1", help="FIRST:END of the scenarios' seeds")
    cli.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = cli.parse_args()
    names = [name for name in chosen(args.scenarios) if name not in KEYED]
    streams = [scenario(name, seed) for name in names for seed in seeds(args.seeds)]
    rows = []
    print("| | caught | false a day | delay (min) | counts a second |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (_, module) in PEERS.items():
        if module and not installed(module):
            print(f"{name}: left out, since {module} is not installed", file=sys.stderr)
            continue
        row = measure(name, streams)
        rows.append(row)
        delay = "-" if row["delay (min)"] is None else f"{row['delay (min)']:g}"
        print(
            f"| {name} | {row['caught']} of {row['incidents']} | {row['false a day']:.2f} | "
            f"{delay} | {row['counts a second']:,} |",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps({"scenarios": names, "seeds": args.seeds, "peers": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

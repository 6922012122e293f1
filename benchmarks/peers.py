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
weekly profile         negative binomial limits around the same quarter of an hour of earlier days
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from detectors import SIGMAS, alerts_from, directions, gaussian, half_space, per_series, seasonal, txmon, weekly_profile
from feeds import KEYED, Stream, chosen, scenario, seeds

from txmon.evaluation.evaluate import Alerts, score, total

WINDOW = 120  # minutes


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


PEERS: dict[str, tuple[Callable[[Stream], Alerts], str | None]] = {  # and the module that it needs
    "txmon": (txmon, None),
    "river GaussianScorer": (per_series(gaussian), "river"),
    "river HalfSpaceTrees": (per_series(half_space), "river"),
    "ADTK SeasonalAD": (seasonal, "adtk"),
    "pandas script": (pandas_script, None),
    "DuckDB window SQL": (window_sql, None),
    "weekly profile": (weekly_profile, None),
}


def measure(name: str, streams: list[Stream]) -> dict[str, Any]:
    run, _ = PEERS[name]
    seconds, scores = 0.0, []
    for stream in streams:
        list(stream.records())  # once before, so that no peer pays for what is made once
        began = time.process_time()
        alerts = run(stream)
        seconds += time.process_time() - began
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
        if module and find_spec(module) is None:
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

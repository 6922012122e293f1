#!/usr/bin/env python3
"""Whether --budget keeps its word: false alarms that txmon raises on every scenario without its incidents.

usage: .venv/bin/python benchmarks/calibration.py [--seeds 0:3] [--scenarios shop,cron] [--json FILE]

For each budget: the false alarms that it allows in the judged days, and those that came. `episodes` are alerts of one
series at most 5 minutes apart; a budget counts these. `pages` are incidents that txmon opened. A figure ends with !
where the true rate is more than three times the budget with 95 % certainty (an exact Poisson limit). Days before the
scenario's warm-up do not count. `merchants` is judged by merchant, with one seed.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from detectors import txmon
from feeds import chosen, scenario, seeds_of
from scipy.stats import chi2

from txmon.evaluation.evaluate import score, total
from txmon.settings.declarations import DECLARATIONS, DEFAULTS

BUDGETS = {"1/day": 1.0, "1/week": 1 / 7, "1/month": 12 / 365.25}  # false alarms a day
FACTOR = 3.0


def lowest(count: int) -> float:
    """Return the smallest mean that is likely to give `count` or more: the lower end of an exact 95 % interval."""
    return float(chi2.ppf(0.025, 2 * count) / 2) if count else 0.0


def highest(count: int) -> float:
    """Return the largest mean that is likely to give `count` or less."""
    return float(chi2.ppf(0.975, 2 * count + 2) / 2)


def measure(name: str, numbers: range, budget: str) -> dict[str, Any]:
    settings = replace(DEFAULTS, budget=DECLARATIONS["budget"].parse(budget))
    streams = (scenario(name, seed, clean=True) for seed in numbers)
    found = total([score(txmon(stream, settings), stream.labels, stream.keyed) for stream in streams])
    allowed, came = BUDGETS[budget] * found.days, len(found.false)
    return {
        "scenario": name, "budget": budget, "days": round(found.days, 1), "allowed": round(allowed, 2),
        "episodes": came, "low": round(lowest(came), 2), "high": round(highest(came), 2), "pages": found.pages,
        "too_many": lowest(came) > FACTOR * allowed,
    }  # fmt: skip


def cells(row: dict[str, Any]) -> list[str]:
    return [f"{row['allowed']:.1f}", f"{row['episodes']}{'!' if row['too_many'] else ''}", str(row["pages"])]


def main() -> None:
    cli = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    cli.add_argument("--scenarios", default="all", help="names with commas between, or all")
    cli.add_argument("--seeds", default="0:3", help="FIRST:END of the scenarios' seeds")
    cli.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = cli.parse_args()
    rows: list[dict[str, Any]] = []
    head = ["scenario", "days"] + [f"{b}: {w}" for b in BUDGETS for w in ("allowed", "episodes", "pages")]
    print(f"| {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) - 1)}", flush=True)
    for name in chosen(args.scenarios):
        numbers = seeds_of(name, args.seeds)
        found = [measure(name, numbers, budget) for budget in BUDGETS]
        rows += found
        shown = [name, f"{found[0]['days']:g}", *(cell for row in found for cell in cells(row))]
        print(f"| {' | '.join(shown)} |", flush=True)
    broken = [f"{row['scenario']} at {row['budget']}" for row in rows if row["too_many"]]
    if broken:
        print(f"more than {FACTOR:g} times the budget: {', '.join(broken)}", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

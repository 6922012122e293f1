#!/usr/bin/env python3
"""txmon with its defaults beside other detectors on the same labelled data: scenarios, real files, made streams.

usage: .venv/bin/pip install --group bench && .venv/bin/python benchmarks/detection.py [--seeds 0:3] [--json]
       .venv/bin/python benchmarks/detection.py --scenarios shop,cron --only txmon
       .venv/bin/python benchmarks/detection.py --scenarios none mine.csv

A cell is: incidents caught of all, false episodes a day, median delay in minutes. Scored by the rules of `txmon
evaluate`. The scenarios are those of `txmon simulate --scenario`, each with the seeds of --seeds. FILE.csv has its
labels in FILE.labels.json; without labels every alert counts as false. Real files and the maker of streams are read
from ../shared (or --shared DIR); without it, the shipped sample stands for them.

The detectors are described in detectors.py. Those that take minutes judge the real files alone, unless --all is given.
One whose library is not installed is left out and named.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from detectors import METHODS, Method
from feeds import Stream, chosen, load, made_streams, real_files, scenario, seeds, seeds_of

from txmon.errors import TxmonError
from txmon.evaluation.evaluate import Score, score, total

ROOT = Path(__file__).resolve().parents[1]
NEEDS = {"river": "river", "ADTK": "adtk", "outlier": "sklearn"}  # first word of a method's name -> module

Maker = Callable[[], Sequence[Stream]]


def measure(method: Method, streams: Sequence[Stream]) -> Score:
    """The method's score on the incidents that show on a status it judges."""
    found = total([score(method.run(stream), stream.labels) for stream in streams])
    if not method.statuses:
        return found
    judged = {*method.statuses, *(status for stream in streams for _, status in stream.series)}
    if method.statuses != METHODS[1].statuses:  # of single problems
        judged = set(method.statuses)
    return replace(found, catches=tuple(c for c in found.catches if set(c.label.statuses) & judged))


def cell(one: Score | None) -> str:
    if one is None:
        return "-"
    delay = "-" if one.delay_median is None else f"{one.delay_median:g}"
    false = "-" if one.false_per_day is None else f"{one.false_per_day:.2f}"
    return f"{one.caught} of {len(one.catches)} / {false} / {delay}"


def markdown(scores: dict[str, dict[str, Score]]) -> str:
    """A row a set of streams, a column a method."""
    sets = list(dict.fromkeys(name for found in scores.values() for name in found))
    rows = [["caught / false a day / delay (min)", *scores], ["---", *["---:"] * len(scores)]]
    rows += [[name, *(cell(found.get(name)) for found in scores.values())] for name in sets]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def sources(args: argparse.Namespace) -> dict[str, Maker]:
    """What is judged, by name; made when it is needed, and forgotten then."""
    found: dict[str, Maker] = {}
    if args.files:
        found |= {path.name: lambda path=path: [load(path)] for path in args.files}
    elif args.shared.is_dir():
        found["real files"] = lambda: real_files(args.shared)
        if len(seeds(args.streams)):
            found[f"{len(seeds(args.streams))} streams"] = lambda: made_streams(args.shared, args.streams, args.days)
    else:
        found["sample"] = lambda: [load(ROOT / "examples" / "transactions.csv")]
    for name in chosen(args.scenarios):
        numbers = seeds_of(name, args.seeds)
        found[name] = lambda name=name, numbers=numbers: [scenario(name, seed) for seed in numbers]
    return found


def methods(args: argparse.Namespace) -> list[Method]:
    found = []
    for method in METHODS:
        module = NEEDS.get(method.name.split()[0])
        if args.only and not any(word in method.name for word in args.only):
            continue
        if module and find_spec(module) is None:
            print(f"{method.name}: left out, since {module} is not installed", file=sys.stderr)
            continue
        found.append(method)
    return found


def main() -> None:
    cli = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    cli.add_argument("files", nargs="*", type=Path, metavar="FILE", help="judge these instead of the real files")
    cli.add_argument("--scenarios", default="all", help="names with commas between, all or none")
    cli.add_argument("--seeds", default="0:1", help="FIRST:END of the scenarios' seeds")
    cli.add_argument("--streams", default="0:20", help="FIRST:END of the made streams' seeds; 0:0 for none")
    cli.add_argument("--days", type=int, default=2, help="length of a made stream")
    cli.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of data/ and bench/")
    cli.add_argument("--only", action="append", default=[], help="methods whose name contains this (repeatable)")
    cli.add_argument("--all", action="store_true", help="the slow methods on everything, too: an hour")
    cli.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    args = cli.parse_args()
    scores: dict[str, dict[str, Score]] = {method.name: {} for method in methods(args)}
    spent = dict.fromkeys(scores, 0.0)
    for name, make in sources(args).items():
        streams = make()
        for method in METHODS:
            heavy = method.slow and not args.all and name not in ("real files", "sample")
            if method.name not in scores or heavy or (streams[0].keyed and not method.keyed):
                continue
            began = time.process_time()
            scores[method.name][name] = measure(method, streams)
            spent[method.name] += time.process_time() - began
        print(f"{name}: {sum(spent.values()):.0f} s of processor time so far", file=sys.stderr)
    print("; ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items()), file=sys.stderr)
    if args.json:
        print(json.dumps({m: {name: one.as_json() for name, one in found.items()} for m, found in scores.items()}))
    else:
        print(markdown(scores))


if __name__ == "__main__":
    try:
        main()
    except TxmonError as error:  # a file that is missing or cannot be read
        raise SystemExit(f"detection.py: {error}") from None

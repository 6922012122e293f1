"""The performance gate: instructions of twelve fixed workloads, by callgrind, against the committed counts.

A clock is too noisy for small changes, and it differs between machines. Instructions are the same to about 0.2 %. A
workload whose count changes by more than 3 % fails the check, unless CHANGES.md has a line that says why:

    - replay events, CSV: 697,910,724 to 1,020,000,000: every row is checked for repeats.

The second count must be within 3 % of what was measured. `--update` writes the new counts into
results/instructions.json, and refuses to while a change has no line. Counts of another Python, another numpy or
another processor cannot be compared: then the check fails and says so. It needs valgrind and the compiled core.

python benchmarks/instructions.py [--update] [--only WORD]
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMMITTED = HERE / "results" / "instructions.json"
REASONS = HERE / "CHANGES.md"
EXAMPLE = HERE.parent / "examples" / "transactions.csv"
MOST = 0.03  # a change that needs no reason
# one thread, the same order of sets and dictionaries in every run
ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
_REASON = re.compile(r"- (?P<work>.+?): (?P<old>[\d,]+) to (?P<new>[\d,]+): (?P<why>\S.*)")


@dataclass(frozen=True, slots=True)
class Work:
    """A process to count."""

    words: Sequence[str]  # after `python`
    stdin: Path | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the count of a workload changed."""

    work: str
    old: int
    new: int
    why: str


def works(folder: Path, events: int) -> dict[str, Work]:
    """The twelve workloads; their inputs are made in `folder`."""
    from common import events as made

    rows, lines, cron, verdicts = (folder / n for n in ("rows.csv", "lines.jsonl", "cron.csv", "verdicts.jsonl"))
    made(rows, lines, events)
    few = folder / "few.csv"
    few.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[: events // 20]))
    _txmon("simulate", "--scenario", "cron", "--days", "1", "--out", str(cron))
    _txmon("replay", str(EXAMPLE), "--jobs", "1", "--out", str(verdicts))

    def command(*words: str, stdin: Path | None = None) -> Work:
        return Work(("-m", "txmon", *words), stdin)

    quiet = ("--out", "/dev/null")
    return {
        "txmon --version": command("--version"),
        "replay the sample": command("replay", str(EXAMPLE), "--jobs", "1", *quiet),
        "replay a scenario": command("replay", str(cron), "--jobs", "1", *quiet),
        "replay events, CSV": command("replay", str(rows), "--jobs", "1", *quiet),
        "replay events, JSON lines": command("replay", str(lines), "--jobs", "1", *quiet),
        "replay by merchant": command("replay", str(few), "--group-by", "merchant", "--jobs", "1", *quiet),
        "watch events, JSON lines": command("watch", *quiet, stdin=lines),
        "watch by merchant with a state": command(
            "watch", "--group-by", "merchant", "--state", str(folder / "state"), *quiet, stdin=few
        ),
        "simulate a day": command("simulate", *quiet),
        "evaluate the sample": command(
            "evaluate", str(verdicts), "--labels", str(EXAMPLE.with_suffix(".labels.json"))
        ),
        "score one series": Work((str(HERE / "works.py"), "one")),
        "judge many series": Work((str(HERE / "works.py"), "many")),
    }  # fmt: skip


def counted(work: Work, folder: Path) -> int:
    """Return the instructions of a process, its start included."""
    state = folder / "state"
    state.unlink(missing_ok=True)
    command = [
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={folder / 'callgrind'}",
        sys.executable,
        *work.words,
    ]
    with open(work.stdin or os.devnull, "rb") as source:
        done = subprocess.run(
            command, stdin=source, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, check=False
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{' '.join(work.words)} failed:\n{done.stderr[-2000:]}")
    return int(found[1])


def reasons(text: str) -> list[Reason]:
    """Return the reasons in the text of CHANGES.md; ValueError names a line that begins as one and is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("- "):
            continue
        match = _REASON.fullmatch(line)
        if match is None:
            raise ValueError(f"CHANGES.md:{number}: write `- WORKLOAD: OLD to NEW: WHY`, with counts of instructions.")
        old, new = (int(match[name].replace(",", "")) for name in ("old", "new"))
        found.append(Reason(match["work"], old, new, match["why"]))
    return found


def judge(old: Mapping[str, int], new: Mapping[str, int], known: Sequence[Reason]) -> tuple[list[str], bool]:
    """Return a line a workload, and whether all is well: each change above 3 % has its reason, and none is missing."""
    told, well = [], True
    for work, count in new.items():
        before = old.get(work)
        change = count / before - 1 if before else 0.0
        why = next(
            (r.why for r in known if r.work == work and r.old == before and abs(count / r.new - 1) <= MOST), None
        )
        line = f"{work:<32} {count:>14,}  {change:+7.2%}"
        if before is None:
            line += "  new"
        elif abs(count - before) > MOST * before:
            line += (
                f"  {why}" if why else f"  NOT EXPLAINED: add `- {work}: {before:,} to {count:,}: WHY` to CHANGES.md"
            )
            well = well and why is not None
        told.append(line)
    gone = [work for work in old if work not in new]
    told += [f"{work:<32} is no longer measured" for work in gone]
    return told, well


def environment() -> dict[str, str]:
    """Return what the counts depend on besides txmon."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    vectors = "avx512" if "avx512f" in cpu else "avx2" if "avx2" in cpu else "sse"
    return {
        "python": platform.python_version(), "numpy": version("numpy"), "click": version("click"),
        "machine": f"{platform.machine()} {vectors}",
    }  # fmt: skip


def _txmon(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "txmon", *words], check=True, capture_output=True)


def main() -> int:
    cli = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    cli.add_argument("--events", type=int, default=20_000, help="transactions of the larger workloads")
    cli.add_argument("--only", default="", help="workloads whose name contains this")
    cli.add_argument("--update", action="store_true", help="write the new counts, if every change has its reason")
    given = cli.parse_args()
    committed: dict[str, Any] = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    here, began = environment(), time.monotonic()
    differs = [f"{name} {value}, not {here[name]}" for name, value in committed.get("environment", {}).items()
               if here.get(name) != value]  # fmt: skip
    if differs and not given.update:
        print(
            f"cannot compare: the committed counts are of {'; '.join(differs)}. Measure with --update.", file=sys.stderr
        )
        return 2
    new: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in works(Path(folder), given.events).items():
            if given.only in name:
                new[name] = counted(work, Path(folder))
                print(f"{name}: {new[name]:,}", file=sys.stderr, flush=True)
    old = {} if differs else {name: n for name, n in committed.get("instructions", {}).items() if given.only in name}
    told, well = judge(old, new, reasons(REASONS.read_text()))
    print("\n".join(told))
    print(f"{time.monotonic() - began:.0f} s")
    if not well:
        print("a change above 3 % needs a line in benchmarks/CHANGES.md", file=sys.stderr)
    elif given.update:
        kept = {**committed.get("instructions", {}), **new} if given.only else new
        COMMITTED.write_text(json.dumps({"environment": here, "instructions": kept}, indent=1) + "\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

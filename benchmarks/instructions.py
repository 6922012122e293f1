"""Instructions of whole processes over two fixed inputs, by valgrind: a change shows itself without a clock's noise.

python benchmarks/instructions.py --json benchmarks/results/instructions.json
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from common import arguments, events, tell

EXAMPLE = Path(__file__).parents[1] / "examples" / "transactions.csv"


def instructions(*words: str) -> int:
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", sys.executable, "-m", "txmon"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])  # type: ignore[index]


if __name__ == "__main__":
    given = arguments(__doc__, events=50_000)
    with tempfile.TemporaryDirectory() as made:
        rows, lines = Path(made) / "events.csv", Path(made) / "events.jsonl"
        events(rows, lines, given.events)
        works = {"txmon --version": ("--version",)}
        works["replay examples/transactions.csv"] = ("replay", str(EXAMPLE), "--out", "/dev/null")
        works[f"replay {given.events} events, CSV"] = ("replay", str(rows), "--out", "/dev/null")
        works[f"replay {given.events} events, JSON lines"] = ("replay", str(lines), "--out", "/dev/null")
        tell([{"work": name, "instructions": instructions(*words)} for name, words in works.items()], given.json)

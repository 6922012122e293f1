"""What a second process saves a replay: processor time of the longest process beside that of one process.

    .venv/bin/python benchmarks/jobs.py [--keys 10000] [--minutes 30] [--json FILE]

The longest process is what a replay takes on two idle processors, so this can be measured on a busy machine. With
`--jobs 2` the main process reads and judges, and others make the lines. `stages` are seconds of one process.
"""

import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from common import arguments, tell
from growth import rows_of

from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import Settings
from txmon.sinks.jsonl import JsonLines

RUN = """
import json, resource, sys
from txmon.__main__ import main
try:
    main()
finally:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([one.ru_utime + one.ru_stime for one in both]), file=sys.stderr)
"""


def processes(path: Path, jobs: int) -> tuple[float, float]:
    """Return processor seconds of the main process, and of all others together."""
    words = ["replay", "-q", str(path), "--group-by", "merchant", "--jobs", str(jobs), "--out", f"{path}.out"]
    done = subprocess.run([sys.executable, "-c", RUN, *words], check=True, capture_output=True, text=True)
    main, others = json.loads(done.stderr.splitlines()[-1])
    return main, others


def stages(path: Path) -> dict[str, float]:
    marks = [time.process_time()]
    settings = Settings(group_by=("merchant",))
    reader = reader_of(settings, RejectLog(None, False), date(2026, 3, 2))
    tallies = list(reader.tallies([str(path)], settings.bucket))
    marks.append(time.process_time())
    outcomes = list(pipeline_of(settings, live=False).run(tallies))
    marks.append(time.process_time())
    with open(f"{path}.lines", "wb") as out:
        lines = JsonLines(out)
        for outcome in outcomes:
            lines.accept(outcome)
    marks.append(time.process_time())
    return {name: marks[place + 1] - marks[place] for place, name in enumerate(("reading", "judging", "lines"))}


def main() -> None:
    given = arguments(__doc__, keys=10_000, minutes=30)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("".join(rows_of(given.keys, 2, given.minutes)))
        one, _ = processes(path, 1)
        longest, others = processes(path, 2)
        found: dict[str, Any] = {
            "keys": given.keys, "one process": one, "--jobs 2, main process": longest, "others": others,
            "times faster": one / max(longest, others), **stages(path),
        }  # fmt: skip
    tell([found], given.json)


if __name__ == "__main__":
    main()

"""What the speed benchmarks share: streams made up of fixed seeds, CPU seconds of a process, how results are told."""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 3, 2, tzinfo=UTC)
STATUSES = ("approved", "denied", "failed", "reversed", "backend_reversed", "processing", "refunded")
MEANS = (180.0, 14.0, 0.5, 1.5, 0.2, 3.0, 2.0)  # a minute


def arguments(text: str | None, **numbers: int) -> argparse.Namespace:
    """The command line: --json FILE and whole numbers with their defaults."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args()


def tell(rows: Sequence[dict[str, Any]], path: str | None) -> None:
    """Print the results; keep them as JSON where asked."""
    for row in rows:
        print("  ".join(f"{name} {_show(value)}" for name, value in row.items()), flush=True)
    if path:
        Path(path).write_text(json.dumps(rows, indent=1) + "\n")


def _show(value: Any) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and value < 1000
        else f"{value:,.0f}"
        if isinstance(value, int | float)
        else str(value)
    )


def txmon(*words: str, stdin: Path | None = None) -> float:
    """CPU seconds (user and system) of a whole `txmon` process, start included."""
    return timed(*words, stdin=stdin)[0]


def timed(*words: str, stdin: Path | None = None) -> tuple[float, float]:
    """The same, and the seconds that it took by the clock."""
    begun = time.perf_counter()
    with open(stdin or os.devnull, "rb") as source:
        process = subprocess.Popen([sys.executable, "-m", "txmon", *words], stdin=source)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"txmon {' '.join(words)} failed")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begun


def processor_time(process: int) -> float:
    """Seconds of processor time that a process and all below it have used."""
    stat = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    children = [child for task in Path(f"/proc/{process}/task").iterdir() for child in _children(task)]
    own = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(processor_time, children))


def _children(task: Path) -> list[int]:
    try:
        return [int(child) for child in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return []


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of `work` in this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


def aggregated(path: Path, days: int) -> int:
    """Rows a minute and status, counts around their means; how many."""
    draw = random.Random(1)
    with open(path, "w") as out:
        out.write("time,status,count\n")
        for minute in range(days * 1440):
            stamp = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:00Z")
            for status, mean in zip(STATUSES, MEANS, strict=True):
                count = max(0, round(draw.gauss(mean, (1.2 * mean) ** 0.5)))
                out.write(f"{stamp},{status},{count}\n")
    return days * 1440 * len(STATUSES)


def events(csv: Path, jsonl: Path, count: int) -> None:
    """Transactions of a day, `count` in all, of a thousand merchants: the same as CSV and as JSON lines."""
    draw = random.Random(2)
    with open(csv, "w") as rows, open(jsonl, "w") as lines:
        rows.write("time,status,merchant\n")
        for second in range(86400):
            stamp = (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for _ in range((second + 1) * count // 86400 - second * count // 86400):
                status = draw.choices(STATUSES, MEANS)[0]
                merchant = f"m{draw.randrange(1000)}"
                rows.write(f"{stamp},{status},{merchant}\n")
                lines.write(f'{{"time": "{stamp}", "status": "{status}", "merchant": "{merchant}"}}\n')

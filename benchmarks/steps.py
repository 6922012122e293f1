"""How long a request may have to wait for a minute to be judged: python benchmarks/steps.py [--keys 60000]

Judges minutes of many keys as `txmon serve` does, and measures the processor time between two moments at which the
engine lends its turn. Other processes on the machine change latencies (benchmarks/serve.py), and not that.
"""

import gc
import random
import time

from common import arguments, tell

from txmon.ingest.records import Record
from txmon.runtime.factory import pipeline_of
from txmon.server.engine import Engine
from txmon.settings.declarations import Settings
from txmon.sinks.jsonl import JsonLines

START = 1772409600  # 2026-03-02T00:00:00Z
STATUSES = ("approved", "denied", "failed", "reversed")
MINUTES = 6


class Steps:
    """Takes the place of what is written to, and of the turn that is lent."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def begin(self) -> None:
        self.seconds, self._last = [], time.thread_time()

    def lend(self) -> None:
        self.seconds.append(time.thread_time() - self._last)
        self._last = time.thread_time()

    def write(self, data: bytes) -> int:
        self.lend()
        return len(data)

    def flush(self) -> None:
        pass


def main() -> None:
    given = arguments(__doc__, keys=60_000)
    now, steps, chance = [float(START)], Steps(), random.Random(1)
    settings = Settings(group_by=("merchant",))
    lines = JsonLines(steps, flush=True)
    engine = Engine(settings, pipeline_of(settings, live=True, partial=True), lambda: now[0], sinks=(lines.accept,))
    engine.turn.lend = steps.lend
    gc.set_threshold(20_000, 20, 20)  # as the command does
    rows = []
    for minute in range(MINUTES):
        now[0] = START + 60.0 * minute + 30
        names = range(given.keys) if minute == 0 else [chance.randrange(given.keys) for _ in range(given.keys // 5)]
        records = [
            Record(START + 60 * minute + n % 60, chance.choice(STATUSES), 1, (("merchant", f"m{name}"),))
            for n, name in enumerate(names)
        ]
        for at in range(0, len(records), 500):
            engine.take(records[at : at + 500])
        steps.begin()
        engine.tick(0.1)
        steps.lend()
        if minute > 1:
            rows.append(
                {
                    "series": engine.pipeline.detector.size, "seconds in all": sum(steps.seconds),
                    "steps": len(steps.seconds), "longest ms": 1e3 * max(steps.seconds),
                    "longest but ten ms": 1e3 * sorted(steps.seconds)[-11],
                }
            )  # fmt: skip
    tell(rows, given.json)


if __name__ == "__main__":
    main()

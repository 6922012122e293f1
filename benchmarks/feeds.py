"""The data of the detection benchmarks: files with or without labels, made streams, and scenarios."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from txmon.evaluation.evaluate import Labels, read_labels
from txmon.evaluation.scenario import Draft
from txmon.evaluation.scenario_kinds import SCENARIOS, draft_of
from txmon.evaluation.scenario_text import scenario_labels
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.model.keys import Key
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import DEFAULTS

STATUSES = ("approved", "denied", "failed", "reversed", "backend_reversed", "processing", "refunded")
DAY = 1440  # minutes
MONDAY = 1772409600  # 2026-03-02T00:00:00Z
KEYED = ("merchants",)  # scenarios that are judged by key

Floats = NDArray[np.float64]
Series = tuple[Key, str]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, minute by minute."""

    start: int  # epoch seconds
    series: Sequence[Series]
    counts: Floats  # of a series a row, of a minute a column
    labels: Labels
    training: dict[str, Floats] = field(default_factory=dict)  # by status; what the components are fitted on

    @property
    def minutes(self) -> int:
        return self.counts.shape[1]

    @property
    def warmup(self) -> int:
        """Minutes until false alarms count."""
        return max(0, min(int(self.labels.warmup.timestamp() - self.start) // 60, self.minutes))

    @property
    def keyed(self) -> bool:
        return any(key for key, _ in self.series)

    def by_status(self) -> dict[str, Floats]:
        """Counts by status; of streams without keys."""
        return {status: self.counts[row] for row, (_, status) in enumerate(self.series)}

    def records(self) -> Iterator[Record]:
        columns = np.ascontiguousarray(self.counts.T)
        minutes, rows = np.nonzero(columns)
        numbers = columns[minutes, rows].astype(int).tolist()
        for minute, row, number in zip(minutes.tolist(), rows.tolist(), numbers, strict=True):
            key, status = self.series[row]
            yield Record(self.start + 60 * minute, status, number, key)


def load(path: Path, labels: Path | None = None) -> Stream:
    """Read a file. One without labels has no incidents: every alert after its first quarter (at most 7 h) is false."""
    reader = reader_of(DEFAULTS, RejectLog(None, True), date(2026, 3, 2))  # the day that the real files' labels name
    records = list(reader.records([str(path)]))
    if not records:
        raise SystemExit(f"{path}: no record could be read")
    first, last = min(r.time for r in records) // 60, max(r.time for r in records) // 60
    found = {status: np.zeros(last - first + 1) for status in STATUSES}
    for record in records:
        row = found.setdefault(record.status, np.zeros(last - first + 1))
        row[record.time // 60 - first] += record.count
    beside = path.with_suffix(".labels.json") if labels is None else labels
    if beside.exists():
        truth = read_labels(beside.read_bytes(), str(beside))
    else:
        print(f"{path}: no {beside.name}, so every alert counts as false", file=sys.stderr)
        truth = Labels(datetime.fromtimestamp(first * 60 + min(7 * 3600, 15 * (last - first)), UTC), ())
    training = {status: series[:DAY] for status, series in found.items()}
    series = tuple(((), status) for status in found)
    return Stream(first * 60, series, np.array(list(found.values())), truth, training)


def real_files(shared: Path) -> list[Stream]:
    found = [load(path) for path in sorted((shared / "data").glob("transactions_*.csv"))]
    others = [found[n - 1].by_status() for n in range(len(found))]
    return [Stream(s.start, s.series, s.counts, s.labels, other) for s, other in zip(found, others, strict=True)]


def made_streams(shared: Path, seeds: str, days: int) -> list[Stream]:
    with tempfile.TemporaryDirectory() as folder:
        maker = [sys.executable, str(shared / "bench" / "streams.py"), folder, "--seeds", seeds, "--days", str(days)]
        subprocess.run(maker, check=True)
        return [load(path, path.with_suffix(".json")) for path in sorted(Path(folder).glob("*.csv"))]


def scenario(name: str, seed: int, clean: bool = False, days: int | None = None) -> Stream:
    draft = draft_of(name, seed, MONDAY, days, clean)
    truth = read_labels(json.dumps(scenario_labels(draft)).encode(), name)
    series, counts = _rows(draft, name in KEYED)
    stream = Stream(draft.start, series, counts, truth)
    if not stream.keyed:
        stream.training.update({status: row[: max(DAY, draft.warmup)] for status, row in stream.by_status().items()})
    return stream


def _rows(draft: Draft, keyed: bool) -> tuple[Sequence[Series], Floats]:
    counts = draft.counts()
    if not keyed:
        return tuple(((), status) for status in draft.statuses), counts.sum(axis=0).astype(float)
    keys: list[Key] = [((draft.column or "", key),) for key in draft.keys]
    series = tuple((key, status) for key in keys for status in draft.statuses)
    return series, counts.reshape(-1, draft.minutes).astype(float)


def chosen(names: str) -> list[str]:
    """Scenarios by name: "all", "none", or names with commas between."""
    if names == "none":
        return []
    found = list(SCENARIOS) if names == "all" else names.split(",")
    for name in found:
        if name not in SCENARIOS:
            raise SystemExit(f"{name!r} is no scenario. Choose from {', '.join(SCENARIOS)}, all or none.")
    return found


def seeds_of(name: str, text: str) -> range:
    """The seeds of a scenario: FIRST:END, and the first alone of one that is judged by key, since it takes long."""
    return seeds(text)[:1] if name in KEYED else seeds(text)


def seeds(text: str) -> range:
    """FIRST:END as numbers."""
    first, colon, end = text.partition(":")
    if not colon or not first.isdigit() or not end.isdigit():
        raise SystemExit(f"{text!r} is no range of seeds like 0:3")
    return range(int(first), int(end))

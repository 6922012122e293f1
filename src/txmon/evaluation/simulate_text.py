"""Writes a simulated stream as text: rows of counts or of single transactions, and the labels."""

import json
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random
from typing import Literal, TypedDict

from txmon.errors import UsageError
from txmon.evaluation.incident_spec import EVERY, Change, IncidentSpec
from txmon.evaluation.simulate import STATUSES, WARMUP, Batch, Bucket, Simulation, changed_all
from txmon.model.clock import iso

Format = Literal["csv", "jsonl"]
Row = tuple[str | int, ...]
COUNT_FIELDS = ("time", "status", "count")
EVENT_FIELDS = ("time", "status", "id", "merchant")
MOST_MERCHANTS = 1_000_000


class Label(TypedDict, total=False):
    """An incident or a trap. Times are the first and the last bucket that it touches."""

    kind: str
    key: dict[str, str]  # the affected key; empty: every key
    where: dict[str, str]  # the affected values of other columns, which should be reported as drivers
    statuses: list[str]  # the statuses on which it should be caught
    affects: list[str]  # the statuses on which an alert is excused, if there are more
    start: str
    end: str


class Labels(TypedDict):
    """The true incidents of a stream, in the form that the scorer reads."""

    warmup: str
    incidents: list[Label]
    traps: list[Label]


def count_batches(simulation: Simulation, kind: Format = "csv") -> Iterator[Batch]:
    """Yield a row for each (bucket, status) that is not zero. The header is due at the start, a bucket at its end."""
    return _batches(simulation, kind, COUNT_FIELDS, lambda b: [(iso(b.begin), status, n) for status, n in b.counts])


def event_batches(simulation: Simulation, kind: Format = "csv", merchants: int = 20) -> Iterator[Batch]:
    """Yield one row per transaction, in order of time. A few of the `merchants` (1 to 1,000,000) have most of them."""
    if not 1 <= merchants <= MOST_MERCHANTS:
        raise UsageError(f"{merchants} merchants are not from 1 to {MOST_MERCHANTS}")
    names = [f"m{rank}" for rank in range(1, merchants + 1)]
    weights = list(accumulate(rank**-0.8 for rank in range(1, merchants + 1)))
    return _batches(simulation, kind, EVENT_FIELDS, lambda bucket: _events(simulation, bucket, names, weights))


def labels(simulation: Simulation) -> Labels:
    """Return the simulated incidents and traps, cut to the stream's length, in order of start."""
    found = [_label(spec, span, simulation) for spec, span in simulation.spans()]
    found.sort(key=lambda row: row["start"])
    start, end = simulation.start, simulation.end
    warmup = min(WARMUP, (end - start) // 4)
    return {
        "warmup": iso(start + warmup - warmup % simulation.width),
        "incidents": [row for row in found if "statuses" in row],
        "traps": [row for row in found if "statuses" not in row],
    }


def _batches(
    simulation: Simulation, kind: Format, fields: tuple[str, ...], rows_of: Callable[[Bucket], list[Row]]
) -> Iterator[Batch]:
    if kind == "csv":
        yield Batch(simulation.start, ",".join(fields) + "\n")
    for bucket in simulation.buckets():
        rows = rows_of(bucket)
        if kind == "csv":
            text = "".join(",".join(map(str, row)) + "\n" for row in rows)
        else:
            text = "".join(json.dumps(dict(zip(fields, row, strict=True))) + "\n" for row in rows)
        yield Batch(bucket.begin + simulation.width, text)


def _events(simulation: Simulation, bucket: Bucket, names: list[str], weights: list[float]) -> list[Row]:
    begin, width = bucket.begin, simulation.width
    rng = Random(f"{simulation.seed}/{begin}")  # Random hashes a text seed in the same way on every machine
    drawn = []
    for status, count in bucket.counts:
        seconds = rng.choices(range(width), _by_second(simulation, begin, status), k=count)
        drawn += [(second, status) for second in seconds]
    drawn.sort(key=lambda event: event[0])
    merchants = rng.choices(names, cum_weights=weights, k=len(drawn))
    return [
        (iso(begin + second), status, f"{begin:08x}{number:05x}", merchant)
        for number, ((second, status), merchant) in enumerate(zip(drawn, merchants, strict=True))
    ]


def _by_second(simulation: Simulation, begin: int, status: str) -> list[float] | None:
    """Return the weights of a bucket's seconds if an incident begins or ends within it, or None if all are equal."""
    width = simulation.width
    spans = simulation.spans()
    if not any(begin < moment < begin + width for _, span in spans for moment in span):
        return None
    mean = simulation.mean(begin, status) / width
    return [changed_all(spans, second, status, mean, 1) for second in range(begin, begin + width)]


def _label(spec: IncidentSpec, span: tuple[int, int], simulation: Simulation) -> Label:
    width = simulation.width
    begin, last = max(span[0], simulation.start), min(span[1], simulation.end) - 1
    label = Label(kind=_kind(spec))
    if spec.change is not Change.SALE:
        label["statuses"] = _caught_on(spec)
        affects = [*STATUSES, EVERY] if spec.status == EVERY else label["statuses"]
        if affects != label["statuses"]:
            label["affects"] = affects
    if spec.where:
        label["where"] = dict(spec.where)
    label["start"], label["end"] = iso(begin - begin % width), iso(last - last % width)
    return label


def _kind(spec: IncidentSpec) -> str:
    if spec.change in (Change.SILENCE, Change.SALE):
        return str(spec.change)
    rises = spec.change is Change.ADD or spec.amount > 1
    if spec.status == EVERY:
        return "surge" if rises else "dip"
    name = spec.status.replace("_", " ")
    if spec.change is Change.RAMP:
        return f"{name} ramp" if rises else f"{name} decline"
    return f"{name} burst" if spec.change is Change.ADD else f"{name} step" if rises else f"{name} drop"


def _caught_on(spec: IncidentSpec) -> list[str]:
    """Return the statuses on which an alert is right. A loss of approved transactions is also a loss of volume."""
    if spec.change is Change.SILENCE:
        return [*STATUSES, EVERY]
    if spec.status in (EVERY, "approved"):
        falls = spec.change is not Change.ADD and spec.amount < 1
        if falls:
            return ["approved", EVERY]
        return [*STATUSES, EVERY] if spec.status == EVERY else ["approved"]
    return [spec.status]

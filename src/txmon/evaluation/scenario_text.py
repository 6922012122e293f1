"""Writes a scenario's feed as text: rows of counts, and the labels."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from txmon.evaluation.scenario import MINUTES, Draft, Mark
from txmon.evaluation.simulate import Batch
from txmon.evaluation.simulate_text import Format, Label, Labels
from txmon.model.clock import iso

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 60  # seconds of a row


def scenario_batches(draft: Draft, kind: Format = "csv") -> Iterator[Batch]:
    """Yield a row for each (minute, key, status) that is not zero, one batch per minute, after the CSV header."""
    import numpy as np

    fields = ["time", *([draft.column] if draft.column else []), "status", "count"]
    if kind == "csv":
        yield Batch(draft.start, ",".join(fields) + "\n")
    middles = _middles(draft, kind)
    counts = np.ascontiguousarray(draft.counts().transpose(2, 0, 1)).reshape(draft.minutes, -1)
    for day in range(draft.days):
        minutes, cells = np.nonzero(counts[day * MINUTES : (day + 1) * MINUTES])
        numbers = counts[minutes + day * MINUTES, cells].tolist()
        ends = np.searchsorted(minutes, np.arange(MINUTES), side="right").tolist()
        places, last = cells.tolist(), 0
        for minute, end in enumerate(ends):
            begin = draft.start + (day * MINUTES + minute) * WIDTH
            yield Batch(begin + WIDTH, _rows(kind, iso(begin), middles, places[last:end], numbers[last:end]))
            last = end


def scenario_labels(draft: Draft) -> Labels:
    """Return the incidents and traps of a scenario, in order of start."""
    return {
        "warmup": iso(draft.start + draft.warmup * WIDTH),
        "incidents": [_label(draft, mark) for mark in draft.marks],
        "traps": [_label(draft, mark) for mark in draft.traps],
    }


def series(draft: Draft) -> "dict[str, NDArray[np.int64]]":
    """Return the counts by status, over all keys."""
    return dict(zip(draft.statuses, draft.counts().sum(axis=0), strict=True))


def _middles(draft: Draft, kind: Format) -> list[str]:
    """Return the text between the time and the count, for each cell's row."""
    if kind == "csv":
        return [f",{key}{',' if draft.column else ''}{status}," for key in draft.keys for status in draft.statuses]
    of_key = {key: f"{json.dumps(draft.column)}: {json.dumps(key)}, " if draft.column else "" for key in draft.keys}
    return [f'", {of_key[key]}"status": "{status}", "count": ' for key in draft.keys for status in draft.statuses]


def _rows(kind: Format, time: str, middles: list[str], places: list[int], numbers: list[int]) -> str:
    if kind == "csv":
        return "".join([f"{time}{middles[cell]}{n}\n" for cell, n in zip(places, numbers, strict=True)])
    return "".join([f'{{"time": "{time}{middles[cell]}{n}}}\n' for cell, n in zip(places, numbers, strict=True)])


def _label(draft: Draft, mark: Mark) -> Label:
    label = Label(kind=mark["kind"])
    if "key" in mark and draft.column is not None:
        label["key"] = {draft.column: mark["key"]}
    if "statuses" in mark:
        label["statuses"] = mark["statuses"]
    if "affects" in mark:
        label["affects"] = mark["affects"]
    label["start"], label["end"] = iso(draft.start + mark["first"] * WIDTH), iso(draft.start + mark["last"] * WIDTH)
    return label

"""Incidents from a cluster's lines to people: told by the driver, each batch once."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from txmon.model.keys import Key
from txmon.model.outcome import IncidentEvent, Outcome
from txmon.model.verdict import Stated, Verdict
from txmon.spark.files import exists, read_text, write_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TOLD: Final = "told"  # in the checkpoint: the newest batch that people were told of
Tell = Callable[[Outcome], None]


class Teller:
    """Tells people of each batch's incidents; of one that is run again after a crash no second time."""

    def __init__(self, spark: "SparkSession", checkpoint: str, tell: Tell) -> None:
        self._spark = spark
        self._path = f"{checkpoint}/{TOLD}"
        self._tell = tell
        self._told = int(read_text(spark, self._path)) if exists(spark, self._path) else -1

    def batch(self, number: int, lines: "DataFrame") -> None:
        """Tell of a batch that is written: `lines` with `kind` and `line`, of which incidents reach the driver."""
        if number <= self._told:
            return
        member = "kind = 'verdict' and contains(line, '\"incident\": ')"
        wanted = lines.where(f"kind = 'incident' or ({member})").select("line").toLocalIterator()
        for outcome in outcomes(row["line"] for row in wanted):
            self._tell(outcome)
        # a crash between the two tells this batch again: better than never, and under the same ids
        write_text(self._spark, self._path, str(number))
        self._told = number


def outcomes(lines: Iterable[str]) -> list[Outcome]:
    """Return the outcomes that these lines of verdicts and incidents are of, in the order of their buckets."""
    rows = sorted(map(json.loads, lines), key=lambda row: str(row["time"]))
    found = []
    for time, group in groupby(rows, key=lambda row: str(row["time"])):
        some = list(group)
        verdicts = [_verdict(row) for row in some if "recommendation" in row]
        found.append(Outcome(_epoch(time), verdicts, [_event(row) for row in some if "event" in row]))
    return found


def _verdict(row: Mapping[str, Any]) -> Verdict:
    plain = {name: row[name] for name in ("status", "count", "total", "expected", "score", "window")}
    verdict = Verdict(
        time=_epoch(row["time"]), key=_key(row), recommendation=row["recommendation"], reasons=tuple(row["reasons"]),
        evidence=Stated(row["low"], row["high"], row["text"]), incident=row.get("incident"),
        revises=row.get("revises", False), **plain,
    )  # fmt: skip
    verdict.rarity = row.get("rarity", 0.0)
    return verdict


def _event(row: Mapping[str, Any]) -> IncidentEvent:
    names = (
        "state",
        "id",
        "label",
        "observed",
        "expected",
        "excess",
        "text",
        "severity",
        "root",
        "low",
        "high",
        "total",
    )
    more = {name: row[name] for name in ("times", "usual", "note", "parent") if name in row}
    times: dict[str, Any] = {name: _epoch(row[name]) for name in ("no_data_since", "silent_until") if name in row}
    return IncidentEvent(
        time=_epoch(row["time"]), statuses=tuple(row["statuses"]), key=_key(row), start=_epoch(row["start"]),
        peak=_epoch(row["peak"]), **{name: row[name] for name in names if name in row}, **more, **times,
    )  # fmt: skip


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row.get("key", {}).items())


def _epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())

"""Reads points of the past from the folder of --log, and thins them for charts."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from math import ceil
from pathlib import Path
from typing import Final

import msgspec

from txmon.model.clock import iso
from txmon.model.keys import TOTAL, Key
from txmon.query.export import write_csv

POINTS: Final = 1500  # points of a series in one answer
MOST_READ: Final = 64 << 20  # bytes of logs that one answer reads: about a second
STATUSES: Final = 100
HOUR: Final = 3600
NAME: Final = re.compile(r"verdicts-(\d{8}T\d{2})\.jsonl", re.ASCII)
MARKS: Final[Mapping[str, int]] = {"pending": 1, "alert": 2}
UNJUDGED: Final[Mapping[str, int]] = {"unobserved": -1, "closed": -2}

Point = list[float]  # time (epoch seconds), count, expected, low, high, score, mark


class _Line(msgspec.Struct):
    time: datetime
    status: str
    count: float
    expected: float
    low: float
    high: float
    score: float
    recommendation: str
    key: dict[str, str] | None = None
    partial: bool = False
    reasons: tuple[str, ...] = ()


class LoggedVerdicts:
    """Reads the verdict lines of a range of time."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._decoder = msgspec.json.Decoder(_Line)

    def oldest(self) -> int | None:
        """Return the time of the oldest hour in the folder, epoch seconds, or None if there is none."""
        hours = self._hours()
        return min(hours) if hours else None

    def _hours(self) -> dict[int, Path]:
        found = {}
        try:
            names = os.listdir(self._folder)
        except OSError:
            return {}
        for name in names:
            match = NAME.fullmatch(name)
            if match is None:
                continue
            try:
                moment = datetime.strptime(match[1], "%Y%m%dT%H").replace(tzinfo=UTC)
            except ValueError:  # not a date, such as month 99
                continue
            found[int(moment.timestamp())] = self._folder / name
        return found

    def points(self, key: Key | None, since: int, until: int) -> tuple[dict[str, list[Point]], int]:
        """Return by status the points from `since` to `until` (included), and their first time, epoch seconds.

        key: None for all keys added up. The newest hours are read first. If they exceed MOST_READ bytes, the points
        begin later than requested.
        """
        hours = self._hours()
        wanted = [hour for hour in sorted(hours, reverse=True) if since - HOUR < hour <= until]
        series: dict[str, dict[int, Point]] = {}
        budget, begins = MOST_READ, since
        for hour in wanted:
            try:
                size = hours[hour].stat().st_size
                if size > budget and budget < MOST_READ:
                    begins = hour + HOUR
                    break
                budget -= size
                self._read(hours[hour], key, since, until, series)
            except OSError:
                continue
        found = {status: [points[time] for time in sorted(points)] for status, points in series.items()}
        return dict(sorted(found.items(), key=lambda pair: (pair[0] != TOTAL, pair[0]))), begins

    def _read(self, path: Path, key: Key | None, since: int, until: int, series: dict[str, dict[int, Point]]) -> None:
        named = None if key is None else dict(key)
        # the last one of each series and time, because corrections replace earlier verdicts
        lines: dict[tuple[str, int, str], Point] = {}
        with path.open("rb") as file:
            for raw in file:
                try:
                    line = self._decoder.decode(raw)
                except msgspec.DecodeError:  # the last line, still incomplete
                    continue
                time = int(line.time.timestamp())
                if not line.partial and since <= time <= until and (named is None or line.key == named):
                    lines[line.status, time, "" if line.key is None else str(line.key)] = _point(line, time)
        _add_up(lines, series)


def _point(line: _Line, time: int) -> Point:
    mark = MARKS.get(line.recommendation, 0)
    if line.reasons and line.recommendation == "ok":
        mark = UNJUDGED.get(line.reasons[-1], 0)
    return [time, line.count, line.expected, line.low, line.high, line.score, mark]


def _add_up(lines: Mapping[tuple[str, int, str], Point], series: dict[str, dict[int, Point]]) -> None:
    """Add up the points of all keys. If all keys together are judged too, use that count and band instead."""
    whole = {(status, time) for status, time, name in lines if not name}
    for (status, time, name), point in lines.items():
        points = series.get(status)
        if points is None:
            if len(series) >= STATUSES:
                continue
            points = series[status] = {}
        before = points.get(time)
        if before is None:
            points[time] = point
            continue
        if not name:
            points[time] = point
        elif (status, time) not in whole:
            for i in range(1, 5):
                before[i] += point[i]
            before[5] = max(before[5], point[5], key=abs)
            before[6] = max(before[6], point[6])


def thinned(points: Sequence[Point], step: int) -> list[Point]:
    """Return a point for each `step` seconds: means of counts and bands, the strongest score, the worst mark."""
    found: list[Point] = []
    members: list[Point] = []
    for point in points:
        if members and point[0] // step != members[0][0] // step:
            found.append(_mean(members, step))
            members = []
        members.append(point)
    if members:
        found.append(_mean(members, step))
    return found


def _mean(members: Sequence[Point], step: int) -> Point:
    size = len(members)
    means = [round(sum(point[i] for point in members) / size, 2) for i in range(1, 5)]
    score = max((point[5] for point in members), key=abs)
    return [members[0][0] // step * step, *means, score, max(point[6] for point in members)]


def step_of(since: int, until: int, bucket: int) -> int:
    """Return the seconds per point, a multiple of `bucket`, so that the range has at most POINTS points."""
    return max(1, ceil((until - since) / bucket / POINTS)) * bucket


def csv_of(series: Mapping[str, Iterable[Point]]) -> str:
    """Return points as CSV: time, status, count, expected, low, high, score, recommendation."""
    words = {2: "alert", 1: "pending", -1: "unobserved", -2: "closed"}
    rows = [
        (iso(int(time)), status, *numbers, words.get(int(mark), "ok"))
        for status, points in series.items()
        for time, *numbers, mark in points
    ]
    text = StringIO()
    names = ("time", "status", "count", "expected", "low", "high", "score", "recommendation")
    write_csv(text, names, rows)
    return text.getvalue()

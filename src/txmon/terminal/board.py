"""Collects what the chart shows: the series, their histories and states, the incidents, the trends."""

from dataclasses import dataclass
from typing import Final, Literal

from txmon.model.keys import TOTAL, Key, Series
from txmon.model.outcome import MARKS, Outcome, TrendName
from txmon.model.statuses import DENIED, FAILED, PENDING, REFUNDED, REVERSED, SUCCESS, role_of, shown
from txmon.model.verdict import Verdict
from txmon.terminal.history import History, Point
from txmon.terminal.incident_book import IncidentBook

# for systems with other statuses: the known status that represents a role
LIKE: Final = {
    DENIED: "denied", FAILED: "failed", REVERSED: "reversed", SUCCESS: "approved", PENDING: "processing",
    REFUNDED: "refunded",
}  # fmt: skip
ORDER: Final = ("denied", "failed", "reversed", "backend_reversed", TOTAL, "approved", "processing", "refunded")
MOST_SERIES: Final = 512  # series with a history; beyond that, those with the oldest alerts are removed

State = Literal["alert", "silence", "ending", "incident", "warming", "normal"]
URGENT: Final[dict[State, int]] = {"silence": 0, "alert": 0, "ending": 1, "incident": 2, "warming": 3, "normal": 3}


@dataclass(slots=True)
class Track:
    """One series with its newest verdict and its history. Times are epoch seconds, 0 for never."""

    newest: Verdict
    history: History
    began: int = 0  # first bucket of the current alert; 0 while the series is normal
    ended: int = 0  # first normal bucket after the last alert
    last_alert: int = 0

    @property
    def series(self) -> Series:
        """Return the identity of the series."""
        return self.newest.key, self.newest.status


@dataclass(slots=True)
class Volume:
    """The transactions of one bucket over all keys, and their normal interval."""

    count: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    warming: bool = True


class Board:
    """Follows outcomes. Alerting series come first, then the order in which analysts read statuses."""

    def __init__(self, bucket: int) -> None:
        """Create it. bucket: the width of a bucket, seconds."""
        self.bucket = bucket
        self.first = 0  # start of the first closed bucket, epoch seconds; 0 before it
        self.time = 0
        self.volume = Volume()  # of the newest bucket
        self.incidents = IncidentBook()
        self.trends: dict[str, TrendName] = {}
        self.tracks: dict[Series, Track] = {}
        self.keyed = False  # whether there are keys

    def accept(self, outcome: Outcome) -> None:
        """Update the board with one bucket's outcome."""
        for verdict in outcome.verdicts:
            self._take(verdict)
        # partial verdicts and corrections do not describe a whole bucket
        closed = [v for v in outcome.verdicts if v.status == TOTAL and not (v.partial or v.revises)]
        if closed and outcome.time >= self.time:
            self.time = outcome.time
            self.first = self.first or outcome.time
            # verdicts for all keys together, if there are any
            whole = [verdict for verdict in closed if not verdict.key]
            self.volume = _volume(whole or closed)
            self._settle()
        self.incidents.accept(outcome)
        for status, trend in outcome.trends.items():
            self.trends[status] = trend.name
        if len(self.tracks) > MOST_SERIES:
            self._forget()

    def _take(self, verdict: Verdict) -> None:
        series = (verdict.key, verdict.status)
        track = self.tracks.get(series)
        if track is None:
            track = self.tracks[series] = Track(verdict, History(verdict.time, self.bucket))
            self.keyed = self.keyed or bool(verdict.key)
        mark = MARKS[verdict.recommendation]
        high = 0 if verdict.recommendation == "warming" else verdict.high
        track.history.add(verdict.time, Point(verdict.count, verdict.low, high, mark))
        if verdict.time < track.newest.time:
            return  # it corrects an earlier bucket
        track.newest = verdict
        if mark == 2:
            track.began = track.began or verdict.time
            track.last_alert = verdict.time
        elif mark == 0 and track.began:
            track.began, track.ended = 0, verdict.time

    def _settle(self) -> None:
        """End the alerts of series without a verdict in the newest bucket. Their count is 0, which is normal."""
        for track in self.tracks.values():
            if track.began and track.newest.time < self.time:
                track.began, track.ended = 0, self.time

    def count(self, track: Track) -> int:
        """Return the transactions of a series in the newest bucket. A rare series has no verdict if its count is 0."""
        return track.newest.count if track.newest.time >= self.time else 0

    def _forget(self) -> None:
        keep = sorted(self.tracks, key=lambda series: -self.tracks[series].last_alert)[: MOST_SERIES // 2]
        self.tracks = {series: self.tracks[series] for series in keep}

    def ranked(self, words: str = "", by_past: bool = False) -> list[Track]:
        """Return the tracks, alerting ones first. words: only series whose name contains each of them.

        by_past: sort series that ever alerted first, for a picture of the whole run.
        """
        wanted = words.casefold().split()
        chosen = [track for track in self.tracks.values() if all(word in _searched(track) for word in wanted)]
        return sorted(chosen, key=lambda track: self._rank(track, by_past))

    def _rank(self, track: Track, by_past: bool) -> tuple[int, int, int, str, Key]:
        key, status = track.series
        urgent = URGENT[self.state(track)] if not by_past else 0 if track.last_alert else 1
        # among many keys, the most recent alerts come first
        recent = -track.last_alert if key else 0
        return urgent, recent, place(status), status, key

    def state(self, track: Track) -> State:
        """Return the state of a series."""
        newest = track.newest
        if newest.time < self.time and newest.recommendation != "warming":
            return "incident" if self.incidents.of(track.series) is not None else "normal"
        if newest.recommendation == "alert":
            return "silence" if "silence" in newest.reasons else "alert"
        if newest.recommendation == "pending":
            return "ending"
        if newest.recommendation == "warming":
            return "warming"
        return "incident" if self.incidents.of(track.series) is not None else "normal"

    def points(self, track: Track, start: int, end: int, slots: int) -> list[Point | None]:
        """Return the points to draw of `track` from `start` to before `end`, epoch seconds."""
        if track.history.last < self.time:  # a series without a row has a count of 0
            before = track.history.recent[-1]
            track.history.add(self.time, Point(0, before.low, before.high))
        return track.history.between(start, end, slots)

    def newest(self) -> dict[Series, Verdict]:
        """Return the newest verdict of each series."""
        return {series: track.newest for series, track in self.tracks.items()}


def _volume(verdicts: list[Verdict]) -> Volume:
    """Return the sum over keys. Their deviations are added as independent ones."""
    expected = sum(v.expected for v in verdicts)
    below = sum((v.expected - v.low) ** 2 for v in verdicts) ** 0.5
    above = sum((v.high - v.expected) ** 2 for v in verdicts) ** 0.5
    warming = all(v.recommendation == "warming" for v in verdicts)
    return Volume(sum(v.count for v in verdicts), expected, max(0.0, expected - below), expected + above, warming)


def _searched(track: Track) -> str:
    key, status = track.series
    name = "all statuses" if status == TOTAL else shown(status)
    return " ".join([name, status, *(f"{dimension}={value}" for dimension, value in key)]).casefold()


def place(status: str) -> int:
    """Return the position of a status in the analysts' order."""
    known = like(status)
    return ORDER.index(known) if known else len(ORDER)


def like(status: str) -> str:
    """Return the status of ORDER that represents `status`: itself, or the one of its role, or ""."""
    return status if status in ORDER else LIKE.get(role_of(status), "")

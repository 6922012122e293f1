"""What the chart shows at a moment: the series worth a panel, their histories, the open incidents, the trends."""

from dataclasses import dataclass
from typing import Final

from txmon.model.keys import TOTAL, Key, Series
from txmon.model.outcome import MARKS, IncidentEvent, Outcome, TrendName, without_sums
from txmon.model.statuses import DENIED, FAILED, PENDING, REFUNDED, REVERSED, SUCCESS, role_of
from txmon.model.verdict import Verdict
from txmon.terminal.history import History, Point

# the known status that stands for a role, where a system has other words
LIKE: Final = {
    DENIED: "denied", FAILED: "failed", REVERSED: "reversed", SUCCESS: "approved", PENDING: "processing",
    REFUNDED: "refunded",
}  # fmt: skip
ORDER: Final = ("denied", "failed", "reversed", "backend_reversed", TOTAL, "approved", "processing", "refunded")
MOST_SERIES: Final = 512  # with a history; beyond, those that alerted least recently are forgotten


@dataclass(slots=True)
class Track:
    """One series: its newest verdict and its history."""

    newest: Verdict
    history: History
    alerts: int = 0  # buckets that alerted
    last_alert: int = 0  # epoch seconds, 0 for never


class Board:
    """Follows outcomes; several series are ranked by when they last alerted, then in the order analysts think."""

    def __init__(self, bucket: int) -> None:
        """bucket: the width of a bucket, seconds."""
        self.bucket = bucket
        self.time = 0  # start of the newest bucket, epoch seconds; 0 before the first
        self.warming = True
        self.volume = 0  # transactions in it, all keys
        self.incidents: dict[str, IncidentEvent] = {}  # open, by id
        self.trends: dict[str, TrendName] = {}
        self.tracks: dict[Series, Track] = {}

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        if not any(verdict.partial or verdict.revises for verdict in outcome.verdicts):
            self.time = outcome.time
        self.volume = 0
        for verdict in outcome.verdicts:
            self._take(verdict)
        for verdict in without_sums(outcome.verdicts):
            if verdict.status == TOTAL:
                self.volume += verdict.count
                self.warming = verdict.recommendation == "warming"
        for event in outcome.events:
            if event.state == "resolved":
                self.incidents.pop(event.id, None)
            else:
                self.incidents[event.id] = event
        for status, trend in outcome.trends.items():
            self.trends[status] = trend.name
        if len(self.tracks) > MOST_SERIES:
            self._forget()

    def _take(self, verdict: Verdict) -> None:
        series = (verdict.key, verdict.status)
        track = self.tracks.get(series)
        if track is None:
            track = self.tracks[series] = Track(verdict, History(verdict.time, self.bucket))
        mark = MARKS[verdict.recommendation]
        track.newest = verdict
        if mark == 2:
            track.alerts += 1
            track.last_alert = verdict.time
        high = 0 if verdict.recommendation == "warming" else verdict.high
        track.history.add(verdict.time, Point(verdict.count, verdict.low, high, mark))

    def _forget(self) -> None:
        keep = sorted(self.tracks, key=lambda series: self._rank(series, False))[: MOST_SERIES // 2]
        self.tracks = {series: self.tracks[series] for series in keep}

    def panels(self, most: int, final: bool) -> list[Track]:
        """The `most` tracks worth a panel; final: by all that happened instead of lately."""
        ranked = sorted(self.tracks, key=lambda series: self._rank(series, final))
        if len({key for key, _ in ranked}) == 1:  # without --group-by the places stay put
            shown = sorted(ranked[:most], key=lambda series: _place(series[1]))
            return [self.tracks[series] for series in shown]
        return [self.tracks[series] for series in ranked[:most]]

    def _rank(self, series: Series, final: bool) -> tuple[float, int, str, Key]:
        track = self.tracks[series]
        many = len(self.tracks) > len(ORDER)
        worst = -(track.alerts if final else track.last_alert) if many else 0
        return worst, _place(series[1]), series[1], series[0]

    def points(self, track: Track, most: int, final: bool) -> list[Point]:
        """The points to draw of `track`: its newest buckets, or all of its past."""
        if track.history.last < self.time:  # a series without a row is at zero
            before = track.history.recent[-1]
            track.history.add(self.time, Point(0, before.low, before.high))
        return track.history.overview(most) if final else track.history.latest(most)


def _place(status: str) -> int:
    known = like(status)
    return ORDER.index(known) if known else len(ORDER)


def like(status: str) -> str:
    """Return the status of ORDER that stands for `status`: itself, or the one of its role; empty for neither."""
    return status if status in ORDER else LIKE.get(role_of(status), "")

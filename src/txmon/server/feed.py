"""Sends events about each outcome to the live page."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from txmon.model.clock import iso
from txmon.model.outcome import Outcome, deviates
from txmon.server.history import Point, Recent
from txmon.server.http.event_stream import Hub
from txmon.sinks.lines import rise_line, verdict_line

VERDICTS: Final = 200  # alerts of one bucket that are sent one by one


class PageFeed:
    """Turns outcomes into events.

    Their kinds are bucket, verdict (alert, pending), incident, silences, trend, minute (the open one) and trouble.
    """

    def __init__(self) -> None:
        self.hub = Hub()
        self.troubled = ""  # the last trouble sent
        self.shown: dict[str, object] = {}  # the counts of the open bucket that were sent last

    def publish(self, outcome: Outcome, points: Mapping[str, Point], recent: Recent) -> None:
        """Send the events of one outcome."""
        if points:
            trends = {status: {"slope": round(t.slope, 2), "name": t.name} for status, t in outcome.trends.items()}
            row = {"time": iso(outcome.time), "series": points, "trends": trends, "hour": recent.last_hour()}
            self.hub.publish("bucket", _text(row))
        alerts = [verdict for verdict in (*outcome.verdicts, *outcome.parts) if deviates(verdict)]
        for verdict in alerts[:VERDICTS]:
            self.hub.publish("verdict", verdict_line(verdict))
        for event in outcome.events:
            row_of = recent.incidents.get(event.id)
            if row_of is not None:
                self.incident(row_of.public())
        for rise in outcome.rises:
            self.hub.publish("trend", rise_line(rise))

    def reset(self) -> None:
        """Make listeners load everything again, because too much happened to send it one by one."""
        self.hub.publish("reset", "{}")

    def incident(self, row: Mapping[str, object]) -> None:
        """Send the current state of an incident."""
        self.hub.publish("incident", _text(row))

    def silences(self, rows: list[dict[str, object]]) -> None:
        """Send the silences that hold."""
        self.hub.publish("silences", _text({"silences": rows}))

    def trouble(self, text: str) -> None:
        """Send the current trouble if it changed; empty if there is none."""
        if text != self.troubled:
            self.troubled = text
            self.hub.publish("trouble", _text({"trouble": text}), keep=False)

    def show(self, start: int, counts: Iterable[Mapping[str, int]]) -> None:
        """Send the counts of the open bucket if they changed."""
        sums: dict[str, int] = {}
        for statuses in counts:
            for status, count in statuses.items():
                sums[status] = sums.get(status, 0) + count
        shown: dict[str, object] = {"time": iso(start), "counts": sums}
        if shown != self.shown:
            self.shown = shown
            self.hub.publish("minute", _text(shown), keep=False)


def _text(row: object) -> str:
    return json.dumps(row, ensure_ascii=False)

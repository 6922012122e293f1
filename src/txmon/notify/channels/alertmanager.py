"""Sends incidents to the v2 API of Prometheus Alertmanager, where users have routes, silences and inhibitions."""

import json
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from txmon.model.outcome import IncidentEvent
from txmon.notify.channels.base import Answer
from txmon.notify.channels.webhook import Webhook
from txmon.notify.notification import Notification
from txmon.pipeline.incident_text import seen_text

LASTS: Final = 300  # seconds after which an alert that nobody repeats ends by itself: txmon is gone
_LABEL = re.compile(r"[^a-zA-Z0-9_]", re.ASCII)
Labels = dict[str, str]


class Alertmanager:
    """Posts incidents as alerts, whose labels stay the same from the first to the last post of one severity.

    It sends no daily summaries and no trends. A test is an alert that ends at once.
    """

    name = "alertmanager"

    def __init__(self, address: str, wall: Callable[[], float], tz: tzinfo, timeout: float) -> None:
        """address: of Alertmanager, without a path to its API. wall: epoch seconds."""
        split = urlsplit(address)
        self._poster = Webhook(
            urlunsplit(split._replace(path=f"{split.path.rstrip('/')}/api/v2/alerts")), None, tz, timeout
        )
        self._wall = wall
        self._lock = threading.Lock()
        self._posted: dict[str, Labels] = {}  # incident -> the labels it fires under

    def render(self, notification: Notification) -> str:
        """Return the incidents, without the times that only sending knows."""
        if notification.kind == "test":
            labels = {"alertname": "txmon test", "severity": "info", "incident": "test"}
            test = {"labels": labels, "summary": "txmon can reach Alertmanager", "start": notification.time}
            return json.dumps([{**test, "firing": False}])
        if notification.day is not None:
            return "[]"
        return json.dumps([_alert(event, notification.link) for event in notification.events])

    def send(self, identity: str, body: str) -> Answer:
        """Post the alerts, and end those that fired under other labels before their severity changed."""
        rows = json.loads(body)
        if not rows:
            return Answer("sent", "no alert")
        with self._lock:
            return self._post(rows, identity)

    def refresh(self, firing: Iterable[IncidentEvent]) -> None:
        """Post the open incidents again, so that their alerts do not end."""
        rows = [_alert(event, None) for event in firing]
        if rows:
            with self._lock:
                self._post(rows, "refresh")

    def _post(self, rows: list[dict[str, Any]], identity: str) -> Answer:
        now = self._wall()
        alerts = []
        for row in rows:
            name = row["labels"]["incident"]
            before = self._posted.get(name)
            if before is not None and before != row["labels"]:
                alerts.append(_posted(before, row, now, now))
            end = now + LASTS if row["firing"] else now
            alerts.append(_posted(row["labels"], row, now, end))
        answer = self._poster.send(identity, json.dumps(alerts))
        if answer.outcome == "sent":
            for row in rows:
                if row["firing"]:
                    self._posted[row["labels"]["incident"]] = row["labels"]
                else:
                    self._posted.pop(row["labels"]["incident"], None)
        return answer

    def __repr__(self) -> str:
        return "Alertmanager(...)"


def _alert(event: IncidentEvent, link: str | None) -> dict[str, Any]:
    labels = {"alertname": event.label, "severity": event.severity, "incident": event.id, "job": "txmon"}
    labels |= {"status": event.root or event.statuses[0]}
    for name, value in event.key:
        safe = _LABEL.sub("_", name)
        safe = f"_{safe}" if not safe or safe[0].isdigit() else safe
        labels[f"key_{safe}" if safe in labels else safe] = value
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "summary": f"{event.label}: {seen_text(event)}",
        "description": event.text,
        "start": event.start,
        "firing": event.state != "resolved",
        **({"link": link} if link is not None else {}),
    }


def _posted(labels: Labels, row: dict[str, Any], now: float, end: float) -> dict[str, Any]:
    start = min(float(row["start"]), end)
    notes = {"summary": row["summary"], "description": row.get("description", row["summary"])}
    alert = {"labels": labels, "annotations": notes, "startsAt": _moment(start), "endsAt": _moment(max(end, start))}
    return alert | ({"generatorURL": row["link"]} if "link" in row else {})


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

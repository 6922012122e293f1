"""A notification as the JSON document that webhooks and commands get."""

import json
from datetime import tzinfo
from typing import Any, Final

from txmon.model.clock import iso
from txmon.model.outcome import IncidentEvent
from txmon.notify.notification import Notification
from txmon.notify.wording import describe
from txmon.sinks.lines import where_they_apply

VERSION: Final = 1
MOST_INCIDENTS: Final = 500


def document(notification: Notification, tz: tzinfo) -> str:
    """Return one line of JSON; times are UTC, those within title and text in `tz`.

    `status` is firing, resolved or info, for all and for each incident; an incident's `dedup_key` stays the same from
    opened to resolved, and `id` is the same whenever the same notification is sent again.
    """
    message = describe(notification, tz)
    shown = notification.events[:MOST_INCIDENTS]
    row: dict[str, Any] = {
        "version": VERSION,
        "id": notification.id,
        "kind": notification.kind,
        "status": _status(notification),
        "time": iso(notification.time),
        "title": message.title,
        "text": message.text,
        "incidents": [_incident(event) for event in shown],
    }
    if len(shown) < len(notification.events):
        row["incidents_left_out"] = len(notification.events) - len(shown)
    if notification.earlier:
        row["delivered_late"] = [{"state": state, "time": iso(time)} for state, time in notification.earlier]
    row["recent"] = [
        {"status": status, "key": dict(key), "seconds": notification.recent.width, "counts": list(counts)}
        for (status, key), counts in sorted(notification.recent.counts.items())
    ]
    row["trends"] = {status: trend.name for status, trend in sorted(notification.trends.items())}
    if notification.day is not None:
        day = notification.day
        row["day"] = {"since": iso(day.since), "until": iso(day.until), "totals": dict(day.totals)}
        row["day"] |= {"opened": day.opened, "still_open": day.still_open, "silenced": day.silenced}
    if notification.link is not None:
        row["link"] = notification.link
    return json.dumps(row)


def _status(notification: Notification) -> str:
    if notification.kind in ("trend", "digest", "test"):
        return "info"
    return "resolved" if notification.kind == "resolved" else "firing"


def _incident(event: IncidentEvent) -> dict[str, Any]:
    return {
        "dedup_key": event.id,
        "status": "resolved" if event.state == "resolved" else "firing",
        "state": event.state,
        "severity": event.severity,
        "label": event.label,
        "statuses": list(event.statuses),
        "key": dict(event.key),
        "start": iso(event.start),
        "time": iso(event.time),
        "peak": iso(event.peak),
        "observed": event.observed,
        "expected": round(event.expected, 2),
        "excess": round(event.excess, 1),
        "text": event.text,
        "root": event.root,
        "low": event.low,
        "high": event.high,
        "total": event.total,
        **where_they_apply(event),
    }

"""The API calls of the two systems that txmon replaces: one with one count per call, one with one minute per call."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from txmon.model.outcome import MARKS
from txmon.model.verdict import Verdict
from txmon.server.engine import Engine
from txmon.server.history import Recent
from txmon.server.http.message import HttpError
from txmon.server.openapi import STATUSES
from txmon.server.receipt import IngestResult

ALERT: Final = MARKS["alert"]
COMPLETED: Final = "TRANSACTION COMPLETED"
POSSIBLE: Final = "TRANSACTION COMPLETED WITH POSSIBLE ANOMALY"


LATE: Final = "TRANSACTION COMPLETED, BUT TOO LATE TO BE JUDGED"
SHOWN: Final = ("Failed", "Reversed", "Denied")  # statuses on the page of the first system
HOUR: Final = 3600
STEPS: Final = {"rising a lot": 2, "rising": 1, "stable": 0, "falling": -1, "falling a lot": -2}


def one_count(receipt: IngestResult) -> str:
    """Return the answer of /receive: whether the count may be an anomaly, or that it came too late."""
    if any(verdict.recommendation == "alert" for verdict in receipt.verdicts):
        return POSSIBLE
    return LATE if receipt.late else COMPLETED


def page_data(recent: Recent, zone: tzinfo) -> dict[str, object]:
    """Return the data for the first system's page: the last hour by status, its anomalies, the trend, the sums.

    zone: of the times, which are written as /receive accepts them.
    """
    found: dict[str, object] = {}
    anomalies: dict[str, object] = {}
    trends: dict[str, int] = {}
    sums: dict[str, str] = {}
    oldest = (recent.last or 0) - HOUR
    for name in SHOWN:
        status = name.lower()
        points = [point for point in recent.series.get(status, ()) if point[0] > oldest]
        rows = [[_local(int(point[0]), zone), int(point[1]), int(point[6])] for point in points]
        found[name] = [row[:2] for row in rows]
        anomalies[name] = [row[:2] for row in rows if row[2] == ALERT]
        trend = recent.trends.get(status)
        trends[name] = STEPS.get(trend.name, 0) if trend is not None else 0
        sums[name] = str(sum(int(point[1]) for point in points))
    return {**found, "Anomalies": anomalies, "Trend": trends, "Overall": sums}


def _local(time: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(time, zone).strftime("%Y-%m-%d %H:%M:%S")


def row_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the record in a call of /receive. Raise HttpError 422 if a part is missing."""
    missing = [name for name in ("time", "status", "F1") if body.get(name) is None]
    if missing:
        raise HttpError(422, f"no {missing[0]}; /receive takes time, status and F1")
    return {name: body[name] for name in ("time", "status", "F1")}


def rows_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records in a call of /send_transactions, one per status. Derived columns are ignored.

    Raise HttpError 422.
    """
    time = body.get("time")
    if time is None:
        raise HttpError(422, "no time. /send_transactions takes a time, and a count for each status")
    rows: list[Mapping[str, Any]] = [
        {"time": time, "status": status, "count": body[status]} for status in STATUSES if body.get(status) is not None
    ]
    if not rows:
        raise HttpError(422, f"no status; known are {', '.join(STATUSES)}")
    return rows


def about_minute(engine: Engine, receipt: IngestResult) -> Mapping[str, object]:
    """Return the answer of /send_transactions by status: a flag, the deviation in sigmas, its share of all deviations.

    The call contains a whole minute, so that counts that are too low matter as much as counts that are too high.
    """
    verdicts = [_whole(engine, verdict) for verdict in receipt.verdicts]
    total = sum(verdict.score**2 for verdict in verdicts)
    parts = {v.status: round(v.score**2 / total, 4) if total else 0.0 for v in verdicts}
    info = {
        v.status: {"anomaly": v.recommendation == "alert", "value": round(v.score, 2), "pct": parts[v.status]}
        for v in verdicts
    }
    late: dict[str, object] = {"late": receipt.late} if receipt.late else {}
    return {"info_dict": info, "anomalies_dataframe": parts, **late}


def _whole(engine: Engine, verdict: Verdict) -> Verdict:
    if not verdict.partial:
        return verdict
    return engine.assess((verdict.time, verdict.key, verdict.status)) or verdict

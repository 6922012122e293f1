"""The calls of the two systems that txmon replaces, as they were: one count a call, and one minute a call."""

from collections.abc import Mapping
from typing import Any, Final

from txmon.model.verdict import Verdict
from txmon.server.engine import Engine
from txmon.server.http.message import HttpError
from txmon.server.openapi import STATUSES
from txmon.server.receipt import IngestResult

COMPLETED: Final = "TRANSACTION COMPLETED"
POSSIBLE: Final = "TRANSACTION COMPLETED WITH POSSIBLE ANOMALY"


def row_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of a call of /receive; HttpError 422 where a part is absent."""
    missing = [name for name in ("time", "status", "F1") if body.get(name) is None]
    if missing:
        raise HttpError(422, f"no {missing[0]}; /receive takes time, status and F1")
    return {name: body[name] for name in ("time", "status", "F1")}


def rows_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records of a call of /send_transactions: one a status; derived columns are ignored. HttpError 422."""
    time = body.get("time")
    if time is None:
        raise HttpError(422, "no time; /send_transactions takes time and a count a status")
    rows: list[Mapping[str, Any]] = [
        {"time": time, "status": status, "count": body[status]} for status in STATUSES if body.get(status) is not None
    ]
    if not rows:
        raise HttpError(422, f"no status; known are {', '.join(STATUSES)}")
    return rows


def about_minute(engine: Engine, receipt: IngestResult) -> Mapping[str, object]:
    """What /send_transactions answers: by status a flag, its deviation in sigmas, its part of the whole deviation.

    The call brings a whole minute, so that too little counts as much as too much.
    """
    verdicts = [_whole(engine, verdict) for verdict in receipt.verdicts]
    total = sum(verdict.score**2 for verdict in verdicts)
    parts = {v.status: round(v.score**2 / total, 4) if total else 0.0 for v in verdicts}
    info = {
        v.status: {"anomaly": v.recommendation == "alert", "value": round(v.score, 2), "pct": parts[v.status]}
        for v in verdicts
    }
    return {"info_dict": info, "anomalies_dataframe": parts}


def _whole(engine: Engine, verdict: Verdict) -> Verdict:
    if not verdict.partial:
        return verdict
    return engine.assess((verdict.time, verdict.key, verdict.status)) or verdict

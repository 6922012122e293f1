"""The same model behind Flask and FastAPI, as somebody would write it who does not use `txmon serve`."""

import threading
from typing import Any

from txmon.ingest.records import Record
from txmon.ingest.timestamps import TimeParser
from txmon.runtime.factory import pipeline_of
from txmon.settings.declarations import Settings

PIPELINE = pipeline_of(Settings(), live=True, partial=True)
TIMES = TimeParser()
LOCK = threading.Lock()


def judge(row: dict[str, Any]) -> dict[str, Any]:
    """Feed one transaction; what the model says of its minute and status."""
    time, status = TIMES.parse(row["time"]), str(row["status"])
    with LOCK:
        for _ in PIPELINE.feed([Record(time, status, int(row["count"]), (), None, None)]):
            pass
        verdict = PIPELINE.assess_open((time - time % 60, (), status))
    assert verdict is not None
    return {"recommendation": verdict.recommendation, "count": verdict.count, "text": verdict.text}


def flask() -> Any:
    from flask import Flask, jsonify, request

    app = Flask("peer")

    @app.post("/v1/transactions")
    def take() -> Any:
        return jsonify(judge(request.get_json()))

    return app


def fastapi() -> Any:
    from fastapi import FastAPI, Request

    app = FastAPI()

    @app.post("/v1/transactions")
    async def take(request: Request) -> Any:
        return judge(await request.json())

    return app

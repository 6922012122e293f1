"""The JSON Schemas of what goes in and out; the verdict's is that of docs/verdict.schema.json."""

from typing import Any, Final

Schema = dict[str, Any]

TIME: Final[Schema] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
RECOMMENDATION: Final[Schema] = {"enum": ["ok", "warming", "pending", "alert"]}


def ref(name: str) -> Schema:
    """A reference to the schema called `name`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """A list of `items`."""
    return {"type": "array", "items": items}


def table(values: Schema) -> Schema:
    """An object whose values are all alike."""
    return {"type": "object", "additionalProperties": values}


def record(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


STATUSES: Final = ("approved", "denied", "failed", "reversed", "refunded", "processing", "backend_reversed")

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 10**15}
_STATUS: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 256, "description": "Case does not matter."}
_WHEN: Final[Schema] = {
    "description": "ISO 8601, `14:05`, `14h 05`, or seconds or milliseconds since 1970.",
    "oneOf": [{"type": "string", "minLength": 1}, {"type": "number", "minimum": 0}],
}

_TRANSACTION: Final[Schema] = {
    "type": "object",
    "required": ["time", "status"],
    "properties": {
        "time": _WHEN,
        "status": _STATUS,
        "count": _COUNT | {"description": "1 where it is absent."},
        "amount": {"type": ["number", "null"]},
        "id": {"type": ["string", "null"], "description": "A repeat within 15 buckets is counted once."},
    },
    "description": "Other names are accepted as in files: F1 for count, timestamp for time, transaction_id for id.",
    "example": {"time": "2026-03-02T14:33:20Z", "status": "failed", "count": 1, "id": "t-1"},
}

_VERDICT: Final[Schema] = record(
    {
        "time": TIME, "status": {"type": "string", "minLength": 1}, "count": WHOLE, "total": WHOLE,
        "expected": {"type": "number", "minimum": 0}, "low": WHOLE, "high": WHOLE, "score": NUMBER,
        "window": {"type": "integer", "minimum": 1}, "recommendation": RECOMMENDATION,
        "reasons": array({"type": "string", "minLength": 1}), "text": {"type": "string", "minLength": 1},
    },
    {
        "key": {"type": "object", "minProperties": 1, "additionalProperties": TEXT},
        "incident": {"type": "string", "minLength": 1}, "partial": {"const": True}, "revises": {"const": True},
    },
)  # fmt: skip

_RECEIPT: Final[Schema] = record(
    {
        "accepted": WHOLE,
        "rejected": WHOLE,
        "repeated": WHOLE | {"description": "Accepted before under the same id, and not counted again."},
        "late": WHOLE | {"description": "Arrived after their bucket had closed."},
        "recommendation": RECOMMENDATION | {"description": "The gravest of all verdicts."},
        "verdicts": array(ref("Verdict")) | {"description": "Of each (bucket, series) touched, in order."},
        "omitted": WHOLE | {"description": "Verdicts left out: 1000 are given."},
        "rejects": array(record({"index": {"type": "integer"}, "kind": TEXT, "reason": TEXT}))
        | {"description": "The first 100. `index` counts elements or lines from 0; a CSV header is line 0."},
    }
)

_INCIDENT: Final[Schema] = record(
    {
        "id": TEXT, "state": {"enum": ["opened", "escalated", "reminder", "resolved"]}, "statuses": array(TEXT),
        "key": table(TEXT), "label": TEXT, "start": TIME, "peak": TIME, "observed": WHOLE, "expected": NUMBER,
        "excess": NUMBER, "text": TEXT, "explanation": TEXT, "acknowledged": FLAG, "time": TIME,
    }
)  # fmt: skip

_SERIES: Final[Schema] = record(
    {
        "status": TEXT, "bucket": WHOLE | {"description": "Seconds."}, "time": array(TIME), "count": array(NUMBER),
        "expected": array(NUMBER), "low": array(NUMBER), "high": array(NUMBER), "score": array(NUMBER),
        "recommendation": array({"enum": ["ok", "pending", "alert"]}),
    }
)  # fmt: skip

_OVERVIEW: Final[Schema] = record(
    {
        "position": TEXT | {"description": "Of the live feed: GET /v1/stream?after= goes on from here."},
        "bucket": WHOLE,
        "total": TEXT | {"description": "The status that stands for the total volume."},
        "series": table(array(array(NUMBER) | {"minItems": 7, "maxItems": 7}))
        | {"description": "[time, count, expected, low, high, score, 0 quiet | 1 pending | 2 alert] a bucket."},
        "trends": table(record({"slope": NUMBER, "name": TEXT})),
        "hour": table(record({"total": WHOLE, "anomalies": WHOLE})),
        "incidents": array(ref("Incident")),
        "open": record({}, {"time": TIME, "counts": table(WHOLE)}),
        "trouble": TEXT,
    }
)

SCHEMAS: Final[Schema] = {
    "Transaction": _TRANSACTION,
    "Verdict": _VERDICT,
    "Receipt": _RECEIPT,
    "Incident": _INCIDENT,
    "Series": _SERIES,
    "Overview": _OVERVIEW,
    "Error": record({"error": TEXT}),
    "Health": record({"status": TEXT, "trouble": TEXT}),
    "Verdicts": record({"verdicts": array(ref("Verdict")), "truncated": FLAG}),
    "Incidents": record({"incidents": array(ref("Incident"))}),
    "Login": {"type": "object", "required": ["token"], "properties": {"token": TEXT}},
    "OneCount": {
        "type": "object",
        "required": ["time", "status", "F1"],
        "properties": {"time": _WHEN, "status": _STATUS, "F1": _COUNT},
        "example": {"time": "2024-05-25 00:05:00", "status": "failed", "F1": 3},
    },
    "OneMinute": {
        "type": "object",
        "required": ["time"],
        "properties": {"time": _WHEN, **dict.fromkeys(STATUSES, _COUNT)},
        "description": "At least one status; other columns are ignored.",
        "example": {"time": "00h 05", "approved": 27, "denied": 4, "failed": 0, "reversed": 1},
    },
    "MinuteVerdict": record(
        {
            "info_dict": table(record({"anomaly": FLAG, "value": NUMBER, "pct": NUMBER})),
            "anomalies_dataframe": table(NUMBER),
        }
    ),
}  # fmt: skip

"""Describes the API as the OpenAPI 3.1 document of /openapi.json."""

from typing import Any, Final

from txmon.version import __version__

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """Return a reference to the schema called `name`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """Return a list of `items`."""
    return {"type": "array", "items": items}


def table(values: Schema) -> Schema:
    """Return an object whose values all have the same type."""
    return {"type": "object", "additionalProperties": values}


def record(required: Schema, optional: Schema | None = None) -> Schema:
    """Return an object with these properties and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


_JSON: Final = "application/json"
_KEY: Final[Schema] = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9_.:-]+$"},
    "description": "The same key with the same request gives the first answer again, and nothing is counted twice.",
}  # fmt: skip
_OPEN: Final[list[Schema]] = []
TIME: Final[Schema] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
RECOMMENDATION: Final[Schema] = {"enum": ["ok", "warming", "pending", "alert"]}
STATES: Final = ("opened", "reopened", "worsened", "no data", "changed level", "reminder", "resolved", "escalated")
GRAVEST: Final[Schema] = {"type": "string", "enum": ["ok", "warming", "late", "rejected", "pending", "alert"]}
PROBLEM: Final = "application/problem+json"
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
        "incident": {"type": "string", "minLength": 1}, "partial": {"type": "boolean", "const": True},
        "revises": {"type": "boolean", "const": True},
        "drivers": array(ref("Driver")) | {"description": "What explains the excess; empty: it is spread evenly."},
        "money": array(ref("Money"))
        | {"minItems": 1, "description": "Compared with normal, one element per currency."},
        "rarity": {"type": "number", "exclusiveMinimum": 0, "description": "False alarms a year at this score."},
    },
)  # fmt: skip
_RECEIPT: Final[Schema] = record(
    {
        "accepted": WHOLE,
        "rejected": WHOLE,
        "repeated": WHOLE | {"description": "Accepted before under the same id, and not counted again."},
        "late": WHOLE | {"description": "Arrived after their bucket had closed."},
        "recommendation": GRAVEST
        | {"description": "The worst of all verdicts. It is `late` or `rejected` instead of `ok` if a row is."},
        "verdicts": array(ref("Verdict")) | {"description": "Of each (bucket, series) touched, in order."},
        "omitted": WHOLE | {"description": "Verdicts left out: 1000 are given."},
        "rejects": array(ref("Reject"))
        | {"description": "The first 100. `index` counts elements or lines from 0; a CSV header is line 0."},
    },
    {"reading": TEXT | {"description": "How the rows were read: in the first answer for each shape of bodies."}},
)
_OPTIONAL_TEXT: Final[Schema] = {"type": ["string", "null"]}
_READING: Final[Schema] = record(
    {
        "source": TEXT, "format": TEXT, "encoding": TEXT, "compression": _OPTIONAL_TEXT, "detail": _OPTIONAL_TEXT,
        "delimiter": _OPTIONAL_TEXT, "header_line": {"type": ["integer", "null"]},
        "columns": table(TEXT) | {"description": "Which column each field is read from."},
        "wide": {"type": ["object", "null"], "additionalProperties": TEXT},
        "by": array(TEXT), "time_format": _OPTIONAL_TEXT, "zone": TEXT,
        "row": TEXT | {"description": "What a row means: a count, one transaction, or a count for each status."},
        "step": {"type": ["integer", "null"]}, "not_used": array(TEXT), "notes": array(TEXT),
        "flags": array(TEXT) | {"description": "Settings that would change the reading."}, "statement": TEXT,
    }
)  # fmt: skip
_PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": TEXT | {"description": "Always about:blank. `code` is more specific."},
        "title": TEXT | {"description": "The status in words."},
        "status": {"type": "integer"},
        "code": TEXT | {"description": "The kind of error, for programs."},
        "detail": TEXT | {"description": "What was wrong, on one line."},
        "row": {"type": "integer", "description": "The first bad row, as `index` counts."},
        "hint": TEXT | {"description": "What may help."},
        "accepted": WHOLE, "rejected": WHOLE, "rejects": array(ref("Reject")), "reading": TEXT,
    },
    "description": "Every error has this shape (RFC 9457).",
}  # fmt: skip
_INCIDENT: Final[Schema] = record(
    {
        "id": TEXT, "state": {"enum": list(STATES)}, "statuses": array(TEXT),
        "key": table(TEXT), "label": TEXT, "start": TIME, "peak": TIME, "observed": WHOLE, "expected": NUMBER,
        "excess": NUMBER, "text": TEXT,
        "explanation": TEXT | {"description": "The strongest verdict that the label stands for."},
        "acknowledged": FLAG, "time": TIME,
        "severity": {"type": "string", "enum": ["info", "warning", "critical"]}, "author": TEXT, "note": TEXT,
        "details": array(
            record({"status": TEXT, "time": TIME, "count": WHOLE, "expected": NUMBER, "score": NUMBER, "text": TEXT})
        ) | {"description": "The strongest alert of each status, the strongest first."},
    },
    {
        "times": WHOLE | {"description": "How often it has begun, where that is more than once."},
        "keys": array({"type": "object"}) | {"description": "The largest keys of an incident of several."},
        "ending": TEXT | {"description": "Why the next bucket ends it: somebody accepted the new level."},
        "key_count": WHOLE, "no_data_since": TIME, "usual": NUMBER, "parent": TEXT,
        "drivers": array(ref("Driver"))
        | {"description": "With --drivers: what explains the excess of the root status; empty: it is spread evenly."},
        "money": array(ref("Money")) | {"description": "Of the root status compared with normal, so far."},
        "timeline": array(
            record({"kind": {"enum": ["step", "word", "notification"]}, "time": TIME, "what": TEXT, "text": TEXT,
                    "by": TEXT})
        ) | {"description": "Events, people's notes and notifications, oldest first. Only for a single incident."},
    },
)  # fmt: skip
_DRIVER: Final[Schema] = record(
    {"values": table(TEXT), "seen": WHOLE, "expected": NUMBER, "share": NUMBER | {"description": "1 is all of it."}}
)
_MONEY: Final[Schema] = record(
    {"seen": NUMBER, "expected": NUMBER, "excess": NUMBER, "low": NUMBER, "high": NUMBER}, {"currency": TEXT}
)
_SILENCE: Final[Schema] = record({"status": TEXT, "key": table(TEXT), "until": TIME, "author": TEXT, "note": TEXT})
_SERIES: Final[Schema] = record(
    {
        "status": TEXT, "bucket": WHOLE | {"description": "Seconds."}, "time": array(TIME), "count": array(NUMBER),
        "expected": array(NUMBER), "low": array(NUMBER), "high": array(NUMBER), "score": array(NUMBER),
        "recommendation": array({"enum": ["ok", "pending", "alert"]}),
    }
)  # fmt: skip
_OVERVIEW: Final[Schema] = record(
    {
        "position": TEXT | {"description": "Of the live feed: GET /v1/stream?after= continues from here."},
        "bucket": WHOLE,
        "total": TEXT | {"description": "The status that stands for the total volume."},
        "series": table(array(array(NUMBER) | {"minItems": 7, "maxItems": 7}))
        | {"description": "[time, count, expected, low, high, score, 0 quiet | 1 pending | 2 alert] a bucket."},
        "trends": table(record({"slope": NUMBER, "name": TEXT})),
        "hour": table(record({"total": WHOLE, "anomalies": WHOLE})),
        "incidents": array(ref("Incident")),
        "silences": array(_SILENCE),
        "open": record({}, {"time": TIME, "counts": table(WHOLE)}),
        "trouble": TEXT,
        "now": TIME | {"description": "The server's clock."},
        "last": {"type": ["string", "null"], "description": "Start of the newest closed bucket."},
        "oldest": {"type": ["string", "null"], "description": "The first bucket that GET /v1/history has."},
        "keys": WHOLE | {"description": "How many keys of --group-by are known."},
        "session": FLAG | {"description": "Whether the request came with a session's cookie."},
    }
)
_HISTORY: Final[Schema] = record(
    {
        "from": TIME, "to": TIME,
        "begins": TIME | {"description": "Where the points begin; later than `from` where nothing is known before."},
        "bucket": WHOLE | {"description": "Seconds."},
        "step": WHOLE | {"description": "Seconds of one point. Over more than a bucket, counts and bands are means."},
        "series": table(array(array(NUMBER) | {"minItems": 7, "maxItems": 7})),
    }
)  # fmt: skip
_KEYS: Final[Schema] = record(
    {
        "minutes": WHOLE | {"description": "Up to the newest bucket, that the numbers are of."},
        "count": WHOLE | {"description": "How many keys were found."},
        "left_out": WHOLE | {"description": "Verdicts that were not counted: 5000 series are kept."},
        "keys": array(
            record(
                {
                    "key": table(TEXT), "name": TEXT | {"description": "As `key` of GET /v1/history takes it."},
                    "excess": NUMBER, "mark": {"type": "integer", "minimum": -2, "maximum": 2},
                    "statuses": table(
                        record({"count": WHOLE, "expected": NUMBER, "score": NUMBER, "mark": {"type": "integer"}})
                    ),
                }
            )
        ),
    }
)  # fmt: skip
WHOLE_STEP: Final[Schema] = {"type": "integer", "minimum": -2, "maximum": 2}
_POINTS: Final[Schema] = array({"type": "array", "items": {}, "minItems": 2, "maxItems": 2}) | {
    "description": "[time, transactions] of each bucket."
}
SCHEMAS: Final[Schema] = {
    "Transaction": _TRANSACTION,
    "Verdict": _VERDICT,
    "Receipt": _RECEIPT,
    "Reading": _READING,
    "Incident": _INCIDENT,
    "Driver": _DRIVER,
    "Money": _MONEY,
    "Series": _SERIES,
    "Overview": _OVERVIEW,
    "History": _HISTORY,
    "Keys": _KEYS,
    "Reject": record({"index": {"type": "integer"}, "kind": TEXT, "reason": TEXT}),
    "Problem": _PROBLEM,
    "Health": record({"status": TEXT, "trouble": TEXT}),
    "Verdicts": record({"verdicts": array(ref("Verdict")), "truncated": FLAG}),
    "Silences": record({"silences": array(_SILENCE)}),
    "Acknowledgement": {
        "type": "object",
        "properties": {
            "action": {"enum": ["ack", "undo", "accept", "ignore"], "default": "ack"}, "author": TEXT, "note": TEXT,
        },
        "description": "`accept`: the current level is normal. `ignore`: the baselines unlearn its counts.",
    },
    "NewSilence": {
        "type": "object",
        "required": ["status", "for"],
        "properties": {
            "status": TEXT, "key": table(TEXT), "for": {"type": "string", "pattern": "^([0-9]+[dhms])+$"},
            "author": TEXT, "note": TEXT,
        },
        "description": "Stop notifications of a status (`*`: all) for a time. `for` is `0s` to end a silence.",
        "example": {"status": "denied", "for": "2h", "note": "load test"},
    },
    "Incidents": record({"incidents": array(ref("Incident")), "truncated": FLAG}),
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
        "description": "At least one status. Other columns are ignored.",
        "example": {"time": "00h 05", "approved": 27, "denied": 4, "failed": 0, "reversed": 1},
    },
    "MinuteVerdict": record(
        {
            "info_dict": table(record({"anomaly": FLAG, "value": NUMBER, "pct": NUMBER})),
            "anomalies_dataframe": table(NUMBER),
        },
        {"late": WHOLE | {"description": "Counts that arrived after their bucket had closed."}},
    ),
    "PageData": record(
        {
            **dict.fromkeys(("Failed", "Reversed", "Denied"), _POINTS),
            "Anomalies": record(dict.fromkeys(("Failed", "Reversed", "Denied"), _POINTS)),
            "Trend": record(dict.fromkeys(("Failed", "Reversed", "Denied"), WHOLE_STEP))
            | {"description": "From -2, falling a lot, to 2, rising a lot."},
            "Overall": record(dict.fromkeys(("Failed", "Reversed", "Denied"), TEXT))
            | {"description": "Transactions in that hour."},
        }
    ),
}  # fmt: skip


def _answer(description: str, schema: Schema, kind: str = _JSON) -> Schema:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _operation(
    name: str,
    summary: str,
    success: Schema,
    status: str = "200",
    body: Schema | None = None,
    parameters: list[Schema] | None = None,
    everyone: bool = False,
) -> Schema:
    """Return one operation. Every error is a Problem, whatever its status."""
    found: Schema = {"operationId": name, "summary": summary}
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    found["responses"] = {status: success, "default": _answer("What was wrong.", ref("Problem"), PROBLEM)}
    if everyone:
        found["security"] = _OPEN
    return found


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _variable(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _optional(operation: Schema) -> Schema:
    """Return the operation with an optional body."""
    operation["requestBody"]["required"] = False
    return operation


def _posts() -> Schema:
    records = {
        _JSON: {"schema": {"oneOf": [ref("Transaction"), array(ref("Transaction")) | {"minItems": 1}]}},
        "application/x-ndjson": {"schema": {"type": "string"}, "example": '{"time": "14:05", "status": "failed"}\n'},
        "text/csv": {"schema": {"type": "string"}, "example": "time,status,count\n2026-03-02T14:05:00Z,failed,3\n"},
    }
    transactions = _operation(
        "postTransactions", "Count transactions, and return the verdicts of their minutes.",
        _answer("Counted, apart from the rejects.", ref("Receipt")), body=records, parameters=[_KEY],
    )  # fmt: skip
    transactions["responses"]["400"] = _answer("No row could be read, or the body cannot.", ref("Problem"), PROBLEM)
    transactions["description"] = "A body may be gzip-packed (Content-Encoding: gzip)."
    receive = _operation(
        "receive", "Count one status of one minute.", _answer("The recommendation.", TEXT, "text/plain"),
        body={_JSON: {"schema": ref("OneCount")}},
    )  # fmt: skip
    send = _operation(
        "sendTransactions", "Count all statuses of one minute.", _answer("By status.", ref("MinuteVerdict")),
        body={_JSON: {"schema": {"oneOf": [ref("OneMinute"), {"type": "string", "contentMediaType": _JSON}]}}},
    )  # fmt: skip
    return {
        "/v1/transactions": {"post": transactions},
        "/receive": {"post": receive},
        "/send_transactions": {"post": send},
        "/": {
            "post": _operation(
                "pageData", "The last hour of failed, reversed and denied, as the first older system's page reads it.",
                _answer("By status.", ref("PageData")),
            )
        },
    }  # fmt: skip


def _gets() -> Schema:
    since = _query("since", {"type": "string"}, "The first bucket wanted: a time with its date, or epoch seconds.")
    status = _query("status", {"type": "string"}, "Only this status; `*` is the total volume.")
    limit = _query(
        "limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000}, "At most this many, the newest."
    )
    minutes = _query("minutes", {"type": "integer", "minimum": 1, "maximum": 1440, "default": 1440}, "How far back.")
    some: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
    find = _query("find", {"type": "string"}, "Only what contains this text, in any case.")
    after = _query("after", {"type": "string"}, "Continue after this event, as the Last-Event-ID header does.")
    return {
        "/v1/verdicts": {
            "get": _operation(
                "verdicts", "The newest verdicts, the oldest of them first.", _answer("Verdicts.", ref("Verdicts")),
                parameters=[since, status, limit],
            )
        },
        "/v1/incidents": {
            "get": _operation(
                "incidents", "Open incidents, and those resolved in the last 30 days.",
                _answer("The incidents. With a parameter, the worst open one first.", ref("Incidents")),
                parameters=[
                    _query("state", {"enum": ["open", "resolved", "all"], "default": "all"}, "Which ones."),
                    find,
                    _query("limit", some | {"default": 100}, "At most this many."),
                ],
            )
        },
        "/v1/incidents/{id}": {
            "get": _operation(
                "incident", "An incident of the last 30 days, with its timeline.",
                _answer("The incident.", ref("Incident")), parameters=[_variable("id")],
            )
        },
        "/v1/incidents/{id}/counts.csv": {
            "get": _operation(
                "incidentCounts", "The counts of an incident's key, from an hour before it to half an hour after it.",
                _answer("A row for each bucket and status.", TEXT, "text/csv"), parameters=[_variable("id")],
            )
        },
        "/v1/history": {
            "get": _operation(
                "history", "Counts, normal bands and scores in a range of time, as far back as --log has them.",
                _answer("Points by status.", ref("History")),
                parameters=[
                    _query("from", {"type": "string"}, "A time with its date. Default: a day before `to`."),
                    _query("to", {"type": "string"}, "Default: the newest closed bucket."),
                    _query("key", {"type": "string"}, "A key of --group-by: merchant=m1, or merchant=m1&country=BR."),
                ],
            )
        },
        "/v1/keys": {
            "get": _operation(
                "keys", "The keys of --group-by, the one furthest from normal first, with what each status had.",
                _answer("The keys.", ref("Keys")),
                parameters=[
                    _query(
                        "minutes", {"type": "integer", "minimum": 1, "maximum": 1440, "default": 60},
                        "How far back; 180 buckets are kept.",
                    ),
                    find,
                    _query("limit", some | {"default": 20}, "At most this many."),
                ],
            )
        },
        "/v1/incidents/{id}/ack": {
            "post": _optional(_operation(
                "acknowledge", "Send no more reminders of an incident, or take that back, accept or ignore it.",
                _answer("The incident.", ref("Incident")), body={_JSON: {"schema": ref("Acknowledgement")}},
                parameters=[_variable("id")],
            ))
        },
        "/v1/silences": {
            "get": _operation("silences", "The silences in effect.", _answer("The silences.", ref("Silences"))),
            "post": _operation(
                "silence", "Stop notifications of a status for a time.",
                _answer("All silences in effect.", ref("Silences")),
                body={_JSON: {"schema": ref("NewSilence")}},
            ),
        },
        "/v1/series/{status}": {
            "get": _operation(
                "series", "Counts, normal band and scores of a status, over all keys.",
                _answer("Columns of equal length.", ref("Series")), parameters=[_variable("status"), minutes],
            )
        },
        "/v1/reading": {
            "get": _operation(
                "reading",
                "How bodies and followed files are read: format, columns, times, and what a row means.",
                _answer("The readings, one for each shape.", record({"readings": array(ref("Reading"))})),
            )
        },
        "/v1/overview": {
            "get": _operation("overview", "What the live page shows.", _answer("The overview.", ref("Overview")))
        },
        "/v1/stream": {
            "get": _operation(
                "stream",
                "The live feed: events bucket, verdict, incident, silences, trend, minute, trouble, beat, reset.",
                _answer("Server-sent events.", TEXT, "text/event-stream"), parameters=[after],
            )
        },
    }  # fmt: skip


def _service() -> Schema:
    login = {_JSON: {"schema": ref("Login")}}
    nothing: Schema = {"description": "Done; the cookie is in Set-Cookie."}
    exposition = _answer("Metrics.", TEXT, "text/plain")
    exposition["content"]["application/openmetrics-text"] = {"schema": TEXT}
    health = ref("Health")
    return {
        "/v1/login": {"post": _operation("login", "Start a session.", nothing, "204", login, everyone=True)},
        "/v1/logout": {"post": _operation("logout", "End the session.", nothing, "204", everyone=True)},
        "/metrics": {"get": _operation("metrics", "Counters for Prometheus.", exposition)},
        "/healthz": {
            "get": _operation(
                "health", "Liveness probe: 200 while txmon runs.", _answer("It runs.", health), everyone=True,
            )
        },
        "/readyz": {
            "get": _operation(
                "ready", "Readiness probe: 200 while txmon accepts requests.", _answer("It does.", health),
                everyone=True,
            )
        },
        "/openapi.json": {
            "get": _operation("openapi", "This document.", _answer("The document.", {"type": "object"}), everyone=True)
        },
    }  # fmt: skip


def document() -> dict[str, Any]:
    """Return the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "txmon",
            "version": __version__,
            "description": "Receives transactions; recommends an alert when problems are above normal.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}, {"session": []}, {}],
        "paths": _posts() | _gets() | _service(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "TXMON_TOKEN, where it is set."},
                "session": {"type": "apiKey", "in": "cookie", "name": "txmon_session"},
            },
        },
    }

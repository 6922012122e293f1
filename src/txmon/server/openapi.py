"""The API in its own words: the OpenAPI 3.1 document that /openapi.json answers."""

from typing import Any, Final

from .. import __version__
from .schemas import SCHEMAS, TEXT, Schema, array, ref

_JSON: Final = "application/json"
_KEY: Final[Schema] = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9_.:-]+$"},
    "description": "The same key with the same request gives the first answer again, and nothing is counted twice.",
}  # fmt: skip
_OPEN: Final[list[Schema]] = []


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
    """One operation; every error is {"error": reason}, whatever its status."""
    found: Schema = {"operationId": name, "summary": summary}
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    found["responses"] = {status: success, "default": _answer("What was wrong.", ref("Error"))}
    if everyone:
        found["security"] = _OPEN
    return found


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _variable(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _posts() -> Schema:
    records = {
        _JSON: {"schema": {"oneOf": [ref("Transaction"), array(ref("Transaction")) | {"minItems": 1}]}},
        "application/x-ndjson": {"schema": {"type": "string"}, "example": '{"time": "14:05", "status": "failed"}\n'},
        "text/csv": {"schema": {"type": "string"}, "example": "time,status,count\n2026-03-02T14:05:00Z,failed,3\n"},
    }
    transactions = _operation(
        "postTransactions", "Count transactions; what they make of their minutes.",
        _answer("Counted, apart from the rejects.", ref("Receipt")), body=records, parameters=[_KEY],
    )  # fmt: skip
    transactions["responses"]["400"] = _answer("All are bad, or the body cannot be read.", {
        "oneOf": [ref("Receipt"), ref("Error")],
    })  # fmt: skip
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
    }


def _gets() -> Schema:
    since = _query("since", {"type": "string"}, "The first bucket wanted: a time with its date, or epoch seconds.")
    status = _query("status", {"type": "string"}, "Only this status; `*` is the total volume.")
    limit = _query(
        "limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000}, "The newest so many."
    )
    minutes = _query("minutes", {"type": "integer", "minimum": 1, "maximum": 1440, "default": 1440}, "How far back.")
    after = _query("after", {"type": "string"}, "Go on after this event, as the Last-Event-ID header does.")
    return {
        "/v1/verdicts": {
            "get": _operation(
                "verdicts", "Verdicts lately given, oldest first.", _answer("Verdicts.", ref("Verdicts")),
                parameters=[since, status, limit],
            )
        },
        "/v1/incidents": {
            "get": _operation("incidents", "Open incidents, and some resolved.", _answer("They.", ref("Incidents")))
        },
        "/v1/incidents/{id}/ack": {
            "post": _operation(
                "acknowledge", "Send no more reminders of an incident.", _answer("The incident.", ref("Incident")),
                parameters=[_variable("id")],
            )
        },
        "/v1/series/{status}": {
            "get": _operation(
                "series", "Counts, normal band and scores of a status, over all keys.",
                _answer("Columns of equal length.", ref("Series")), parameters=[_variable("status"), minutes],
            )
        },
        "/v1/overview": {"get": _operation("overview", "What the page shows.", _answer("It.", ref("Overview")))},
        "/v1/stream": {
            "get": _operation(
                "stream", "The live feed: events bucket, verdict, incident, trend, minute, reset.",
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
        "/v1/login": {"post": _operation("login", "Begin a session.", nothing, "204", login, everyone=True)},
        "/v1/logout": {"post": _operation("logout", "End the session.", nothing, "204", everyone=True)},
        "/metrics": {"get": _operation("metrics", "Counters for Prometheus.", exposition)},
        "/healthz": {"get": _operation("health", "Whether it runs.", _answer("It does.", health), everyone=True)},
        "/readyz": {"get": _operation("ready", "Whether it takes more.", _answer("It does.", health), everyone=True)},
        "/openapi.json": {
            "get": _operation("openapi", "This document.", _answer("It.", {"type": "object"}), everyone=True)
        },
    }  # fmt: skip


def document() -> dict[str, Any]:
    """The whole document."""
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

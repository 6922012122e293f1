"""Bodies of every kind that files have: the counts are those of the file, and the reading is said."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from exports import ALL, Export, epoch, minutes
from serving import Server, serving

from txmon.settings.declarations import Settings

NOW = datetime(2024, 3, 14, tzinfo=UTC).timestamp()
NAMES = (
    "psql aligned", "mysql boxed", "markdown", "sqlcmd wide", "bigquery csv", "bigquery json", "clickhouse json",
    "clickhouse compact", "pandas pivot", "pandas split", "pandas records", "splunk results", "splunk lines",
    "grafana labels", "grafana frames", "elastic date then terms", "elastic terms then date", "insights json",
    "prometheus vector over time", "datadog v2", "graphite", "stripe payments", "stripe list", "paypal", "cielo",
    "cielo latin-1", "thousands with dots", "accents in latin-1 without the flag", "quotes and semicolons",
    "bom crlf quotes", "utf-16 le", "serials in csv", "time, range", "datadog groups", "gzip",
)  # fmt: skip


def posted(server: Server, data: bytes, kind: str) -> tuple[Any, Counter[tuple[int, str]]]:
    answer = server.post(data, kind).json()
    found: Counter[tuple[int, str]] = Counter()
    for verdict in answer.get("verdicts", ()):
        if verdict["status"] != "*":
            found[int(datetime.fromisoformat(verdict["time"]).timestamp()), verdict["status"]] += verdict["count"]
    return answer, +found


def kind_of(data: bytes) -> str:
    begin = data.lstrip()[:1]
    return "application/json" if begin in (b"{", b"[") else "text/csv"


@pytest.mark.parametrize("export", [some for some in ALL if some.name in NAMES], ids=lambda some: some.name)
def test_the_bytes_of_a_file_are_a_body(export: Export) -> None:
    with serving(Settings(), now=NOW) as server:
        for first in (True, False):  # another one like it is read alike, and its reading is not said again
            answer, found = posted(server, export.data, kind_of(export.data))
            assert "reading" in answer if first else "reading" not in answer, answer
            if first:
                assert found == export.expected, answer
        (reading,) = server.client.get("/v1/reading").json()["readings"]
        assert reading["statement"].startswith("POST /v1/transactions: ")


def test_two_readings_are_a_choice() -> None:
    rows = [f"{m:%d/%m/%Y %H:%M},{s},{n}" for m, s, n in minutes()]
    body = "\n".join(["time,status,count", *rows]).encode()
    with serving(Settings(), now=NOW) as server:
        answer = server.post(body, "text/csv")
        assert answer.status == 422
        assert "5 March 2024 with --day-first, and 3 May 2024 with --month-first" in answer.json()["detail"]
        assert server.engine.totals.records == 0
        assert server.client.get("/v1/reading").json() == {"readings": []}
        # one row that decides it is enough, and what was read so stays so
        assert server.post(body + b"\n13/03/2024 00:00,approved,1\n", "text/csv").json()["accepted"] == 37


def test_shapes_are_told_apart() -> None:
    with serving(Settings(), now=NOW) as server:
        at = epoch(minutes()[0][0])
        for row in ({"time": at, "status": "approved"}, {"created": at, "payment": {"status": "failed"}}):
            assert server.post([row] * 3).json()["accepted"] == 3
        assert "reading" not in server.post({"time": at, "status": "denied"}).json()
        said = [reading["columns"] for reading in server.client.get("/v1/reading").json()["readings"]]
        assert said == [{"time": "time", "status": "status"}, {"time": "created", "status": "payment.status"}]


def test_an_attacker_cannot_fill_the_memory_with_shapes() -> None:
    with serving(Settings(), now=NOW) as server:
        for i in range(200):
            server.post(json.dumps({f"time{i}": 1, f"x{i}": 2}).encode())
        assert len(server.client.get("/v1/reading").json()["readings"]) <= 64


def test_decoded_rows_of_a_wide_table() -> None:
    rows = [{"time": epoch(m), "approved": 7, "denied": None if i else 2} for i, (m, *_) in enumerate(minutes()[::3])]
    with serving(Settings(), now=NOW) as server:
        for some in (rows[:2], rows):
            answer, found = posted(server, json.dumps(some).encode(), "application/json")
            assert answer["rejected"] == 0
            assert sum(n for (_, status), n in found.items() if status == "approved") >= 14


def test_a_transaction_with_an_amount_and_a_currency_gets_its_verdict() -> None:
    row = {"time": epoch(minutes()[0][0]), "status": "failed", "amount": 12.5, "currency": "EUR", "shop": "s1"}
    for settings, key in ((Settings(), None), (Settings(group_by=("shop",)), {"shop": "s1"})):
        with serving(settings, now=NOW) as server:
            (verdict,) = server.post(row).json()["verdicts"]
            assert (verdict["status"], verdict["count"], verdict.get("key")) == ("failed", 1, key)

"""The API against its own document: whatever schemathesis makes of it, no 5xx and no answer that breaks a schema."""

from collections import Counter
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import incident, serving, warm

from txmon.server.openapi import document

CASES = 2000
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
WEIGHTS = {"/v1/transactions": 4, "/send_transactions": 2, "/receive": 2, "/v1/verdicts": 2}
FIXED = {"/metrics", "/healthz", "/readyz", "/openapi.json", "/v1/incidents", "/v1/overview", "/v1/logout"}


def settings(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of the tool's own libraries
def test_the_api_keeps_to_its_document() -> None:
    schema = schemathesis.openapi.from_dict(document())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == sum(map(len, document()["paths"].values()))
    operations = [operation for operation in operations if operation.path != "/v1/stream"]  # it has no end
    seen: Counter[int] = Counter()
    with serving() as server, requests.Session() as session:
        warm(server)
        incident(server)
        address = f"http://127.0.0.1:{server.port}"

        def check(case: Any) -> None:
            answer = case.call(base_url=address, session=session, timeout=20)
            seen[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        for operation in operations:
            for mode in GenerationMode:
                examples = 8 if operation.path in FIXED else 85 * WEIGHTS.get(operation.path, 1)
                try:
                    strategy = operation.as_strategy(generation_mode=mode)
                    settings(examples)(hypothesis.given(strategy)(check))()
                except hypothesis.errors.Unsatisfiable:
                    continue  # nothing to get wrong in a call without parameters
    print(sum(seen.values()), seen)
    assert sum(seen.values()) >= CASES, seen
    assert {200, 204, 400, 404, 422} <= set(seen)

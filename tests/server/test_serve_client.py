"""The clients of others: one that is generated from the OpenAPI document, and those of the two older systems."""

import http.client
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import SHARED
from serving import START, Server, incident, minute, serving, warm

GENERATOR = shutil.which("openapi-python-client", path=str(Path(sys.executable).parent))
DAY = SHARED / "data" / "transactions_2.csv"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a package with a client that was generated from the document of a running server."""
    if GENERATOR is None:
        pytest.skip("openapi-python-client is not installed")
    folder = tmp_path_factory.mktemp("client")
    with serving() as server:
        (folder / "openapi.json").write_bytes(server.client.get("/openapi.json").body)
    done = subprocess.run(
        [GENERATOR, "generate", "--path", str(folder / "openapi.json"), "--meta", "none", "--output-path",
         str(folder / "txmon_generated"), "--overwrite"],
        capture_output=True, text=True, check=False, timeout=120, env={"PATH": str(Path(GENERATOR).parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield "txmon_generated"
    sys.path.remove(str(folder))


def test_a_generated_client_posts_and_reads(generated: str) -> None:
    def part(name: str) -> Any:
        return importlib.import_module(f"{generated}.{name}")

    models = part("models")
    with serving() as server, part("client").Client(f"http://127.0.0.1:{server.port}") as client:
        warm(server)
        incident(server)
        post = part("api.default.post_transactions").sync
        receipt = post(client=client, body=models.Transaction(time=minute(48), status="failed", count=80))
        assert (receipt.accepted, receipt.recommendation.value) == (1, "alert")
        assert receipt.verdicts[0].partial is True
        rows = [models.Transaction(time=minute(48), status="approved", count=i) for i in (1, 2)]
        assert post(client=client, body=rows, idempotency_key="k1").accepted == 2
        problem = post(client=client, body=models.Transaction(time="never", status="failed"))
        assert isinstance(problem, models.Problem)
        assert (problem.status, problem.code, problem.row) == (400, "rejected", 0)
        found = part("api.default.incidents").sync(client=client)
        assert found.incidents[0].label == "failures"
        assert found.incidents[0].details[0].count == 60
        missing = part("api.default.acknowledge").sync(id="none", client=client)
        assert (missing.status, missing.code) == (404, "not-found")
        assert part("api.default.verdicts").sync(client=client, status="failed", limit=2).truncated is True
        assert part("api.default.series").sync("failed", client=client).bucket == 60
        overview = part("api.default.overview").sync(client=client)
        assert overview.last == minute(46)
        assert part("api.default.page_data").sync(client=client).overall.failed == "165"
        assert part("api.default.health").sync(client=client).status == "ok"


def post(server: Server, path: str, body: object = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    raw = None if body is None else json.dumps(body)
    connection.request("POST", path, raw, {} if raw is None else {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


@pytest.mark.skipif(not DAY.exists(), reason="the data of the task is not here")
def test_the_first_system_s_page_replays_its_file() -> None:
    """Row by row into /receive, as its page did, and the page's data each so many rows."""
    header, *rows = DAY.read_text().splitlines()
    assert header.replace('"', "").split(",")[0] == "time"
    told = set()
    with serving(now=START + 86_400) as server:
        for number, row in enumerate(rows[:3000]):
            time, status, count = row.replace('"', "").split(",")
            call = {"time": f"2026-03-02 {time.replace('h ', ':')}:00", "status": status, "F1": int(count)}
            code, text = post(server, "/receive", call)
            assert code == 200
            told.add(text)
            if number % 500 == 499:
                code, text = post(server, "/")
                data = json.loads(text)
                assert code == 200
                assert list(data) == ["Failed", "Reversed", "Denied", "Anomalies", "Trend", "Overall"]
                for name in ("Failed", "Reversed", "Denied"):
                    assert len(data[name]) <= 60
                    assert sum(point[1] for point in data[name]) == int(data["Overall"][name])
                    assert all(point in data[name] for point in data["Anomalies"][name])
                    assert data["Trend"][name] in (-2, -1, 0, 1, 2)
    assert told <= {"TRANSACTION COMPLETED", "TRANSACTION COMPLETED WITH POSSIBLE ANOMALY"}
    assert "TRANSACTION COMPLETED" in told


def test_the_page_data_shows_an_anomaly_where_it_was() -> None:
    with serving() as server:
        code, text = post(server, "/")
        assert (code, json.loads(text)["Failed"]) == (200, [])  # before anything came
        warm(server)
        incident(server)
        data = json.loads(post(server, "/")[1])
        assert data["Anomalies"]["Failed"] == [["2026-03-02 00:45:00", 60], ["2026-03-02 00:46:00", 60]]
        assert data["Failed"][-1] == ["2026-03-02 00:46:00", 60]
        assert data["Overall"] == {"Failed": "165", "Reversed": "0", "Denied": "450"}
        assert post(server, "/", {})[0] == 200


def test_the_second_system_s_client_sends_each_minute_encoded_twice() -> None:
    """With the derived columns that its frame had, among them those that are no numbers."""
    with serving() as server:
        for i in range(50):
            row = {
                "time": f"{i // 60:02d}h {i % 60:02d}", "approved": 100, "denied": 10 + 60 * (i == 49), "failed": 1,
                "reversed": 0, "refunded": 1, "processing": 0, "backend_reversed": 0,
                "denied_roll30_avg": None, "approved_corr": float("nan"), "hour": 0,
            }  # fmt: skip
            code, text = post(server, "/send_transactions", json.dumps(row))
            assert code == 200, text
            answer = json.loads(text)
            assert set(answer) == {"info_dict", "anomalies_dataframe"}
            assert set(answer["info_dict"]["denied"]) == {"anomaly", "value", "pct"}
        assert answer["info_dict"]["denied"]["anomaly"] is True
        assert answer["info_dict"]["failed"]["anomaly"] is False
        assert max(answer["anomalies_dataframe"], key=answer["anomalies_dataframe"].get) == "denied"

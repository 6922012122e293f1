"""/metrics as Prometheus takes it: checked by promtool, scraped by a real server, alerted on."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from servers import prometheus
from serving import START, Server, incident, minute, serving, warm

from txmon.server.receipt import OTHERS, Totals

RULES = ROOT / "examples" / "prometheus" / "score.yml"


def metrics(server: Server) -> dict[str, float]:
    text = server.client.get("/metrics").body.decode()
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def test_counts_expected_limits_and_score_are_there_by_status() -> None:
    with serving() as server:
        warm(server)
        incident(server)
        found = metrics(server)
        verdicts = server.client.get("/v1/verdicts?status=failed&limit=1").json()["verdicts"]
    (newest,) = verdicts
    for name, key in (("observed", "count"), ("expected", "expected"), ("low", "low"), ("high", "high")):
        assert found[f'txmon_{name}{{status="failed"}}'] == pytest.approx(newest[key], abs=0.01)
    assert found['txmon_score{status="failed"}'] == newest["score"] > 6
    assert found['txmon_recommendation{status="failed"}'] == 2
    assert found['txmon_observed{status="*"}'] == newest["total"]
    # 45 quiet minutes and two bad ones; the newest is still open
    assert found['txmon_transactions_total{status="failed"}'] == 45 + 120
    assert 'txmon_transactions_total{status="*"}' not in found


def test_statuses_that_clients_invent_do_not_grow_the_metrics() -> None:
    with serving() as server:
        rows = [{"time": minute(i), "status": f"s{n}", "count": 2} for i in range(3) for n in range(150)]
        assert server.post(rows).status == 200
        server.post([{"time": minute(4), "status": "approved", "count": 500}])
        server.post([{"time": minute(5), "status": "approved", "count": 500}])
        found = metrics(server)
    assert sum(name.startswith("txmon_score{") for name in found) == 100
    counted = {name: value for name, value in found.items() if name.startswith("txmon_transactions_total{")}
    assert len(counted) == 100
    assert counted[f'txmon_transactions_total{{status="{OTHERS}"}}'] > 0
    assert sum(counted.values()) == 300  # of the first minute, the only one that has closed


def test_what_has_no_series_of_its_own_is_added_up() -> None:
    totals = Totals()
    totals.close({"*": 10.0, "failed": 3.0, OTHERS: 2.0})
    totals.close({"*": 4.0, "failed": 4.0})
    assert totals.transactions == {"failed": 7, OTHERS: 7}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_finds_nothing_wrong() -> None:
    with serving() as server:
        warm(server)
        body = server.client.get("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True, timeout=60)


def ask(address: str, path: str, **values: str) -> Any:
    with urllib.request.urlopen(f"{address}{path}?{urllib.parse.urlencode(values)}", timeout=10) as answer:
        return json.load(answer)["data"]


def test_a_real_prometheus_scrapes_it_and_an_alert_on_the_score_fires(tmp_path: Path) -> None:
    with serving(now=START + 46 * 60) as server:
        warm(server)
        with prometheus(tmp_path, scrape=f"127.0.0.1:{server.port}", rules=RULES) as address:
            until = time.monotonic() + 60
            while not ask(address, "/api/v1/query", query='txmon_score{status="failed"}')["result"]:
                assert time.monotonic() < until
                time.sleep(0.2)
            assert ask(address, "/api/v1/alerts")["alerts"] == []
            server.clock.now += 300
            incident(server)
            while not (alerts := ask(address, "/api/v1/alerts")["alerts"]):
                assert time.monotonic() < until
                time.sleep(0.2)
            assert {(one["labels"]["alertname"], one["labels"]["status"], one["state"]) for one in alerts} == {
                ("PaymentStatusAboveNormal", "failed", "firing")
            }
            (found,) = ask(address, "/api/v1/query", query='txmon_observed{status="failed"}')["result"]
            assert found["value"][1] == "60"

"""examples/grafana: every query of the dashboards runs on the real server that it is for, and finds something."""

import json
import os
import re
import subprocess
import sysconfig
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from servers import Postgres, postgres, prometheus
from serving import START, incident, serving, warm

TXMON = str(Path(sysconfig.get_path("scripts")) / "txmon")
BOARDS = ROOT / "examples" / "grafana"


def board(name: str) -> Any:
    return json.loads((BOARDS / name).read_text())


def queries(found: Any, field: str) -> list[tuple[str, str]]:
    return [(panel["title"], target[field]) for panel in found["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("path", sorted(BOARDS.glob("*.json")), ids=lambda path: path.name)
def test_a_board_holds_together(path: Path) -> None:
    found = json.loads(path.read_text())
    variables = {one["name"] for one in found["templating"]["list"]}
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    places = [tuple(panel["gridPos"][name] for name in "xy") for panel in found["panels"]]
    assert len(set(places)) == len(places)
    for panel in found["panels"]:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        for target in panel["targets"]:
            text = target.get("expr") or target["rawSql"]
            assert set(re.findall(r"\$(\w+)", text)) - {"__rate_interval", "__timeFilter"} <= variables
    others = [json.loads(other.read_text()) for other in BOARDS.glob("*.json") if other != path]
    assert found["uid"] not in {other["uid"] for other in others}


def result(address: str, expression: str) -> list[Any]:
    shown = expression.replace("$instance", ".*").replace("$status", ".*").replace("$__rate_interval", "30s")
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': shown})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def test_prometheus_answers_the_queries_of_the_payments_board(tmp_path: Path) -> None:
    with serving(now=START + 50 * 60) as server:
        warm(server)
        incident(server)
        with prometheus(tmp_path, scrape=f"127.0.0.1:{server.port}") as address:
            until = time.monotonic() + 60
            asked = queries(board("payments.json"), "expr")
            while not all(result(address, expression) for _, expression in asked):
                assert time.monotonic() < until, [title for title, one in asked if not result(address, one)]
                time.sleep(0.5)
            for variable in board("payments.json")["templating"]["list"][1:]:
                matched = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert matched is not None
                labels = {one["metric"][matched[2]] for one in result(address, matched[1])}
                assert labels
                assert "*" not in labels


@pytest.fixture(scope="module")
def store() -> Iterator[Postgres]:
    with postgres() as server:
        server.run("GRANT CREATE, USAGE ON SCHEMA public TO txmon")
        words = ["replay", str(ROOT / "examples" / "transactions.csv"), "--out", f"sql:{server.url}/verdicts"]
        environment = {**os.environ, "TXMON_OUT_PASSWORD": server.PASSWORD}
        subprocess.run([TXMON, *words, "--chart", "never"], check=True, env=environment, timeout=120)
        yield server


def sql_of(text: str) -> str:
    """Return a query as Grafana sends it, for the sample's day and three statuses."""
    day = r"\1 BETWEEN '2026-03-02T00:00:00Z' AND '2026-03-02T23:59:59Z'"
    return re.sub(r"\$__timeFilter\(([^)]+)\)", day, text).replace("$status", "'approved', 'denied', 'failed'")


@pytest.mark.parametrize(("title", "text"), queries(board("verdicts-postgresql.json"), "rawSql"))
def test_postgresql_answers_the_queries_of_the_verdicts_board(store: Postgres, title: str, text: str) -> None:
    rows = store.run(sql_of(text).replace("%", "%%"))
    assert rows, title
    assert rows[0][0] is not None


def test_the_numbers_of_the_verdicts_board_are_those_of_the_file(store: Postgres) -> None:
    by_title = dict(queries(board("verdicts-postgresql.json"), "rawSql"))
    assert store.run(sql_of(by_title["Transactions"])) == [(255095,)]
    assert [row[1] for row in store.run(sql_of(by_title["Incidents"]))].count("opened") >= 6
    (annotation,) = board("verdicts-postgresql.json")["annotations"]["list"]
    assert len(store.run(sql_of(annotation["target"]["rawSql"]))) >= 6
    (variable,) = board("verdicts-postgresql.json")["templating"]["list"][1:]
    assert ("failed",) in store.run(variable["query"])

"""examples/: each script runs, and each file for another program is what that program takes."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import doc_blocks
import pytest
import yaml
from paths import ROOT
from serving import serving
from tools import need, need_all_in

EXAMPLES = ROOT / "examples"
SHOWS = {  # script -> what its output holds, in this order
    "judge_a_file.sh": [
        "failures: failed; 11 failed, normal is 0 to 5",
        "all                             6       6",
        "pages: 6, of which 0",
    ],
    "tail_a_log.sh": ["failures: failed", "volume loss", "issuer declines", "silence", "backend_reversed"],
    "serve_and_post.sh": ["2667 accepted", '"acknowledged": true', "txmon_open_incidents 1.0"],
    "notify_a_webhook.sh": ["webhook: taken (204", "opened firing Opened: failures", "resolved resolved Resolved"],
    "backtest.sh": [
        "all                   2       2",
        "caught after 2 min by reversed",
        "the present settings are best",
    ],
    "query_a_day.sh": ["20260302T0940-failed", "approved_pct", "approved,224270"],
    "analyze_checkouts.sh": ["14h and 15h: an outage. 0 seen", "hour   seen   expected"],
    "any_series.py": ["90 pt 3 login"],
    "watch_postgresql.sh": ['alertname="failures"', 'status="failed"', "active", "t\nopened|failures: failed"],
    "alert_from_prometheus.sh": ["accepted", 'alertname="PaymentStatusAboveNormal"', '"status":"success"'],
}
NEEDS = {  # script -> programs
    "watch_postgresql.sh": ["prometheus-alertmanager", "amtool", "psql"],
    "alert_from_prometheus.sh": ["prometheus", "prometheus-alertmanager", "amtool", "curl"],
}
TESTED_ELSEWHERE = {  # file -> where
    "post_transactions.py": "serve_and_post.sh runs it, and a test below",
    "post_transactions.rb": "a test below",
    "post_transactions.go": "a test below",
    "receive_webhook.py": "notify_a_webhook.sh runs it, and a test below",
    "txmon_submit.py": "needs Spark: tests/spark/test_spark.py",
}


def run(script: str, folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    need_all_in([(EXAMPLES / script).read_text()])
    kind = {".sh": ["sh"], ".py": [sys.executable], ".rb": ["ruby"], ".go": ["go", "run"]}[Path(script).suffix]
    return subprocess.run(
        [*kind, str(EXAMPLES / script), *arguments], cwd=folder, env=doc_blocks.environment(folder) | env,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def free_ports() -> str:
    """The first of three ports that follow each other; below those that the system gives to anybody who asks."""
    for first in range(15_000 + os.getpid() % 10_000, 32_000, 3):
        try:
            for port in range(first, first + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return str(first)
    raise AssertionError("no port is free")


@pytest.mark.parametrize("script", sorted(SHOWS))
def test_the_script_does_what_it_says(script: str, tmp_path: Path) -> None:
    missing = [program for program in NEEDS.get(script, ()) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    arguments = [free_ports()] if "[PORT]" in (EXAMPLES / script).read_text() else []
    done = run(script, tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    place = 0
    for part in SHOWS[script]:
        assert part in told, told
        if part in done.stdout:
            assert done.stdout.index(part) >= place, told
            place = done.stdout.index(part)


def test_every_script_runs_in_a_test_and_is_described() -> None:
    scripts = {path.name for kind in ("sh", "py", "rb", "go") for path in EXAMPLES.glob(f"*.{kind}")}
    assert scripts == {*SHOWS, *TESTED_ELSEWHERE}
    page = (EXAMPLES / "README.md").read_text()
    files = [str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file() and path.suffix != ".md"]
    assert [name for name in files if f"`{name}`" not in page and "__pycache__" not in name] == []


@pytest.mark.parametrize("language", ["py", "rb", "go"])
def test_a_post_that_is_sent_again_counts_once_and_a_refusal_is_said(language: str, tmp_path: Path) -> None:
    client = f"post_transactions.{language}"
    program = {"rb": "ruby", "go": "go"}.get(language, "sh")
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt-get install ruby golang-go")
    with serving(token="a-token-of-sixteen-letters") as server:
        address = f"http://127.0.0.1:{server.port}"
        sample = str(EXAMPLES / "transactions.csv")
        for _ in range(2):
            done = run(client, tmp_path, sample, address, TXMON_TOKEN="a-token-of-sixteen-letters")
            assert done.stdout.endswith("\n4783 accepted\n"), done.stderr
        assert server.engine.totals.records == 4783
        refused = run(client, tmp_path, sample, address, TXMON_TOKEN="another")
        assert refused.returncode == 1
        assert refused.stderr.startswith("401: ")
        assert '"code": "token-needed", "detail": "the token is wrong"' in refused.stderr


def test_the_receiver_takes_only_what_was_signed(tmp_path: Path) -> None:
    port = free_port()
    env = doc_blocks.environment(tmp_path) | {"TXMON_WEBHOOK": f"http://127.0.0.1:{port}/"}
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "receive_webhook.py"), port], env=env | {"TXMON_WEBHOOK_SECRET": "one"},
        stdout=subprocess.PIPE, text=True,
    ) as receiver:  # fmt: skip
        try:
            wait_for(port)
            test = [str(Path(sys.executable).with_name("txmon")), "notify", "--test"]
            forged = subprocess.run(
                test, env=env | {"TXMON_WEBHOOK_SECRET": "two"}, capture_output=True, text=True, timeout=60, check=False
            )
            assert "401" in forged.stdout
            subprocess.run(test, env=env | {"TXMON_WEBHOOK_SECRET": "one"}, capture_output=True, timeout=60, check=True)
        finally:
            receiver.terminate()
        assert receiver.stdout is not None
        assert receiver.stdout.read() == "test info Test: txmon can reach you here\n"


def wait_for(port: str) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                return
        time.sleep(0.1)
    pytest.fail("nobody listens")


# metrics


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """The names and labels of all samples of a real /metrics, after a day and an error."""
    with serving() as server:
        sample = (EXAMPLES / "transactions.csv").read_bytes()
        assert server.post(sample, "text/csv").status == 200
        assert server.client.get("/nowhere").status == 404
        text = server.client.get("/metrics").body.decode()
    return {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\btxmon_\w+", expression))


def test_a_metric_that_is_not_exposed_would_be_seen(exposed: set[str]) -> None:
    assert len(exposed) > 10
    assert metrics_of("rate(txmon_recrods_total[5m]) > 0") - exposed == {"txmon_recrods_total"}


def test_the_rules_ask_for_metrics_that_are_exposed(exposed: set[str]) -> None:
    (group,) = yaml.safe_load((EXAMPLES / "prometheus" / "rules.yml").read_text())["groups"]
    expressions = [rule["expr"] for rule in group["rules"]]
    assert len(expressions) == 8
    asked = set().union(*map(metrics_of, expressions))
    assert asked <= exposed
    assert len(asked) >= 7
    page = (ROOT / "docs" / "how-to" / "prometheus.md").read_text()
    assert [rule["alert"] for rule in group["rules"] if f"`{rule['alert']}`" not in page] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
@pytest.mark.parametrize(
    "arguments", ["check rules rules.yml", "test rules rules_test.yml", "check config prometheus.yml"]
)
def test_promtool_has_nothing_against_them(arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments.split()],
        cwd=EXAMPLES / "prometheus",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_of_the_dashboard_asks_for_metrics_that_are_exposed(exposed: set[str]) -> None:
    board = json.loads((EXAMPLES / "grafana" / "dashboard.json").read_text())
    variables = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval"}
    for panel in board["panels"]:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            expression = target["expr"]
            assert metrics_of(expression), expression
            assert metrics_of(expression) <= exposed
            assert set(re.findall(r"\$(\w+)", expression)) <= variables
    asked = [variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    assert set().union(*map(metrics_of, asked)) <= exposed
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) == 8


# Kubernetes, systemd


@pytest.fixture(scope="module")
def pod() -> Any:
    manifest = yaml.safe_load((EXAMPLES / "kubernetes" / "sidecar.yaml").read_text())
    assert manifest["kind"] == "StatefulSet"
    return manifest["spec"]["template"]["spec"]


def sidecar(pod: Any) -> Any:
    return next(container for container in pod["initContainers"] if container["name"] == "txmon")


def test_the_sidecar_begins_and_answers_its_probes(pod: Any, tmp_path: Path) -> None:
    txmon = sidecar(pod)
    folders = [mount["mountPath"] for mount in txmon["volumeMounts"]]
    arguments = txmon["args"]
    for number, folder in enumerate(folders):  # the pod's volumes are folders here, its address this machine's
        (tmp_path / str(number)).mkdir()
        arguments = [argument.replace(folder, str(tmp_path / str(number))) for argument in arguments]
    assert not [argument for argument in arguments if "=/var" in argument or "=/etc" in argument]
    arguments = [argument.replace("0.0.0.0", "127.0.0.1") for argument in arguments]
    (tmp_path / "2" / "webhook").write_text("http://127.0.0.1:9/?sig=0123456789abcdef")
    port = free_port()
    env = doc_blocks.environment(tmp_path) | {txmon["env"][0]["name"]: "0123456789abcdef", "TXMON_PORT": port}
    with subprocess.Popen(
        [Path(sys.executable).with_name("txmon"), *arguments], env=env, cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            wait_for(port)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = txmon[probe]["httpGet"]["path"]
                answer = subprocess.run(
                    [need("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}{path}"],
                    capture_output=True, text=True, timeout=30, check=True,
                ).stdout  # fmt: skip
                assert (probe, answer) == (probe, "200")
        finally:
            process.terminate()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told


def test_the_manifest_holds_together(pod: Any) -> None:
    txmon = sidecar(pod)
    assert doc_blocks.unknown(txmon["args"]) is None
    assert txmon["restartPolicy"] == "Always"  # or the pod would wait for it to end
    (port,) = txmon["ports"]
    assert port["containerPort"] == 8080
    assert {txmon[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe")} == {port["name"]}
    manifest = yaml.safe_load((EXAMPLES / "kubernetes" / "sidecar.yaml").read_text())
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in manifest["spec"]["volumeClaimTemplates"]}
    mounted = [mount["name"] for c in [*pod["initContainers"], *pod["containers"]] for mount in c["volumeMounts"]]
    assert set(mounted) == volumes
    user = re.search(r"^USER (\d+)", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert pod["securityContext"]["runAsUser"] == int(user[1])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", ["txmon.service", "txmon-serve.service"])
def test_systemd_has_nothing_against_the_unit(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    txmon = str(Path(sys.executable).with_name("txmon"))
    unit.write_text((EXAMPLES / name).read_text().replace("/opt/txmon/bin/txmon", txmon))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_shell_scripts_are_shell() -> None:
    for path in EXAMPLES.glob("*.sh"):
        assert os.access(path, os.X_OK), path
        subprocess.run(["sh", "-n", str(path)], check=True)
        for words in doc_blocks.commands(path.read_text()):
            shown = [re.sub(r"\$\w+", "1", word) for word in words]  # a variable is a file or a number here
            assert doc_blocks.unknown(shown) is None, shlex.join(words)

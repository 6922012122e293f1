"""Kafka as a source and as a sink, against librdkafka's own mock cluster."""

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("confluent_kafka")

from broker import SECONDS, Cluster, until

from txmon.cli.main import run as txmon
from txmon.errors import ConfigError, IoFailure
from txmon.ingest.kafka import KafkaSource
from txmon.sinks.kafka import KafkaLines, identity_of

FAST = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 50}


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def sources() -> Iterator[list[KafkaSource]]:
    found: list[KafkaSource] = []
    yield found
    for source in found:
        source.close()


def read(source: KafkaSource, many: int) -> tuple[list[bytes], dict[str, Any]]:
    """At least so many lines, and the position after them."""
    lines: list[bytes] = []
    place: dict[str, Any] = {}

    def more() -> bool:
        nonlocal place
        chunk = source.read()
        if chunk is not None:
            lines.extend(chunk.lines)
            place = source.position(chunk.start + sum(map(len, chunk.lines)) + len(chunk.lines)) or {}
        return len(lines) >= many

    until(more)
    return lines, place


def numbered(first: int, last: int) -> list[bytes]:
    return [str(n).encode() for n in range(first, last)]


def test_partitions_with_a_backlog_come_in_the_order_of_their_time(
    cluster: Cluster, sources: list[KafkaSource]
) -> None:
    topic = cluster.topic()
    for partition in range(3):
        values = [f"{n:05d}-{partition}".encode() for n in range(4000)]
        cluster.send(topic, partition, values, [10**12 + 1000 * n for n in range(4000)])
    sources.append(KafkaSource(cluster.servers, topic, "order", options={**FAST, "fetch.message.max.bytes": 20_000}))
    lines, place = read(sources[0], 12_000)
    assert [line[:5] for line in lines] == sorted(line[:5] for line in lines)
    assert len(set(lines)) == 12_000
    assert place == {"offsets": {"0": 4000, "1": 4000, "2": 4000}}


def test_a_restart_goes_on_at_the_position(cluster: Cluster, sources: list[KafkaSource]) -> None:
    topic = cluster.topic()
    for partition in range(2):
        values = numbered(1000 * partition, 1000 * partition + 100)
        cluster.send(topic, partition, values, [10**12 + n for n in range(100)])
    first = KafkaSource(cluster.servers, topic, "restart", options=FAST)
    given: list[bytes] = []
    chunk = None
    while len(given) + len(chunk.lines if chunk else []) < 200:
        given += chunk.lines if chunk else []
        chunk = first.read()
    assert chunk is not None
    half = len(chunk.lines) // 2  # a position in the middle of what was read
    place = first.position(chunk.start + sum(len(line) + 1 for line in chunk.lines[:half]))
    first.close()
    sources.append(KafkaSource(cluster.servers, topic, "restart", position=json.loads(json.dumps(place)), options=FAST))
    rest, _ = read(sources[0], len(chunk.lines) - half)
    assert sorted(given + chunk.lines[:half] + rest) == sorted(numbered(0, 100) + numbered(1000, 1100))


def test_the_group_learns_of_what_was_saved_and_of_no_more(cluster: Cluster, sources: list[KafkaSource]) -> None:
    topic = cluster.topic()
    cluster.send(topic, 0, numbered(0, 50), [10**12] * 50)
    first = KafkaSource(cluster.servers, topic, "saved", options=FAST)
    _, place = read(first, 50)
    first.saved(place)
    cluster.send(topic, 0, numbered(50, 80), [10**12] * 30)
    assert read(first, 30)[0] == numbered(50, 80)
    first.close()
    # without a state, where the group stands; with an older one, that too: another process had the partition since
    for position in (None, {"offsets": {"0": 3}}):
        source = KafkaSource(cluster.servers, topic, "saved", position=position, options=FAST)
        assert read(source, 30)[0] == numbered(50, 80)
        source.close()
    sources.append(KafkaSource(cluster.servers, topic, "saved", position={"offsets": {"0": 70}}, options=FAST))
    assert read(sources[0], 10)[0] == numbered(70, 80)


def test_a_second_process_takes_partitions_over_and_gives_them_back(
    cluster: Cluster, sources: list[KafkaSource]
) -> None:
    topic = cluster.topic()
    first = KafkaSource(cluster.servers, topic, "shared", options=FAST)
    second = KafkaSource(cluster.servers, topic, "shared", options=FAST)
    seen: dict[KafkaSource, list[bytes]] = {first: [], second: []}
    number = 0

    def both() -> bool:
        nonlocal number
        for partition in range(2):
            cluster.send(topic, partition, [f"{number}-{partition}".encode()], [10**12 + number])
        number += 1
        for source in seen:
            chunk = source.read()
            if chunk is not None:
                seen[source] += chunk.lines
                source.saved(source.position(chunk.start + sum(len(line) + 1 for line in chunk.lines)) or {})
        return all(len(lines) > 5 for lines in seen.values())

    until(both)
    second.close()
    sources.append(first)
    wanted = {f"{n}-{partition}".encode() for n in range(number) for partition in range(2)}

    def rest() -> bool:
        chunk = first.read()
        seen[first] += chunk.lines if chunk else []
        return wanted <= {*seen[first], *seen[second]}

    until(rest)


def test_options_that_mean_nothing_are_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r'No such configuration property: "no\.such"'):
        KafkaSource(cluster.servers, "t", "g", options={"no.such": 1})


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError, match=r"pip install 'txmon\[kafka\]'"):
        KafkaSource("127.0.0.1:9", "t", "g")


def test_an_address_without_a_topic_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert txmon(["watch", "--kafka", "broker:9092"]) == 2
    assert "is not SERVERS/TOPIC" in capfd.readouterr().err


def watching(arguments: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "txmon", "watch", *arguments], stderr=subprocess.PIPE)


def test_watch_goes_on_from_its_state_as_if_it_had_never_stopped(cluster: Cluster, tmp_path: Path) -> None:
    stream, out, state = tmp_path / "stream.jsonl", tmp_path / "out.jsonl", tmp_path / "state"
    arguments = "--start 2026-03-02T08:00:00Z --days 0.05 --format jsonl --incident failed:+30@08:50/8m --seed 4"
    assert txmon(["simulate", *arguments.split(), "--out", str(stream)]) == 0
    lines = stream.read_bytes().splitlines()
    stamps = [10**12 + 1000 * n for n in range(len(lines))]
    topic = cluster.topic()
    command = ["--kafka", f"{cluster.servers}/{topic}", "--group", "watch", "--sigma", "5", "--chart", "never"]
    for part in (slice(0, 200), slice(200, None)):
        cluster.send(topic, 0, lines[part], stamps[part])
        newest = json.loads(lines[part][-1])["time"]
        process = watching([*command, "--state", str(state), "--out", str(out)])
        closed = [json.loads(line)["time"] for line in lines[part]]
        last = max(moment for moment in closed if moment < newest)
        until(lambda last=last: out.exists() and f'"time": "{last}"' in out.read_text())  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said.decode()
    whole = tmp_path / "whole.jsonl"
    assert txmon(["replay", str(stream), "--sigma", "5", "--chart", "never", "--out", str(whole)]) == 0
    wanted = [line for line in whole.read_text().splitlines() if json.loads(line)["time"] < newest]
    got = [line for line in out.read_text().splitlines() if '"partial"' not in line]
    assert got == wanted
    assert os.stat(state).st_size > 0


VERDICT = '{"time": "2026-03-02T10:00:00Z", "status": "failed", "key": {"merchant": "m1"}, "count": 3}'
REVISED = VERDICT.replace("}}", "}").replace('"count": 3}', '"count": 4, "revises": true}')
EVENT = '{"time": "2026-03-02T10:01:00Z", "event": "incident", "state": "opened", "id": "20260302T1001-failed-m1"}'
TREND = '{"time": "2026-03-02T10:02:00Z", "event": "trend", "status": "failed"}'
BAD = '{"source": "a.csv", "line": 7, "kind": "count", "raw": "x"}'


def test_lines_are_sent_under_what_they_are_of(cluster: Cluster) -> None:
    topic = cluster.topic()
    sink = KafkaLines(cluster.servers, topic)
    lines = [("verdict", VERDICT), ("verdict", REVISED), ("incident", EVENT), ("trend", TREND), ("reject", BAD)]
    for kind, line in lines:
        sink.send(kind, line, 12, lane=6)
    sink.flush()
    found = cluster.messages(topic)
    assert [(dict(one.headers() or [])["kind"].decode(), (one.value() or b"").decode()) for one in found] == lines
    assert {dict(one.headers() or [])["batch"] for one in found} == {b"12"}
    assert {one.partition() for one in found} == {6 % 4}
    assert [(one.key() or b"").decode() for one in found] == [
        "2026-03-02T10:00:00Z/m1/failed", "2026-03-02T10:00:00Z/m1/failed/revised",
        "20260302T1001-failed-m1/opened/2026-03-02T10:01:00Z", "2026-03-02T10:02:00Z/trend/failed",
        identity_of("reject", BAD),
    ]  # fmt: skip
    assert identity_of("reject", BAD).startswith("a.csv/7/")
    assert identity_of("reject", BAD) != identity_of("reject", BAD.replace("x", "y"))


def test_lines_that_do_not_arrive_are_an_error(cluster: Cluster) -> None:
    with pytest.raises(IoFailure, match=r"^kafka:127\.0\.0\.1:9/t: "):
        KafkaLines("127.0.0.1:9", "t", {"message.timeout.ms": 500})
    with pytest.raises(ConfigError, match="No such configuration property"):
        KafkaLines(cluster.servers, "t", {"no.such": 1})
    short = KafkaLines(cluster.servers, cluster.topic(), {"message.max.bytes": 1000, "message.timeout.ms": 5000})
    gone = Cluster()
    sink = KafkaLines(gone.servers, gone.topic(), {"message.timeout.ms": 1000})
    del gone
    gc.collect()  # and with it its cluster
    for _ in range(3):
        sink.send("verdict", VERDICT, 1, 0)
    with pytest.raises(IoFailure, match="3 lines did not arrive: Local: Message timed out"):
        sink.flush()
    with pytest.raises(IoFailure, match="Message size too large"):
        short.send("verdict", VERDICT.replace("m1", "m" * 2000), 1, 0)


def test_a_source_knows_that_no_broker_answers(sources: list[KafkaSource]) -> None:
    cluster = Cluster()
    topic = cluster.topic()
    cluster.send(topic, 0, [b"a"], [1000])
    source = KafkaSource(cluster.servers, topic, "g", options={"fetch.wait.max.ms": 50})
    sources.append(source)
    until(lambda: source.read() is not None)
    assert source.connected
    del cluster.producer  # and with it the brokers
    until(lambda: source.read() is None and not source.connected)


HOST = """
import sys
from broker import Cluster
cluster = Cluster()
topic = cluster.topic()
print(cluster.servers, topic, flush=True)
for line in sys.stdin:
    cluster.send(topic, 0, [line.strip().encode()], [1000])
    print("sent", flush=True)
"""


def test_a_source_goes_on_when_its_brokers_return(sources: list[KafkaSource]) -> None:
    helpers = str(Path(__file__).parent.parent / "helpers")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([helpers, os.environ.get("PYTHONPATH", "")])}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOST], stdin=pipe, stdout=pipe, env=environment, text=True) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        try:
            servers, topic = host.stdout.readline().split()

            def send(value: str) -> None:
                assert host.stdin is not None
                assert host.stdout is not None
                host.stdin.write(f"{value}\n")
                host.stdin.flush()
                assert host.stdout.readline() == "sent\n"

            send("before")
            options: dict[str, str | int] = {"fetch.wait.max.ms": 50, "socket.timeout.ms": 1000}
            source = KafkaSource(servers, topic, "g", options=options)
            sources.append(source)
            assert read(source, 1)[0] == [b"before"]
            for number in range(2):  # away and back again, twice
                host.send_signal(signal.SIGSTOP)
                until(lambda: source.read() is None and not source.connected)
                host.send_signal(signal.SIGCONT)
                send(f"after {number}")
                assert read(source, 1)[0] == [f"after {number}".encode()]
                until(lambda: source.read() is None and source.connected)
        finally:
            host.kill()

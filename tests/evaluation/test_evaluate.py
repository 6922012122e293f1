"""txmon evaluate: the rules by hand, the whole against score.py, and bad input."""

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from paths import ROOT, SHARED

from txmon.cli.commands.evaluate import evaluate
from txmon.errors import BadData, NoInput, TxmonError, UsageError
from txmon.evaluation.evaluate import episodes, read_alerts, read_labels, score, total

SCORE = SHARED / "bench" / "score.py"
TXMON = str(Path(sys.executable).with_name("txmon"))
DAY = "2026-03-02T"
STATUSES = ("approved", "denied", "failed", "*")


def at(minute: int) -> str:
    return (datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


def verdict(minute: int, status: str = "denied", recommendation: str = "alert") -> dict[str, Any]:
    return {"time": at(minute), "status": status, "recommendation": recommendation}


def lines(*rows: dict[str, Any]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


def incident(kind: str, statuses: list[str], start: int, end: int, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "statuses": statuses, "start": at(start), "end": at(end), **more}


def truth(*incidents: dict[str, Any], warmup: int = 0) -> bytes:
    return json.dumps({"warmup": at(warmup), "incidents": incidents}).encode()


def scored(rows: list[dict[str, Any]], labels: bytes) -> dict[str, Any]:
    return score(read_alerts(lines(*rows), "v"), read_labels(labels, "l")).as_json()


def test_caught_with_its_delay_and_nothing_false() -> None:
    rows = [verdict(99, recommendation="ok"), verdict(103), verdict(104), verdict(1440, recommendation="ok")]
    result = scored(rows, truth(incident("step", ["denied"], 100, 120)))
    assert (result["incidents"], result["caught"], result["recall"]) == (1, 1, 1.0)
    assert result["delay_median_min"] == result["delay_p90_min"] == 3.0
    assert (result["false_episodes"], result["days"]) == (0, 1.0)
    assert result["kinds"] == {"step": {"incidents": 1, "caught": 1, "delay_median_min": 3.0}}


@pytest.mark.parametrize(
    ("minute", "status", "caught", "false"),
    [
        (100, "denied", 1, 0),
        (120, "denied", 1, 0),
        (121, "denied", 0, 0),  # too late to catch it, excused by the grace
        (130, "denied", 0, 0),
        (131, "denied", 0, 1),
        (99, "denied", 0, 1),
        (110, "failed", 0, 1),  # another status
        (110, "*", 0, 1),  # one status does not excuse the total
    ],
)
def test_the_edges_of_an_incident(minute: int, status: str, caught: int, false: int) -> None:
    result = scored([verdict(minute, status)], truth(incident("step", ["denied"], 100, 120)))
    assert (result["caught"], result["false_episodes"]) == (caught, false)


def test_affects_excuses_but_does_not_catch() -> None:
    labels = truth(incident("outage", ["reversed"], 100, 120, affects=["reversed", "failed"]))
    result = scored([verdict(105, "failed"), verdict(106, "*")], labels)
    assert (result["caught"], result["false_episodes"]) == (0, 0)
    assert [row["kind"] for row in result["missed"]] == ["outage"]


def test_alerts_before_the_warmup_are_not_false() -> None:
    assert scored([verdict(99), verdict(100)], truth(warmup=100))["false_alarms"] == [
        {"status": "denied", "start": at(100), "end": at(100)}
    ]


def test_an_episode_ends_after_five_quiet_minutes() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    times = [start + timedelta(minutes=m) for m in (0, 5, 10, 16)]
    assert [(e.start, e.end) for e in episodes("denied", times)] == [(times[0], times[2]), (times[3], times[3])]


def test_pages_are_the_incidents_opened_after_the_warmup() -> None:
    events = [
        {"time": at(m), "event": "incident", "state": state, "statuses": statuses}
        for m, state, statuses in [
            (5, "opened", ["denied"]),  # before the warm-up
            (105, "opened", ["denied", "failed"]),
            (106, "escalated", ["denied"]),
            (107, "opened", ["failed"]),  # on no label
            (109, "resolved", ["denied"]),
        ]
    ]
    result = scored([verdict(105), *events], truth(incident("step", ["denied"], 100, 120), warmup=60))
    assert (result["pages"], result["false_pages"]) == (2, 1)


def test_verdicts_of_another_tool_have_no_pages() -> None:
    assert scored([verdict(1)], truth())["pages"] is None
    assert scored([verdict(1, recommendation="ok")], truth())["pages"] == 0


def test_several_streams_are_added_up() -> None:
    labels = read_labels(truth(incident("step", ["denied"], 100, 120)), "l")
    one = score(read_alerts(lines(verdict(101), verdict(720, recommendation="ok")), "v"), labels)
    other = score(read_alerts(lines(verdict(300), verdict(720, recommendation="ok")), "v"), labels)
    both = total([one, other]).as_json()
    assert (both["incidents"], both["caught"], both["false_episodes"], both["days"]) == (2, 1, 1, 1.0)
    assert both["false_per_day"] == 1.0
    assert both["pages"] is None


def random_case(rng: random.Random) -> tuple[list[dict[str, Any]], bytes]:
    """Alerts and labels that touch, overlap, and lie before the warm-up."""
    rows = [
        verdict(minute, status, rng.choice(["ok", "pending", "alert"]))
        for minute in range(0, 600, rng.choice([1, 2, 7]))
        for status in rng.sample(STATUSES, 2)
    ]
    rng.shuffle(rows)
    incidents = []
    for n in range(rng.randrange(8)):
        start = rng.randrange(600)
        more = {"affects": rng.sample(STATUSES, rng.randrange(1, 4))} if rng.random() < 0.4 else {}
        kind = f"kind {n % 3}"
        incidents.append(incident(kind, rng.sample(STATUSES, rng.randrange(1, 3)), start, start + n * 7, **more))
    return rows, truth(*incidents, warmup=rng.randrange(120))


def score_py(*pairs: Path) -> dict[str, Any]:
    command = [sys.executable, str(SCORE), *map(str, pairs), "--json"]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)
    return result


def evaluated(*pairs: Path) -> dict[str, Any]:
    arguments = [str(path) for path in pairs[::2]] + [w for path in pairs[1::2] for w in ("--labels", str(path))]
    done = CliRunner().invoke(evaluate, [*arguments, "--json"], catch_exceptions=False)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.skipif(not SCORE.exists(), reason="needs ../shared/bench/score.py")
def test_random_streams_score_as_score_py_does(tmp_path: Path) -> None:
    rng = random.Random(3)
    pairs = []
    for n in range(12):
        rows, labels = random_case(rng)
        pairs += [tmp_path / f"{n}.jsonl", tmp_path / f"{n}.json"]
        pairs[-2].write_bytes(b"\n".join(lines(*rows)) + b"\n")
        pairs[-1].write_bytes(labels)
    expected = score_py(*pairs)
    assert expected["caught"] < expected["incidents"]  # the cases are not trivial
    assert expected["false_episodes"] > 20
    assert {key: evaluated(*pairs)[key] for key in expected} == expected
    for n in range(0, len(pairs), 2):
        expected = score_py(*pairs[n : n + 2])
        assert {key: evaluated(*pairs[n : n + 2])[key] for key in expected} == expected


@pytest.mark.skipif(not SCORE.exists(), reason="needs ../shared")
def test_the_real_files_score_as_score_py_does(tmp_path: Path) -> None:
    pairs = []
    for n in (1, 2):
        data = SHARED / "data" / f"transactions_{n}.csv"
        pairs += [tmp_path / f"{n}.jsonl", data.with_suffix(".labels.json")]
        command = [TXMON, "replay", str(data), "--date", "2026-03-02", "--sigma", "3", "--out", str(pairs[-2])]
        subprocess.run(command, timeout=60, check=True)
    expected = score_py(*pairs)
    assert expected["false_episodes"] > 0
    assert {key: evaluated(*pairs)[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"time": "2026-', "v: line 2, column 10: is not JSON"),
        (b"[1]", "v: line 2: is not a JSON object"),
        (b"\xff", "v: line 2: is not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "v: line 2: is not JSON"),
        (b'{"recommendation": "ok"}', "v: line 2: time: nothing is not an ISO 8601 time"),
        (b'{"recommendation": "ok", "time": "noon"}', "v: line 2: time: 'noon' is not an ISO 8601 time"),
        (b'{"recommendation": "ok", "time": "0001-01-01T00:00:00+14:00"}', "is not an ISO 8601 time"),
        (b'{"recommendation": "alert", "time": "2026-03-02", "status": 5}', "v: line 2: status: 5 is not a text"),
        (
            b'{"event": "incident", "state": "opened", "time": "2026-03-02"}',
            "v: line 2: statuses: nothing is not a list of statuses",
        ),
    ],
)
def test_a_bad_verdict_names_its_line(line: bytes, message: str) -> None:
    with pytest.raises(BadData) as caught:
        read_alerts([*lines(verdict(1)), line], "v")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blank_lines_are_nothing_and_lines_without_a_verdict_are_wrong() -> None:
    assert read_alerts([b"", b" \r", *lines(verdict(1))], "v").last is not None
    assert read_alerts([], "v").last is None
    with pytest.raises(BadData, match="none of its 2 lines is a verdict"):
        read_alerts([b'{"time": "2026-03-02", "status": "denied"}', b"{}"], "v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"warmup": ', "l: is not JSON (line 1, column 12:"),
        (b"[]", "l: is not an object with `warmup` and a list of `incidents`"),
        (b'{"incidents": []}', "l: warmup: nothing is not an ISO 8601 time"),
        (truth({"kind": "a"}), "l: incidents[0].statuses: nothing is not a list of statuses"),
        (
            truth(incident("a", ["x"], 1, 2) | {"statuses": "denied"}),
            "incidents[0].statuses: 'denied' is not a list of statuses",
        ),
        (truth(incident("a", ["x"], 1, 2), incident("a", ["x"], 2, 1)), "l: incidents[1]: ends at"),
        (truth(incident("a", ["x"], 1, 2) | {"end": 7}), "l: incidents[0].end: 7 is not an ISO 8601 time"),
        (truth(incident("a", ["x"], 1, 2) | {"kind": None}), "l: incidents[0].kind: nothing is not a text"),
    ],
)
def test_a_bad_label_names_its_place(text: bytes, message: str) -> None:
    with pytest.raises(BadData) as caught:
        read_labels(text, "l")
    assert message in str(caught.value)


def failure(*arguments: str) -> TxmonError:
    error = CliRunner().invoke(evaluate, list(arguments)).exception
    assert isinstance(error, TxmonError)
    return error


def test_files_and_labels_come_in_pairs(tmp_path: Path) -> None:
    labels = tmp_path / "l.json"
    labels.write_bytes(truth())
    assert isinstance(failure("a", "b", "--labels", str(labels)), UsageError)
    assert isinstance(failure("-", "--labels", "-"), UsageError)
    assert isinstance(failure(str(tmp_path / "none"), "--labels", str(labels)), NoInput)
    assert isinstance(failure(str(labels), "--labels", str(tmp_path / "none")), NoInput)


def test_the_text_names_what_was_missed_and_what_was_false(tmp_path: Path) -> None:
    rows = [verdict(m, "failed\x1b[31m") for m in range(0, 300, 20)]
    (tmp_path / "v").write_bytes(b"\n".join(lines(*rows)))
    (tmp_path / "l").write_bytes(truth(incident("step", ["denied"], 100, 120)))
    done = CliRunner().invoke(evaluate, [str(tmp_path / "v"), "--labels", str(tmp_path / "l")], catch_exceptions=False)
    assert f"missed: step from {at(100)} to {at(120)}\n" in done.output
    assert f"false: failed?[31m from {at(0)} to {at(0)}\n" in done.output
    assert "false: 5 more (--json names all)\n" in done.output
    assert "pages: the verdicts contain no incident lines\n" in done.output
    assert "\x1b" not in done.output


def test_the_benchmark_says_of_txmon_what_evaluate_says(tmp_path: Path) -> None:
    root = ROOT
    sample = root / "examples" / "transactions.csv"
    subprocess.run([TXMON, "replay", str(sample), "--out", str(tmp_path / "v")], timeout=60, check=True)
    command = [sys.executable, str(root / "benchmarks" / "detection.py"), "--shared", str(tmp_path / "none"), "--json"]
    command += ["--scenarios", "none"]
    done = subprocess.run([*command, "--only", "txmon", "--only", "EWMA"], capture_output=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert found["txmon, defaults"]["sample"] == evaluated(tmp_path / "v", sample.with_suffix(".labels.json"))
    peer = found["EWMA, 3.5 sigma"]["sample"]
    assert peer["incidents"] == 6
    assert peer["false_episodes"] > 20  # a z-score on counts cries wolf


def keyed(minute: int, merchant: str, status: str = "denied") -> dict[str, Any]:
    return verdict(minute, status) | {"key": {"merchant": merchant}}


def test_a_label_with_a_key_is_caught_by_alerts_of_that_key_alone() -> None:
    labels = truth(incident("step", ["denied"], 100, 120, key={"merchant": "m1"}))
    other = scored([keyed(105, "m2"), keyed(1440, "m2", "failed")], labels)
    assert (other["caught"], other["false_episodes"]) == (0, 2)
    assert other["missed"][0]["key"] == {"merchant": "m1"}
    assert other["false_alarms"][0]["key"] == {"merchant": "m2"}
    own = scored([keyed(105, "m1"), keyed(108, "m1")], labels)
    assert (own["caught"], own["false_episodes"], own["delay_median_min"]) == (1, 0, 5.0)


def test_an_alert_without_a_key_fits_a_label_of_any_key() -> None:
    labels = truth(incident("step", ["denied"], 100, 120, key={"merchant": "m1"}))
    result = scored([verdict(105), verdict(400)], labels)
    assert (result["caught"], result["false_episodes"]) == (1, 1)


def test_a_label_without_a_key_is_of_all_keys() -> None:
    labels = truth(
        incident("outage", ["denied"], 100, 120), incident("step", ["denied"], 500, 520, key={"merchant": "m1"})
    )
    result = scored([keyed(103, "m2"), keyed(104, "m3")], labels)
    assert (result["caught"], result["false_episodes"]) == (1, 0)


def test_false_alarms_of_two_keys_are_two_episodes_where_labels_name_keys() -> None:
    rows = [keyed(300, "m1"), keyed(300, "m2"), keyed(301, "m1")]
    assert scored(rows, truth(incident("step", ["denied"], 100, 120)))["false_episodes"] == 1
    with_keys = truth(incident("step", ["denied"], 100, 120, key={"merchant": "m1"}))
    assert scored(rows, with_keys)["false_episodes"] == 2


def test_a_label_of_one_dimension_fits_the_alerts_of_two() -> None:
    labels = truth(incident("step", ["denied"], 100, 120, key={"merchant": "m1"}))
    rows = [verdict(105) | {"key": {"merchant": "m1", "issuer": "a"}}]
    assert scored(rows, labels)["caught"] == 1


@pytest.mark.parametrize("key", ["m1", ["m1"], {"merchant": 1}, 3])
def test_a_key_that_is_no_object_of_texts_is_told(key: Any) -> None:
    with pytest.raises(BadData, match=r"incidents\[0\]: key: .* is not an object of texts"):
        read_labels(truth(incident("step", ["denied"], 100, 120, key=key)), "l")
    with pytest.raises(BadData, match="line 1: key"):
        read_alerts(lines(verdict(1) | {"key": key}), "v")


def test_incidents_of_another_key_are_pages_on_no_label() -> None:
    def page(minute: int, merchant: str) -> dict[str, Any]:
        opened = {"event": "incident", "state": "opened", "time": at(minute), "statuses": ["denied"]}
        return opened | {"key": {"merchant": merchant}}

    labels = truth(incident("step", ["denied"], 100, 120, key={"merchant": "m1"}))
    result = scored([keyed(105, "m1"), page(105, "m1"), page(106, "m2"), verdict(1440, recommendation="ok")], labels)
    assert (result["pages"], result["false_pages"]) == (2, 1)


def test_the_reading_of_the_verdicts_is_stated(tmp_path: Path) -> None:
    event = {"event": "incident", "state": "opened", "id": "i", "time": at(103), "statuses": ["denied"]}
    trend = {"event": "trend", "time": at(5)}
    rows = [verdict(1, "approved", "ok"), verdict(103), event, trend, verdict(200, recommendation="ok")]
    (tmp_path / "v.jsonl").write_bytes(b"\n".join(lines(*rows)))
    (tmp_path / "l.json").write_bytes(truth(incident("step", ["denied"], 100, 120)))
    done = CliRunner().invoke(evaluate, [str(tmp_path / "v.jsonl"), "--labels", str(tmp_path / "l.json")])
    assert done.stderr.splitlines() == [
        f"txmon: {tmp_path / 'v.jsonl'}: verdict lines; 3 verdicts of 2 series from {at(1)} to {at(200)}; 1 alert, "
        "1 incident; not scored: 1 trend line"
    ]
    assert "verdict lines" not in done.stdout

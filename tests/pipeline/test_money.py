"""Money above or below normal: the same on every way in, per currency, and nothing where there are no amounts."""

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from txmon.detection.money import MoneyBook
from txmon.ingest.aggregate.whole import WholeInput
from txmon.ingest.records import Record
from txmon.model.money import CURRENCY, SCALE, Money, MoneyTable, Sums, added
from txmon.model.verdict import Stated, Verdict

START: Final = datetime(2026, 3, 2)
FIELDS: Final = ("id", "timestamp", "status", "amount", "currency")
Row = tuple[str, str, str, str, str]


def rows() -> list[Row]:
    """Four hours of payments in two currencies, 60 a minute; for 15 minutes half of them are denied."""
    chance = random.Random(7)
    found: list[Row] = []
    for minute in range(240):
        share = 0.5 if 180 <= minute < 195 else 0.05
        for second in range(60):
            status = "denied" if chance.random() < share else "approved"
            time = START + timedelta(minutes=minute, seconds=second)
            amount = f"{chance.uniform(5, 15):.2f}"
            currency = "USD" if chance.random() < 0.75 else "BRL"
            found.append((f"t{len(found)}", time.strftime("%Y-%m-%dT%H:%M:%SZ"), status, amount, currency))
    return found


ROWS: Final = rows()


def csv_of(some: Iterable[Sequence[str]], fields: Sequence[str] = FIELDS) -> bytes:
    places = [FIELDS.index(name) for name in fields]
    return "\n".join([",".join(fields), *(",".join(row[place] for place in places) for row in some), ""]).encode()


def txmon(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "txmon", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def lines(output: bytes) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in output.splitlines()]
    return [row for row in found if row.get("event") != "trend" and not row.get("partial")]


def replayed(path: Path, content: bytes, *more: str) -> list[dict[str, Any]]:
    path.write_bytes(content)
    done = txmon("replay", str(path), "--only", "alerts", *more)
    assert done.returncode == 0, done.stderr
    return lines(done.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return replayed(tmp_path_factory.mktemp("money") / "events.csv", csv_of(ROWS))


def test_alerts_and_incidents_say_the_money_per_currency(whole: list[dict[str, Any]]) -> None:
    alert = next(row for row in whole if row.get("recommendation") == "alert" and row["status"] == "denied")
    assert [one["currency"] for one in alert["money"]] == ["USD", "BRL"]
    assert all(row["money"] for row in whole)
    end = next(row for row in whole if row.get("state") == "resolved")
    inside = [row for row in ROWS if row[2] == "denied" and alert["time"] <= row[1] < "2026-03-02T03:15:00Z"]
    for money in end["money"]:
        assert money["excess"] == pytest.approx(money["seen"] - money["expected"], abs=0.02)
        assert money["low"] < money["excess"] < money["high"]
        paid = sum(float(row[3]) for row in inside if row[4] == money["currency"])
        assert money["seen"] >= paid
        # 5 % of 60 transactions a minute, 10 each, in the currency's part of them
        part = 0.75 if money["currency"] == "USD" else 0.25
        assert money["expected"] == pytest.approx(3 * 10 * part * (money["seen"] / paid) * 15, rel=0.6)
    assert f"{end['money'][0]['excess']:,.0f} USD above normal" in end["text"]


@pytest.mark.parametrize("way", ["no ids", "JSON lines", "any order", "with repeats", "numbers", "by record"])
def test_every_way_in_gives_the_same_money(way: str, whole: list[dict[str, Any]], tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    objects = [dict(zip(FIELDS, row, strict=True)) for row in ROWS]
    content = {
        "no ids": csv_of(ROWS, FIELDS[1:]),
        "JSON lines": "".join(json.dumps(one) + "\n" for one in objects).encode(),
        "any order": csv_of(shuffled, FIELDS[1:]),
        "with repeats": csv_of([*ROWS, *ROWS[:100]]),
        "numbers": "".join(json.dumps(one | {"amount": float(str(one["amount"]))}) + "\n" for one in objects).encode(),
        "by record": csv_of(ROWS),
    }[way]
    more = ("--partial",) if way == "by record" else ()
    assert replayed(tmp_path / "events", content, *more) == whole


def test_a_live_stream_gives_the_same_money_also_after_a_restart(whole: list[dict[str, Any]], tmp_path: Path) -> None:
    live = txmon("watch", "--only", "alerts", stdin=csv_of(ROWS))
    assert lines(live.stdout) == whole
    state, cut = str(tmp_path / "state"), 60 * 184
    first = txmon("watch", "--only", "alerts", "--state", state, stdin=csv_of(ROWS[:cut]))
    second = txmon("watch", "--only", "alerts", "--state", state, stdin=csv_of(ROWS[cut:]))
    assert second.stdout, second.stderr
    assert lines(first.stdout) + lines(second.stdout) == whole


def test_nothing_is_said_without_amounts(tmp_path: Path) -> None:
    plain = replayed(tmp_path / "plain.csv", csv_of(ROWS, ("timestamp", "status")))
    assert plain
    assert not any("money" in row or "drivers" in row for row in plain)
    off = replayed(tmp_path / "events.csv", csv_of(ROWS), "--map", "amount=")
    assert off == plain


def test_without_a_column_of_currencies_there_is_one_unnamed(tmp_path: Path) -> None:
    found = replayed(tmp_path / "events.csv", csv_of(ROWS, FIELDS[:4]))
    assert {len(row["money"]) for row in found} == {1}
    assert "currency" not in found[0]["money"][0]


def test_an_amount_beside_a_count_is_used_only_where_it_is_named(tmp_path: Path) -> None:
    counts = "".join(
        f"{START + timedelta(minutes=minute)},{status},{count},{count * 10}\n"
        for minute in range(200)
        for status, count in (("approved", 95 + minute % 7), ("denied", 60 if minute >= 190 else 4 + minute % 3))
    )
    content = f"timestamp,status,count,amount\n{counts}".encode()
    assert not any("money" in row for row in replayed(tmp_path / "c.csv", content))
    named = replayed(tmp_path / "c.csv", content, "--map", "amount=amount")
    alert = next(row for row in named if row.get("recommendation") == "alert")
    assert alert["money"][0]["seen"] == 600
    assert alert["money"][0]["expected"] == pytest.approx(10 * alert["expected"], rel=0.01)


def test_amounts_that_cannot_be_read_cost_no_record(tmp_path: Path) -> None:
    some = [(*row[:3], "n/a" if i % 2 else row[3], row[4]) for i, row in enumerate(ROWS)]
    found = replayed(tmp_path / "events.csv", csv_of(some))
    full = replayed(tmp_path / "all.csv", csv_of(ROWS))
    assert [row["text"].split(";")[0] for row in found] == [row["text"].split(";")[0] for row in full]
    end, other = found[-1]["money"][0], full[-1]["money"][0]
    assert end["expected"] == pytest.approx(other["expected"] / 2, rel=0.1)


def test_expected_money_is_the_expected_count_times_the_mean() -> None:
    book = MoneyBook()
    money: MoneyTable = {((CURRENCY, "USD"),): {"denied": Sums()}}
    for amount in (10, 30):
        money[(CURRENCY, "USD"),]["denied"].add(amount * SCALE, 1)
    book.learn(0, {(): {"denied": 4}}, money, [], {"denied": 4})  # two of four have an amount
    verdict = Verdict(60, "denied", (), 9, 9, 8.0, 5.0, 1, "alert", ("score",), Stated(0, 12, "t", 0.25))
    (found,) = book.value(verdict, money)
    assert (found.currency, found.seen, found.expected) == ("USD", 40.0, 80.0)
    assert found.spread == pytest.approx(8 * (100 + 900) / 4)  # E[n] E[x^2]
    assert found.shared == pytest.approx(8 * 10 * 0.5)  # the error of the expected count
    assert found.error == pytest.approx(1.96 * (2000 + 1600) ** 0.5)
    assert book.value(verdict.changed(), {})[0].expected == 80.0  # what changes a verdict keeps its doubt
    again = MoneyBook()
    again.restore(json.loads(json.dumps(book.snapshot())))
    assert again.value(verdict, money) == (found,)


def test_an_alert_does_not_teach() -> None:
    book = MoneyBook()
    table: MoneyTable = {(): {"denied": Sums(10 * SCALE, 100 * SCALE * SCALE)}}
    ok = Verdict(0, "denied", (), 1, 1, 1.0, 0.0, 1, "ok", (), Stated(0, 9, "t"))
    alert = Verdict(60, "denied", (), 1, 1, 1.0, 9.0, 1, "alert", ("score",), Stated(0, 9, "t"))
    book.learn(0, {(): {"denied": 1}}, table, [ok], {"denied": 1})
    book.learn(60, {(): {"denied": 1}}, {(): {"denied": Sums(999 * SCALE, 0)}}, [alert], {"denied": 1})
    assert book.value(alert, {})[0].expected == 10.0


def test_sums_do_not_depend_on_how_rows_are_packed_or_spilled() -> None:
    chance = random.Random(5)
    records = [
        Record(
            60 * chance.randrange(50),
            chance.choice("ab"),
            1,
            (),
            chance.randrange(10**6) / 100,
            None if i % 2 else f"i{i}",
        )
        for i in range(5000)
    ]
    found = []
    for hot, packed in ((10**6, 10**9), (300, 2000)):
        whole_input = WholeInput(60, hot, packed)
        for at in range(0, len(records), 500):
            whole_input.take(records[at : at + 500])
        whole_input.settle()
        found.append(
            [
                (tally.start, {status: (s.units, s.squares) for status, s in tally.money[()].items()})
                for tally in whole_input.tallies()
            ]
        )
    assert found[0] == found[1]


def test_buckets_add_up_with_an_error_that_they_share() -> None:
    one = Money("USD", 100.0, 40.0, 9.0, 4.0)
    (both,) = added((one,), (one,))
    assert (both.seen, both.expected, both.spread, both.shared) == (200.0, 80.0, 18.0, 8.0)
    assert added((one,), (Money("BRL", 1.0, 0.0, 0.0, 0.0),))[1].currency == "BRL"


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money("USD", 15000.0, 2600.0, 250_000.0, 0.0), "12,400 USD above normal (11,420 to 13,380)"),
        (Money("", 10.0, 500.0, 100.0, 0.0), "490 below normal (470 to 510)"),
        (Money("BRL", 500.0, 480.0, 10_000.0, 0.0), "+20 BRL, within normal variation"),
        (Money("BTC", 1.5, 0.25, 0.01, 0.0), "1.25 BTC above normal (1.05 to 1.45)"),
    ],
)
def test_money_in_words(money: Money, text: str) -> None:
    assert money.text() == text

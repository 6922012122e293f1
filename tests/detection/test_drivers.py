"""Which values explain an excess: one, several, a pair, or none; and what is known of values in bounded memory."""

import json
import random
from collections.abc import Callable
from typing import Final

import pytest

from txmon.detection.drivers import BucketParts, DriverBook
from txmon.detection.value_table import HALF_LIFE, ValueTable
from txmon.model.drivers import Driver, Drivers, drivers_text, pack_drivers, unpack_drivers
from txmon.model.keys import Counts, Key

COLUMNS: Final = ("issuer", "merchant", "response_code")
ISSUERS: Final = [f"B{n}" for n in range(1, 11)]
MERCHANTS: Final = [f"m{n}" for n in range(1, 101)]
Row = tuple[str, str, str, str]  # status, issuer, merchant, code
Change = Callable[[Row], int]  # how many times a row is there


def bucket(chance: random.Random, change: Change = lambda row: 1, by: Key = (), rows: int = 200) -> Counts:
    """Payments of one minute: 10 % denied, with one of three codes; the first issuers and merchants have most."""
    found: Counts = {}
    for _ in range(rows):
        status = "denied" if chance.random() < 0.1 else "approved"
        code = chance.choice(["05", "51", "57"]) if status == "denied" else "00"
        issuer = chance.choices(ISSUERS, weights=[1 / n for n in range(1, 11)])[0]
        merchant = chance.choices(MERCHANTS, weights=[1 / n for n in range(1, 101)])[0]
        row = (status, issuer, merchant, code)
        for _ in range(change(row)):
            key = (*by, *zip(COLUMNS, row[1:], strict=True))
            counts = found.setdefault(key, {})
            counts[status] = counts.get(status, 0) + 1
    return found


def trained(by: Key = ()) -> tuple[DriverBook, random.Random]:
    chance, book = random.Random(3), DriverBook(COLUMNS, 1000)
    for minute in range(300):
        book.learn(60 * minute, BucketParts(bucket(chance, by=by), len(book.columns)), [])
    return book, chance


BOOK, CHANCE = trained()


def explained(change: Change, status: str = "denied", buckets: int = 5, above: bool = True) -> Drivers | None:
    some = [bucket(CHANCE, change) for _ in range(buckets)]
    expected = {"denied": 20.0, "approved": 180.0, "*": 200.0}[status] * buckets
    return BOOK.explain((), status, expected, some, above)


def named(drivers: Drivers | None) -> list[dict[str, str]]:
    assert drivers is not None
    return [dict(one.values) for one in drivers]


def test_one_value_that_fails_is_found_with_its_numbers() -> None:
    drivers = explained(lambda row: 12 if row[:2] == ("denied", "B7") else 1)
    assert named(drivers) == [{"issuer": "B7"}]
    assert drivers is not None
    assert drivers[0].seen > 5 * drivers[0].expected > 0
    assert 0.7 < drivers[0].share <= 1.0


def test_several_values_of_one_column_are_found_together() -> None:
    drivers = explained(lambda row: 9 if row[0] == "denied" and row[2] in ("m4", "m6", "m9") else 1)
    found = [row["merchant"] for row in named(drivers)]  # no more than explain two thirds
    assert 2 <= len(found) <= 3
    assert set(found) <= {"m4", "m6", "m9"}


def test_a_failure_of_everything_is_spread_evenly() -> None:
    assert explained(lambda row: 3 if row[0] == "denied" else 1) == ()


def test_a_large_value_is_no_driver_because_it_is_large() -> None:
    """B1 has a third of all: of three times as many denied everywhere, it has a third of the excess."""
    drivers = explained(lambda row: 4 if row[0] == "denied" else 1, buckets=15)
    assert drivers == ()


def test_two_columns_that_name_the_same_transactions_are_a_pair() -> None:
    book, chance = trained()
    some = [bucket(chance) for _ in range(5)]
    for counts in some:
        counts[("issuer", "B7"), ("merchant", "m3"), ("response_code", "91")] = {"denied": 12}
        counts[("issuer", "B7"), ("merchant", "m8"), ("response_code", "91")] = {"denied": 11}
    (found,) = book.explain((), "denied", 100.0, some, True) or ()
    assert found.values == (("issuer", "B7"), ("response_code", "91"))
    assert found.seen == 115


def test_a_column_that_follows_from_another_one_makes_no_pair() -> None:
    """Every issuer has one country: it says nothing more of what fails."""
    chance, book = random.Random(5), DriverBook(("issuer", "country"), 1000)

    def minute(times: int) -> Counts:
        found: Counts = {}
        for _ in range(200):
            issuer = chance.randrange(10)
            status = "denied" if chance.random() < 0.1 else "approved"
            key = (("issuer", f"B{issuer}"), ("country", f"C{issuer // 2}"))
            counts = found.setdefault(key, {})
            counts[status] = counts.get(status, 0) + (times if status == "denied" and issuer == 7 else 1)
        return found

    for n in range(300):
        book.learn(60 * n, BucketParts(minute(1), len(book.columns)), [])
    drivers = book.explain((), "denied", 100.0, [minute(12) for _ in range(5)], True)
    assert named(drivers) == [{"issuer": "B7"}]


def test_what_is_missing_is_explained_too() -> None:
    drivers = explained(lambda row: 0 if row[1] == "B1" else 1, "approved", above=False)
    assert named(drivers) == [{"issuer": "B1"}]
    assert drivers is not None
    assert drivers[0].seen == 0
    assert named(explained(lambda row: 0 if row[1] == "B1" else 1, "*", above=False)) == [{"issuer": "B1"}]


def test_nothing_is_said_before_enough_is_known_or_where_nothing_is_off() -> None:
    young = DriverBook(COLUMNS, 1000)
    assert young.explain((), "denied", 20.0, [bucket(CHANCE)], True) is None
    young.learn(0, BucketParts(bucket(CHANCE, rows=50), 3), [])
    assert young.explain((), "denied", 20.0, [bucket(CHANCE)], True) is None
    assert explained(lambda row: 0 if row[0] == "denied" else 1) is None  # too few, when asked for too many


def test_a_status_that_alerts_does_not_teach() -> None:
    book, chance = trained()
    table = book.table((), 0)
    assert table is not None
    before = table.share("B7", "denied")
    for minute in range(300, 360):
        change: Change = lambda row: 12 if row[:2] == ("denied", "B7") else 1  # noqa: E731 - a short change
        book.learn(60 * minute, BucketParts(bucket(chance, change), len(book.columns)), [((), "denied")])
    assert table.share("B7", "denied") == pytest.approx(before, rel=0.05)


def test_each_key_has_shares_of_its_own_and_all_together_too() -> None:
    chance, book = random.Random(3), DriverBook(COLUMNS, 1000)
    first: Key = (("acquirer", "a1"),)
    second: Key = (("acquirer", "a2"),)
    for minute in range(200):
        only = bucket(chance, lambda row: 1 if row[1] == "B1" else 0, second)
        book.learn(60 * minute, BucketParts(bucket(chance, by=first) | only, len(book.columns)), [])
    shares = [book.table(key, 0) for key in (first, second, ())]
    assert [round(table.share("B1", "denied"), 1) for table in shares if table is not None] == [0.3, 1.0, 0.5]


def test_the_values_that_come_most_are_kept() -> None:
    table, chance = ValueTable(50), random.Random(2)
    for minute in range(400):
        counts: dict[str, dict[str, int]] = {f"often{n}": {"denied": 3, "approved": 5} for n in range(30)}
        counts |= {f"once{chance.randrange(10**9)}": {"approved": 1} for _ in range(40)}
        table.learn(60 * minute, counts, frozenset())
        assert len(table) <= 50
    assert all(table.share(f"often{n}", "denied") == pytest.approx(1 / 30, rel=0.1) for n in range(30))


def test_shares_follow_what_is_new() -> None:
    table = ValueTable(10)
    table.learn(0, {"a": {"denied": 1000}}, frozenset())
    assert table.share("a", "denied") == pytest.approx(1.0)
    for day in range(1, 40):  # the growing factor starts again on the way
        table.learn(day * HALF_LIFE, {"b": {"denied": 1000}}, frozenset())
    assert table.share("b", "denied") == pytest.approx(1.0, abs=0.01)
    assert table.share("a", "denied") < 1e-6


def test_a_restored_book_goes_on_as_if_it_had_never_stopped() -> None:
    book, chance = trained()
    again = DriverBook(COLUMNS, 1000)
    again.restore(json.loads(json.dumps(book.snapshot())))
    assert json.dumps(again.snapshot()) == json.dumps(book.snapshot())
    for minute in range(300, 330):
        counts = bucket(chance)
        book.learn(60 * minute, BucketParts(counts, len(book.columns)), [])
        shuffled = list(counts.items())
        chance.shuffle(shuffled)
        again.learn(60 * minute, BucketParts(dict(shuffled), 3), [])  # the order of rows in a minute must not show
    assert json.dumps(again.snapshot()) == json.dumps(book.snapshot())


def test_a_book_of_other_columns_keeps_what_it_knows_of_those_that_stay() -> None:
    book, _ = trained()
    other = DriverBook(("country", "issuer"), 1000)
    other.restore(json.loads(json.dumps(book.snapshot())))
    before, after = book.table((), 0), other.table((), 1)
    assert before is not None
    assert after is not None
    assert after.share("B3", "denied") == before.share("B3", "denied") > 0.0


@pytest.mark.parametrize(("name", "value"), [("rows", "AAAA"), ("doubt", ""), ("all", [1.0, 2.0, 3.0])])
def test_a_state_that_does_not_fit_is_refused(name: str, value: object) -> None:
    table = ValueTable(10)
    table.learn(0, {"a": {"denied": 1}}, frozenset())
    with pytest.raises(ValueError, match=r"not as many as its values|buffer size"):
        ValueTable(10).restore({**table.snapshot(), name: value})


def test_drivers_in_words() -> None:
    pair = Driver([("issuer", "B7"), ("response_code", "91")], 61, 5.0, 0.93)
    assert drivers_text((pair,)) == (
        "93% of the excess is issuer B7 (61 seen, 5 expected), response code 91 issuer or switch inoperative"
    )
    two = (Driver([("merchant", "m1")], 40, 9.7, 0.5), Driver([("merchant", "")], 20, 0.02, 0.3))
    assert (
        drivers_text(two)
        == "80% of the excess is merchant m1 (40 seen, 10 expected); no merchant (20 seen, 0.02 expected)"
    )
    assert drivers_text(()) == "spread evenly over the values of all drivers"
    assert unpack_drivers(json.loads(json.dumps(pack_drivers((pair,))))) == (pair,)
    assert unpack_drivers(pack_drivers(None)) is None

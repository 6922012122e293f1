"""Values that fail by themselves: a small issuer is found, once, and ends; noise and what all have in common is not."""

import json
import random
from typing import Final

from txmon.detection.driver_watch import DriverWatch
from txmon.detection.drivers import BucketParts, DriverBook
from txmon.detection.thresholds import DetectorConfig
from txmon.model.keys import Counts
from txmon.model.verdict import Verdict

COLUMNS: Final = ("issuer", "merchant")
BUCKET: Final = 60


class Feed:
    """A watch and its book, fed minute by minute; the small issuer B9 has two payments a minute."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.book = DriverBook(COLUMNS, 1000)
        self.watch = DriverWatch(COLUMNS, DetectorConfig(), 0.2)
        self.minute = 0

    def counts(self, failing: str = "", share: float = 1.0) -> Counts:
        found: Counts = {}
        for _ in range(200):
            issuer = f"B{self.chance.choices(range(1, 10), weights=[40, 30, 20, 10, 5, 5, 4, 3, 1])[0]}"
            merchant = f"m{self.chance.randrange(30)}"
            bad = share if issuer == failing or failing == "*" else 0.1
            status = "denied" if self.chance.random() < bad else "approved"
            key = (("issuer", issuer), ("merchant", merchant))
            row = found.setdefault(key, {})
            row[status] = row.get(status, 0) + 1
        return found

    def run(self, minutes: int, failing: str = "", share: float = 1.0, busy: tuple[str, ...] = ()) -> list[Verdict]:
        found: list[Verdict] = []
        for _ in range(minutes):
            leaves, time = self.counts(failing, share), BUCKET * self.minute
            parts = BucketParts(leaves, len(COLUMNS))
            verdicts, odd = self.watch.judge(time, parts, self.book, busy)
            self.book.learn(time, parts, [], odd)
            found += verdicts
            self.minute += 1
        return found


def alerts(verdicts: list[Verdict]) -> list[Verdict]:
    return [one for one in verdicts if one.recommendation == "alert"]


def test_a_small_issuer_that_declines_everything_is_found_and_ends() -> None:
    feed = Feed()
    assert alerts(feed.run(240)) == []
    found = alerts(feed.run(15, "B9"))
    assert found
    assert {one.key for one in found} == {(("issuer", "B9"),)}
    assert found[0].time <= BUCKET * 248
    assert found[0].reasons == ("driver",)
    assert "issuer B9 by itself" in found[0].text
    after = feed.run(40)
    assert alerts(after) == []
    assert any(one.key == (("issuer", "B9"),) and one.recommendation == "ok" for one in after)  # evidence that it ended
    assert feed.run(5) == []  # and no verdict of it for ever
    assert alerts(feed.run(15, "B9"))  # what failed has not become usual


def test_its_failures_do_not_teach() -> None:
    feed = Feed()
    feed.run(240)
    table = feed.book.table((), 0)
    assert table is not None
    before = table.part("B9", "denied", 20.0)
    feed.run(60, "B9")
    after = table.part("B9", "denied", 20.0)
    assert before is not None
    assert after is not None
    assert after[0] < 2 * before[0]


def test_a_value_that_fails_with_another_one_is_told_once() -> None:
    """B1's merchants fail with it, and no merchant is told by itself."""
    feed = Feed()
    feed.run(240)
    found = alerts(feed.run(10, "B1"))
    assert {one.key for one in found} == {(("issuer", "B1"),)}


def test_what_all_have_in_common_is_no_values_failure() -> None:
    feed = Feed()
    feed.run(240)
    assert feed.run(10, "*", 0.5, busy=("denied",)) == []


def test_ordinary_weeks_are_quiet() -> None:
    feed = Feed(seed=4)
    assert alerts(feed.run(3000)) == []


def test_a_restored_watch_goes_on_as_if_it_had_never_stopped() -> None:
    feed = Feed()
    feed.run(240)
    feed.run(4, "B9")
    again = DriverWatch(COLUMNS, DetectorConfig(), 0.2)
    again.restore(json.loads(json.dumps(feed.watch.snapshot())))
    assert json.dumps(again.snapshot()) == json.dumps(feed.watch.snapshot())
    parts = BucketParts(feed.counts("B9"), len(COLUMNS))
    first, second = (one.judge(BUCKET * feed.minute, parts, feed.book, ()) for one in (feed.watch, again))
    assert first == second
    other = DriverWatch(("country",), DetectorConfig(), 0.2)
    other.restore(json.loads(json.dumps(feed.watch.snapshot())))
    assert other.snapshot()["newest"] == []

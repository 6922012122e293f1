"""Values of the columns of --drivers that fail by themselves, however few transactions they have.

A small issuer that declines everything is lost in the sum of all. Each value is therefore compared with its own past:
the denied, failed and reversed among its transactions with their usual part, over 1, 5 and 15 buckets. These tests
have a part of the budget of false alarms for themselves, shared by all values that are watched.
"""

from collections.abc import Iterable, Mapping
from math import log, sqrt
from typing import Any, Final

from txmon.detection.drivers import BucketParts, DriverBook
from txmon.detection.normal import upper_quantile, upper_tail
from txmon.detection.thresholds import LEAST_TAIL, WORST_TAIL, DetectorConfig, rarity_of, tests_a_day
from txmon.detection.value_table import ValueTable
from txmon.model.drivers import Driver
from txmon.model.keys import TOTAL, Key, pack_key, unpack_key
from txmon.model.scores import Thresholds
from txmon.model.statuses import DENIED, FAILED, REVERSED, role_of
from txmon.model.verdict import Evidence, Recommendation, Verdict

WINDOWS: Final = (1, 5, 15)  # buckets
LONGEST: Final = 15
MOST_FAILING: Final = 20_000  # combinations of values of a bucket that are looked through
MOST_WATCHED: Final = 2000  # values of a column in one bucket: those that come most
TRUST: Final = 20.0  # transactions' worth of trust that a value fails as all of them do
KNOWN: Final = 30.0  # transactions of a value, before which it is not named
SHARE_ERROR: Final = 0.02  # squared relative error of a usual part, beyond what its evidence says
PAUSE: Final = 3  # buckets without an alert, after which the windows of another one begin after the last
LINGER: Final = 1.0  # sigmas of the newest bucket down to which an alert goes on
SAME: Final = 0.5  # of a value's failures, from which on another value that has them too explains them
FOLLOWED: Final = 1800  # seconds without an alert, after which a value has no verdicts of its own any more
ORDINARY: Final = (
    5.0  # failures expected in the longest window, up to which a smaller number is not a sign of a new one
)
NOTHING: Final[dict[str, int]] = {}
BAD: Final = frozenset((DENIED, FAILED, REVERSED))
REASON: Final = ("driver",)
Row = dict[str, int]  # by status, the failing ones and TOTAL
Place = tuple[int, str, str]  # column, value, status


class DriverWatch:
    """Judges each value of the columns of --drivers by itself, bucket by bucket."""

    def __init__(self, columns: tuple[str, ...], config: DetectorConfig, part: float) -> None:
        """part: of the budget of false alarms, for all values together."""
        self._columns = columns
        self._config = config
        self._part = part
        self._bad: dict[str, bool] = {}  # whether a status is a failure
        self._newest: list[list[dict[str, Row]]] = []  # by bucket, oldest first, and column: by value
        self._failing: list[list[tuple[tuple[str, ...], Row]]] = []  # by bucket: combinations of values, and what fails
        self._sums: list[dict[str, Row]] = [{} for _ in columns]  # of all buckets in there
        self._sums_of_all: Row = {}
        self._odd: dict[Key, int] = {}  # values that were off normal, told or not: the newest bucket
        self._followed: dict[Key, tuple[str, int]] = {}  # values that alerted: the status, and the newest alert

    def judge(
        self, time: int, parts: BucketParts, book: DriverBook, busy: Iterable[str]
    ) -> tuple[list[Verdict], set[Place]]:
        """Return the verdicts of the bucket at `time` on values that are off normal, or were lately, and which alert.

        parts: what it has of each value. busy: statuses that alert over all values: what is new among
        the values is a part of that.
        """
        self._remember(parts)
        bucket = self._newest[-1]
        sigma = self._sigma(bucket)
        found: list[tuple[float, Place, Verdict]] = []
        for place, rows in enumerate(bucket):
            table = book.table((), place)
            for value, row in rows.items() if table is not None else ():
                for status, count in row.items():
                    if status == TOTAL or not count or table is None or self._is_ordinary(place, value, status, count):
                        continue
                    verdict = self._verdict(time, place, value, status, table, sigma)
                    if verdict is not None and verdict.recommendation == "alert":
                        found.append((verdict.score, (place, value, status), verdict))
        found.sort(key=lambda one: (-one[0], one[1]))
        tests = tests_a_day(self._config, self._series_in(bucket))
        for score, _, verdict in found:
            verdict.rarity = rarity_of(upper_tail(score), tests)
        alerts = self._without_repeats(found, set(busy))
        self._odd = {key: last for key, last in self._odd.items() if time - last <= FOLLOWED}
        self._odd.update({verdict.key: time for _, _, verdict in found})
        self._followed.update({verdict.key: (verdict.status, time) for verdict in alerts})
        quiet = self._quiet(time, {verdict.key for verdict in alerts}, book, sigma)
        return alerts + quiet, {place for _, place, _ in found}

    def _is_ordinary(self, place: int, value: str, status: str, count: int) -> bool:
        """Whether so few fail that no window can be off normal: most values, in most buckets."""
        sums = self._sums[place].get(value, NOTHING)
        failed, total = sums.get(status, 0), sums.get(TOTAL, 0)
        if failed < self._config.min_counts.get(status, self._config.min_count):
            return True
        every = self._sums_of_all.get(status, 0)
        usual = total * every / max(1, self._sums_of_all.get(TOTAL, 0))
        return count < 3 and failed < usual and usual < ORDINARY

    def _add_up(self, bucket: list[dict[str, Row]], sign: int) -> None:
        """Add a bucket to the sums of the window, or take it away."""
        for place, rows in enumerate(bucket):
            sums = self._sums[place]
            for value, row in rows.items():
                known = sums.get(value)
                if known is None:
                    known = sums[value] = {}
                for status, count in row.items():
                    known[status] = known.get(status, 0) + sign * count
                    if place == 0:
                        self._sums_of_all[status] = self._sums_of_all.get(status, 0) + sign * count
                if sign < 0 and not known[TOTAL]:
                    del sums[value]

    def _remember(self, parts: BucketParts) -> None:
        """Take the counts of the newest bucket."""
        bucket = [self._rows(seen) for seen in parts.seen]
        leaving = self._newest[0] if len(self._newest) >= LONGEST else None
        self._newest = [*self._newest[1 - LONGEST :], bucket]
        self._add_up(bucket, 1)
        if leaving is not None:
            self._add_up(leaving, -1)
        failing: list[tuple[tuple[str, ...], Row]] = []
        for part in parts.whole[:MOST_FAILING]:
            row = self._failing_of(part.counts)
            if row:
                failing.append((part.values, row))
        self._failing = [*self._failing[1 - LONGEST :], failing]

    def _rows(self, seen: Mapping[str, Mapping[str, int]]) -> dict[str, Row]:
        """The failing counts and the total of the values that come most."""
        found: dict[str, Row] = {}
        for value, counts in seen.items():
            row = self._failing_of(counts)
            row[TOTAL] = sum(counts.values())
            found[value] = row
        if len(found) <= MOST_WATCHED:
            return found
        most = sorted(found, key=lambda value: (-found[value][TOTAL], value))[:MOST_WATCHED]
        return {value: found[value] for value in most}

    def _failing_of(self, counts: Mapping[str, int]) -> Row:
        found: Row = {}
        for status, count in counts.items():
            bad = self._bad.get(status)
            if bad is None:
                bad = self._bad[status] = role_of(status, self._config.role) in BAD
            if bad:
                found[status] = count
        return found

    def _sigma(self, bucket: list[dict[str, Row]]) -> float:
        """The score that alerts, such that all values together keep to their part of the budget."""
        if self._config.sigma is not None:
            return self._config.sigma
        tests = tests_a_day(self._config, self._series_in(bucket))
        return upper_quantile(max(LEAST_TAIL, min(WORST_TAIL, self._config.budget * self._part / tests)))

    def _series_in(self, bucket: list[dict[str, Row]]) -> int:
        """Return how many series share this part of the budget."""
        return sum([len(rows) for rows in bucket]) * len(BAD)

    def _verdict(
        self, time: int, place: int, value: str, status: str, table: ValueTable, sigma: float
    ) -> Verdict | None:
        """The verdict on one value's failures in the newest buckets; None where too little is known of it."""
        usual = table.part(value, status, TRUST)
        if usual is None or usual[1] < KNOWN:
            return None
        part, _, events = usual
        excess = SHARE_ERROR + 1.0 / (events + 1.0)
        now = self._newest[-1][place].get(value, {})
        count, total = now.get(status, 0), now.get(TOTAL, 0)
        expected = max(part * total, 1e-3)
        best, window, seen, mean = 0.0, 1, float(count), expected
        key: Key = ((self._columns[place], value),)
        before = self._odd.get(key, -1)
        reach = LONGEST
        if before >= 0 and (time - before) // self._config.bucket > PAUSE:
            reach = (time - before) // self._config.bucket  # what alerted before has ended: it is not counted again
        some = failed = 0
        at = 0
        for most in WINDOWS:
            size = min(most, reach)
            while at < size and at < len(self._newest):
                row = self._newest[-1 - at][place].get(value)
                at += 1
                if row is not None:
                    some += row[TOTAL]
                    failed += row.get(status, 0)
            due = max(part * some, 1e-3)
            score = part_score(failed, some, part, excess)
            if score > best:
                best, window, seen, mean = score, size, float(failed), due
        config = self._config
        least = config.min_counts.get(status, config.min_count)
        ratio = config.min_ratios.get(status, config.min_ratio)
        passed = best >= sigma and seen >= least and seen >= ratio * mean
        lingers = part_score(count, total, part, excess) > LINGER
        alert: Recommendation = "alert" if passed and lingers else "ok"
        gates = Thresholds(sigma, least, ratio, "above")
        name = self._columns[place]
        evidence = Evidence(gates, excess, seen, mean, "", False, f"{name} {value} by itself")
        reasons = REASON if alert == "alert" else ()
        verdict = Verdict(time, status, key, count, total, expected, best, window, alert, reasons, evidence)
        if alert == "alert":
            verdict.drivers = (Driver([(name, value)], int(seen), mean, 1.0),)
        return verdict

    def _without_repeats(self, found: list[tuple[float, Place, Verdict]], waiting: set[str]) -> list[Verdict]:
        """The verdicts of the strongest values, without others that fail because of the same transactions."""
        kept: list[tuple[Place, Verdict]] = []
        for _, (place, value, status), verdict in found:
            if verdict.key not in self._followed and status in waiting:
                continue
            taken = [(at, name) for (at, name, _), other in kept if other.status == status]
            own = theirs = 0
            for bucket in self._failing[-verdict.window :] if taken else ():
                for values, row in bucket:
                    count = row.get(status, 0)
                    if count and values[place] == value:
                        own += count
                        if any(values[at] == name for at, name in taken):
                            theirs += count
            if theirs < SAME * own or not taken:
                kept.append(((place, value, status), verdict))
        return [verdict for _, verdict in kept]

    def _quiet(self, time: int, alerting: set[Key], book: DriverBook, sigma: float) -> list[Verdict]:
        """The verdicts on values that alerted lately and do not now: their incidents need evidence to end."""
        found: list[Verdict] = []
        for key, (status, last) in list(self._followed.items()):
            if time - last > FOLLOWED:
                del self._followed[key]
                continue
            if key in alerting:
                continue
            name, value = key[0]
            place = self._columns.index(name)
            table = book.table((), place)
            verdict = self._verdict(time, place, value, status, table, sigma) if table is not None else None
            if verdict is not None:
                found.append(verdict.changed(recommendation="ok", reasons=()))
        return found

    def snapshot(self) -> dict[str, object]:
        """Return all of it, as values of JSON."""
        return {
            "columns": list(self._columns),
            "newest": self._newest,
            "failing": [[[list(values), row] for values, row in bucket] for bucket in self._failing],
            "odd": [[pack_key(key), last] for key, last in self._odd.items()],
            "followed": [[pack_key(key), status, last] for key, (status, last) in self._followed.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave, unless it is of other columns; KeyError, TypeError or ValueError."""
        if [str(name) for name in state["columns"]] != list(self._columns):
            return
        self._newest = [
            [{str(value): {str(s): int(n) for s, n in row.items()} for value, row in rows.items()} for rows in bucket]
            for bucket in state["newest"]
        ]
        self._sums, self._sums_of_all = [{} for _ in self._columns], {}
        for known in self._newest:
            self._add_up(known, 1)
        self._failing = [
            [
                (tuple([str(value) for value in values]), {str(s): int(n) for s, n in row.items()})
                for values, row in bucket
            ]
            for bucket in state["failing"]
        ]
        self._odd = {unpack_key(key): int(last) for key, last in state["odd"]}
        self._followed = {unpack_key(key): (str(status), int(last)) for key, status, last in state["followed"]}


def part_score(count: int, total: int, part: float, excess: float) -> float:
    """Return how many sigmas `count` of `total` lies above its usual `part`; 0 where it does not.

    The signed root of the binomial's deviance, half a count nearer to the mean, divided by how much wider the spread
    is where the part itself has the squared relative error `excess`.
    """
    mean = part * total
    seen = count - 0.5
    if seen <= mean or mean <= 0.0 or part >= 1.0:
        return 0.0
    deviance = seen * log(seen / mean)
    rest = total - seen
    if rest > 0.0:
        deviance += rest * log(rest / (total - mean))
    return sqrt(2.0 * max(0.0, deviance) / (1.0 + excess * mean))

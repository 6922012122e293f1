"""Defines the kinds of feed of `txmon simulate --scenario`, each with its usual length, its incidents and its traps."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from txmon.errors import UsageError
from txmon.evaluation.scenario import (
    COMMON,
    MINUTES,
    TOTAL,
    Draft,
    approved_loss,
    day_shape,
    denied_ramp,
    denied_rise,
    failed_rise,
    fall,
    hump,
    loss,
    mix,
    outage,
    place,
    reversed_rise,
    rise,
    volume,
)
from txmon.support.frozen import frozen
from txmon.support.suggest import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

MERCHANTS: Final = 500
ISSUERS: Final = ("alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
WEEKDAYS: Final = (0.97, 0.94, 0.95, 0.98, 1.0, 0.85, 0.7)  # Monday first
PULSES: Final = ("reversed", "backend_reversed", "refunded", "denied")


@frozen
class Scenario:
    """A kind of feed."""

    name: str
    about: str  # one line for lists
    days: int  # default length
    warmup: int  # days before false alarms count
    describe: Callable[[Draft], None]
    column: str | None = None  # of the key


def draft_of(name: str, seed: int, start: int, days: int | None = None, clean: bool = False) -> Draft:
    """Return the description of a scenario's feed.

    start: epoch seconds, floored to midnight (UTC). days: None for the scenario's own length. Raise UsageError if the
    name is unknown or a value is out of range.
    """
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise UsageError(
            f"--scenario {name!r} is not valid. Choose one of {', '.join(SCENARIOS)}, or list."
            f"{nearest(name, tuple(SCENARIOS))}"
        )
    draft = Draft(
        name,
        seed,
        start,
        scenario.days if days is None else days,
        scenario.warmup * MINUTES,
        clean,
        column=scenario.column,
    )
    scenario.describe(draft)
    draft.marks.sort(key=lambda mark: (mark["first"], mark["last"]))
    draft.traps.sort(key=lambda mark: (mark["first"], mark["last"]))
    return draft


def _ordinary(draft: Draft, low: float, high: float) -> "np.random.Generator":
    """Describe a feed with one daily shape and a peak from `low` to `high` per minute.

    Return the layout's generator.
    """
    import numpy as np

    rng = draft.generator(0)
    level = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    draft.fill(volume(draft, level, [day_shape(rng)], WEEKDAYS), mix(rng))
    return rng


def _shop(draft: Draft) -> None:
    """Describe a shop that is open from about 9 to 21, shorter on Saturdays, closed on Sundays.

    Opening is a busy minute.
    """
    import numpy as np

    rng = draft.generator(0)
    opens, closes = 60 * 9 + 15 * int(rng.integers(-4, 5)), 60 * 21 + 15 * int(rng.integers(-6, 5))
    minute = np.arange(MINUTES)
    inside = hump(float(rng.uniform(12, 13.5)), 2.0) + rng.uniform(0.7, 1.2) * hump(float(rng.uniform(17, 19)), 2.2)
    inside = (0.35 + inside / inside.max()) / 1.35
    edge = np.clip((minute - opens + 1) / 6, 0, 1) * np.clip((closes - minute) / 4, 0, 1)
    weekday = inside * edge
    saturday = inside * np.clip((minute - opens + 1) / 6, 0, 1) * np.clip((closes - 180 - minute) / 4, 0, 1)
    shapes = [weekday] * 5 + [saturday, np.zeros(MINUTES)]
    level = float(np.exp(rng.uniform(np.log(25), np.log(220))))
    draft.fill(volume(draft, level, shapes, (1, 0.97, 1, 1.02, 1.15, 1.2, 1)), mix(rng))

    def stays_shut(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        begin = at - at % MINUTES + opens
        fall(draft, begin, begin + int(rng.integers(45, 91)), 0.0, everything=True)

    def is_open(day: int) -> bool:
        return draft.weekday(day) < 6

    place(draft, 1, (stays_shut,), (opens / 60, opens / 60 + 1), lambda day: is_open(day) and day % 3 == 0)
    hours = (opens / 60 + 2, closes / 60 - 3.5)
    place(draft, 2, (*COMMON, outage, approved_loss), hours, is_open)
    for day in range(draft.days):
        if not is_open(day):
            draft.trap("closed", day * MINUTES + opens, day * MINUTES + closes)


def _batch(draft: Draft) -> None:
    """Describe an ordinary feed with two jobs, each with its own status: one every hour, one at night."""
    import numpy as np

    rng = _ordinary(draft, 80, 400)
    hourly, nightly = (str(status) for status in rng.choice(PULSES[:3], 2, replace=False))
    minute, length, size = int(rng.integers(0, 57)), int(rng.integers(1, 5)), float(rng.uniform(30, 130))
    night, lasting, rate = 120 + 30 * int(rng.integers(-2, 3)), int(rng.integers(10, 41)), float(rng.uniform(15, 60))
    loose = bool(rng.integers(2))  # whether the hourly job is sometimes a minute early or late
    wild = int(rng.integers(draft.warmup // MINUTES, max(draft.days, draft.warmup // MINUTES + 1)))
    for day in range(draft.days):
        job = draft.generator(6, day)
        for hour in range(24):
            slip = int(job.choice((0, 0, 0, -1, 1))) if loose else 0
            at = day * MINUTES + hour * 60 + max(0, minute + slip)
            draft.base[0, hourly][at : at + length] += size * np.exp(job.normal(0, 0.15)) / length
        at = day * MINUTES + night
        usual = rate * np.exp(job.normal(0, 0.1))
        draft.base[0, nightly][at : at + lasting] += usual
    if wild < draft.days and not draft.clean:
        at = wild * MINUTES + night
        draft.alter(nightly, at, at + lasting, lambda mean: mean * 4)
        draft.mark("job runs wild", at, at + lasting, [nightly])
    place(draft, 3, (*COMMON, _of(hourly), _of(nightly)), (4.5, 24))


def _of(status: str) -> Callable[[Draft, int, "np.random.Generator"], None]:
    def status_rise(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        rise(draft, status, at, int(rng.integers(15, 41)), rng)

    return status_rise


def _cron(draft: Draft) -> None:
    """Describe subscriptions charged every 15 minutes, in a feed of ordinary customers."""
    import numpy as np

    rng = _ordinary(draft, 60, 400)
    offset, length = int(rng.integers(15)), int(rng.integers(1, 3))
    size, refused = float(rng.uniform(40, 250)), float(rng.uniform(0.1, 0.3))
    bad = str(rng.choice(("denied", "failed", "reversed")))  # the status of unsuccessful charges
    begins = np.arange(offset, draft.minutes - length, 15)
    sizes = np.concatenate([
        size * np.exp(draft.generator(6, day).normal(0, 0.06, 96)) for day in range(draft.days)
    ])[: len(begins)] / length  # fmt: skip
    for step in range(length):
        draft.base[0, "approved"][begins + step] += (1 - refused) * sizes
        draft.base[0, bad][begins + step] += refused * sizes

    def stops(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        end = at + 15 * int(rng.integers(4, 7))
        pulses = [int(b) for b in begins if at <= b < end]
        for begin in pulses:
            for status in ("approved", bad):
                floor = float(np.median(draft.base[0, status][begin + length : begin + 12]))
                draft.alter(status, begin, begin + length, lambda mean, floor=floor: mean * 0 + floor)  # type: ignore[misc]
        draft.mark("charges stop", pulses[0], end, ["approved", TOTAL], ["approved", bad, TOTAL])

    place(draft, 3, (*COMMON, stops))


def _clustered(draft: Draft) -> None:
    """Describe transactions in clusters: each status has a variance of 1.5 to 10 times its mean."""
    rng = _ordinary(draft, 60, 400)
    draft.dispersion = {status: float(rng.uniform(1.5, 10)) for status in draft.statuses}
    place(draft, 3)


def _bursty(draft: Draft) -> None:
    """Describe a gateway that delivers its queue every few minutes, and clients that send files of transactions."""
    import numpy as np

    rng = _ordinary(draft, 60, 250)
    longest = int(rng.integers(3, 7))  # minutes between deliveries, at most
    size = float(rng.uniform(60, 250))
    for day in range(draft.days):
        files = draft.generator(6, day)
        for at in files.uniform(8 * 60, 21 * 60, files.poisson(16)).astype(int):
            much = size * np.exp(files.normal(0, 0.3))
            draft.base[0, "approved"][day * MINUTES + at] += 0.9 * much
            draft.base[0, "denied"][day * MINUTES + at] += 0.1 * much

    def queued(draft: Draft, counts: "Counts") -> "Counts":
        found = np.zeros_like(counts)
        for day in range(draft.days):
            gate = draft.generator(7, day)
            ends = np.minimum(np.cumsum(gate.integers(1, longest + 1, MINUTES)), MINUTES) - 1
            ends = np.unique(ends)
            part = counts[:, :, day * MINUTES : (day + 1) * MINUTES]
            sums = np.cumsum(part, axis=2)[:, :, ends]
            found[:, :, day * MINUTES + ends] = np.diff(sums, axis=2, prepend=0)
        return found

    draft.deliver = queued
    place(draft, 3)
    for mark in draft.marks:  # an incident becomes visible at the delivery
        mark["last"] = min(mark["last"] + longest - 1, draft.minutes - 1)


def _weekly(draft: Draft) -> None:
    """Describe working days with a peak before and after work, and weekends with one late, wide peak."""
    import numpy as np

    rng = draft.generator(0)
    work = hump(float(rng.uniform(7.5, 9)), 1.3) + rng.uniform(0.7, 1.2) * hump(float(rng.uniform(17, 19)), 1.8)
    work = work + 0.5 * hump(12.5, 1.5) + 0.03
    rest = hump(float(rng.uniform(14, 17)), 3.5) + 0.5 * hump(float(rng.uniform(22, 24)), 2) + 0.03
    shapes = [work / work.max()] * 5 + [rest / rest.max()] * 2
    weekend = float(rng.uniform(0.5, 1.5))
    level = float(np.exp(rng.uniform(np.log(60), np.log(400))))
    draft.fill(volume(draft, level, shapes, (0.97, 1, 1, 1.02, 1.05, weekend, 0.85 * weekend)), mix(rng))
    place(draft, 2)


def _tiny(draft: Draft) -> None:
    """Describe about two transactions per minute, with very few at night."""
    rng = draft.generator(0)
    shares = mix(rng) | {"failed": 0.012, "reversed": 0.01}
    shape = 0.15 + 0.85 * day_shape(rng)
    draft.fill(volume(draft, float(rng.uniform(2.5, 4.5)), [shape], WEEKDAYS), shares)

    def stop(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        loss(draft, at, int(rng.integers(45, 91)), rng, part=(1.0, 1.0), everything=True)

    place(draft, 2, (denied_rise, failed_rise, reversed_rise, stop, stop), (8, 23))


def _large(draft: Draft) -> None:
    """Describe five thousand transactions per minute, so that losing a small share means losing many."""
    rng = draft.generator(0)
    shape = 0.1 + 0.9 * day_shape(rng)
    draft.fill(volume(draft, float(rng.uniform(6500, 9500)), [shape], WEEKDAYS), mix(rng))

    def some(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        loss(draft, at, int(rng.integers(30, 61)), rng, part=(0.25, 0.4), everything=bool(rng.integers(2)))

    def little(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        status = str(rng.choice(("denied", "failed", "reversed")))
        rise(draft, status, at, int(rng.integers(20, 46)), rng, least=1.4)

    place(draft, 3, (some, some, little, little, denied_ramp, outage))


def _long(draft: Draft) -> None:
    """Describe incidents of many hours, incidents that return, one in the warm-up, and some at night."""
    rng = _ordinary(draft, 80, 400)
    if draft.clean:
        return
    first = int(rng.integers(50, 240))
    rise(draft, "denied", first, int(rng.integers(60, 121)), rng, least=3)

    def lasting(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        status = str(rng.choice(("denied", "failed", "reversed")))
        rise(draft, status, at, int(rng.integers(300, 600)), rng, strength=(12, 20), least=2.2)

    def relapse(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        status = str(rng.choice(("denied", "failed", "reversed")))
        for _ in range(int(rng.integers(2, 4))):
            length = int(rng.integers(30, 61))
            rise(draft, status, at, length, rng, strength=(10, 18), least=2)
            at += length + int(rng.integers(60, 121))

    def lost(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        loss(draft, at, int(rng.integers(180, 420)), rng, part=(0.4, 0.7))

    place(draft, 1, (lasting, relapse, relapse, lost), (7, 20))
    place(draft, 1, (denied_rise, failed_rise, reversed_rise, partial(_quiet)), (0.5, 5))


def _quiet(draft: Draft, at: int, rng: "np.random.Generator") -> None:
    """Remove all transactions at night."""
    loss(draft, at, int(rng.integers(30, 61)), rng, part=(1.0, 1.0), everything=True)


def _partial(draft: Draft) -> None:
    """Describe the failure of one of several acquirers: 30 to 60 % of all transactions, or of the approvals."""
    _ordinary(draft, 80, 500)

    def part(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        loss(draft, at, int(rng.integers(25, 71)), rng, part=(0.3, 0.6), everything=bool(rng.integers(2)))

    place(draft, 3, (part,), (5, 24))


def _opening(draft: Draft) -> None:
    """Describe a business portal without users at night. The first user arrives at another minute every day."""
    import numpy as np

    rng = draft.generator(0)
    first, last = float(rng.uniform(6.5, 8.5)), float(rng.uniform(18.5, 22))
    shape = hump(float(rng.uniform(10, 11)), 1.8) + hump(float(rng.uniform(14, 16)), 2.2) + 0.15
    level = float(np.exp(rng.uniform(np.log(6), np.log(60))))
    draft.fill(volume(draft, level, [shape / shape.max()], (1, 1, 1, 1, 0.9, 0.3, 0.2)), mix(rng))
    minute = np.arange(MINUTES)
    for day in range(draft.days):
        own = draft.generator(6, day)
        begins, ends = first * 60 + own.normal(0, 12), last * 60 + own.normal(0, 15)
        opened = np.clip((minute - begins) / 45, 0, 1) ** 2 * np.clip((ends - minute) / 30, 0, 1)
        for status in draft.statuses:
            draft.base[0, status][day * MINUTES : (day + 1) * MINUTES] *= opened
        draft.trap("first transactions", day * MINUTES + round(begins), day * MINUTES + round(begins) + 45)
    place(draft, 2, (denied_rise, failed_rise, reversed_rise, outage), (first + 1.5, last - 2.5), _working(draft))


def _working(draft: Draft) -> Callable[[int], bool]:
    return lambda day: draft.weekday(day) < 5


def _merchants(draft: Draft) -> None:
    """Describe five hundred merchants of very different sizes, with incidents at single ones, and one at all of them.

    Three in ten close at night. One in ten charges its subscribers at a fixed minute of the day. The customers of some
    arrive in clusters.
    """
    import numpy as np

    rng = draft.generator(0)
    draft.statuses = ("approved", "denied", "failed", "reversed")
    draft.keys = tuple(f"m{number:03d}" for number in range(1, MERCHANTS + 1))
    sizes = 1 / np.arange(1, MERCHANTS + 1)
    sizes = sizes / sizes.sum() * float(rng.uniform(900, 1500))
    whole, minute = volume(draft, 1.0, [day_shape(rng)], WEEKDAYS), np.arange(draft.minutes) % MINUTES
    for key, size in enumerate(sizes):
        shares = mix(rng)
        turned = int(rng.normal(0, 60))  # minutes by which the merchant's day is shifted
        draft.clustering[key] = float(np.exp(rng.normal(0, 1)))
        own = np.roll(whole, turned)
        if rng.random() < 0.3:
            opens, closes = 60 * rng.uniform(7, 10.5), 60 * rng.uniform(18, 22.5)
            inside = np.clip((minute - opens) / 5, 0, 1) * np.clip((closes - minute) / 5, 0, 1)
            own = own * inside * (own.sum() / (own * inside).sum())
        if rng.random() < 0.1:
            charged = (minute >= (at := 60 * rng.uniform(0, 23))) & (minute < at + rng.uniform(3, 20))
            own = own + charged * rng.uniform(5, 20)
        draft.fill(size * own, {s: shares[s] for s in draft.statuses}, key)

    def single(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        key = int(rng.integers(0, 60))
        if key < 15 and rng.integers(3) == 0:
            loss(draft, at, int(rng.integers(20, 61)), rng, part=(0.7, 1.0), everything=True, key=key)
        else:
            status = str(rng.choice(("denied", "failed", "reversed")))
            rise(draft, status, at, int(rng.integers(15, 46)), rng, strength=(10, 18), least=2, key=key)

    place(draft, 20, (single,), (6, 23))
    if draft.clean or draft.days < 2:
        return
    at = (draft.days - 1) * MINUTES + int(rng.integers(1, 5)) * 60  # before the incidents of single merchants
    for key in range(len(draft.keys)):
        for status in draft.statuses:
            draft.alter(status, at, at + 25, lambda mean: mean * 0, key)
    draft.mark("outage of everything", at, at + 25, [*draft.statuses, TOTAL])


def _payday(draft: Draft) -> None:
    """Describe two days of the month with about twice the usual volume from the morning on."""
    import numpy as np

    rng = _ordinary(draft, 80, 400)
    paydays = ((5, 20), (1, 15), (10, 25), (7, 21))[int(rng.integers(4))]
    factor = float(rng.uniform(1.5, 2.1))
    eased = 1 + (factor - 1) * np.clip((np.arange(MINUTES) - 240) / 240, 0, 1)
    eased = 1 + (eased - 1) * np.clip((MINUTES - np.arange(MINUTES)) / 180, 0, 1)
    for day in range(draft.days):
        if draft.day_of_month(day) in paydays:
            for status in draft.statuses:
                draft.base[0, status][day * MINUTES : (day + 1) * MINUTES] *= eased
            draft.trap("payday", day * MINUTES + 240, (day + 1) * MINUTES)
    place(draft, 2)


def _sale(draft: Draft) -> None:
    """Describe a flash sale every other day: two to six times the transactions within minutes, then a decline."""
    import numpy as np

    _ordinary(draft, 80, 400)
    for day in range(draft.warmup // MINUTES, draft.days, 2):
        own = draft.generator(6, day)
        at = day * MINUTES + 60 * int(own.integers(18, 21))
        minute = np.arange(draft.minutes) - at
        rising, half = float(own.uniform(1, 4)), float(own.uniform(20, 50))
        curve = np.where(minute < 0, 0.0, np.minimum(minute / rising, 1.0) * 0.5 ** (np.maximum(minute, 0) / half))
        curve = 1 + float(own.uniform(1, 5)) * curve
        for status in draft.statuses:
            draft.base[0, status] *= curve
        draft.trap("flash sale", at, at + int(np.count_nonzero(curve > 1.1)))
    place(draft, 2, hours=(0, 17))


def _drift(draft: Draft) -> None:
    """Describe a business that grows or shrinks by 1 to 3 % per day, with a drifting share of denials."""
    import numpy as np

    rng = _ordinary(draft, 80, 400)
    days = np.arange(draft.minutes) / MINUTES
    trend = float(rng.choice((-1, 1)) * rng.uniform(0.01, 0.03))
    for status in draft.statuses:
        draft.base[0, status] *= np.exp(trend * days)
    draft.base[0, "denied"] *= np.exp(float(rng.uniform(-0.02, 0.03)) * days)
    place(draft, 2)


def _dst(draft: Draft) -> None:
    """Describe a local day in UTC.

    The clocks change on the second Sunday, and everything is an hour earlier afterwards.
    """
    _ordinary(draft, 80, 400)
    sundays = [day for day in range(draft.days) if draft.weekday(day) == 6]
    if len(sundays) > 1:
        at = sundays[1] * MINUTES + 60  # 01:00 UTC, as in the European Union
        for status in draft.statuses:
            row = draft.base[0, status]
            row[at : draft.minutes - 60] = row[at + 60 :].copy()
            row[draft.minutes - 60 :] = row[draft.minutes - 61]
        draft.trap("clock change", at, at + MINUTES)
    place(draft, 2)


def _issuer(draft: Draft) -> None:
    """Describe cards of eight banks. If a bank fails, its cards are denied or fail instead of being approved."""
    import numpy as np

    rng = draft.generator(0)
    draft.statuses = ("approved", "denied", "failed", "reversed")
    draft.keys = ISSUERS
    sizes = np.sort(rng.dirichlet(np.full(len(ISSUERS), 4.0)))[::-1]
    level = float(np.exp(rng.uniform(np.log(150), np.log(500))))
    whole = volume(draft, level, [day_shape(rng)], WEEKDAYS)
    for key, size in enumerate(sizes):
        shares = mix(rng)
        draft.fill(size * whole, {s: shares[s] for s in draft.statuses}, key)

    def bank(draft: Draft, at: int, rng: "np.random.Generator") -> None:
        key = int(rng.integers(0, 5))
        status = str(rng.choice(("denied", "failed")))
        end = min(at + int(rng.integers(15, 61)), draft.minutes)
        left = float(rng.uniform(0, 0.3))
        gone = (1 - left) * draft.mean("approved", key)[at:end]
        draft.alter("approved", at, end, lambda mean: mean * left, key)
        draft.alter(status, at, end, lambda mean: mean + gone, key)
        draft.mark(f"issuer outage ({status})", at, end, [status, "approved"], [status, "approved", TOTAL], key)

    place(draft, 3, (bank,), (7, 24))


def _scenarios() -> dict[str, Scenario]:
    found = (
        Scenario("shop", "a shop that closes at night and on Sundays", 16, 8, _shop),
        Scenario("batch", "a status jumps every hour, another in the night", 7, 3, _batch),
        Scenario("cron", "charges every 15 minutes", 6, 2, _cron),
        Scenario("clustered", "clusters: variances of 1.5 to 10 times the mean", 6, 1, _clustered),
        Scenario("bursty", "delivered every few minutes, and files of clients", 6, 1, _bursty),
        Scenario("weekly", "weekday and weekend of different shape", 28, 14, _weekly),
        Scenario("tiny", "two transactions a minute", 9, 2, _tiny),
        Scenario("large", "five thousand transactions a minute", 6, 1, _large),
        Scenario("long", "long incidents, relapses, in the warm-up, at night", 7, 1, _long),
        Scenario("partial", "a part of the volume is lost", 6, 1, _partial),
        Scenario("opening", "nobody at night; first transactions in the morning", 12, 3, _opening),
        Scenario("merchants", "500 merchants; use it with --group-by merchant", 4, 2, _merchants, "merchant"),
        Scenario("payday", "twice the volume on two days of the month", 24, 7, _payday),
        Scenario("sale", "flash sales: up to six times the volume in minutes", 8, 2, _sale),
        Scenario("drift", "the level grows or shrinks day by day", 15, 2, _drift),
        Scenario("dst", "the clocks change", 21, 7, _dst),
        Scenario("issuer", "banks fail one at a time; also for --group-by issuer", 6, 1, _issuer, "issuer"),
    )
    return {scenario.name: scenario for scenario in found}


SCENARIOS: Final = _scenarios()

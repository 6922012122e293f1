"""What the pipeline's part of a state must look like, checked before it is taken over: types, lengths and ranges.

This is the only description of the layout beside the `snapshot` methods themselves. `LAYOUT` gives the names of each
part to other modules, and a test compares it with the snapshot of a pipeline.

The checksum of a state finds accidents. This finds what was edited, or written by something else: without it such a
state would be restored, and fail in a later minute, at each start anew.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from txmon.detection.baseline import LENGTHS, OLD_LENGTH
from txmon.detection.hours import PARTS
from txmon.detection.tails import SNAPSHOT_LENGTH as TAIL_LENGTH

LARGEST: Final = 1e18  # of a number: counts are at most 10^15 a row, and no sum of them comes near
DAY: Final = 86400
Real = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Amount = Annotated[float, Meta(ge=0.0, le=LARGEST)]
Whole = Annotated[int, Meta(ge=0, le=10**18)]
Time = Annotated[int, Meta(ge=0, le=253402300799 + DAY)]  # epoch seconds, to the end of the year 9999
Pair = tuple[str, str]
Counts = list[tuple[list[Pair], dict[str, Whole]]]
_MoneyTable = list[tuple[list[Pair], dict[str, tuple[str, str]]]]  # the numbers as texts: they may be long
_Amounts = list[tuple[str, Real, Amount]]
_Driver = tuple[list[Pair], Whole, Amount, Real]
# a baseline's numbers, as its `snapshot` orders them
_Part = Annotated[float, Meta(gt=0.0, lt=1.0)]
_Gain = Annotated[float, Meta(ge=0.0, le=1.0)]
_Slope = Annotated[float, Meta(ge=-1.0, le=1.0)]
if TYPE_CHECKING:
    Numbers = tuple[float, ...]
else:
    Numbers = tuple[(_Part, _Gain, _Slope, *[Amount] * (OLD_LENGTH - 3))]


class _Buckets(msgspec.Struct):
    late: Whole
    first_late: Time
    repeated: Whole
    open: list[Annotated[list[Any], Meta(min_length=2, max_length=6)]]  # older states end after the counts
    closed: list[tuple[Time, Counts]]
    changed: list[tuple[Time, list[Pair], str]]
    ids: list[tuple[Annotated[int, Meta(ge=-DAY)], list[int | str]]]  # texts in states of before
    watermark: Annotated[int, Meta(ge=-DAY)] | None
    next: Time | None
    last: Time
    # not in older states
    bulk: Time | None = None
    runs: list[tuple[Time, Whole]] = []
    sizes: list[Whole] = []
    steps: list[Whole] = []
    details: list[tuple[Time, list[Any], _MoneyTable]] = []


_Sample = tuple[Annotated[int, Meta(ge=0, le=32)], dict[str, list[str]]]
_Open = tuple[Time, Counts, dict[str, Whole] | None, _Sample | None, Whole, Time]
_Known = tuple[Amount, Amount, Amount, _Slope]
_Baseline = Annotated[list[Real], Meta(min_length=OLD_LENGTH, max_length=max(LENGTHS))]  # what follows is newer
# the last, how a key's bursts are spaced, is not in older states
_Group = Annotated[list[Any], Meta(min_length=6, max_length=7)]
_FullGroup = tuple[list[Pair], Time, Whole, Amount, _Baseline, dict[str, _Baseline], tuple[Whole, _Gain]]
_Tail = Annotated[list[Amount], Meta(min_length=TAIL_LENGTH, max_length=TAIL_LENGTH)]
_Pulse = Annotated[list[Real], Meta(min_length=5, max_length=9)]  # what follows five numbers is newer
_Pulses = tuple[Whole, Whole, list[_Pulse], list[_Pulse], list[_Pulse]]
_Hours = Annotated[
    list[Annotated[int, Meta(ge=-1, le=10**12)]], Meta(min_length=2 + 2 * PARTS, max_length=2 + 2 * PARTS)
]


class _Sampled(msgspec.Struct):
    level: Annotated[int, Meta(ge=0, le=32)]
    keys: list[tuple[str, Time, list[str]]]


class _Roll(msgspec.Struct):
    level: Annotated[int, Meta(ge=0, le=32)]
    sample: _Sampled | None


_Surge = tuple[list[Pair], Amount, _Known, dict[str, _Known], Whole]  # the last is not in older states


class _Detector(msgspec.Struct):
    before: Annotated[int, Meta(ge=-1)]
    age: Whole
    level: Amount
    lag: Annotated[float, Meta(ge=0.0, le=10.0)]
    anchored: bool
    kept: list[tuple[list[Pair], str, _Known]]
    excluded: list[tuple[list[Pair], str]]
    season: Annotated[list[Real], Meta(min_length=2)]
    groups: list[_Group]
    # not in older states
    surges: list[Annotated[list[Any], Meta(min_length=4, max_length=5)]] = []
    seen: Annotated[int, Meta(ge=-1)] = -1
    whole: Annotated[list[_Group], Meta(max_length=1)] = []
    roll: _Roll | None = None
    open: Annotated[int, Meta(ge=-1)] = -1
    opened: Annotated[int, Meta(ge=-1)] = -1
    hours: _Hours | None = None
    key_hours: list[tuple[list[Pair], Annotated[list[Any], Meta(min_length=5, max_length=19)]]] = []
    left: list[tuple[list[Pair], str, Time, _Known]] = []
    tails: dict[str, _Tail] = {}
    pools: dict[str, Amount] = {}
    pulses: list[tuple[list[Pair], str, bool, _Pulses]] = []
    flapping: list[tuple[list[Pair], str, Annotated[int, Meta(ge=-DAY)], Time, Amount]] = []


class _Table(msgspec.Struct):
    """The values of one column of --drivers; `ValueTable.restore` compares the lengths."""

    names: list[str]
    statuses: list[str]
    rows: str
    doubt: str
    all: list[Amount]
    since: Annotated[int, Meta(ge=-1)]
    factor: Annotated[float, Meta(ge=1.0, le=LARGEST)]


class _Drivers(msgspec.Struct):
    columns: list[str]
    tables: list[tuple[list[Pair], list[_Table]]]


class _Watch(msgspec.Struct):
    columns: list[str]
    newest: Annotated[list[list[dict[str, dict[str, Whole]]]], Meta(max_length=15)]
    failing: Annotated[list[list[tuple[list[str], dict[str, Whole]]]], Meta(max_length=15)]
    odd: list[tuple[list[Pair], Time]]
    followed: list[tuple[list[Pair], str, Time]]


class _Member(msgspec.Struct):
    buckets: Whole
    confirmed: bool
    due: Amount
    excess: Real
    expected: Amount
    first: Time
    high: Whole
    label: str
    last: Time
    low: Whole
    minute: Amount
    newest: Real
    observed: Whole
    over: bool
    peak: Time
    quiet: Whole
    recent: list[tuple[Amount, Amount]]
    score: Real
    seen: Amount
    shifted: Time
    sizes: list[Amount]
    strong: list[Time]
    text: str
    total: Whole
    volume: Amount
    # not in older states
    calm_due: Amount = 0.0
    calm_seen: Amount = 0.0
    now_due: Amount = 0.0
    drivers: list[_Driver] | None = None
    money: list[Annotated[list[Any], Meta(min_length=5, max_length=6)]] = []  # the last, the volume, since 0.2


class _Incident(msgspec.Struct):
    acknowledged: bool
    alerts: list[Time]
    id: str
    key: list[Pair]
    label: str
    last: Time
    members: dict[str, Time | _Member]  # of older states: when they last alerted
    opened: bool
    root: str
    start: Time
    told: Time
    told_label: str
    told_size: Amount
    # not in older states
    ack_label: str = ""
    ack_size: Amount = 0.0
    by: str = ""
    children: list[tuple[str, list[Pair], Real]] = []
    clear_seconds: Whole = 0
    closed: Time = 0
    ended: str = ""
    gap: Whole = 0
    note: str = ""
    parent: str = ""
    reopened: Whole = 0
    severity: Literal["info", "warning", "critical"] = "info"
    silence_told: Time = 0
    silent: Time = 0
    times: Whole = 1
    told_severity: Literal["info", "warning", "critical"] = "info"


class _Incidents(msgspec.Struct):
    open: list[_Incident]
    used: list[str]
    silences: list[tuple[str, list[Pair], Time, str, str]] = []  # not in older states


class _Trends(msgspec.Struct):
    counts: dict[str, list[Whole]]
    times: dict[str, Time]
    rising: list[str]


class _Pipeline(msgspec.Struct):
    buckets: _Buckets
    detector: _Detector
    rules: list[tuple[str, list[Pair], str, Time]]
    incidents: _Incidents
    trends: _Trends
    # not in older states
    missed: list[tuple[Time, Time, bool]] = []
    opened: Annotated[int, Meta(ge=-1)] = -1
    money: list[tuple[list[Pair], str, Time, Amount, _Amounts]] = []
    drivers: _Drivers | None = None
    watch: _Watch | None = None
    platform: _Detector | None = None


INCIDENT: Final = frozenset(_Incident.__struct_fields__)
# the names in the state of a pipeline ("") and in those of its parts that are tables
LAYOUT: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(_Pipeline.__struct_fields__),
    **{
        field.name: frozenset(field.type.__struct_fields__)
        for field in msgspec.structs.fields(_Pipeline)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
    },
}


def check(pipeline: Mapping[str, Any], bucket: int) -> None:
    """Raise ValueError, which says where, unless `pipeline` looks like a Pipeline's snapshot.

    bucket: the width of its buckets, seconds.
    """
    found = msgspec.convert(pipeline, _Pipeline)
    for row in found.buckets.open:
        msgspec.convert([*[*row, None, None][:4], *(row[4:] or (0, row[0]))], _Open)
    _check_times(found.buckets, bucket)
    _check_changed(found.buckets)
    if found.detector.season[0] != bucket:
        raise ValueError(f"the season is of buckets of {found.detector.season[0]:g} s")
    if found.trends.counts.keys() != found.trends.times.keys():
        raise ValueError("the trends' counts and times are of different statuses")
    platform = [*found.platform.groups, *found.platform.whole] if found.platform is not None else []
    if found.platform is not None and found.platform.season[0] != bucket:
        raise ValueError(f"the platform's season is of buckets of {found.platform.season[0]:g} s")
    _check_surges(found)
    for row in (*found.detector.groups, *found.detector.whole, *platform):
        try:
            group = msgspec.convert([*row, (0, 0.0)][:7], _FullGroup)
            for numbers in (group[4], *group[5].values()):
                _check_baseline(numbers)
        except ValueError as problem:
            raise ValueError(f"groups: {problem}") from None
        if not all(map(_bounded, (group[4], *group[5].values()))):
            raise ValueError("a level is beyond all bounds")
    newest = found.buckets.next or 0
    times = [found.detector.before, *found.trends.times.values(), *(group[1] for group in found.detector.groups)]
    times += [found.platform.before, *(group[1] for group in platform)] if found.platform is not None else []
    if max(times) >= max(newest, 1):
        raise ValueError("something was learned of a bucket that has not closed")


def _check_baseline(numbers: list[float]) -> None:
    if len(numbers) not in LENGTHS:
        raise ValueError(f"a baseline has one of {LENGTHS} numbers, not {len(numbers)}")
    msgspec.convert(numbers[:OLD_LENGTH], Numbers)
    if min(numbers[OLD_LENGTH:], default=0.0) < 0.0:
        raise ValueError("what a baseline knows of its scores is below 0")


def _bounded(baseline: list[float]) -> bool:
    events, exposure, alerting = baseline[3], baseline[4], baseline[8]
    return events + 1.0 <= LARGEST * exposure if exposure > 0.0 else alerting == 0.0


def _check_surges(found: _Pipeline) -> None:
    platform = found.platform.surges if found.platform is not None else []
    for row in (*found.detector.surges, *platform):
        try:
            msgspec.convert([*row, 0][:5], _Surge)
        except msgspec.ValidationError as bad:
            raise ValueError(f"the surges: {bad}") from None


def _check_times(buckets: _Buckets, bucket: int) -> None:
    """Buckets begin at multiples of their width; closed ones lie before `next`, open ones from there on."""
    starts = [row[0] for row in (*buckets.open, *buckets.closed)]
    if any(start % bucket for start in (*starts, buckets.next or 0, buckets.last)):
        raise ValueError(f"a bucket of {bucket} s does not begin at a multiple of that")
    if buckets.next is None:
        if buckets.closed:
            raise ValueError("buckets have closed, and the next to close is not known")
        return
    if buckets.watermark is None or buckets.watermark >= buckets.next + bucket:
        raise ValueError("the next bucket to close is over already")
    if not bucket <= buckets.next - buckets.last <= DAY + 2 * bucket:
        raise ValueError("the last bucket with rows and the next to close do not lie beside each other")
    if any(row[0] < buckets.next for row in buckets.open):
        raise ValueError("a bucket that has closed is still open")
    if any(start >= buckets.next for start, _ in buckets.closed):
        raise ValueError("a bucket has closed that is yet to close")


def _check_changed(buckets: _Buckets) -> None:
    """What late rows changed is there."""
    if not buckets.changed:
        return
    starts = {start for start, _ in buckets.closed}
    known = {(start, tuple(key)) for start, counts in buckets.closed for key, _ in counts}
    if any(start in starts and (start, tuple(key)) not in known for start, key, _ in buckets.changed):
        raise ValueError("late rows changed a key that has no counts")

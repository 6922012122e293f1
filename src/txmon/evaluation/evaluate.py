"""Scores verdicts against labels: caught incidents, delays, false alarms and pages.

An incident is caught if one of its statuses alerts between its start and its end. The delay is the time from its start
to the first such alert. An alert is false if no incident affects its status at that time or in the ten minutes before.
False alerts of one status at most five minutes apart form one episode. Alerts before the warm-up are not false.

A label may name a key. Then alerts count by key: alerts of other keys neither catch the incident nor are excused by
it, and false alerts of two keys are two episodes. Alerts without a key belong to all keys together, and match every
label.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from txmon.errors import BadData
from txmon.model.keys import TOTAL

GRACE: Final = timedelta(minutes=10)  # after an incident; alerts in this time are not false
TOGETHER: Final = timedelta(minutes=5)  # alerts at most so far apart form one episode

Key = frozenset[tuple[str, str]]  # (column, value); empty: all keys together
NO_KEY: Final[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Label:
    """A true incident. Its start and its end belong to it."""

    kind: str
    statuses: tuple[str, ...]  # the statuses on which it should be caught
    excuses: frozenset[str]  # the statuses on which an alert is not false
    start: datetime
    end: datetime
    key: Key = NO_KEY  # the affected key; empty: all keys

    def holds(self, moment: datetime) -> bool:
        """Return whether `moment` is within the incident."""
        return self.start <= moment <= self.end

    def fits(self, key: Key) -> bool:
        """Return whether the incident affects a series of `key`."""
        return not key or self.key <= key


@dataclass(frozen=True, slots=True)
class Labels:
    """The true incidents of a stream."""

    warmup: datetime  # alerts before it are not false
    incidents: tuple[Label, ...]

    @property
    def keyed(self) -> bool:
        """Return whether an incident affects one key only."""
        return any(label.key for label in self.incidents)

    def excused(self, status: str, moment: datetime, key: Key = NO_KEY) -> Label | None:
        """Return the incident that excuses an alert of `status` (and of `key`), or None."""
        for label in self.incidents:
            if status in label.excuses and label.start <= moment <= label.end + GRACE and label.fits(key):
                return label
        return None


@dataclass(frozen=True, slots=True)
class Page:
    """An incident that txmon opened."""

    statuses: tuple[str, ...]
    start: datetime
    key: Key = NO_KEY


Series = tuple[Key, str]  # (key, status)


@dataclass(frozen=True, slots=True)
class VerdictLines:
    """What the lines of a file of verdicts are."""

    verdicts: int = 0
    series: int = 0  # different keys and statuses of the verdicts
    incidents: int = 0  # lines
    others: Mapping[str, int] = field(default_factory=dict)  # lines that are not scored, by what they are

    def statement(self, name: str, alerts: "Alerts") -> str:
        """Return what was read of the file `name`, as one line without the program's name."""
        count = sum(len(times) for times in alerts.times.values())
        parts = [f"verdict lines; {_some(self.verdicts, 'verdict')} of {self.series} series"]
        if alerts.first is not None and alerts.last is not None:
            parts[0] += f" from {stamp(alerts.first)} to {stamp(alerts.last)}"
        parts.append(f"{_some(count, 'alert')}, {_some(len(alerts.pages), 'incident')}")
        if not self.incidents and count:
            parts.append("no incident lines, so pages are not scored")
        if self.others:
            parts.append(
                "not scored: " + ", ".join(_some(n, f"{kind} line") for kind, n in sorted(self.others.items()))
            )
        return f"{name}: {'; '.join(parts)}"


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts and incidents of a run, as far as they are scored."""

    times: Mapping[str, Sequence[datetime]]  # by status, sorted; over all keys
    first: datetime | None = None  # time of the first verdict
    last: datetime | None = None
    pages: tuple[Page, ...] = ()
    told: bool = True  # whether the run reports incidents at all
    keyed: Mapping[Series, Sequence[datetime]] = field(default_factory=dict)  # the same times by key; empty: no keys
    lines: VerdictLines = VerdictLines()  # what they were read from

    def series(self, by_key: bool) -> Mapping[Series, Sequence[datetime]]:
        """Return the times by series. Unless `by_key`, each status of all keys is one series."""
        return self.keyed if by_key and self.keyed else {(NO_KEY, status): t for status, t in self.times.items()}


@dataclass(frozen=True, slots=True)
class Episode:
    """Alerts of one status close to each other."""

    status: str
    start: datetime
    end: datetime
    key: Key = NO_KEY


@dataclass(frozen=True, slots=True)
class Catch:
    """The result for one incident."""

    label: Label
    delay: float | None  # minutes from its start to its first alert; None: missed
    status: str | None  # the status that alerted first


@dataclass(frozen=True, slots=True)
class Score:
    """The result of comparing alerts with labels."""

    catches: tuple[Catch, ...] = ()
    false: tuple[Episode, ...] = ()
    days: float = 0.0  # from the warm-up to the last verdict
    pages: int | None = 0  # incidents opened after the warm-up; None: the verdicts contain no incidents
    false_pages: int | None = 0  # those of them without a status that an incident excuses

    @property
    def kinds(self) -> dict[str, list[float | None]]:
        """Return the delays of all incidents by their kind, in alphabetic order of the kinds."""
        kinds: dict[str, list[float | None]] = {}
        for catch in sorted(self.catches, key=lambda catch: catch.label.kind):
            kinds.setdefault(catch.label.kind, []).append(catch.delay)
        return kinds

    @property
    def delays(self) -> list[float]:
        """Return the minutes to the first alert of every incident caught, sorted."""
        return sorted(catch.delay for catch in self.catches if catch.delay is not None)

    @property
    def caught(self) -> int:
        """Return the number of incidents caught."""
        return len(self.delays)

    @property
    def delay_median(self) -> float | None:
        """Return the median delay in minutes, or None if no incident was caught."""
        return median(self.delays) if self.delays else None

    @property
    def delay_p90(self) -> float | None:
        """Return the 90th percentile of the delays in minutes, or None for no delay.

        Between two delays it is the lower one.
        """
        delays = self.delays
        return delays[int(0.9 * (len(delays) - 1))] if delays else None

    @property
    def false_per_day(self) -> float | None:
        """Return the false episodes per day, or None if the verdicts end before the warm-up does."""
        return round(len(self.false) / self.days, 3) if self.days else None

    def as_json(self) -> dict[str, object]:
        """Return the score as data for programs: times in minutes, moments in ISO 8601."""
        total = len(self.catches)
        return {
            "incidents": total,
            "caught": self.caught,
            "recall": round(self.caught / total, 4) if total else None,
            "delay_median_min": self.delay_median,
            "delay_p90_min": self.delay_p90,
            "false_episodes": len(self.false),
            "false_per_day": self.false_per_day,
            "days": round(self.days, 2),
            "false_by_status": dict(Counter(episode.status for episode in self.false)),
            "pages": self.pages,
            "false_pages": self.false_pages,
            "kinds": {
                kind: {"incidents": len(got), "caught": len(hit), "delay_median_min": median(hit) if hit else None}
                for kind, got in self.kinds.items()
                for hit in [[delay for delay in got if delay is not None]]
            },
            "missed": [
                {"kind": c.label.kind, "start": stamp(c.label.start), "end": stamp(c.label.end)}
                | _shown_key(c.label.key)
                for c in self.catches
                if c.delay is None
            ],
            "false_alarms": [
                {"status": e.status, "start": stamp(e.start), "end": stamp(e.end)} | _shown_key(e.key)
                for e in sorted(self.false, key=lambda e: e.start)
            ],
        }


def stamp(moment: datetime) -> str:
    """Return `moment` (in UTC) as ISO 8601 with Z."""
    return moment.isoformat().replace("+00:00", "Z")


def score(alerts: Alerts, labels: Labels, by_key: bool = False) -> Score:
    """Return the score of one stream's alerts against its labels.

    by_key: false alarms of two keys are two episodes even if no label names a key.
    """
    series = alerts.series(by_key or labels.keyed)
    catches = tuple(_catch(label, series) for label in labels.incidents)
    false = [
        episode
        for (key, status), times in series.items()
        for episode in episodes(
            status, (t for t in times if t >= labels.warmup and not labels.excused(status, t, key)), key
        )
    ]
    days = (alerts.last - labels.warmup).total_seconds() / 86400 if alerts.last else 0.0
    pages = [page for page in alerts.pages if page.start >= labels.warmup]
    wrong = [
        page for page in pages if not any(labels.excused(status, page.start, page.key) for status in page.statuses)
    ]
    counted = (len(pages), len(wrong)) if alerts.told else (None, None)
    return Score(catches, tuple(false), days, *counted)


def total(scores: Sequence[Score]) -> Score:
    """Return the score of several streams together."""
    return Score(
        tuple(catch for one in scores for catch in one.catches),
        tuple(episode for one in scores for episode in one.false),
        sum(one.days for one in scores),
        _sum(one.pages for one in scores),
        _sum(one.false_pages for one in scores),
    )


def episodes(status: str, times: Iterable[datetime], key: Key = NO_KEY) -> list[Episode]:
    """Return the sorted alert times of one series as episodes."""
    found: list[Episode] = []
    for moment in times:
        if found and moment - found[-1].end <= TOGETHER:
            found[-1] = Episode(status, found[-1].start, moment, key)
        else:
            found.append(Episode(status, moment, moment, key))
    return found


def read_alerts(lines: Iterable[bytes], name: str) -> Alerts:
    """Return the alerts and incidents among the JSON lines of `name`. Raise BadData with the line's number."""
    keyed: defaultdict[Series, list[datetime]] = defaultdict(list)
    pages: list[Page] = []
    first = last = None
    number, events, verdicts = 0, 0, 0
    others: Counter[str] = Counter()
    series: set[Series] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _json_line(line, f"{name}: line {number}")
        if "recommendation" not in row:
            if row.get("event") == "incident":
                events += 1
                pages += _page(row, f"{name}: line {number}")
            else:
                kind = row.get("event")
                others[kind[:40] if isinstance(kind, str) else "other"] += 1
            continue
        verdicts += 1
        moment = _moment(row.get("time"), f"{name}: line {number}: time")
        first = moment if first is None or moment < first else first
        last = moment if last is None or moment > last else last
        place = f"{name}: line {number}"
        status = row.get("status")
        if row["recommendation"] == "alert":
            keyed[_key(row, place), _text(status, f"{place}: status")].append(moment)
        if isinstance(status, str):
            series.add((_key(row, place) if row.get("key") else NO_KEY, status))
    if number and last is None and not events:
        raise BadData(f"{name}: none of its {number} lines is a verdict (none has a `recommendation`)")
    found = alerts_by(keyed, first, last, pages, bool(events) or not keyed)
    return replace(found, lines=VerdictLines(verdicts, len(series), events, others))


def alerts_by(
    keyed: Mapping[Series, Sequence[datetime]],
    first: datetime | None,
    last: datetime | None,
    pages: Sequence[Page],
    told: bool = True,
) -> Alerts:
    """Return the alerts of a run by their series, in any order."""
    times: dict[str, list[datetime]] = {}
    for (_, status), moments in keyed.items():
        times.setdefault(status, []).extend(moments)
    by_key = {
        series: sorted(keyed[series]) for series in sorted(keyed, key=lambda series: (sorted(series[0]), series[1]))
    }
    return Alerts(
        {status: sorted(times[status]) for status in sorted(times)},
        first, last, tuple(pages), told, by_key if any(key for key, _ in keyed) else {},
    )  # fmt: skip


def read_labels(content: bytes, name: str) -> Labels:
    """Return the labels in the JSON text of `name`. Raise BadData with the position of an error."""
    try:
        truth = json.loads(content)
    except json.JSONDecodeError as bad:
        place = f"line {bad.lineno}, column {bad.colno}: {bad.msg}"
        raise BadData(
            f"{name}: is not JSON ({place}). Use labels as `txmon simulate --labels FILE` writes them"
        ) from None
    except (ValueError, RecursionError) as bad:  # not UTF-8, a number with thousands of digits, or nested too deeply
        raise BadData(f"{name}: is not JSON ({bad})") from None
    rows = truth.get("incidents") if isinstance(truth, dict) else None
    if not isinstance(rows, list):
        raise BadData(f"{name}: is not an object with `warmup` and a list of `incidents`")
    warmup = _moment(truth.get("warmup"), f"{name}: warmup")
    return Labels(warmup, tuple(_label(row, f"{name}: incidents[{n}]") for n, row in enumerate(rows)))


def _catch(label: Label, series: Mapping[Series, Sequence[datetime]]) -> Catch:
    fitting = [
        (status, times) for (key, status), times in series.items() if status in label.statuses and label.fits(key)
    ]
    hits = [(t, status) for status, times in fitting for t in times if label.holds(t)]
    if not hits:
        return Catch(label, None, None)
    moment, status = min(hits, key=lambda hit: hit[0])
    return Catch(label, (moment - label.start).total_seconds() / 60, status)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _json_line(line: bytes, place: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as bad:
        raise BadData(f"{place}, column {bad.colno}: is not JSON ({bad.msg})") from None
    except (ValueError, RecursionError):  # not UTF-8, a number with thousands of digits, or nested too deeply
        raise BadData(f"{place}: is not JSON") from None
    if not isinstance(row, dict):
        raise BadData(f"{place}: is not a JSON object")
    return row


def _page(row: dict[str, object], place: str) -> list[Page]:
    if row.get("state") != "opened":
        return []
    statuses = _texts(row.get("statuses"), f"{place}: statuses")
    return [Page(statuses, _moment(row.get("time"), f"{place}: time"), _key(row, place))]


def _key(row: dict[str, object], place: str) -> Key:
    key = row.get("key", {})
    if not isinstance(key, dict) or not all(isinstance(value, str) for value in key.values()):
        raise BadData(f"{place}: key: {_shown(key)} is not an object of texts")
    return frozenset(key.items()) if key else NO_KEY


def _label(row: object, place: str) -> Label:
    if not isinstance(row, dict):
        raise BadData(f"{place}: is not an object")
    statuses = _texts(row.get("statuses"), f"{place}.statuses")
    affects = _texts(row["affects"], f"{place}.affects") if "affects" in row else statuses
    excuses = {*affects, TOTAL} if len(affects) > 1 else set(affects)
    start, end = _moment(row.get("start"), f"{place}.start"), _moment(row.get("end"), f"{place}.end")
    if end < start:
        raise BadData(f"{place}: ends at {row['end']}, before its start")
    return Label(_text(row.get("kind"), f"{place}.kind"), statuses, frozenset(excuses), start, end, _key(row, place))


def _texts(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadData(f"{place}: {_shown(value)} is not a list of statuses")
    return tuple(_text(item, place) for item in value)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise BadData(f"{place}: {_shown(value)} is not a text")
    return value


def _moment(value: object, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None:
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not 1970 <= moment.year < 9999:  # leaves room for the grace, and for any zone
        raise BadData(f"{place}: {_shown(value)} is not an ISO 8601 time")
    return moment


def _shown_key(key: Key) -> dict[str, object]:
    return {"key": dict(sorted(key))} if key else {}


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:60]

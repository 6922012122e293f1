"""Writes the words of a notification: title, facts and sparklines, the same for every channel."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal

from txmon.model.drivers import drivers_text
from txmon.model.keys import TOTAL
from txmon.model.money import Money
from txmon.model.outcome import IncidentEvent
from txmon.model.statuses import shown
from txmon.notify.notification import Day, Notification
from txmon.pipeline.incident_text import seen_text, times_usual
from txmon.support.bars import sparkline
from txmon.support.durations import duration_words
from txmon.support.frozen import frozen
from txmon.support.plurals import counted

Tone = Literal["bad", "warning", "good", "plain"]
LONGEST: Final = 80  # characters that a status or a key may take
MOST_STATUSES: Final = 8
# what markdown, HTML or a card's {{functions}} could take for theirs, and a sign that looks alike and means nothing
_LOOKALIKE: Final = str.maketrans(
    {
        "*": "∗", "`": "ˋ", "[": "［", "]": "］", "<": "‹", ">": "›", "&": "＆", "#": "＃", "~": "∼", "|": "｜",
        "\\": "＼", "{": "｛", "}": "｝", "!": "！",
    }
)  # fmt: skip
TONES: Final[dict[str, Tone]] = {
    "opened": "bad", "reopened": "bad", "worsened": "bad", "no data": "bad", "changed level": "warning",
    "reminder": "warning", "resolved": "good", "trend": "warning",
}  # fmt: skip
# what people look at first, by the root label
ADVICE: Final[dict[str, str]] = {
    "silence": "whether the feed still sends: the exporter, its connection, the gateway",
    "volume loss": "the gateway, the acquirer's status page, and the newest deployment",
    "reversal wave": "timeouts between the gateway and the acquirer, and what is reversed twice",
    "issuer declines": "an attack on one merchant or card range, a changed fraud rule, an issuer's outage",
    "failures": "the errors of the payment service, and the newest deployment",
    "all statuses together": "the newest deployment, and which merchants or products changed their traffic",
}
OTHERWISE: Final = "what changed shortly before it began"
MOST_KEYS: Final = 8
MOST_CURRENCIES: Final = 4


@frozen
class Section:
    """Holds the facts of one incident, a trend or a day."""

    heading: str
    facts: tuple[tuple[str, str], ...]


@frozen
class Message:
    """Holds a notification in words. Nothing in it is markdown."""

    id: str  # the notification's
    title: str
    tone: Tone
    text: str
    sections: tuple[Section, ...]
    more: tuple[str, ...]  # what the sections left out, summed up
    link: str | None


def plain(text: str, longest: int = LONGEST) -> str:
    """Return `text` from outside on one line, without control characters and without markdown or HTML.

    Signs are replaced by lookalikes rather than escaped: renderers differ in which escapes they know.
    """
    line = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 4 * longest])
    line = " ".join(line.translate(_LOOKALIKE).replace("://", "∶//").split())
    line = "".join(_underscore(line, i) if c == "_" else c for i, c in enumerate(line))
    if line[:2] in ("- ", "+ ", "= "):
        line = f"‐{line[1:]}"
    return (line if len(line) <= longest else line[: longest - 1] + "…") or "?"


def _underscore(line: str, i: int) -> str:
    """Return the underscore at `i`, or a lookalike at the edge of a word, where markdown reads emphasis."""
    inside = 0 < i < len(line) - 1 and line[i - 1].isalnum() and line[i + 1].isalnum()
    return "_" if inside else "＿"


def picture(counts: Sequence[int]) -> str:
    """Return counts as bars from 0 to the largest, rounded up so that only a zero looks like one; empty for none."""
    return sparkline(counts, max(counts, default=0) or 1, round_up=True)


def describe(notification: Notification, tz: tzinfo = UTC, most: int = 10) -> Message:
    """Return the words of `notification`, at most `most` incidents one by one; times are shown in `tz`."""
    words = Words(notification, tz)
    shown = notification.events[:most]
    left = notification.events[most:]
    if notification.day is not None:
        sections = (words.day(notification.day), *map(words.incident, shown))
    elif notification.kind == "trend":
        sections = (words.trend(),)
    else:
        sections = tuple(map(words.incident, shown))
    return Message(
        id=notification.id,
        title=words.title(),
        tone=TONES.get(notification.kind, "plain"),
        text=words.text(),
        sections=sections,
        more=_summed_up(left),
        link=notification.link,
    )


class Words:
    """Writes the parts of one notification, with times in one zone."""

    def __init__(self, notification: Notification, tz: tzinfo = UTC) -> None:
        self._told = notification
        self._tz = tz

    def title(self) -> str:
        """Return the first line: the step, the root label, the status."""
        told = self._told
        if told.kind == "test":
            return "Test: txmon can reach you here"
        if told.day is not None:
            return f"Daily summary: {counted(told.day.opened, 'incident')}"
        if told.kind == "trend":
            return f"Rising a lot: {_statuses(tuple(sorted(told.trends)))}"
        if len(told.events) == 1:
            event = told.events[0]
            kind = "Part of a platform incident now" if event.parent else told.kind.capitalize()
            return f"{kind}: {plain(event.label)} - {_statuses(event.statuses)}{_of(event)}"
        labels = Counter(event.label for event in told.events)
        parts = [f"{plain(label)} ({count})" for label, count in labels.most_common(3)]
        return f"{told.kind.capitalize()}: {len(told.events)} incidents - {', '.join(parts)}"

    def text(self) -> str:
        """Return the sentence under the title."""
        told = self._told
        if told.kind == "test":
            return "'txmon notify --test' sent this. Nothing is wrong."
        if told.day is not None:
            return f"From {self.moment(told.day.since)} to {self.moment(told.day.until)}."
        if told.kind == "trend":
            return f"As of {self.moment(told.time)}; not an incident so far."
        late = ", held back by quiet hours or a maintenance window" if told.held else ""
        if told.earlier:
            steps = [f"{kind} {self._clock(time)}" for kind, time in told.earlier]
            late += f". Delivered late: {', '.join([*steps, f'{told.kind} {self._clock(told.time)}'])}"
        if told.kind == "digest":
            return (
                f"The hour had its limit of notifications. These are all others, as of {self.moment(told.time)}{late}."
            )
        if len(told.events) == 1:
            event = told.events[0]
            return f"{self._now(event)}{plain(seen_text(event), 200)} at {self.moment(event.peak)}{late}."
        return f"At {self.moment(told.time)}{late}."

    def _now(self, event: IncidentEvent) -> str:
        """Return how the incident is now, as the beginning of the sentence."""
        found = []
        if event.times > 1:
            found.append(f"On and off since {self._clock(event.start)}, {event.times} times")
        if event.state == "resolved":
            found.append(plain(event.note, 200) if event.note else "Back to normal")
            return "".join(f"{part}. " for part in found) + "At the worst "
        if event.no_data_since:
            found.append(f"No data since {self._clock(event.no_data_since)}")
        if event.usual:
            found.append(
                f"Still {times_usual(event.usual)}. txmon scores that as a new level, and keeps the incident open"
            )
        return "".join(f"{part}. " for part in found) + ("At the worst " if found else "")

    def _clock(self, seconds: int) -> str:
        return datetime.fromtimestamp(seconds, self._tz).strftime("%H:%M")

    def incident(self, event: IncidentEvent) -> Section:
        """Return the facts of one incident: since when, how much, where, and what to look at.

        Where the notification is of this incident alone, its text has the numbers at the worst.
        """
        over = event.state == "resolved"
        facts = [("Severity", event.severity), *self._times(event, over)]
        if len(self._told.events) > 1:
            if event.times > 1:
                facts.append(("On and off", f"{event.times} times"))
            facts.append(("At the worst", f"{plain(seen_text(event), 200)} at {self.moment(event.peak)}"))
        facts.append(("Excess", f"{_excess(event.excess)} {'in all' if over else 'so far'}"))
        facts += [(f"Money{_in(one.currency)}", plain(_without(one), 120)) for one in event.money[:MOST_CURRENCIES]]
        facts += [*_where(event), *self._picture(event)]
        if event.note and not over:
            facts.append(("Note", plain(event.note, 200)))
        if event.parent:
            facts.append(("Part of", plain(event.parent, 120)))
        if not over:
            looked_at = "silence" if event.no_data_since else event.label
            facts.append(("Look at", ADVICE.get(looked_at, OTHERWISE)))
        facts.append(("Incident", plain(event.id, 120)))
        step = f"{event.state.capitalize()}: " if self._told.kind == "digest" and self._told.day is None else ""
        return Section(f"{step}{plain(event.label)} - {_statuses(event.statuses)}{_of(event)}", tuple(facts))

    def _times(self, event: IncidentEvent, over: bool) -> list[tuple[str, str]]:
        lasted = duration_words(max(event.time - event.start, 0))
        since = self.moment(event.start)
        if over:
            return [("Since", since), ("Lasted", f"{lasted}, until {self.moment(event.time)}")]
        return [("Since", f"{since}, for {lasted}" if event.time > event.start else since)]

    def _picture(self, event: IncidentEvent) -> list[tuple[str, str]]:
        recent = self._told.recent
        found = []
        for status in event.statuses[:2]:
            counts = recent.of(status, event.key)
            if counts:
                whole = ", all keys" if recent.over_all_keys and event.key else ""
                which = f"{_status(status)}{whole}: " if len(event.statuses) > 1 or whole else ""
                bars = f"{picture(counts)} {min(counts)} to {max(counts)}{_per(recent.width)}"
                found.append((f"Last {duration_words(recent.width * len(counts))}", f"{which}{bars}"))
        named = [
            f"{_status(status)} {self._told.trends[status].name}"
            for status in event.statuses[:MOST_STATUSES]
            if status in self._told.trends
        ]
        return [*found, ("Trend", ", ".join(named))] if named else found

    def trend(self) -> Section:
        """Return the statuses that rise, how fast, and their last minutes."""
        facts = []
        recent = self._told.recent
        for status, trend in sorted(self._told.trends.items())[:MOST_STATUSES]:
            counts = recent.of(status, ())
            bars = f"{picture(counts)} {min(counts)} to {max(counts)}{_per(recent.width)}, " if counts else ""
            facts.append((_status(status), f"{bars}{trend.slope:+.1f} a minute more every minute"))
        return Section("Trend", tuple(facts))

    def day(self, day: Day) -> Section:
        """Return the day's figures."""
        facts = [("Incidents", f"{day.opened} begun, {day.still_open} still open")]
        if day.silenced:
            facts.append(("Silenced", f"{day.silenced}, by maintenance windows"))
        if day.trends:
            facts.append(("Trends told", str(day.trends)))
        biggest = sorted(day.totals.items(), key=lambda item: (-item[1], item[0]))
        facts += [(_status(status), f"{count} transactions") for status, count in biggest[:MOST_STATUSES]]
        return Section("Figures", tuple(facts))

    def moment(self, seconds: int) -> str:
        """Return a time for people, with its zone."""
        return datetime.fromtimestamp(seconds, self._tz).strftime("%Y-%m-%d %H:%M %Z")


def _status(status: str) -> str:
    return "total volume" if status == TOTAL else plain(shown(status))


def _statuses(statuses: tuple[str, ...]) -> str:
    named = [_status(status) for status in statuses[:MOST_STATUSES]]
    left = len(statuses) - len(named)
    return ", ".join([*named, f"{left} more"] if left else named)


def _of(event: IncidentEvent) -> str:
    if event.key_count:
        return f" ({event.key_count} keys)"
    return f" ({plain(', '.join(value for _, value in event.key))})" if event.key else ""


def _where(event: IncidentEvent) -> list[tuple[str, str]]:
    facts = []
    if event.drivers is not None:
        facts.append(("Where", plain(drivers_text(event.drivers), 300)))
    if event.key:
        facts.append(("Key", plain(", ".join(f"{name}={value}" for name, value in event.key))))
    if event.keys:
        named = [f"{plain('/'.join(v for _, v in key))} ({excess:+,.0f})" for key, excess in event.keys[:MOST_KEYS]]
        left = event.key_count - len(named)
        facts.append((f"{event.key_count} keys", ", ".join([*named, f"{left} more"] if left > 0 else named)))
    return facts


def _excess(excess: float) -> str:
    return f"{abs(excess):,.0f} transactions {'above' if excess >= 0 else 'below'} normal"


def _in(currency: str) -> str:
    return f" in {plain(currency, 20)}" if currency else ""


def _without(money: Money) -> str:
    """Return an amount in words, without its currency, which the fact's name has."""
    return Money("", money.seen, money.expected, money.spread, money.shared).text()


def _per(width: int) -> str:
    return "/min" if width == 60 else f" in {duration_words(width)}"


def _summed_up(events: Sequence[IncidentEvent]) -> tuple[str, ...]:
    """Return one line per root label, the most frequent first."""
    if not events:
        return ()
    labels = Counter(event.label for event in events)
    lines = [f"and {len(events)} more:"]
    for label, count in labels.most_common(5):
        worst = max(abs(event.excess) for event in events if event.label == label)
        lines.append(f"{plain(label)}: {counted(count, 'incident')}, the largest {worst:.0f} transactions off normal")
    return tuple(lines)

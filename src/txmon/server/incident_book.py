"""Keeps the incidents of the last 30 days, with their current state and their timelines."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from txmon.model.clock import iso
from txmon.model.outcome import SEVERITIES, IncidentEvent
from txmon.model.verdict import Verdict
from txmon.pipeline.incident import Incident
from txmon.pipeline.member import label_of
from txmon.runtime.acknowledgements import Word
from txmon.sinks.lines import where_they_apply

KEPT: Final = 30 * 86400  # seconds for which a resolved incident is kept
INCIDENTS: Final = 1000  # incidents; beyond that, the resolved one without news for the longest time is removed
STEPS: Final = 60  # steps in a timeline: the first, and the newest others
DETAILS: Final = 40  # statuses of one incident whose strongest alert is kept
WORDS: Final = {
    "ack": "acknowledged", "undo": "acknowledgement taken back", "accept": "accepted as normal", "ignore": "ignored",
    "silence": "silenced", "unsilence": "silence ended",
}  # fmt: skip


@dataclass(slots=True)
class IncidentRow:
    """An incident as the page shows it. Times are epoch seconds."""

    id: str
    state: str
    statuses: list[str]
    key: dict[str, str]
    label: str
    start: int
    peak: int
    observed: int
    expected: float
    excess: float
    text: str
    explanation: str = ""  # the strongest verdict that matches its label
    acknowledged: bool = False
    time: int = 0  # of the newest event
    severity: str = "warning"
    author: str = ""  # the person who acknowledged it
    note: str = ""
    details: dict[str, dict[str, Any]] = field(default_factory=dict)  # by status: its strongest alert
    more: dict[str, Any] = field(default_factory=dict)  # fields that only some incidents have, as in their lines
    steps: list[dict[str, str]] = field(default_factory=list)  # oldest first

    def take(self, verdict: Verdict) -> None:
        """Note an alert that belongs to the incident."""
        before = self.details.get(verdict.status)
        if before is None and len(self.details) >= DETAILS:
            return
        if before is None or abs(verdict.score) >= abs(before["score"]):
            self.details[verdict.status] = {
                "status": verdict.status, "time": iso(verdict.time), "count": verdict.count,
                "expected": round(verdict.expected, 2), "score": round(verdict.score, 2), "text": verdict.text,
                "label": label_of(verdict),
            }  # fmt: skip
        own = [detail for detail in self.details.values() if detail["label"] == self.label]
        strongest = max(own or self.details.values(), key=lambda detail: abs(detail["score"]))
        self.explanation = strongest["text"]

    def add_step(self, kind: str, time: int, what: str, text: str, by: str = "") -> None:
        """Add a step to the timeline. kind: `step` of the incident, `word` of a person, `notification`."""
        self.steps.append({"kind": kind, "time": iso(time), "what": what, "text": text, "by": by})
        if len(self.steps) > STEPS:
            del self.steps[1]

    def public(self) -> dict[str, object]:
        """Return the row for JSON without its timeline, which `timeline` adds."""
        row: dict[str, object] = asdict(self)
        for name in ("details", "more", "steps"):
            del row[name]
        by_score = sorted(self.details.values(), key=lambda detail: -abs(detail["score"]))
        row["details"] = [{name: value for name, value in one.items() if name != "label"} for one in by_score]
        row["time"], row["start"], row["peak"] = iso(self.time), iso(self.start), iso(self.peak)
        row["expected"], row["excess"] = round(self.expected, 2), round(self.excess, 1)
        return row | {name: value for name, value in self.more.items() if name not in row}

    def timeline(self) -> dict[str, object]:
        """Return the row with its timeline."""
        return self.public() | {"timeline": list(self.steps)}

    def matches(self, text: str) -> bool:
        """Return whether the incident's id, words, statuses or key contain `text`, ignoring case."""
        parts = [self.id, self.label, self.explanation, self.note, self.author, self.severity, *self.statuses]
        parts += [f"{name}={value}" for name, value in self.key.items()]
        return text.casefold() in "\n".join(parts).casefold()


class IncidentBook:
    """Remembers a limited number of incidents, ordered by their latest news."""

    def __init__(self) -> None:
        self._rows: dict[str, IncidentRow] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, identity: str) -> IncidentRow | None:
        """Return the row of an id, or None if it is unknown or no longer kept."""
        return self._rows.get(identity)

    def row(self, identity: str) -> dict[str, object]:
        """Return the row of an id as JSON has it; KeyError where it is not known."""
        return self._rows[identity].public()

    def rows(self) -> list[IncidentRow]:
        """Return all rows."""
        return list(self._rows.values())

    def take(self, event: IncidentEvent) -> None:
        """Note an event of an incident."""
        before = self._rows.pop(event.id, None)
        if before is not None and event.state == "reopened":  # what was acknowledged was the one before
            before.acknowledged, before.author, before.note = False, "", ""
        row = self._rows[event.id] = IncidentRow(
            event.id, event.state, list(event.statuses), dict(event.key), event.label, event.start, event.peak,
            event.observed, event.expected, event.excess, event.text,
            event.explanation or (before.explanation if before else ""),
            before.acknowledged if before else False, event.time, event.severity, before.author if before else "",
            event.note or (before.note if before else ""),
            before.details if before else {}, where_they_apply(event), before.steps if before else [],
        )  # fmt: skip
        row.add_step("step", event.time, event.state, event.text)
        self._drop(event.time)

    def _drop(self, now: int) -> None:
        # a bucket may close an hour of event time late or early, and a replayed past has its own clock
        gone = [row.id for row in self._rows.values() if row.state == "resolved" and row.time < now - KEPT]
        for identity in gone:
            del self._rows[identity]
        while len(self._rows) > INCIDENTS:
            oldest = next((row.id for row in self._rows.values() if row.state == "resolved"), None)
            del self._rows[oldest or next(iter(self._rows))]

    def refresh(self, incident: Incident) -> None:
        """Update the row of an open incident, or create it if a state file contained only the incident."""
        row = self._rows.get(incident.id)
        if row is None:
            text = f"{incident.label}: {', '.join(incident.members)}"
            row = self._rows[incident.id] = IncidentRow(
                incident.id, "opened", [], dict(incident.key), "", incident.start, 0, 0, 0.0, 0.0, text,
                time=incident.told,
            )  # fmt: skip
        row.statuses, row.label, row.peak = list(incident.members), incident.label, incident.peak
        row.observed, row.expected, row.excess = incident.observed, incident.expected, incident.excess
        row.acknowledged, row.author, row.severity = incident.acknowledged, incident.by, incident.severity
        row.note = incident.note
        if incident.ended:
            row.more["ending"] = incident.ended
        if incident.drivers is not None:
            row.more["drivers"] = [one.row() for one in incident.drivers]
        if incident.money:
            row.more["money"] = [one.row() for one in incident.money]
        row.explanation = incident.text or row.explanation

    def obeyed(self, word: Word, now: int) -> None:
        """Note a person's action on an incident. now: epoch seconds."""
        row = self._rows.get(word.id)
        if row is not None:
            until = f" until {iso(word.until)[:16].replace('T', ' ')} UTC" if word.action == "silence" else ""
            row.add_step("word", now, WORDS.get(word.action, word.action) + until, word.note, word.author)

    def notified(self, identities: Iterable[str], now: int, step: str, channel: str, outcome: str) -> None:
        """Note that a channel was notified about incidents. outcome: the result, in words."""
        for identity in identities:
            row = self._rows.get(identity)
            if row is not None:
                row.add_step("notification", now, step, outcome, channel)

    def find(self, states: str, text: str, limit: int) -> tuple[list[IncidentRow], bool]:
        """Return incidents, worst open ones first, then newest first, and whether there were more than `limit`.

        states: `open`, `resolved` or `all`. text: that each must contain.
        """
        found = [
            row
            for row in reversed(self._rows.values())
            if (states == "all" or (row.state == "resolved") == (states == "resolved")) and row.matches(text)
        ]
        found.sort(key=lambda row: (row.state == "resolved", *(-gravity for gravity in _gravity(row))))
        return found[:limit], len(found) > limit

    def snapshot(self) -> list[dict[str, Any]]:
        """Return all rows as values that JSON can represent."""
        return [asdict(row) for row in self._rows.values()]

    def restore(self, state: Iterable[Mapping[str, Any]]) -> None:
        """Restore what `snapshot` returned. Raise KeyError or TypeError if it is not valid."""
        self._rows = {row["id"]: IncidentRow(**row) for row in state}


def _gravity(row: IncidentRow) -> tuple[float, float]:
    """Return the sort key of a row: open ones by severity and excess, resolved ones by their end."""
    if row.state == "resolved":
        return 0.0, float(row.time)
    severity = SEVERITIES.index(row.severity) if row.severity in SEVERITIES else 0
    return float(severity), abs(row.excess)

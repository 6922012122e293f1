"""Whether an injected incident was caught, how soon and by which status, in words."""

from dataclasses import dataclass, field

from .incident_spec import EVERY, Change, IncidentSpec
from .inject import Injector, Span
from .values import nearest
from .verdict import TOTAL, Key, Outcome, Verdict, iso


@dataclass(slots=True)
class Finding:
    """What verdicts said of one incident while it lasted."""

    alerts: dict[tuple[Key, str], Verdict] = field(default_factory=dict)  # the first of each series that should show it
    strongest: Verdict | None = None  # of these statuses, once the detector was warm


class Watch:
    """Follows outcomes through the incidents of an injector."""

    def __init__(self, injector: Injector) -> None:
        self.findings = [Finding() for _ in injector.specs]
        self._injector = injector

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket's outcome."""
        spans = self._injector.spans
        for spec, (start, end), finding in zip(self._injector.specs, spans, self.findings, strict=True):
            if outcome.time + self._injector.width <= start or outcome.time >= end:
                continue
            for verdict in outcome.verdicts:
                if shows(spec, verdict.status) and verdict.recommendation != "warming":
                    _take(finding, verdict)

    def past(self, moment: int) -> bool:
        """Whether every incident is over at `moment` (epoch seconds)."""
        return all(moment >= end for _, end in self._injector.spans)


def shows(spec: IncidentSpec, status: str) -> bool:
    """Whether an alert on `status` is one that the incident should raise."""
    if spec.status == EVERY:
        falls = spec.change in (Change.MULTIPLY, Change.RAMP) and spec.amount < 1
        return not falls or status in ("approved", TOTAL)
    return status == spec.status or (status == TOTAL and spec.status == "approved")


def report(injector: Injector, found: Watch, without: Watch | None) -> list[str]:
    """A line an incident; `without` is the same watch over the input as it is, None where it cannot be read twice."""
    if not injector.spans:
        return ["inject: the input holds no record"]
    lines = []
    for n, (spec, span) in enumerate(zip(injector.specs, injector.spans, strict=True)):
        usual = without.findings[n] if without is not None else Finding()
        text = _no_change(spec, span, injector) or _fate(spec, span, found.findings[n], usual)
        lines.append(f"inject {spec.text}: {text}")
    return [*lines, f"inject: {injector.added} transactions added, {injector.removed} taken away"]


def _no_change(spec: IncidentSpec, span: Span, injector: Injector) -> str:
    """Why the incident is in no record, or an empty text."""
    end = injector.last + injector.width
    if span[1] <= injector.first or span[0] >= end:
        return f"lies outside the input, which is from {iso(injector.first)} to {iso(end)}"
    if spec.status != EVERY and spec.change is not Change.ADD and spec.status not in injector.statuses:
        return f"changed nothing: the input has no {spec.status!r}{nearest(spec.status, injector.statuses)}"
    return ""


def _fate(spec: IncidentSpec, span: Span, finding: Finding, usual: Finding) -> str:
    """usual: what verdicts say without the incident; an alert that they have as soon is not the incident's."""
    own = [
        alert
        for series, alert in finding.alerts.items()
        if series not in usual.alerts or usual.alerts[series].time > alert.time
    ]
    sale = spec.change is Change.SALE
    if own:
        first = min(own, key=lambda alert: alert.time)
        text = "a false alarm" if sale else "caught"
        return f"{text} {_after(first, span)} by {_series(first)} ({iso(first.time)}: {first.text})"
    if finding.alerts and not sale:
        first = min(finding.alerts.values(), key=lambda alert: alert.time)
        return f"{_series(first)} alerts {_after(first, span)}, but as soon without it: the input is no place to tell"
    text = "no alert of its own, as it should be" if sale else "not caught"
    best = finding.strongest
    if finding.alerts:  # the input's own, whose scores say nothing of the sale
        return text
    if best is None:
        return f"{text}: the detector was warming up, or saw nothing of it"
    return f"{text}; the strongest score was {best.score:+.1f} sigmas of {_series(best)} at {iso(best.time)}"


def _take(finding: Finding, verdict: Verdict) -> None:
    if verdict.recommendation == "alert":
        finding.alerts.setdefault((verdict.key, verdict.status), verdict)
    if finding.strongest is None or abs(verdict.score) > abs(finding.strongest.score):
        finding.strongest = verdict


def _after(verdict: Verdict, span: Span) -> str:
    """The delay as evaluate counts it: from the incident's first bucket to the alert's."""
    minutes = max(0.0, (verdict.time - span[0]) / 60)
    return f"after {minutes:.0f} min" if minutes >= 0.5 else "at once"


def _series(verdict: Verdict) -> str:
    return ", ".join([verdict.status, *(f"{name}={value}" for name, value in verdict.key)])

"""Whether an injected incident was caught, how soon and by which status, in words."""

from dataclasses import dataclass

from .incident_spec import EVERY, Change, IncidentSpec
from .inject import Injector, Span
from .values import nearest
from .verdict import TOTAL, Outcome, Verdict, iso


@dataclass(slots=True)
class Finding:
    """What verdicts said of one incident while it lasted."""

    alert: Verdict | None = None  # the first on a status that should show it
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
        own = without.findings[n].alert if without is not None else None
        text = _fate(spec, span, injector, found.findings[n])
        if own is not None:
            text += f"; the input alerts there without it too: {_series(own)} {_after(own, span)}"
        lines.append(f"inject {spec.text}: {text}")
    return [*lines, f"inject: {injector.added} transactions added, {injector.removed} taken away"]


def _fate(spec: IncidentSpec, span: Span, injector: Injector, finding: Finding) -> str:
    end = injector.last + injector.width
    if span[1] <= injector.first or span[0] >= end:
        return f"lies outside the input, which is from {iso(injector.first)} to {iso(end)}"
    if spec.status != EVERY and spec.change is not Change.ADD and spec.status not in injector.statuses:
        return f"changed nothing: the input has no {spec.status!r}{nearest(spec.status, injector.statuses)}"
    if finding.alert is not None:
        alert = finding.alert
        if spec.change is Change.SALE:
            return f"a false alarm {_after(alert, span)} of {_series(alert)} ({iso(alert.time)}: {alert.text})"
        return f"caught {_after(alert, span)} by {_series(alert)} ({iso(alert.time)}: {alert.text})"
    if finding.strongest is None:
        return "not caught: the detector was warming up, or saw nothing of it"
    best = finding.strongest
    if spec.change is Change.SALE:
        return f"no alert, as it should be; the strongest score was {best.score:+.1f} sigmas of {_series(best)}"
    return f"not caught; the strongest score was {best.score:+.1f} sigmas of {_series(best)} at {iso(best.time)}"


def _take(finding: Finding, verdict: Verdict) -> None:
    if verdict.recommendation == "alert" and finding.alert is None:
        finding.alert = verdict
    if finding.strongest is None or abs(verdict.score) > abs(finding.strongest.score):
        finding.strongest = verdict


def _after(verdict: Verdict, span: Span) -> str:
    """The delay as evaluate counts it: from the incident's first bucket to the alert's."""
    minutes = max(0.0, (verdict.time - span[0]) / 60)
    return f"after {minutes:.0f} min" if minutes >= 0.5 else "at once"


def _series(verdict: Verdict) -> str:
    return ", ".join([verdict.status, *(f"{name}={value}" for name, value in verdict.key)])

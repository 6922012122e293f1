"""What a series means by now: in a bucket that is still open, or in one that closed and was corrected."""

from ..pipeline import Pipeline
from ..verdict import Key, Verdict
from .receipt import Place


def assess(pipeline: Pipeline, place: Place) -> Verdict | None:
    """The verdict on what a series has by now, on either side; None where its bucket is no longer known."""
    start, key, status = place
    counts = pipeline.bucketer.counts(start, key)
    if counts is None:
        return None
    verdict = pipeline.detector.assess(start, key, status, counts)
    if verdict is None:
        count, total = counts.get(status, 0), sum(counts.values())
        text = f"warming up: {count} {status}"
        verdict = Verdict(start, status, key, count, total, 0.0, 0, 0, 0.0, 1, "warming", (), text)
    partial = pipeline.bucketer.is_open(start)
    incident = _incident(pipeline, key, status) if verdict.recommendation == "alert" else None
    return verdict.changed(partial=partial, revises=not partial, incident=incident)


def assess_open(pipeline: Pipeline, place: Place) -> Verdict | None:
    """The same, but that an open bucket with too little is no alert: it has every chance to come up yet."""
    verdict = assess(pipeline, place)
    if verdict is None:
        return None
    if verdict.recommendation == "alert" and verdict.score < 0 and verdict.partial:
        return verdict.changed(recommendation="ok", reasons=())
    return verdict


def _incident(pipeline: Pipeline, key: Key, status: str) -> str | None:
    for incident in pipeline.tracker.open():
        if incident.key == key and status in incident.members:
            return incident.id
    return None

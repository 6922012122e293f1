"""What people want done with incidents, done to a pipeline: for `txmon ack`, the API and the page alike."""

from txmon.model.keys import TOTAL
from txmon.pipeline.incidents import SilenceOrder
from txmon.pipeline.pipeline import Pipeline
from txmon.runtime.acknowledgements import Word


def do(word: Word, pipeline: Pipeline) -> bool:
    """Do what `word` says; return whether the incident is open, or there was a silence to end."""
    tracker = pipeline.tracker
    if word.action == "silence":
        tracker.silence(SilenceOrder(word.status or TOTAL, word.key, word.until, word.author, word.note))
        return True
    if word.action == "unsilence":
        return tracker.end_silence(word.status or TOTAL, word.key)
    if word.action == "ack":
        return tracker.acknowledge(word.id, word.author, word.note)
    if word.action == "undo":
        return tracker.unacknowledge(word.id)
    return (
        pipeline.accept(word.id, word.author, word.note)
        if word.action == "accept"
        else pipeline.ignore(word.id, word.author, word.note)
    )

"""Statuses that settings name and no row had: nothing is wrong with them, but they do nothing."""

from typing import Final

from txmon.pipeline.pipeline import Pipeline
from txmon.settings.declarations import Settings
from txmon.support.suggest import nearest

ALIKE: Final = 0.75  # how alike two statuses are of which one is a slip: reversed and backend_reversed are not


def misspelt(settings: Settings, pipeline: Pipeline) -> list[str]:
    """A line for each status that `settings` name, that no row has had, and that is nearly one that rows have had."""
    named = {
        "--min-count": settings.min_count.table,
        "--min-ratio": settings.min_ratio.table,
        "--direction": settings.direction,
        "--rule": [rule.status for rule in settings.rule if rule.status],
        "--silence": [status for window in settings.silence for status in window.statuses],
    }
    if not any(named.values()):
        return []
    seen = {series.status for series in pipeline.detector.describe()}
    return [
        f"{option}: no row had the status {status!r}{near}"
        for option, statuses in named.items()
        for status in statuses
        if status not in seen and (near := nearest(status, seen, ALIKE))
    ]

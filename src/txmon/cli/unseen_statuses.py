"""Reports statuses that the settings name but no row has. They are not an error, but have no effect."""

from typing import Final

from txmon.pipeline.pipeline import Pipeline
from txmon.settings.declarations import Settings
from txmon.support.suggest import nearest

ALIKE: Final = 0.75  # similarity (0 to 1) of a misspelt status; reversed and backend_reversed are less similar


def misspelt(settings: Settings, pipeline: Pipeline) -> list[str]:
    """Return a line for each status in `settings` that no row has and that resembles a status of the rows."""
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

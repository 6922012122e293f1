"""Prints the additional messages of `--verbose`."""

import resource
import sys
import time
from collections.abc import Iterator

from txmon.cli.messages import tell
from txmon.settings.declarations import text_of_setting
from txmon.settings.load import Config
from txmon.support.plurals import counted
from txmon.version import describe

_BYTES = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss


class Verbose:
    """Prints the settings that differ from their defaults, and at the end the amount of input and the time."""

    def __init__(self, config: Config) -> None:
        self._wanted = config.settings.verbose
        self._begun = time.monotonic()
        if self._wanted:
            tell([describe(), *_changed(config)])

    def finish(self, records: int, buckets: int, alerting: int) -> None:
        """Print the totals of the run. alerting: the number of buckets with an alert."""
        if not self._wanted:
            return
        seconds = time.monotonic() - self._begun
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES / 1e6
        counts = f"{counted(records, 'record')} read, {counted(buckets, 'bucket')} judged, {alerting} with an alert"
        tell([f"{counts}; {seconds:.1f} s, {records / max(seconds, 1e-9):,.0f} records per second, {megabytes:.0f} MB"])


def _changed(config: Config) -> Iterator[str]:
    """Yield a line for each setting that differs from its default."""
    for name, origin in config.origin.items():
        if origin != "default" and name != "verbose":
            yield f"{name} = {text_of_setting(config.settings, name) or 'not set'} ({origin})"

"""Reports how a command reads its input, and derives settings from that."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from txmon.cli.messages import tell
from txmon.ingest.asked import Asked
from txmon.ingest.reading import Reading
from txmon.runtime.reader import Reader, step_of
from txmon.settings.declarations import Settings
from txmon.settings.load import Config
from txmon.support.durations import duration_text

WIDEST: Final = 3600  # seconds of a bucket
DAY: Final = 86400


def understood(config: Config, reader: Reader, paths: Iterable[str | Asked]) -> Settings:
    """Report how each of `paths` is read, unless --no-reading.

    Return the settings with the bucket of aggregated rows.
    """
    readings = reader.readings(paths)
    settings = config.settings
    bucket = bucket_of(config, readings)
    if not settings.no_reading:
        for reading in readings:
            tell([reading.statement() + _bucket_text(reading, bucket, settings)])
    return settings if bucket is None else replace(settings, bucket=bucket)


def bucket_of(config: Config, readings: Iterable[Reading]) -> int | None:
    """Return the step between rows as the width of a bucket in seconds.

    Return None if --bucket is given or it is not usable.
    """
    step = step_of(readings)
    if step is None or config.origin["bucket"] != "default" or step <= config.settings.bucket:
        return None
    return step if step <= WIDEST and DAY % step == 0 else None


def _bucket_text(reading: Reading, bucket: int | None, settings: Settings) -> str:
    if reading.step is None or reading.step == settings.bucket:
        return ""
    if bucket is not None:
        return f", so the bucket is {duration_text(bucket)} (--bucket)"
    if reading.step > WIDEST:
        return f", and the widest bucket is {duration_text(WIDEST)}: its verdicts mean little"
    return "" if reading.step < settings.bucket else f"; the bucket is {duration_text(settings.bucket)}"

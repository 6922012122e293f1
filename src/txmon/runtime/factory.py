"""From settings to the parts that obey them: the one place where every command gets its pipeline and its reader."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from txmon.detection.detector import NARROW, BucketJudge
from txmon.detection.thresholds import DetectorConfig
from txmon.errors import ConfigError
from txmon.pipeline.buckets import Bucketer
from txmon.pipeline.coverage import Coverage
from txmon.pipeline.incidents import IncidentPolicy, IncidentTracker
from txmon.pipeline.pipeline import Pipeline
from txmon.pipeline.rules import RuleBook
from txmon.runtime import state_file as state
from txmon.settings.declarations import DEFAULTS, Settings
from txmon.support.durations import duration_text

LIVE_LATENESS = 5  # seconds
DAY = 86400


def pipeline_of(
    settings: Settings, live: bool, partial: bool = False, platform: bool = True, detailed: bool = False
) -> Pipeline:
    """The pipeline that `settings` ask for; `partial`: ready to `peek` at open buckets.

    platform: all keys together are judged too, the same failure at many keys is one incident, and rare series of one
    status share what their scores taught; False for a part of a cluster, which sees some keys only. detailed: as
    `hints_of` has it.
    """
    default_lateness = LIVE_LATENESS if live else 0
    lateness = default_lateness if settings.lateness is None else settings.lateness
    resolve_after, merge_within = _at_least(settings, "resolve_after", 3), _at_least(settings, "merge_within", 2)
    policy = IncidentPolicy(
        settings.bucket, resolve_after, merge_within, settings.remind_every, settings.open_after, settings.role,
        platform,
    )  # fmt: skip
    rules = RuleBook(settings.rule, settings.mode, settings.bucket)
    drivers = settings.drivers if detailed else ()
    bucketer = Bucketer(settings.bucket, lateness, partial, live and platform, detailed, drivers)
    coverage = Coverage(settings.bucket, closing_of(settings))
    config = detector_config(settings)
    if drivers and not rules.only:  # a part of the budget is for values that fail by themselves
        config = replace(config, budget=config.budget * (1.0 - settings.drivers_share))
    detector = BucketJudge(replace(config, pooled=platform))
    # with keys, an outage of everything may be too small at each of them to be seen. Rules are asked of keys only
    whole = BucketJudge(replace(config, rowless=False)) if settings.group_by and platform and not rules.only else None
    book = None
    if drivers:
        from txmon.detection.drivers import DriverBook  # here, because few runs have drivers

        book = DriverBook(drivers, settings.drivers_keep)
    pipeline = Pipeline(bucketer, detector, rules, IncidentTracker(policy), coverage, whole, book)
    if drivers and settings.drivers_share and not rules.only:
        from txmon.detection.driver_watch import DriverWatch

        pipeline.watch = DriverWatch(drivers, detector_config(settings), settings.drivers_share)
    return pipeline


def closing_of(settings: Settings) -> Callable[[int], bool] | None:
    """Return what says whether it is closed at a time, epoch seconds; None where no hours are closed."""
    if not settings.closed:
        return None
    tz = ZoneInfo(settings.tz)
    return lambda time: any(closed.active(time, tz) for closed in settings.closed)


def restore(pipeline: Pipeline, settings: Settings, path: str) -> Mapping[str, Any]:
    """Give `pipeline` the state at `path`, if there is one; where its sources are to go on, by name.

    Raises ConfigError when the state is damaged, or was written with settings that it depends on.
    """
    found = state.load(path)
    if found is None:
        return {}
    resume(pipeline, settings, found, path)
    return found.sources


def resume(pipeline: Pipeline, settings: Settings, found: state.State, path: str, own: bool = False) -> None:
    """Give `pipeline` the state `found` at `path`; ConfigError when it does not fit `settings`, or together.

    own: it was written by this very job and nobody had it in between, so its shape is not checked, number by number.
    """
    for name, value in depended_on(settings).items():
        if found.settings.get(name) != value:
            was, now = _flag_of(name, found.settings.get(name)), _flag_of(name, value)
            raise ConfigError(f"{path}: was written {was}, not {now}. Run txmon {was}, or name another --state.")
    from txmon.runtime.state_schema import check

    try:
        if not own:
            check(found.pipeline, settings.bucket)
        pipeline.restore(found.pipeline)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as bad:
        raise ConfigError(f"{path}: is damaged ({bad!r}). txmon did not change it.") from bad


def save(pipeline: Pipeline, settings: Settings, path: str, sources: Mapping[str, Any]) -> None:
    """Write the state of `pipeline`, and where its sources are, to `path`."""
    state.save(path, state_of(pipeline, settings, sources))


def state_of(pipeline: Pipeline, settings: Settings, sources: Mapping[str, Any]) -> state.State:
    """The state of `pipeline` as it is written."""
    return state.State(depended_on(settings), pipeline.snapshot(), sources)


def pipeline_of_state(found: state.State, path: str) -> Pipeline:
    """A pipeline with the state that was read from `path`, to look into; ConfigError when it is damaged."""
    from txmon.runtime.state_schema import check

    try:
        settings = Settings(bucket=int(found.settings["bucket"]), group_by=tuple(found.settings["by"]))
        check(found.pipeline, settings.bucket)
        pipeline = pipeline_of(settings, live=True)
        pipeline.restore(found.pipeline)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as bad:
        raise ConfigError(f"{path}: is damaged ({bad!r}). txmon did not change it.") from bad
    return pipeline


def depended_on(settings: Settings) -> dict[str, Any]:
    """The settings without which a state means something else."""
    return {"bucket": settings.bucket, "by": list(settings.group_by)}


def _flag_of(name: str, value: object) -> str:
    """Return what somebody writes on the command line for a setting that a state depends on."""
    if name == "bucket" and isinstance(value, int):
        return f"with --bucket {duration_text(value)}"
    columns = ",".join(map(str, value)) if isinstance(value, list) else ""
    return f"with --group-by {columns}" if columns else "without --group-by"


def detector_config(settings: Settings) -> DetectorConfig:
    """Return the settings of the detector. Default durations have at least a given number of buckets."""
    return DetectorConfig(
        bucket=settings.bucket,
        half_life=_at_least(settings, "half_life", 10),
        mix_half_life=_at_least(settings, "mix_half_life", 30),
        warmup=_at_least(settings, "warmup", DAY // settings.bucket + 2 if settings.bucket > NARROW else 20),
        sigma=settings.sigma,
        budget=settings.budget,
        min_count=settings.min_count.default,
        min_ratio=settings.min_ratio.default,
        min_counts=settings.min_count.table,
        min_ratios=settings.min_ratio.table,
        directions=settings.direction,
        role=settings.role,
        level_shift=_at_least(settings, "level_shift", 12),
        idle=settings.idle,
        max_series=settings.max_series,
        explain=settings.explain,
        rowless=bool(settings.rule) and settings.mode != "score",
    )


def _at_least(settings: Settings, name: str, buckets: int) -> int:
    """A duration, seconds: what was asked for, or the default, which wide buckets stretch to so many of them."""
    value = getattr(settings, name)
    assert isinstance(value, int)
    return max(value, buckets * settings.bucket) if value == getattr(DEFAULTS, name) else value

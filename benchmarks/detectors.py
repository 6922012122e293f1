"""Detectors that a user might choose instead of txmon, each on the counts of a stream, minute by minute.

Every one judges a minute by the minutes before it alone (SeasonalAD is fitted on the warm-up), a status without a row
as zero, and alerts above normal, on `approved` below it. None alerts in the first 30 minutes.

EWMA             level and variance with a half-life of 15 minutes, alert beyond 3.5 standard deviations
rolling MAD      median of the last hour, alert beyond 3.5 times 1.4826 MAD; `floored`: at least one transaction's
weekly profile   mean of the same quarter of an hour on earlier days (of the same weekday, once there is one), variance
                 over mean pooled from those days, and negative binomial limits: 1 false alarm a week over all series
river Gaussian   river.anomaly.GaussianScorer over the last 2 hours, alert beyond 3.5 standard deviations
river HST        river.anomaly.HalfSpaceTrees (25 trees, height 8, 250 values), alert above a score of 0.95
ADTK seasonal    adtk.detector.SeasonalAD (a day), fitted on the warm-up, default factor 3
outlier factor   original system A: a local outlier factor (20 neighbours, 2 % contamination) refitted every minute on
                 all counts of the status so far; an alert where the newest is an outlier
components       original system B: standardised features of a minute rebuilt from three principal components, an alert
                 where a feature's squared error is beyond 3 sigma. Fitted on the other real file; of a stream, on its
                 first day, which it has then seen. More components were tried on the real files: more was false.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from feeds import DAY, STATUSES, Floats, Stream
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from txmon.evaluation.evaluate import Alerts, alerts_by
from txmon.evaluation.tune import alerts_of
from txmon.runtime.factory import pipeline_of
from txmon.settings.declarations import DEFAULTS, Settings

PROBLEMS = ("denied", "failed", "reversed")  # all that the original systems look at
SIGMAS = 3.5
WARMUP = 30  # minutes
NEIGHBOURS = 20  # of the local outlier factor
WEEK = 7 * DAY
SLOT = 15  # minutes that the weekly profile takes together

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to find alerts."""

    name: str
    run: Callable[[Stream], Alerts]
    statuses: Sequence[str] = ()  # that it judges; empty: all of a stream's, and their total
    slow: bool = False  # on the real files alone, unless all are asked for
    keyed: bool = False  # whether it also judges hundreds of keys


def settings_of(stream: Stream, settings: Settings = DEFAULTS) -> Settings:
    """The settings, with the stream's key."""
    return replace(settings, group_by=(stream.series[0][0][0][0],)) if stream.keyed else settings


def txmon(stream: Stream, settings: Settings = DEFAULTS) -> Alerts:
    return alerts_of(pipeline_of(settings_of(stream, settings), live=False).run(stream.records()))


def per_series(hits: Callable[[str, Floats], Flags], statuses: Sequence[str] = ()) -> Callable[[Stream], Alerts]:
    """A method that looks at each series by itself."""

    def run(stream: Stream) -> Alerts:
        flags = np.zeros(stream.counts.shape, dtype=bool)
        for row, (_, status) in enumerate(stream.series):
            if not statuses or status in statuses:
                flags[row] = hits(status, stream.counts[row])
        return alerts_from(stream, flags)

    return run


def ewma(stream: Stream) -> Alerts:
    """All series at once, minute by minute."""
    gain, x = 1 - 0.5 ** (1 / 15), np.ascontiguousarray(stream.counts.T)
    level, variance = x[0].copy(), np.zeros(x.shape[1])
    sign = directions(stream)
    flags = np.zeros(x.shape, dtype=bool)
    for n, values in enumerate(x):
        step = values - level
        flags[n] = sign * step > SIGMAS * np.sqrt(variance)
        level += gain * step
        variance = (1 - gain) * (variance + gain * step * step)
    return alerts_from(stream, flags.T)


def mad(floor: float) -> Callable[[Stream], Alerts]:
    return per_series(lambda status, x: beyond(status, *mad_scores(x, floor)))


def mad_scores(x: Floats, floor: float) -> tuple[Floats, Floats]:
    """(distance from the median of the hour before, 1.4826 MAD of that hour) of each minute."""
    past = sliding_window_view(np.concatenate([np.full(60, np.nan), x[:-1]]), 60)
    median, spread = np.zeros(len(x)), np.zeros(len(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the first minute has no hour before it
        median[:60] = np.nanmedian(past[:60], axis=1)
        spread[:60] = np.nanmedian(np.abs(past[:60] - median[:60, None]), axis=1)
    median[60:] = np.median(past[60:], axis=1)
    spread[60:] = np.median(np.abs(past[60:] - median[60:, None]), axis=1)
    return np.nan_to_num(x - median), np.maximum(np.nan_to_num(1.4826 * spread), floor)


def beyond(status: str, distance: Floats, deviation: Floats) -> Flags:
    found: Flags = (-distance if status == "approved" else distance) > SIGMAS * deviation
    return found


def weekly_profile(stream: Stream) -> Alerts:
    """Limits that make one false alarm a week over all series, if the profile is right."""
    from scipy.stats import nbinom, poisson

    level = 1 / (WEEK * len(stream.series))
    first = stream.start // 60 % DAY  # the profile is by the minute of the day
    flags = np.zeros(stream.counts.shape, dtype=bool)
    for row, (_, status) in enumerate(stream.series):
        x = np.concatenate([np.full(first, np.nan), stream.counts[row]])
        x = np.concatenate([x, np.full(-len(x) % DAY, np.nan)]).reshape(-1, DAY)
        for day in range(1, len(x)):
            same = list(range(day % 7, day, 7))
            history = x[same if same and not np.isnan(x[same]).all() else list(range(max(0, day - 3), day))]
            slots = history.reshape(len(history), -1, SLOT)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a slot before the start of the stream
                mean = np.nan_to_num(np.nanmean(slots, axis=(0, 2)), nan=float(np.nanmean(history)))
            mean = np.maximum(mean, 1 / (SLOT * len(history)))
            known = ~np.isnan(slots)
            squares = (np.nan_to_num(slots - mean[None, :, None]) ** 2 / mean[None, :, None])[known]
            spread = max(1.0, float(squares.mean()))
            expected, seen = np.repeat(mean, SLOT), x[day]
            far = np.nonzero(np.abs(np.nan_to_num(seen - expected)) > 2 * np.sqrt(spread * expected))[0]
            mu, value = expected[far], seen[far]
            law = nbinom(mu / (spread - 1), 1 / spread) if spread > 1.001 else poisson(mu)
            tail = law.cdf(value) if status == "approved" else law.sf(value - 1)
            wrong = far[(tail < level) & ((value < mu) if status == "approved" else (value > mu))]
            places = day * DAY + wrong - first
            flags[row, places[(places >= 0) & (places < stream.minutes)]] = True
    return alerts_from(stream, flags)


def gaussian(status: str, x: Floats) -> Flags:
    from river.anomaly import GaussianScorer

    model, found = GaussianScorer(window_size=120, grace_period=WARMUP), np.zeros(len(x), dtype=bool)
    limit, below = 0.99977, status == "approved"  # 3.5 standard deviations to one side; the score is 2 |p - 0.5|
    for n, value in enumerate(x.tolist()):
        mean = model.gaussian.mu if n else value
        if (value < mean) if below else (value > mean):
            try:
                found[n] = model.score_one(None, value) > 2 * limit - 1
            except TypeError:  # by rounding, its rolling variance fell below zero, and the deviation is complex
                found[n] = True
        model.learn_one(None, value)
    return found


def half_space(status: str, x: Floats) -> Flags:
    from river import compose, preprocessing
    from river.anomaly import HalfSpaceTrees

    forest = HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1)
    model = compose.Pipeline(preprocessing.MinMaxScaler(), forest)
    found, below, level = np.zeros(len(x), dtype=bool), status == "approved", float(x[0])
    for n, value in enumerate(x.tolist()):
        point = {"count": value}
        found[n] = model.score_one(point) > 0.95 and ((value < level) if below else (value > level))
        model.learn_one(point)
        level += 0.05 * (value - level)
    return found


def seasonal(stream: Stream) -> Alerts:
    """ADTK's detector of a broken season; a series in which it finds no season gets no alert."""
    from adtk.detector import SeasonalAD

    index = pd.date_range("2026-03-02", periods=stream.minutes, freq="min")
    train = max(2 * DAY, stream.warmup // DAY * DAY)
    flags = np.zeros(stream.counts.shape, dtype=bool)
    for row, (_, status) in enumerate(stream.series):
        x = pd.Series(stream.counts[row], index=index)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = SeasonalAD(freq=DAY, side="negative" if status == "approved" else "positive")
                model.fit(x[:train])
                flags[row] = np.nan_to_num(model.detect(x).to_numpy(dtype=float)).astype(bool)
            except (RuntimeError, ValueError, TypeError):
                continue  # "could not find significant seasonality", or fewer than two days
    return alerts_from(stream, flags)


def outliers(status: str, x: Floats) -> Flags:
    from sklearn.neighbors import LocalOutlierFactor

    found = np.zeros(len(x), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it finds the many equal counts suspicious
        for n in range(WARMUP, len(x)):
            if np.count_nonzero(x[:n] == x[n]) >= NEIGHBOURS:  # all neighbours are equal to it: its factor is 1
                continue
            model = LocalOutlierFactor(n_neighbors=NEIGHBOURS, contamination=0.02)
            found[n] = model.fit_predict(x[: n + 1, None])[-1] == -1
    return found


def components(stream: Stream) -> Alerts:
    counts = stream.by_status()
    train, test = features(stream.training), features(counts)
    centre, scale = train.mean(), train.std().replace(0, 1)
    known, judged = ((train - centre) / scale).to_numpy(), ((test - centre) / scale).to_numpy()
    axes = np.linalg.svd(known, full_matrices=False)[2][:3]
    usual = (known - known @ axes.T @ axes) ** 2
    hits = (judged - judged @ axes.T @ axes) ** 2 > usual.mean(axis=0) + 3 * usual.std(axis=0)
    owner = test.columns.get_level_values(0).to_numpy()
    rows = [hits[:, owner == status].any(axis=1) & (status in PROBLEMS) for status in counts]
    return alerts_from(stream, np.array(rows))


def features(counts: dict[str, Floats]) -> pd.DataFrame:
    """What system B derives from a minute: (status, feature) -> value."""
    approved, whole = pd.Series(counts["approved"]), pd.Series(sum(counts.values()))
    found: dict[tuple[str, str], Any] = {("*", "hour"): pd.Series(np.arange(len(whole)) // 60 % 24)}
    for status in counts:
        x = pd.Series(counts[status])
        recent = x.rolling(15, min_periods=1)
        correlation = recent.corr(approved).replace([np.inf, -np.inf], 0).fillna(0)
        made = {"count": x, "share": x / whole.clip(1), "ratio": x / approved.clip(1), "square": x**2, "root": x**0.5}
        made |= {"sum": recent.sum(), "mean": recent.mean(), "max": recent.max(), "min": recent.min()}
        found |= {(status, name): series for name, series in {**made, "correlation": correlation}.items()}
    return pd.DataFrame(found)


def directions(stream: Stream) -> Floats:
    """1 where a series alerts above normal, -1 where below."""
    return np.array([-1.0 if status == "approved" else 1.0 for _, status in stream.series])


def alerts_from(stream: Stream, flags: Flags) -> Alerts:
    def moment(minute: int) -> datetime:
        return datetime.fromtimestamp(stream.start + 60 * minute, UTC)

    times = {}
    for (key, status), row in zip(stream.series, flags, strict=True):
        found = [moment(int(n)) for n in np.nonzero(row)[0] if n >= WARMUP]
        if found:
            times[frozenset(key), status] = found
    return alerts_by(times, moment(0), moment(stream.minutes - 1), (), told=False)


METHODS = (
    Method("txmon, defaults", txmon, keyed=True),
    Method("EWMA, 3.5 sigma", ewma, STATUSES, keyed=True),
    Method("rolling MAD, 3.5 sigma", mad(0.0), STATUSES),
    Method("rolling MAD, floored", mad(1.0), STATUSES),
    Method("weekly profile, NB limits", weekly_profile, STATUSES),
    Method("river Gaussian", per_series(gaussian), STATUSES),
    Method("ADTK seasonal", seasonal, STATUSES),
    Method("river HST", per_series(half_space), STATUSES, slow=True),
    Method("outlier factor (original A)", per_series(outliers, PROBLEMS), PROBLEMS, slow=True),
    Method("components (original B)", components, PROBLEMS, slow=True),
)

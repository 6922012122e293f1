"""`txmon tune`: proposes settings from a stream and its labels, or from an alarm budget."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import length_hint
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from txmon.cli.commands.evaluate import load_labels
from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, option
from txmon.cli.messages import tell
from txmon.cli.options import load_config, options
from txmon.cli.progress_bar import Where, progress, reading
from txmon.cli.understanding import understood
from txmon.errors import ConfigError, NoInput, UsageError
from txmon.evaluation.evaluate import Alerts, stamp
from txmon.evaluation.tune import Candidate, EpisodeDifference, Trial, Tuner, alerts_of, as_records, as_toml, changes
from txmon.ingest.records import Record
from txmon.ingest.rejects import RejectLog
from txmon.runtime.factory import pipeline_of
from txmon.runtime.readable import check_readable
from txmon.runtime.reader import reader_of
from txmon.settings.declarations import DECLARATIONS, Settings, text_of_setting
from txmon.settings.load import Config, load
from txmon.settings.parsers import budget as parse_budget
from txmon.support.durations import duration_text
from txmon.support.terminal_text import printable
from txmon.terminal.tables import aligned, decimal

SETTINGS = tuple(
    name
    for name, declaration in DECLARATIONS.items()
    if declaration.section in ("input", "detection", "incidents") and name not in ("budget", "rejects")
)
SHOWN = 10  # gained and lost alerts that the text lists


@click.command(
    cls=Command,
    short_help="Propose settings from labels or from a budget.",
    common=("labels", "budget", "compare", "group_by", "machine"),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=a_file)
@option("--labels", "truths", multiple=True, metavar="FILE", help="Labels of what happened, as JSON (repeatable).")
@option("--budget", metavar="N/UNIT", help="False alarms accepted over all series: 1/day, 2/week.")
@option("--compare", metavar="TOML", help="Settings to compare with, instead of the present ones.")
@option("--json", "machine", is_flag=True, help="Print a JSON object.")
@options(*SETTINGS)
def tune(
    files: tuple[str, ...],
    truths: tuple[str, ...],
    budget: str | None,
    compare: str | None,
    machine: bool,
    **flags: object,
) -> None:
    """Propose settings: judge FILE... with several, and write the best ones as lines of a txmon.toml.

    With --labels, the best settings have the highest F1: many incidents caught, few false alarms. An additional
    --budget limits the false alarms. With --budget alone, the best settings have the lowest sigma that keeps the alerts
    within the budget. All alerts then count as false, so use a file of ordinary days. One --labels belongs to all
    files as one stream. Several --labels belong to one file each. The output has the lines that differ from the
    effective settings, including flags.

    \b
    Examples:
      txmon tune day.csv --labels truth.json > txmon.toml
      txmon tune last_week.csv.gz --budget 1/day --compare old.toml
    """
    limit = _limit(truths, budget)
    config = load_config(flags)
    settings = config.settings
    groups = [[file] for file in files] if len(truths) > 1 else [list(files)]
    if len(truths) > 1 and len(truths) != len(files):
        raise UsageError(f"{len(files)} files need one --labels, or as many, not {len(truths)}")
    labels = [load_labels(path) for path in truths] or None
    streams, settings = _read(config, groups)
    old = _old(compare, settings) if compare is not None else None
    trials = _Trials(streams)
    tuner = Tuner(settings, trials.judge, labels)
    with progress(lambda: trials.where(tuner.most() + (old is not None))):
        before = tuner.judged(Candidate(), old) if old is not None else tuner.run(Candidate())
        if labels is not None:
            best = tuner.by_labels(limit)
        else:
            assert limit is not None
            best = tuner.by_budget(limit)
    found = Proposal(tuner, compare or "present", before, best, limit, files if len(groups) > 1 else ())
    click.echo(json.dumps(found.as_json()) if machine else "\n".join(found.as_text()))


def _limit(truths: Sequence[str], budget: str | None) -> float | None:
    if not truths and budget is None:
        raise UsageError("--labels or --budget is missing. Use --labels FILE, or for example --budget 1/day.")
    try:
        return parse_budget(budget) if budget is not None else None
    except ValueError as bad:
        raise UsageError(f"--budget: {bad}") from None


def _old(path: str, present: Settings) -> Settings:
    """Return the settings of another file, without flags. They must read the same transactions."""
    if not os.path.exists(path):
        raise NoInput(f"{path}: no such file")
    nowhere = Path(os.devnull)
    old = load({}, {"TXMON_CONFIG": path}, nowhere, nowhere).settings
    if old.bucket != present.bucket:
        buckets = f"{duration_text(old.bucket)}, and {duration_text(present.bucket)} here"
        raise ConfigError(f"{path}: buckets of {buckets}, cannot be compared")
    return old


def _read(config: Config, groups: Sequence[Sequence[str]]) -> tuple[list[list[Record]], Settings]:
    """Return every group of files as one stream in memory, to be judged several times, and the resulting settings."""
    settings = config.settings
    log = RejectLog(None, settings.strict)
    streams, repeats, read = [], list[str](), 0
    readers = [reader_of(settings, log, datetime.now(ZoneInfo(settings.tz)).date()) for _ in groups]
    for reader, files in zip(readers, groups, strict=True):
        settings = understood(replace(config, settings=settings), reader, files)
    for reader, files in zip(readers, groups, strict=True):
        with progress(reading(reader)):
            streams.append(list(as_records(reader.tallies(files, settings.bucket))))
        repeats += reader.summary()
        read += reader.read
    for line in [*log.summary(), *repeats]:
        tell([line])
    check_readable(", ".join(path for files in groups for path in files), read, log)
    return streams, settings


class _Trials:
    """Judges the streams under one candidate after the other, and measures the progress."""

    def __init__(self, streams: Sequence[Sequence[Record]]) -> None:
        self._streams = streams
        self._size = sum(map(len, streams))  # records
        self._begun = 0  # trials
        self._left: list[Iterator[Record]] = []  # of the current trial

    def judge(self, tried: Settings) -> list[Alerts]:
        """Return the alerts of each stream under the settings `tried`."""
        self._begun += 1
        self._left = [iter(records) for records in self._streams]
        return [alerts_of(pipeline_of(tried, live=False).run(records)) for records in self._left]

    def where(self, most: int) -> Where:
        """Return the progress. most: the largest number of trials."""
        done = self._begun * self._size - sum(map(length_hint, self._left))
        return Where(f"settings {self._begun} of at most {most}", done, most * self._size, "records")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposed settings, and how they are shown."""

    tuner: Tuner
    name: str  # of the settings used for comparison
    before: Trial  # the result under them
    best: Trial
    limit: float | None  # episodes per day
    files: Sequence[str]  # of each stream; empty if there is only one stream

    def as_json(self) -> dict[str, object]:
        """Return the proposal as data, for programs."""
        gained, lost = self._changes()
        return {
            "compared": {**_trial_json(self.before), "settings": self.name},
            "trials": [_trial_json(trial) for trial in self.tuner.trials.values()],
            "proposal": _trial_json(self.best),
            "toml": as_toml(self.best.candidate),
            "gained": _changes_json(gained),
            "lost": _changes_json(lost),
        }

    def as_text(self) -> list[str]:
        """Return a txmon.toml in which everything except the proposal is a comment."""
        labelled = self.tuner.labels is not None
        figures = ["caught", "median delay (min)", "false a day"] if labelled else ["alerts a day"]
        rows = [["settings", *figures, "pages"]]
        if self.name != "present":
            rows.append([printable(self.name), *_cells(self.before, labelled)])
        trials = sorted(self.tuner.trials.values(), key=lambda trial: float(trial.candidate.changes.get("sigma", 0)))
        rows += [[_row_name(trial, self.tuner.base), *_cells(trial, labelled)] for trial in trials]
        lines = [*aligned(rows), "", *_notes(self.best, labelled, self.limit), *self._told()]
        return [f"# {line}".rstrip() for line in lines] + as_toml(self.best.candidate)

    def _changes(self) -> tuple[list[EpisodeDifference], list[EpisodeDifference]]:
        return changes(self.best, self.before, self.tuner.truths(self.best.alerts))

    def _told(self) -> list[str]:
        gained, lost = self._changes()
        lines = [f"against {printable(self.name)}: {len(gained)} alerts gained, {len(lost)} lost"]
        for sign, found in (("+", gained), ("-", lost)):
            lines += [f"{sign} {_change_text(change, self.files)}" for change in found[:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"{sign} {len(found) - SHOWN} more (--json names all)")
        return lines


def _row_name(trial: Trial, base: Settings) -> str:
    if trial.candidate.changes:
        return printable(trial.candidate.name())
    return "present " + (
        f"(budget {text_of_setting(base, 'budget')})" if base.sigma is None else f"(sigma {base.sigma:g})"
    )


def _cells(trial: Trial, labelled: bool) -> list[str]:
    score = trial.score
    caught = [f"{score.caught} of {len(score.catches)}", decimal(score.delay_median)] if labelled else []
    return [*caught, decimal(trial.rate, 2), str(score.pages)]


def _notes(best: Trial, labelled: bool, limit: float | None) -> list[str]:
    days = best.score.days
    what = "false episodes" if labelled else "episodes of alerts"
    notes = [f"{days:.2f} days after the warm-up; proposed: {printable(best.candidate.name())}"]
    if limit is not None and best.rate > limit:
        notes.append(
            f"even so there are {best.rate:.2f} {what} a day, more than {limit:.3g}. Check whether they are real"
        )
    elif limit is not None and limit * days < 1:
        notes.append(f"{days:.2f} days are too few to show {limit:.3g} a day: there are no {what} at all")
    if not best.candidate.changes:
        notes.append("none of the tried settings is better than the current ones")
    return notes


def _change_text(change: EpisodeDifference, files: Sequence[str]) -> str:
    episode = change.episode
    minutes = (episode.end - episode.start).total_seconds() / 60
    length = f", {minutes:.0f} min" if minutes else ""
    truth = f" ({printable(change.truth)})" if change.truth else ""
    where = f" in {printable(files[change.stream])}" if files else ""
    return f"{stamp(episode.start)} {printable(episode.status)}{length}{truth}{where}"


def _trial_json(trial: Trial) -> dict[str, object]:
    known = trial.score.as_json()
    kept = ("incidents", "caught", "delay_median_min", "false_episodes", "false_per_day", "days", "pages")
    return {"settings": trial.candidate.name(), "f1": round(trial.f1, 4), **{key: known[key] for key in kept}}


def _changes_json(found: Sequence[EpisodeDifference]) -> list[dict[str, object]]:
    return [
        {
            "stream": change.stream,
            "status": change.episode.status,
            "start": stamp(change.episode.start),
            "end": stamp(change.episode.end),
            "incident": change.truth,
        }
        for change in found
    ]

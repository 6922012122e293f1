"""`txmon spark`: runs the same detector on a cluster, and maintains its state."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, TypeVar

import click

from txmon.cli.completing import a_folder
from txmon.cli.help_page import Command, Group, option
from txmon.cli.messages import tell
from txmon.cli.options import JUDGING, READING, load_config, options
from txmon.cli.outputs import TELLING
from txmon.cli.progress_bar import Where, progress
from txmon.errors import UsageError
from txmon.notify.setup import notifications
from txmon.settings.declarations import Settings
from txmon.settings.parsers import duration
from txmon.spark.shards import Plan, plan_of

# bad records are lines of the output, in kind=reject; they have no separate file and never end the job
PARSING: Final = tuple(name for name in READING if name not in ("strict", "rejects"))
SHARDS: Final = 16
F = TypeVar("F", bound=Callable[..., Any])


def planning(command: F) -> F:
    """Add the options of a plan to a command."""
    for add in (
        option("--no-totals", section="Spark", is_flag=True, help="Do not judge the platform as a whole."),
        option(
            "--series",
            section="Spark",
            type=int,
            metavar="N",
            help="Number of series that share the budget. [default: counted]",
        ),
        option("--shards", section="Spark", type=int, metavar="N", help=f"Shards, for good.  [default: {SHARDS}]"),
    ):
        command = add(command)
    return command


@click.group(
    "spark",
    cls=Group,
    common=("source", "checkpoint", "out", "every", "once", "shards", "start", "group_by", "bucket", "budget"),
    invoke_without_command=True,
    short_help="Run the detector on Spark.",
)
@option(
    "--source",
    section="Spark",
    metavar="SOURCE",
    help="files:DIR, kafka:SERVERS/TOPIC, rate or rate:N (rows a second).",
)
@option("--checkpoint", section="Spark", metavar="DIR", help="Folder for the progress and the state of the job.")
@option(
    "--out",
    "out",
    section="Spark",
    metavar="OUT",
    help="A folder, in which batch=<id>/kind=<kind> are written, or kafka:SERVERS/TOPIC.",
)
@option("--as", "kind", section="Spark", type=click.Choice(["json", "parquet"]), default="json", show_default=True)
@option("--every", section="Spark", default="10s", show_default=True, metavar="TIME", help="Time between batches.")
@option("--once", section="Spark", is_flag=True, help="Read what is there, then end.")
@option("--files-a-batch", section="Spark", type=click.IntRange(1), metavar="N", help="Most files that a batch takes.")
@option(
    "--start", section="Spark", metavar="DIR", help="Begin with the states in this folder (from backfill or rebalance)."
)
@planning
@options(*PARSING, "max_ahead", *JUDGING, "only")
@option("--notify", section="Notifications", is_flag=True, help="Notify people of incidents, from the driver.")
@options(*TELLING)
def spark(
    source: str | None,
    checkpoint: str | None,
    out: str | None,
    kind: str,
    every: str,
    once: bool,
    files_a_batch: int | None,
    start: str | None,
    shards: int | None,
    series: int | None,
    no_totals: bool,
    notify: bool,
    **flags: object,
) -> None:
    """Judge a stream on Spark, on this machine or with spark-submit on a cluster.

    With the same settings, the lines are those of `txmon replay` (docs/cluster.md gives the conditions). A killed job
    continues from its checkpoint, and no line is lost or changed. A folder contains every line once. In Kafka, a
    repeated line has the same key and batch.

    \b
    Examples:
      txmon spark --source files:incoming --group-by merchant --checkpoint state --out verdicts
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from txmon.spark.job import Job, run, session

    missing = [name for name, value in (("source", source), ("checkpoint", checkpoint), ("out", out)) if not value]
    if not (source and checkpoint and out):
        raise UsageError(f"--{missing[0]} is missing. `txmon spark -h` shows an example.")
    settings = load_config(flags).settings
    plan = _plan(settings, shards or SHARDS, series, no_totals, start)
    try:
        seconds = 0 if once else duration(1, 3600)(every)
    except ValueError as bad:
        raise UsageError(f"--every: {bad}") from None
    job = Job(source, checkpoint, out, kind, seconds, files_a_batch)
    with ExitStack() as stack:
        telling = notifications(settings, os.environ, stack, _say).accept if notify else None
        run(session(plan.shards), job, plan, _say, telling)


@spark.command(cls=Command, short_help="Change the number of shards of a job.")
@click.argument("checkpoint", metavar="CHECKPOINT", shell_complete=a_folder)
@option("--shards", section="Spark", type=click.IntRange(1), required=True, metavar="N", help="New number of shards.")
@option("--to", "folder", section="Spark", required=True, metavar="DIR", help="Folder for the new states.")
def rebalance(checkpoint: str, shards: int, folder: str) -> None:
    """Distribute the keys of a stopped job's CHECKPOINT to another number of shards, including their baselines.

    The job continues where the old one stopped, with a new checkpoint and a new --out:

    \b
    Examples:
      txmon spark rebalance state --shards 64 --to moved
      txmon spark --source files:incoming ... --shards 64 --start moved --checkpoint state64 --out verdicts64
    """
    from txmon.spark.checkpoint import read_checkpoint, write_folder
    from txmon.spark.job import session
    from txmon.spark.rebalance import rebalance as dealt

    found = session(shards)
    states = dealt(read_checkpoint(found, checkpoint), shards)
    for line in write_folder(found, checkpoint, folder, shards, states):
        _say(line)


@spark.command(cls=Command, short_help="Learn from history before a job begins.")
@option("--source", section="Spark", required=True, metavar="files:DIR", help="The history.")
@option("--to", "folder", section="Spark", required=True, metavar="DIR", help="Folder for the states.")
@planning
@options(*PARSING, *JUDGING)
def backfill(
    source: str, folder: str, shards: int | None, series: int | None, no_totals: bool, **flags: object
) -> None:
    """Learn what is normal from files of the past. `txmon spark --start DIR` starts with the result.

    \b
    Examples:
      txmon spark backfill --source files:last-week --group-by merchant --to learned
    """
    from txmon.spark.job import files, session
    from txmon.spark.streaming import learn

    kind, _, path = source.partition(":")
    if kind != "files" or not path:
        raise UsageError(f"--source {source!r} is not files:DIR. Use for example files:incoming.")
    plan = _plan(load_config(flags).settings, shards or SHARDS, series, no_totals, None)
    running = session(plan.shards)
    with progress(lambda: _tasks(running)):
        count = learn(files(running, path, stream=False), folder, plan)
    _say(f"the states of {count} shards are in {folder}")


def _tasks(running: Any) -> Where | None:
    """Return how many tasks of the current stages of a Spark session are finished."""
    tracker = running.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    known = [stage for stage in stages if stage is not None and stage.numTasks]
    if not known:
        return None
    newest = max(known, key=lambda stage: int(stage.stageId))
    return Where(f"stage {newest.stageId}", newest.numCompletedTasks, newest.numTasks, "tasks")


def _plan(settings: Settings, shards: int, series: int | None, no_totals: bool, start: str | None) -> Plan:
    plan = plan_of(settings, shards, series, not no_totals, start)
    if settings.sigma is None and plan.settings.sigma is not None:
        _say(f"{series} series share the budget: --sigma {plan.settings.sigma!r}")
    return plan


def _say(text: str) -> None:
    tell([text])

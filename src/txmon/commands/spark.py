"""`txmon spark`: the same detector on a cluster, and the care of its state."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from ..errors import UsageError
from ..settings import Settings
from ..shards import Plan, plan_of
from ..values import duration
from .options import load_config, options

READING: Final = ("format", "map", "date", "tz", "by", "max_line")
JUDGING: Final = (
    "bucket", "lateness", "half_life", "mix_half_life", "warmup", "budget", "sigma", "min_count", "min_ratio",
    "direction", "level_shift", "rule", "mode", "explain", "idle", "max_series", "confirm", "clear", "join", "repeat",
)  # fmt: skip
SHARDS: Final = 16
F = TypeVar("F", bound=Callable[..., Any])


def planning(command: F) -> F:
    """Gives a command what a plan is made of."""
    for option in (
        click.option("--no-totals", is_flag=True, help="Do not judge the platform as a whole."),
        click.option("--series", type=int, metavar="N", help="How many series will share the budget, without --sigma."),
        click.option("--shards", type=int, metavar="N", help=f"Shards, for good.  [default: {SHARDS}]"),
    ):
        command = option(command)
    return command


@click.group("spark", invoke_without_command=True, short_help="The same detector on Spark.")
@click.option("--source", metavar="SOURCE", help="files:DIR, kafka:SERVERS/TOPIC, rate or rate:N (rows a second).")
@click.option("--checkpoint", metavar="DIR", help="Where the job's progress and its state are kept.")
@click.option("--out", "out", metavar="DIR", help="Where batch=<id>/kind=<kind> are written.")
@click.option("--as", "kind", type=click.Choice(["json", "parquet"]), default="json", show_default=True)
@click.option("--every", default="10s", show_default=True, metavar="TIME", help="Time between batches.")
@click.option("--once", is_flag=True, help="Take what is there, and end.")
@click.option("--files-a-batch", type=click.IntRange(1), metavar="N", help="Most files that a batch takes.")
@click.option("--start", metavar="DIR", help="Begin with the states saved there (backfill, rebalance).")
@planning
@options(*READING, *JUDGING, "only")
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
    **flags: object,
) -> None:
    """Judge a stream on Spark: by itself on this machine, under spark-submit on a cluster.

    The lines are those of `txmon replay` with the same settings and a --sigma (docs/cluster.md says what else that
    takes). A killed job goes on from its checkpoint, and no line is lost, changed or there twice.

    Example: txmon spark --source files:incoming --by merchant --sigma 5 --checkpoint state --out verdicts
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from ..spark_job import Job, run, session

    missing = [name for name, value in (("source", source), ("checkpoint", checkpoint), ("out", out)) if not value]
    if not (source and checkpoint and out):
        raise UsageError(f"--{missing[0]} is needed (txmon spark --help)")
    plan = _plan(load_config(flags).settings, shards or SHARDS, series, no_totals, start)
    try:
        seconds = 0 if once else duration(1, 3600)(every)
    except ValueError as bad:
        raise UsageError(f"--every: {bad}") from None
    job = Job(source, checkpoint, out, kind, seconds, files_a_batch)
    run(session(plan.shards), job, plan, _say)


def _plan(settings: Settings, shards: int, series: int | None, no_totals: bool, start: str | None) -> Plan:
    plan = plan_of(settings, shards, series, not no_totals, start)
    if settings.sigma is None and plan.settings.sigma is not None:
        _say(f"{series} series share the budget: --sigma {plan.settings.sigma!r}")
    return plan


def _say(text: str) -> None:
    click.echo(f"txmon: {text}", err=True)

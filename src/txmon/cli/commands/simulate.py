"""`txmon simulate`: a labelled stream, to try txmon and to test it with."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from math import isfinite
from typing import Literal, TextIO

import click
from click.core import ParameterSource

from txmon.cli.help_page import Command, option
from txmon.cli.own_inputs import spare_inputs
from txmon.errors import UsageError
from txmon.evaluation.dimensions import Dimension, check_where, dimension_batches, parse_dimensions
from txmon.evaluation.incident_spec import parse_incident
from txmon.evaluation.simulate import Batch, Simulation, paced
from txmon.evaluation.simulate_text import Labels, count_batches, event_batches, labels
from txmon.settings.parsers import duration
from txmon.support.safe_open import create

DEFAULT_START = "2026-03-02T00:00:00Z"
DEFAULT_MERCHANTS = 20
FIXED_BY_SCENARIO = {
    "peak": "the scenario has a level of its own.",
    "bucket": "its rows are counts a minute.",
    "incidents": "it places its own incidents. Use `txmon replay --inject SPEC` to add one.",
    "events": "its rows are counts a minute.",
    "dimensions": "its rows are counts a minute.",
    "live": "its incidents come after days of warm-up. Use --speed.",
}


@click.command(
    "simulate",
    cls=Command,
    short_help="Simulate a labelled stream with incidents.",
    common=("scenario", "days", "peak", "seed", "incidents", "truth", "kind", "live", "speed", "out"),
)
@option("--scenario", metavar="NAME", help="A structured feed with incidents. `list` shows the names.")
@option("--clean", is_flag=True, help="The feed of --scenario without its incidents.")
@option("--days", type=float, help="Length of the stream.  [default: 1, or what the scenario needs]")
@option(
    "--peak", type=float, default=200.0, show_default=True, help="Approved transactions per minute at the busiest time."
)
@option("--seed", type=int, default=0, show_default=True, help="Seed of the random numbers.")
@option("--start", metavar="TIME", help=f"First moment, ISO 8601.  [default: {DEFAULT_START}]")
@option("--bucket", default="60s", show_default=True, metavar="TIME", help="Width of the counts; 1s to 1h.")
@option("--incident", "incidents", multiple=True, metavar="SPEC", help="Incident to add: what and when (repeatable).")
@option("--labels", "truth", metavar="FILE", help="Write the labels of the incidents to this file as JSON.")
@option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@option("--events", is_flag=True, help="Write one row per transaction (time, status, id, merchant) instead of counts.")
@option("--merchants", type=int, help=f"How many merchants --events has.  [default: {DEFAULT_MERCHANTS}]")
@option(
    "--dimensions", metavar="COLUMN:N,...", help="Columns of --events and how many values each has: issuer:10,code:8."
)
@option("--live", is_flag=True, help="Write in real time, beginning now.")
@option("--speed", type=float, metavar="X", help="Simulated seconds per second.")
@option("-o", "--out", metavar="FILE", help="Write the stream there instead of to standard output.")
@click.pass_context
def simulate(
    context: click.Context,
    scenario: str | None,
    clean: bool,
    days: float | None,
    peak: float,
    seed: int,
    start: str | None,
    bucket: str,
    incidents: tuple[str, ...],
    truth: str | None,
    kind: Literal["csv", "jsonl"],
    events: bool,
    merchants: int | None,
    dimensions: str | None,
    live: bool,
    speed: float | None,
    out: str | None,
) -> None:
    """Write a simulated stream of transactions. The same options give the same stream. --incident adds an incident.

    \b
    SPEC is WHAT@WHEN/HOW LONG:
      denied:x3@14:00/20m           three times as many denied from 14:00, for 20 minutes
      failed:+6@d1,16:00/30m        six more failed per minute, on the second day
      denied:rampx3@+2h/40m         a steady rise to three times, 2 h after the stream's start
      *:x0.2@10:00/4m               a dip of every status
      silence@2026-03-02T03:10/15m  no transactions at all
      sale:x1.8@18:00/2h            a gradual rise and fall of every status: a trap, not an incident
      denied:x4@14:00/20m where issuer=B7 and code=91    only these transactions, with --dimensions

    \b
    A --scenario is a structured feed (opening hours, jobs, bursts, merchants ...). The seed places its incidents.
    `txmon simulate --scenario list` shows the names, the usual lengths and a description of each:
      shop batch cron clustered bursty weekly tiny large long partial opening merchants payday
      sale drift dst issuer

    \b
    Examples:
      txmon simulate --incident denied:x3@14:00/20m | txmon replay - --only alerts
      txmon simulate --incident denied:x3@14:00/20m --labels truth.json --out day.csv
      txmon simulate --events --dimensions issuer:10,code:8 --incident 'denied:x4@14:00/20m where issuer=B7'
      txmon simulate --scenario shop --labels truth.json --out shop.csv
      txmon simulate --live --incident failed:+6@+40m/5m | txmon watch
    """
    if scenario == "list":
        _list()
        return
    _check_pace(start, live, speed)
    if merchants is not None and not events:
        raise UsageError("--merchants needs --events, because counts have no merchant.")
    spare_inputs((), {"--out": out, "--labels": truth})
    began = time.time()
    if scenario is not None:
        _check_scenario(context)
        first = _moment(start or DEFAULT_START)
        batches, answers = _scenario(scenario, seed, first, days, clean, kind)
    else:
        if clean:
            raise UsageError("--clean needs --scenario. Without one, the stream has only the incidents that you name.")
        specs = tuple(parse_incident(text) for text in incidents)
        first = int(began) if live else _moment(start or DEFAULT_START)
        simulation = Simulation(first, 1.0 if days is None else days, peak, seed, _width(bucket), specs)
        first, answers = simulation.start, labels(simulation)
        columns = _dimensions(dimensions, events, merchants)
        check_where(specs, columns)
        if columns:
            batches = dimension_batches(simulation, kind, columns)
        elif events:
            batches = event_batches(simulation, kind, DEFAULT_MERCHANTS if merchants is None else merchants)
        else:
            batches = count_batches(simulation, kind)
    if live:
        batches = paced(batches, first, first, 1.0, time.time, time.sleep)
    elif speed is not None:
        batches = paced(batches, first, began, speed, time.time, time.sleep)
    if truth is not None:
        with create(truth) as file:
            file.write(json.dumps(answers, indent=1) + "\n")
    at_once = live or speed is not None
    with ExitStack() as stack:
        _write(batches, stack.enter_context(create(out, at_once)) if out is not None else sys.stdout, at_once)


def _dimensions(text: str | None, events: bool, merchants: int | None) -> tuple[Dimension, ...]:
    if text is None:
        return ()
    if not events:
        raise UsageError("--dimensions needs --events: counts have no further columns")
    if merchants is not None:
        raise UsageError("--merchants does not go with --dimensions. Use --dimensions merchant:N.")
    return parse_dimensions(text)


def _write(batches: Iterator[Batch], file: TextIO, at_once: bool) -> None:
    for batch in batches:
        file.write(batch.text)
        if at_once:
            file.flush()
    file.flush()


def _list() -> None:
    from txmon.evaluation.scenario_kinds import SCENARIOS

    for scenario in SCENARIOS.values():
        click.echo(f"{scenario.name:<10} {scenario.days:>2} days  {scenario.about}")


def _scenario(
    name: str, seed: int, first: int, days: float | None, clean: bool, kind: Literal["csv", "jsonl"]
) -> tuple[Iterator[Batch], Labels]:
    from txmon.evaluation.scenario_kinds import draft_of
    from txmon.evaluation.scenario_text import scenario_batches, scenario_labels

    if days is not None and days != int(days if isfinite(days) else 0):
        raise UsageError(f"--days {days:g} is not valid with --scenario. A scenario has whole days.")
    draft = draft_of(name, seed, first, None if days is None else int(days), clean)
    return scenario_batches(draft, kind), scenario_labels(draft)


def _check_scenario(context: click.Context) -> None:
    """Refuse the options that a scenario sets itself."""
    for name, why in FIXED_BY_SCENARIO.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--incident" if name == "incidents" else f"--{name}"
            raise UsageError(f"{option} does not go with --scenario: {why}")


def _check_pace(start: str | None, live: bool, speed: float | None) -> None:
    if live and speed is not None:
        raise UsageError("--live runs in real time. Leave --speed out.")
    if live and start is not None:
        raise UsageError("--live starts now. Leave --start out.")
    if speed is not None and not (isfinite(speed) and speed > 0):
        raise UsageError(f"--speed {speed:g} is not valid. Use a number above 0.")


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise UsageError(f"--start {text!r} is not a time. Use for example {DEFAULT_START}.") from None


def _width(text: str) -> int:
    try:
        return duration(1, 3600, divides_day=True)(text)
    except ValueError as bad:
        raise UsageError(f"--bucket {bad}") from None

"""`txmon simulate`: a labelled stream, to try and to test with."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TextIO

import click

from ..errors import UsageError
from ..simulate import EXAMPLE, MINUTE, Simulation, event_lines, minute_lines, parse_injection
from .output import create


@click.command(short_help="Make a labelled stream, to try and to test with.")
@click.option("--days", type=click.FloatRange(0, 36500, min_open=True), default=1.0, show_default=True, help="Length.")
@click.option("--peak", type=click.FloatRange(0, 1e6, min_open=True), default=200.0, show_default=True,
              help="Approved transactions a minute in the busiest hour.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, another stream.")
@click.option("--start", default="2026-03-02", show_default=True, metavar="TIME", help="First minute, ISO 8601.")
@click.option("--incident", "incidents", multiple=True, metavar="SPEC",
              help=f"What goes wrong: {EXAMPLE}, failed:+6@16:00/30m, denied:rampx3@9:00/40m, *:x0.2@10:00/4m,"
              " silence@03:10/15m; sale:x1.8@18:00/2h only looks wrong.")  # fmt: skip
@click.option("--labels", metavar="FILE", help="Write there what goes wrong when, as JSON.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--events", is_flag=True, help="A row a transaction, with merchant and id, instead of counts.")
@click.option("--merchants", type=click.IntRange(1, 10**6), default=20, show_default=True, help="With --events.")
@click.option("--live", is_flag=True, help="In real time, beginning now.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), metavar="X", help="In X times real time.")
@click.option("--out", metavar="FILE", help="Write there instead of to standard output.")
def simulate(
    days: float, peak: float, seed: int, start: str, incidents: tuple[str, ...], labels: str | None, form: str,
    events: bool, merchants: int, live: bool, speed: float | None, out: str | None,
) -> None:  # fmt: skip
    """Make a stream of transactions with incidents at known times; the same for the same seed.

    Example: txmon simulate --incident denied:x3@14:00/20m | txmon replay - --only alerts
    """
    injections = tuple(parse_injection(text) for text in incidents)
    first = int(time.time()) // MINUTE * MINUTE if live else _moment(start)
    simulation = Simulation(first, days, peak, seed, injections)
    with ExitStack() as stack:
        if labels:
            with create(labels) as file:
                json.dump(simulation.labels(), file, indent=1)
        stream: TextIO = stack.enter_context(create(out)) if out else sys.stdout
        pace = _pace(first, 1.0 if live else speed)
        if form == "csv":
            stream.write("time,status,merchant,id\n" if events else "time,status,count\n")
        for minute, counts in simulation.minutes():
            pace(minute + MINUTE)
            lines = event_lines(minute, counts, form, merchants, seed) if events else minute_lines(minute, counts, form)
            stream.writelines(lines)
            if live or speed:
                stream.flush()


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start: {text!r} is no ISO 8601 time") from None
    seconds = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    return seconds // MINUTE * MINUTE


def _pace(first: int, speed: float | None) -> Callable[[int], None]:
    """Waits until the stream's time has come, when it has `speed` times the clock's; at once without a speed."""
    if speed is None:
        return lambda moment: None
    begun = time.monotonic()

    def wait(moment: int) -> None:
        due = begun + (moment - first) / speed
        time.sleep(max(0.0, due - time.monotonic()))

    return wait

"""`txmon state show`: shows the content of a state file."""

import click

from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, Group, option
from txmon.errors import NoInput
from txmon.model.clock import iso
from txmon.runtime.session import OWN
from txmon.runtime.state_file import load
from txmon.support.terminal_text import printable

ROWS = 50


@click.group("state", cls=Group, short_help="Show the content of a state file.")
def state() -> None:
    """Show the content of a state file.

    \b
    Examples:
      txmon state show txmon.state
    """


@state.command("show", cls=Command)
@click.argument("file", metavar="FILE", shell_complete=a_file)
@option("--rows", type=int, default=ROWS, show_default=True, help="Most series to show, the busiest first.")
def show(file: str, rows: int) -> None:
    """Print the baselines as a table, the open incidents, and the position in each source.

    \b
    Examples:
      txmon state show txmon.state --rows 10
    """
    from rich.console import Console
    from rich.table import Table

    from txmon.runtime.factory import pipeline_of_state

    found = load(file)
    if found is None:
        raise NoInput(f"{file}: no such file")
    pipeline = pipeline_of_state(found, file)
    detector = pipeline.detector
    series = sorted(detector.describe(), key=lambda one: -one.expected)
    console = Console(markup=False, emoji=False, highlight=False)
    if detector.time() >= 0:
        console.print(f"judged until {iso(detector.time())}, {len(series)} series")
    table = Table()
    for name in ("status", "series", "expected a bucket", "dispersion", "evidence", "alerting since"):
        table.add_column(name, justify="left" if name in ("status", "series") else "right")
    for one in series[:rows]:
        key = ", ".join(f"{printable(name)}={printable(value)}" for name, value in one.key)
        since = f"{one.alerting} buckets" if one.alerting else ""
        table.add_row(
            printable(one.status), key, f"{one.expected:.3g}", f"{one.dispersion:.2f}", f"{one.evidence:.0f}", since
        )
    console.print(table)
    for incident in pipeline.tracker.open():
        console.print(f"open: {printable(incident.id)} {printable(incident.label)} since {iso(incident.start)}")
    for name, position in found.sources.items():
        if name == OWN:
            continue  # it belongs to the run, not to a source
        console.print(f"source: {printable(name)} at byte {position.get('offset')}")

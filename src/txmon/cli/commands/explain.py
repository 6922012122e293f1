"""`txmon explain`: describes one past incident on one page."""

import click

from txmon.cli.help_page import Command, option
from txmon.cli.incident_page import write_page
from txmon.cli.options import load_config, options


@click.command(cls=Command, short_help="Explain an incident afterwards.")
@click.argument("incident", metavar="INCIDENT")
@options("log", "tz")
@option("--json", "machine", is_flag=True, help="Write a JSON object.")
@option("-o", "--out", metavar="FILE", help="Write the page there instead of to standard output.")
def explain(incident: str, machine: bool, out: str | None, **flags: object) -> None:
    """Write a page about INCIDENT from the folder that --log keeps: timeline, counts against normal, drivers, money.

    INCIDENT is the id in its lines and notifications, or `last` for the newest one. The page is Markdown.

    \b
    Examples:
      txmon replay transactions.csv --log logs > verdicts.jsonl
      txmon explain last --log logs
    """
    write_page(incident, load_config(flags).settings, "json" if machine else "markdown", out)

"""`txmon explain`: describes one past incident on one page."""

import json
import sys
from zoneinfo import ZoneInfo

import click

from txmon.cli.help_page import Command, option
from txmon.cli.options import load_config, options
from txmon.cli.own_inputs import spare_inputs
from txmon.errors import UsageError
from txmon.support.safe_open import create


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
    from txmon.analysis.incident import page_of, read_story

    settings = load_config(flags).settings
    if settings.log is None:
        raise UsageError("explain needs --log DIR, the folder in which the run kept its verdicts")
    spare_inputs((settings.log,), {"--out": out})
    story = read_story(incident, settings.log)
    text = json.dumps(story.to_dict(), ensure_ascii=False) + "\n" if machine else page_of(story, ZoneInfo(settings.tz))
    if out is None:
        sys.stdout.write(text)
        return
    with create(out) as file:
        file.write(text)

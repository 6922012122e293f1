"""Writes the page about one past incident, for `txmon explain` and `txmon analyze --incident`."""

import json
import sys
from zoneinfo import ZoneInfo

from txmon.cli.own_inputs import spare_inputs
from txmon.errors import UsageError
from txmon.settings.declarations import Settings
from txmon.support.safe_open import create


def write_page(incident: str, settings: Settings, form: str = "markdown", out: str | None = None) -> None:
    """Write what the folder of --log contains about `incident`.

    form: markdown, json or sql. out: a file; None for standard output.

    Raise UsageError without a folder, NoInput or BadData if the incident is not in it.
    """
    from txmon.analysis.incident import page_of, read_story, sql_of

    if settings.log is None:
        raise UsageError("explaining an incident needs --log DIR, the folder in which the run kept its verdicts")
    spare_inputs((settings.log,), {"--out": out})
    story = read_story(incident, settings.log)
    if form == "json":
        text = json.dumps(story.to_dict(), ensure_ascii=False) + "\n"
    else:
        text = sql_of(story) + "\n" if form == "sql" else page_of(story, ZoneInfo(settings.tz))
    if out is None:
        sys.stdout.write(text)
        return
    with create(out) as file:
        file.write(text)

"""`txmon inspect`: shows how a file is read, without judging it."""

import json
from collections import Counter
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import click

from txmon.cli.completing import a_file
from txmon.cli.help_page import Command, option
from txmon.cli.messages import tell
from txmon.cli.options import UNDERSTANDING, load_config, options
from txmon.cli.sources import NAMES, source_of, source_options
from txmon.cli.understanding import bucket_of
from txmon.errors import ExitCode, UsageError
from txmon.ingest.asked import Asked
from txmon.ingest.rejects import RejectLog
from txmon.model.clock import iso
from txmon.model.statuses import role_of
from txmon.runtime.reader import reader_of
from txmon.support.durations import duration_text
from txmon.support.terminal_text import printable
from txmon.terminal.tables import aligned

SHOWN = 5  # records shown
STATUSES = 30  # statuses whose totals are shown


@click.command(
    cls=Command,
    short_help="Show how a file is read: columns, times, records, totals.",
    common=(
        "map",
        "time_format",
        "day_first",
        "tz",
        "encoding",
        "wide",
        "format",
        "machine",
        "sql",
        "prometheus",
        "query",
    ),
)
@click.argument("file", metavar="FILE", required=False, shell_complete=a_file)
@source_options(live=False)
@options(*(name for name in UNDERSTANDING if name != "no_reading"), "bucket", "role", "max_line")
@option("--json", "machine", is_flag=True, help="Print a JSON object.")
def inspect(file: str | None, machine: bool, **flags: object) -> ExitCode:
    """Show how txmon reads FILE (- is standard input), and the flags that would change that. Nothing is judged.

    --sql and --prometheus show how the rows of --query are read.

    \b
    Examples:
      txmon inspect sales.xlsx
      txmon inspect export.csv --map count=total --day-first
      txmon inspect --sql sqlite:///shop.db --query "SELECT created_at, status FROM payments"
    """
    taken = {name: flags.pop(name, None) for name in NAMES}
    config = load_config(flags)
    settings = config.settings
    source = source_of(taken, settings, live=False)
    if file is None and source is None:
        raise UsageError("Missing argument 'FILE'. Name a file, or - for standard input.")
    if file is not None and source is not None:
        raise UsageError("--sql and --prometheus replace FILE. Leave the file out.")
    inputs: list[str | Asked] = [file] if file is not None else []
    if source is not None:
        inputs = [source.rows(lambda line: tell([line]))]
    log = RejectLog()
    reader = reader_of(settings, log, datetime.now(ZoneInfo(settings.tz)).date())
    (reading,) = reader.readings(inputs)
    totals: Counter[str] = Counter()
    records = reader.records(inputs)
    first = list(islice(records, SHOWN))
    oldest = newest = None
    count = 0
    for record in (record for some in (first, records) for record in some):
        count += 1
        totals[record.status] += record.count
        oldest = record.time if oldest is None or record.time < oldest else oldest
        newest = record.time if newest is None or record.time > newest else newest
    bucket = bucket_of(config, [reading]) or settings.bucket
    times = None if oldest is None or newest is None else (iso(oldest), iso(newest))
    if machine:
        found = {
            **reading.to_dict(),
            "bucket": bucket,
            "first": [
                {"time": iso(r.time), "status": r.status, "count": r.count, "key": dict(r.key), "amount": r.amount,
                 "id": r.id} for r in first
            ],
            "records": count,
            "rejected": log.count,
            "totals": dict(totals.most_common()),
            "roles": {status: role_of(status, settings.role) for status in totals},
            "from": times[0] if times else None,
            "to": times[1] if times else None,
        }  # fmt: skip
        click.echo(json.dumps(found))
    else:
        lines = [reading.statement(), "", "First records"]
        rows = [("time", "status", "count", *settings.group_by)]
        rows += [
            (iso(r.time), printable(r.status), str(r.count), *(printable(value) for _, value in r.key)) for r in first
        ]
        lines += [f"  {line}" for line in aligned(rows)]
        lines += ["", f"Totals of {count} records" + (f", from {times[0]} to {times[1]}" if times else "")]
        shown = [("status", "count", "role")]
        shown += [
            (printable(status), str(total), role_of(status, settings.role) or "none (--role)")
            for status, total in totals.most_common(STATUSES)
        ]
        lines += [f"  {line}" for line in aligned(shown)]
        lines += ["", f"Bucket: {duration_text(bucket)} (--bucket)"]
        if reading.alternatives:
            lines += ["", "Flags that would change the reading", *(f"  {flag}" for flag in reading.alternatives)]
        click.echo("\n".join(printable(line, None) for line in lines))
    tell(log.summary())
    reader.read = count
    reader.check(inputs)
    return ExitCode.OK

"""`txmon doctor`: checks whether this installation works with these settings."""

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click

from txmon.cli.checks import Finding, Screen, guarded, installation, machine, memory, people, settings
from txmon.cli.help_page import Command, option
from txmon.cli.options import load_config, options
from txmon.errors import ExitCode, TxmonError
from txmon.support.terminal_text import printable

LOOKED_AT = (
    "tz", "bucket", "group_by", "state", "out", "rejects", "log", "spool", "teams_webhook_file", "webhook_file",
    "webhook_secret_file", "apprise_file", "exec",
)  # fmt: skip
MARKS = {"ok": "ok", "note": "note", "warning": "warning", "bad": "BAD"}


@click.command(cls=Command, short_help="Check the installation.", common=("state", "machine", "bucket", "group_by"))
@options(*LOOKED_AT)
@option("--json", "machine_readable", is_flag=True, help="Print one JSON object per finding.")
def doctor(machine_readable: bool, **flags: object) -> ExitCode:
    """Check versions, terminal, settings, state and notifications. The exit code is 1 if something is bad.

    doctor writes nothing, sends nothing and shows no secrets.

    \b
    Examples:
      txmon doctor --state txmon.state
    """
    found = [
        *guarded("installation", installation),
        *guarded("machine", lambda: machine(_screen(), os.environ)),
        *_configured(flags),
    ]
    for finding in found:
        if machine_readable:
            click.echo(json.dumps(asdict(finding)))
        else:
            click.echo(f"{MARKS[finding.level]:8}{finding.name:15} {printable(finding.text, None)}")
    return ExitCode.FAILURE if any(finding.level == "bad" for finding in found) else ExitCode.OK


def _configured(flags: dict[str, object]) -> list[Finding]:
    try:
        config = load_config(flags)
    except TxmonError as bad:
        return [Finding("configuration", "bad", str(bad))]
    files = sorted({origin for origin in config.origin.values() if Path(origin).is_file()})
    return [
        *guarded("configuration", lambda: settings(config, files)),
        *guarded("state", lambda: memory(config)),
        *guarded("notifications", lambda: people(config, os.environ)),
    ]


def _screen() -> Screen:
    size = shutil.get_terminal_size()
    return Screen(sys.stderr.isatty(), sys.stderr.encoding or "ascii", size.columns, size.lines)

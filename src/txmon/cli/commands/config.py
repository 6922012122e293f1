"""`txmon config`: prints the effective settings and their origins."""

import json
import os

import click

from txmon.cli.help_page import Command, option
from txmon.cli.options import load_config, options
from txmon.settings.declarations import DECLARATIONS
from txmon.settings.load import RESERVED, as_json, as_toml


@click.command(
    cls=Command,
    short_help="Print the effective settings.",
    common=("bucket", "budget", "group_by", "out", "state", "machine"),
)
@options(*DECLARATIONS)
@option("--json", "machine", is_flag=True, help="Print a JSON object.")
def config(machine: bool, **flags: object) -> None:
    """Print the effective settings and where each came from, as a txmon.toml.

    Flags take precedence over TXMON_* variables, then comes ./txmon.toml (or the file that TXMON_CONFIG names), then
    the user's ~/.config/txmon/txmon.toml.

    \b
    Examples:
      txmon config --budget 2/week > txmon.toml
    """
    found = load_config(flags)
    if machine:
        click.echo(json.dumps(as_json(found), indent=1))
    else:
        click.echo(as_toml(found, {name: bool(os.environ.get(name)) for name in sorted(RESERVED - {"TXMON_CONFIG"})}))

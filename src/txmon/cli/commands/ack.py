"""`txmon ack`: acknowledge an open incident, or declare what it is."""

import getpass

import click

from txmon.cli.help_page import Command, option
from txmon.cli.options import load_config, options
from txmon.errors import NoInput, UsageError
from txmon.runtime.acknowledgements import Action, Word, leave_word
from txmon.runtime.factory import pipeline_of_state
from txmon.runtime.state_file import load
from txmon.support.suggest import nearest

DONE = {
    "ack": "acknowledged", "undo": "no longer acknowledged", "accept": "accepted as the new normal",
    "ignore": "acknowledged as normal",
}  # fmt: skip


@click.command(cls=Command, short_help="Acknowledge an open incident.")
@click.argument("identity", metavar="ID")
@option("--note", default="", metavar="TEXT", help="Reason. The page and the notifications show it.")
@option("--author", default="", metavar="NAME", help="Your name. [default: the user who runs the command]")
@option("--undo", is_flag=True, help="Take an acknowledgement back.")
@option("--accept", is_flag=True, help="The new level is normal: the incident ends, and txmon expects that level.")
@option("--ignore", "--normal", is_flag=True, help="It was not an incident. The baselines unlearn its counts.")
@options("state")
def ack(identity: str, note: str, author: str, undo: bool, accept: bool, ignore: bool, **flags: object) -> None:
    """Send no more reminders of incident ID, unless it becomes twice as bad.

    The run that uses --state FILE reads the acknowledgement within 10 seconds. A stopped run reads it at its start.

    \b
    Examples:
      txmon ack 20260302T1430-denied --state txmon.state --note "the issuer knows"
      txmon ack 20260302T1430-denied --state txmon.state --accept
      txmon ack 20260302T1430-denied --state txmon.state --ignore
    """
    settings = load_config(flags).settings
    if settings.state is None:
        raise UsageError("--state FILE is missing. Name the state file of the run that has the incident.")
    if undo + accept + ignore > 1:
        raise UsageError("--undo, --accept and --ignore exclude each other. Give one of them.")
    found = load(settings.state)
    if found is None:
        raise NoInput(f"{settings.state}: no such file")
    known = [incident.id for incident in pipeline_of_state(found, settings.state).tracker.open()]
    if identity not in known:
        some = f"; open: {', '.join(known)}" if known else "; none is open"
        raise UsageError(f"no open incident {identity!r}{nearest(identity, known)}{some}")
    action: Action = "undo" if undo else "accept" if accept else "ignore" if ignore else "ack"
    leave_word(settings.state, Word(action, identity, author or user(), note))
    click.echo(f"{identity}: {DONE[action]}; taken over within 10 seconds")


def user() -> str:
    """Return the name of the user who runs the command, or "" if the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as in containers
        return ""

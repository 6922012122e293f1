"""`txmon ack`: silence an open incident."""

import click

from txmon.cli.options import load_config, options
from txmon.errors import NoInput, UsageError
from txmon.runtime.acknowledgements import leave_acknowledgement
from txmon.runtime.factory import pipeline_of_state
from txmon.runtime.state_file import load
from txmon.support.suggest import nearest


@click.command(short_help="Silence an open incident.")
@click.argument("identity", metavar="ID")
@click.option("--normal", is_flag=True, help="Also undo what the baselines learned from the incident.")
@options("state")
def ack(identity: str, normal: bool, **flags: object) -> None:
    """Send no more reminders of incident ID; the run that keeps --state FILE hears of it within seconds.

    \b
    Examples:
      txmon ack 20260302T1430-denied --state txmon.state
      txmon ack 20260302T1430-denied --state txmon.state --normal
    """
    settings = load_config(flags).settings
    if settings.state is None:
        raise UsageError("--state FILE is needed: the state of the run that has the incident")
    found = load(settings.state)
    if found is None:
        raise NoInput(f"{settings.state}: no such file")
    known = [incident.id for incident in pipeline_of_state(found, settings.state).tracker.open()]
    if identity not in known:
        some = f"; open: {', '.join(known)}" if known else "; none is open"
        raise UsageError(f"no open incident {identity!r}{nearest(identity, known)}{some}")
    leave_acknowledgement(settings.state, identity, normal)
    click.echo(f"{identity}: acknowledged{' as normal' if normal else ''}; taken over within 10 seconds")

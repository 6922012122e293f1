"""`txmon notify`: tests the notification channels."""

import json
import os
import time

import click

from txmon.cli.help_page import Command, option
from txmon.cli.options import load_config, options
from txmon.errors import ConfigError, IoFailure, UsageError
from txmon.notify.channels.base import Channel, attempt
from txmon.notify.notification import Notification
from txmon.notify.setup import NO_CHANNEL, channels_of

REACHING = (
    "teams_webhook_file",
    "teams_format",
    "webhook_file",
    "webhook_secret_file",
    "apprise_file",
    "exec",
    "alertmanager",
    "mention",
    "notify_timeout",
    "link",
)


@click.command(
    cls=Command,
    short_help="Send a test notification.",
    common=("test", "dry_run", "teams_webhook_file", "webhook_file", "exec", "alertmanager"),
)
@option("--test", is_flag=True, help="Send one test notification and print the answer.")
@option("--dry-run", is_flag=True, help="Print what --test would send, and send nothing.")
@options(*REACHING, "tz")
def notify(test: bool, dry_run: bool, **flags: object) -> None:
    """Send a test notification on every configured channel, or show it.

    The address of Teams is a secret: it is read from TXMON_TEAMS_WEBHOOK or the file that teams_webhook_file names.

    \b
    Examples:
      txmon notify --dry-run
      txmon notify --test --teams-webhook-file webhook
    """
    if test == dry_run:
        raise UsageError("Choose --test or --dry-run.")
    settings = load_config(flags).settings
    channels = channels_of(settings, os.environ)
    notification = Notification("test", int(time.time()), link=settings.link)
    if dry_run:
        if not channels:
            from txmon.notify.channels.teams_cards import adaptive_card, message_card

            card = message_card if settings.teams_format == "messagecard" else adaptive_card
            click.echo(json.dumps(card(notification), indent=1, ensure_ascii=False))
        for channel in channels:
            click.echo(json.dumps(json.loads(channel.render(notification)), indent=1, ensure_ascii=False))
        return
    if not channels:
        raise ConfigError(NO_CHANNEL)
    failed = [channel.name for channel in channels if not _try(channel, notification)]
    if failed:
        raise IoFailure(f"the test notification did not arrive: {', '.join(failed)}")


def _try(channel: Channel, notification: Notification) -> bool:
    answer = attempt(channel, notification.id, channel.render(notification))
    if answer.outcome == "sent":
        click.echo(f"{channel.name}: taken ({answer.text})")
        return True
    wait = f"; to be tried again in {answer.after:g} s" if answer.after is not None else ""
    click.echo(f"{channel.name}: not taken: {answer.text}{wait}")
    return False

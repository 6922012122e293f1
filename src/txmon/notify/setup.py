"""From settings to notifications on their way: channels, spools and the policy, put together in one place."""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from txmon.errors import ConfigError
from txmon.model.outcome import Outcome
from txmon.settings.declarations import Settings
from txmon.support.durations import duration_text
from txmon.support.plurals import counted

if TYPE_CHECKING:  # commands without notifications must not wait for these imports
    from txmon.notify.channels.base import Channel
    from txmon.notify.delivery import Ended
    from txmon.notify.notification import Notification
    from txmon.notify.policy import Notifier, Policy
    from txmon.notify.router import Router
    from txmon.notify.sent import SentTable

NO_CHANNEL: Final = (
    "no channel for notifications is set up. Set TXMON_TEAMS_WEBHOOK (or teams_webhook_file), TXMON_WEBHOOK,"
    " TXMON_APPRISE, --exec or --alertmanager."
)
Say = Callable[[str], None]


class NotificationSink:
    """Sends notifications of outcomes. A failure does not stop detection: txmon prints the first and counts all."""

    def __init__(self, notifier: "Notifier", say: Say, router: "Router", sent: "SentTable", age: int) -> None:
        """say: prints a line. sent: the table for the end. age: seconds after which an ended incident is left out."""
        self._notifier = notifier
        self._router = router
        self.sent = sent
        self._age = age
        self._say = say
        self.hear: Callable[[Ended], None] = lambda ended: None  # sets who gets the result of each notification
        self._failed = 0
        self._kept = False  # a state file holds what is not sent yet, for the next process

    def accept(self, outcome: Outcome) -> None:
        """Take one bucket."""
        self._guarded(lambda: self._notifier.accept(outcome))

    def close(self) -> None:
        """Send what was held back, at the end of the stream; nothing where a state keeps it for the next process."""
        if not self._kept:
            self._guarded(self._notifier.close)

    def snapshot(self) -> dict[str, object]:
        """Return what is not sent yet, as values of JSON."""
        return {**self._notifier.snapshot(), "heard": self._router.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise KeyError, IndexError, TypeError or ValueError if it is not valid."""
        self._notifier.restore(state)
        self._router.restore(state.get("heard", {}))  # not in older states

    def keep(self, kept: bool) -> None:
        """Note whether a state file holds what is not sent yet."""
        self._kept = kept

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as bad:
            self._failed += 1
            if self._failed == 1:
                self._say(f"notifications: unexpected {type(bad).__name__}; detection goes on")

    def summary(self) -> list[str]:
        """Return what was left out, and what went wrong."""
        lines = []
        if self._notifier.stale:
            age = duration_text(self._age)
            counted_text = counted(self._notifier.stale, "incident")
            lines.append(f"notifications: {counted_text} not sent, over for more than {age} (--max-age)")
        if self._failed:
            lines.append(
                f"notifications: {counted(self._failed, 'bucket')} failed; their notifications are not complete"
            )
        return lines


def notifications(
    settings: Settings, env: Mapping[str, str], stack: ExitStack, say: Say, live: bool = True
) -> NotificationSink:
    """Return the sink that sends notifications as `settings` and the secrets in `env` say.

    live: leave out incidents that ended more than `max_age` ago; a replay sends all. say: prints a line.

    When `stack` closes, it sends what waits, for as long as `flush_timeout` allows, and prints a summary. Raises
    ConfigError where no channel is set up, and IoFailure where the spool cannot keep notifications.
    """
    from txmon.notify.delivery import Deliveries
    from txmon.notify.policy import Notifier
    from txmon.notify.router import Router
    from txmon.notify.sent import SentTable

    channels = channels_of(settings, env)
    if not channels:
        raise ConfigError(NO_CHANNEL)
    sent = SentTable()

    def send(notification: "Notification", names: Collection[str] | None) -> None:
        sent.add(notification, names or router_names)
        deliveries.tell(notification, names)

    router_names = [channel.name for channel in channels]
    tz = ZoneInfo(settings.tz)
    router = Router(settings.route, router_names, tz, send)  # a route to nowhere is an error before anything is locked
    deliveries = Deliveries(channels, spool_folder(settings, env), time.monotonic, say, settings.flush_timeout)
    age = settings.max_age
    oldest = (lambda: time.time() - age) if live and age else None
    notifier = Notifier(
        policy_of(settings), router.tell, oldest, lambda firing: deliveries.refresh(router.firing(firing))
    )
    telling = NotificationSink(notifier, say, router, sent, age)
    telling.hear = deliveries.hear

    def finish() -> None:
        telling.close()
        deliveries.close()
        for line in [*telling.summary(), *deliveries.summary()]:
            say(line)

    stack.callback(finish)
    return telling


def channels_of(settings: Settings, env: Mapping[str, str]) -> "list[Channel]":
    """Return the channels that `settings` and secrets in `env` set up, Teams first; ConfigError for a bad secret."""
    tz = ZoneInfo(settings.tz)
    found: list[Channel] = []
    address = _secret(env, "TXMON_TEAMS_WEBHOOK", "teams_webhook_file", settings.teams_webhook_file)
    if address is not None:
        from txmon.notify.channels.teams import Teams

        kind = cast(Literal["adaptive", "messagecard"], settings.teams_format)
        checked = _checked(address, "TXMON_TEAMS_WEBHOOK or teams_webhook_file")
        found.append(Teams(checked, kind, tz, settings.notify_timeout, settings.mention))
    address = _secret(env, "TXMON_WEBHOOK", "webhook_file", settings.webhook_file)
    if address is not None:
        from txmon.notify.channels.webhook import Webhook

        key = _secret(env, "TXMON_WEBHOOK_SECRET", "webhook_secret_file", settings.webhook_secret_file)
        found.append(Webhook(_checked(address, "TXMON_WEBHOOK or webhook_file"), key, tz, settings.notify_timeout))
    if settings.exec is not None:
        from txmon.notify.channels.command import Command

        found.append(Command(settings.exec, env, tz, settings.notify_timeout))
    if settings.alertmanager is not None:
        from txmon.notify.channels.alertmanager import Alertmanager

        found.append(Alertmanager(settings.alertmanager, time.time, tz, settings.notify_timeout))
    addresses = _secret(env, "TXMON_APPRISE", "apprise_file", settings.apprise_file)
    if addresses is not None:
        from txmon.notify.channels.apprise import Apprise

        found += [Apprise(address, n, tz) for n, address in enumerate(addresses.split(), 1)]
    return found


def policy_of(settings: Settings) -> "Policy":
    """Return the policy of `settings`: what is sent, and when."""
    from txmon.notify.policy import Policy

    return Policy(
        bucket=settings.bucket,
        trend_every=settings.trend_every,
        digest=None if settings.digest is None else settings.digest.minute,
        quiet=settings.quiet_hours,
        silences=settings.silence,
        most=settings.max_cards,
        tz=ZoneInfo(settings.tz),
        link=settings.link,
        role=settings.role,
    )


def spool_folder(settings: Settings, env: Mapping[str, str]) -> Path:
    """Return the folder of the spools, which has a folder for each channel; ConfigError where there is no home."""
    if settings.spool is not None:
        return Path(settings.spool)
    if settings.state is not None:
        return Path(f"{settings.state}.spool")
    if env.get("XDG_STATE_HOME"):
        return Path(env["XDG_STATE_HOME"]) / "txmon" / "spool"
    try:
        return Path.home() / ".local" / "state" / "txmon" / "spool"
    except RuntimeError:
        reason = "there is no home folder to keep notifications in. Use --spool FOLDER or --state FILE."
        raise ConfigError(reason) from None


def _secret(env: Mapping[str, str], variable: str, setting: str, file: str | None) -> str | None:
    """Return a secret of the variable, or else of the file; None without either, ConfigError for a file without one."""
    if env.get(variable):
        return env[variable].strip()
    if file is None:
        return None
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, UnicodeDecodeError) as bad:
        raise ConfigError(f"{setting}: {file}: {getattr(bad, 'strerror', None) or _fault(bad)}") from None
    if not text:
        raise ConfigError(f"{setting}: {file}: the file is empty")
    return text


def _fault(bad: Exception) -> str:
    return "not UTF-8" if isinstance(bad, UnicodeDecodeError) else "there is no home folder for ~"


def _checked(address: str, where: str) -> str:
    """Return `address` if it is an http or https address; ConfigError, which does not show it, if not."""
    try:
        split = urlsplit(address)
        good = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        good = False
    if not good or not address.isascii() or any(c.isspace() or not c.isprintable() for c in address):
        raise ConfigError(f"{where} is not an address. It begins with http:// or https://.")
    return address

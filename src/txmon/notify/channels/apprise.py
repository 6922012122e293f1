"""Slack, PagerDuty, e-mail and whatever else the Apprise library reaches; needs txmon[apprise]."""

import json
import logging
import warnings
from datetime import tzinfo
from typing import Final
from urllib.parse import quote

from txmon.errors import ConfigError
from txmon.notify.channels.base import Answer
from txmon.notify.notification import Notification
from txmon.notify.wording import describe

# services that keep an alert from its beginning to its end under a key, and how its address names that
KEYED: Final = {"pagerduty": "action=map&dedup=", "opsgenie": "action=map&alias="}
KINDS: Final = {"bad": "failure", "warning": "warning", "good": "success", "plain": "info"}
MISSING: Final = "Apprise is not installed: install txmon[apprise]"


class Apprise:
    """Sends plain text to one Apprise address: a channel each, so that one that fails repeats nothing to the others."""

    def __init__(self, address: str, number: int, tz: tzinfo) -> None:
        """address: Apprise's URL, a secret that no text or repr holds. number: names it instead, from 1.

        ConfigError when the library is missing or does not know the address.
        """
        try:
            import apprise
        except ImportError:
            raise ConfigError(MISSING) from None
        # its warnings name addresses
        logger = logging.getLogger("apprise")
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        self.name = f"apprise-{number}"
        self._tz = tz
        self._keyed: str | None = None  # the address up to an incident's id, where the service has a key for it
        option = KEYED.get(address.partition("://")[0].lower())
        if option is not None:
            self._keyed = f"{address}{'&' if '?' in address else '?'}{option}"
        self._target = apprise.Apprise()
        with warnings.catch_warnings():  # its plugins, which it imports now, use what Python deprecates
            warnings.simplefilter("ignore")
            try:
                added = self._target.add(address)
            except Exception:  # whatever its plugins raise may name the address
                added = False
        if not added:
            raise ConfigError(f"Apprise does not know the kind of address {number} (TXMON_APPRISE or apprise_file)")

    def render(self, notification: Notification) -> str:
        """Title, kind and text as JSON."""
        message = describe(notification, self._tz, 5)
        lines = [message.text]
        for section in message.sections:
            lines += ["", section.heading, *(f"{name}: {value}" for name, value in section.facts)]
        lines += ["", *message.more] if message.more else []
        lines += ["", message.link] if message.link is not None else []
        row: dict[str, object] = {"title": message.title, "kind": KINDS[message.tone], "text": "\n".join(lines)}
        if self._keyed is not None and notification.events and notification.day is None:
            row["alerts"] = [
                {"id": event.id, "kind": "success" if event.state == "resolved" else "failure", "text": event.text}
                for event in notification.events
            ]
        return json.dumps(row)

    def send(self, identity: str, body: str) -> Answer:
        """Hand it to the library, which says no more than whether it was taken."""
        import apprise

        row = json.loads(body)
        if self._keyed is not None and "alerts" in row:
            return self._send_keyed(row["alerts"])
        kind = apprise.NotifyType(row["kind"])
        done = self._target.notify(
            body=row["text"], title=row["title"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
        return Answer("sent", "taken") if done else Answer("retry", "not taken")

    def _send_keyed(self, alerts: list[dict[str, str]]) -> Answer:
        """Open or close the alert of each incident; one that is opened again under its key is the same."""
        import apprise

        for alert in alerts:
            target = apprise.Apprise()
            target.add(f"{self._keyed}{quote(alert['id'], safe='')}")
            kind = apprise.NotifyType(alert["kind"])
            if not target.notify(body=alert["text"], title=alert["text"].partition(";")[0], notify_type=kind):
                return Answer("retry", "not taken")
        return Answer("sent", "taken")

    def __repr__(self) -> str:
        return f"Apprise({self.name!r})"

"""Slack, PagerDuty, e-mail and whatever else the Apprise library reaches; needs txmon[apprise]."""

import json
import logging
import warnings
from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from ..channel import Answer
from ..errors import ConfigError
from ..notification import Notification
from .wording import describe

KINDS: Final = {"bad": "failure", "warning": "warning", "good": "success", "plain": "info"}
MISSING: Final = "Apprise is not installed: install txmon[apprise]"


class Apprise:
    """Sends plain text to Apprise addresses. Neither its texts nor its repr hold one."""

    name = "apprise"

    def __init__(self, addresses: Sequence[str], tz: tzinfo) -> None:
        """addresses: Apprise's URLs, secrets. ConfigError when the library is missing or does not know one."""
        try:
            import apprise
        except ImportError:
            raise ConfigError(MISSING) from None
        # its warnings name addresses
        logger = logging.getLogger("apprise")
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        self._tz = tz
        self._targets = apprise.Apprise()
        for n, address in enumerate(addresses, 1):
            with warnings.catch_warnings():  # its plugins, which it imports now, use what Python deprecates
                warnings.simplefilter("ignore")
                added = self._targets.add(address)
            if not added:
                raise ConfigError(f"Apprise does not know the kind of address {n} (TXMON_APPRISE or apprise_file)")

    def render(self, notification: Notification) -> str:
        """Title, kind and text as JSON."""
        message = describe(notification, self._tz, 5)
        lines = [message.text]
        for section in message.sections:
            lines += ["", section.heading, *(f"{name}: {value}" for name, value in section.facts)]
        lines += ["", *message.more] if message.more else []
        lines += ["", message.link] if message.link is not None else []
        return json.dumps({"title": message.title, "kind": KINDS[message.tone], "text": "\n".join(lines)})

    def send(self, identity: str, body: str) -> Answer:
        """Hand it to the library, which says only whether all addresses took it: all get it again otherwise."""
        import apprise

        row = json.loads(body)
        kind = apprise.NotifyType(row["kind"])
        done = self._targets.notify(
            body=row["text"], title=row["title"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
        return Answer("sent", "taken") if done else Answer("retry", "at least one address did not take it")

    def __repr__(self) -> str:
        return f"Apprise({len(self._targets)} addresses)"

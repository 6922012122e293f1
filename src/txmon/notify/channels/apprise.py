"""Reaches Slack, PagerDuty, e-mail and the other services of the Apprise library; needs txmon[apprise]."""

import json
import logging
import warnings
from datetime import tzinfo
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from txmon.errors import ConfigError
from txmon.notify.channels.base import Answer, Secrets, failure_answer, http_answer
from txmon.notify.notification import Notification
from txmon.notify.wording import describe

# services that keep an alert from its beginning to its end under a key, and how its address names that
KEYED: Final = {"pagerduty": "action=map&dedup=", "opsgenie": "action=map&alias="}
# services that show messages under one another, and how an address names what belongs together. An e-mail that refers
# to an id that nobody has is shown in one thread with the others that do (RFC 5322, 3.6.4)
THREADED: Final = {"gchat": "thread={}", "mailto": "+References=<{}@txmon>", "mailtos": "+References=<{}@txmon>"}
KINDS: Final = {"bad": "failure", "warning": "warning", "good": "success", "plain": "info"}
TIMEOUT: Final = 30.0  # seconds
MISSING: Final = "Apprise is not installed. Install txmon[apprise]."


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
        self._threaded: str | None = None  # the address, with {} for an incident's id, where the service has threads
        service = address.partition("://")[0].lower()
        joint = "&" if "?" in address else "?"
        if service in KEYED:
            self._keyed = f"{address}{joint}{KEYED[service]}"
        elif service in THREADED and "thread=" not in address:
            self._threaded = f"{address}{joint}{quote(THREADED[service], safe='={}+')}"
        self._closes = service == "opsgenie"
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
        """Return title, kind and text as JSON."""
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
        elif self._threaded is not None and len(notification.events) == 1:
            row["thread"] = notification.events[0].id
        return json.dumps(row)

    def send(self, identity: str, body: str) -> Answer:
        """Give it to the library, which answers only whether the service took it."""
        import apprise

        row = json.loads(body)
        if self._keyed is not None and "alerts" in row:
            return self._send_keyed(row["alerts"])
        kind = apprise.NotifyType(row["kind"])
        target = self._target
        if self._threaded is not None and "thread" in row:
            target = apprise.Apprise()
            target.add(self._threaded.replace("{}", quote(row["thread"], safe="")))
        done = target.notify(
            body=row["text"], title=row["title"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
        return Answer("sent", "taken") if done else Answer("retry", "not taken")

    def _send_keyed(self, alerts: list[dict[str, str]]) -> Answer:
        """Open or close the alert of each incident, under the incident's id."""
        import apprise

        for alert in alerts:
            target = apprise.Apprise()
            target.add(f"{self._keyed}{quote(alert['id'], safe='')}")
            if self._closes and alert["kind"] == "success":
                answer = self._close(alert)
                if answer.outcome != "sent":
                    return answer
                continue
            kind = apprise.NotifyType(alert["kind"])
            if not target.notify(body=alert["text"], title=alert["text"].partition(";")[0], notify_type=kind):
                return Answer("retry", "not taken")
        return Answer("sent", "taken")

    def _close(self, alert: dict[str, str]) -> Answer:
        """Close an alert of Opsgenie by its alias. Apprise does it by the id of the request that opened it.

        That id is lost with the process, and Opsgenie takes only the id of the alert or its alias.
        """
        from apprise.plugins.opsgenie import OPSGENIE_API_LOOKUP

        service: Any = self._target[0]  # its type names no key
        address = f"{OPSGENIE_API_LOOKUP[service.region_name]}/{quote(alert['id'], safe='')}/close?identifierType=alias"
        headers = {"Content-Type": "application/json", "Authorization": f"GenieKey {service.apikey}"}
        body = json.dumps({"source": "txmon", "note": alert["text"]}).encode()
        secrets = Secrets([service.apikey])
        try:
            with urlopen(Request(address, body, headers, method="POST"), timeout=TIMEOUT) as reply:
                return http_answer(reply.status, reply.headers, "", secrets)
        except HTTPError as bad:
            with bad:
                return http_answer(bad.code, bad.headers, "", secrets)
        except (OSError, HTTPException) as failure:
            return failure_answer(failure)

    def __repr__(self) -> str:
        return f"Apprise({self.name!r})"

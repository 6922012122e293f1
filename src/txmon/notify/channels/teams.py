"""Sends cards to Microsoft Teams, through pymsteams.

pymsteams has no adaptive card, but sends any payload. It follows redirects, takes every 2xx for success, and its errors
hold the address. So this module decides what an answer means.
"""

import json
import logging
import re
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final, Literal

from txmon.notify.channels.base import Answer, Secrets, failure_answer, http_answer, status_text
from txmon.notify.channels.teams_cards import adaptive_card, message_card
from txmon.notify.notification import Notification
from txmon.settings.routing import Mention

TIMEOUT: Final = 10.0  # seconds to connect, and between two parts of an answer
_INNER = re.compile(r"HTTP error (\d{3})", re.ASCII)


class Teams:
    """Posts cards to one channel of Teams. Neither its texts nor its repr hold the address."""

    name = "teams"

    def __init__(
        self,
        address: str,
        kind: Literal["adaptive", "messagecard"],
        tz: tzinfo,
        timeout: float = TIMEOUT,
        mentions: Sequence[Mention] = (),
    ) -> None:
        """address: of the webhook, a secret. kind: adaptive for Workflows, messagecard for a legacy connector.

        timeout: seconds. mentions: people whom a card names when an incident begins or gets worse.
        """
        self._mentions = tuple(mentions)
        self._address = address
        self._kind = kind
        self._tz = tz
        self._timeout = timeout
        self._secrets = Secrets([address])

    def render(self, notification: Notification) -> str:
        """Return the card."""
        if self._kind == "adaptive":
            return json.dumps(adaptive_card(notification, self._tz, self._mentions))
        return json.dumps(message_card(notification, self._tz))

    def send(self, identity: str, body: str) -> Answer:
        """Post the card."""
        import pymsteams  # type: ignore[import-untyped]

        # at debug level it logs the address of every request
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        card = pymsteams.connectorcard(self._address, http_timeout=self._timeout)
        card.payload = json.loads(body)
        try:
            card.send()
        except pymsteams.TeamsWebhookException:
            pass  # its text is the answer's, which is read below
        except OSError as failure:  # all of requests' exceptions are
            return failure_answer(failure)
        return self._judge(card.last_http_response)

    def _judge(self, response: Any) -> Answer:
        code, body = int(response.status_code), str(response.text)
        if any(
            int(step.status_code) not in (307, 308) for step in response.history
        ):  # followed as a GET, without the card
            return Answer("retry", f"redirected ({status_text(int(response.history[0].status_code))})")
        if code == 200 and self._kind == "messagecard" and body.strip() != "1":
            inner = _INNER.search(body)
            answer = http_answer(int(inner[1]) if inner else 500, response.headers, body, self._secrets)
            said = " ".join(self._secrets.hide(body).split())[:200]
            return Answer("refused" if answer.outcome == "refused" else "retry", f"200 OK, but: {said}", answer.after)
        return http_answer(code, response.headers, body, self._secrets)

    def __repr__(self) -> str:
        return f"Teams({self._kind!r})"

"""Makes an Adaptive Card 1.4 for Workflows of a notification, or a legacy MessageCard.

Workflows takes an envelope with the card as an attachment; 28 KB is its limit (learn.microsoft.com, "Webhooks and
connectors"), and versions of Adaptive Cards above 1.4 may show as "couldn't be displayed".
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from txmon.notify.notification import Notification
from txmon.notify.wording import Message, Section, describe, plain
from txmon.settings.routing import Mention

Payload = dict[str, Any]
LIMIT: Final = 24_000  # bytes as sent; Teams refuses 28 KB, and what it adds itself is not known
MOST_SHOWN: Final = 10  # incidents that a card shows one by one
COLOURS: Final = {"bad": "attention", "warning": "warning", "good": "good", "plain": "default"}
THEMES: Final = {"bad": "D13438", "warning": "FFB900", "good": "107C10", "plain": "0078D4"}
MENTIONED: Final = frozenset(("opened", "reopened", "worsened", "no data"))  # steps whose cards name people


def adaptive_card(notification: Notification, tz: tzinfo = UTC, mentions: Sequence[Mention] = ()) -> Payload:
    """Return the Workflows envelope of `notification`, under LIMIT bytes; times are shown in `tz`.

    mentions: people whom the card names where an incident begins or gets worse, unless its severity is info.
    """
    called = mentions if notification.kind in MENTIONED and notification.severity != "info" else ()
    return _fitting(notification, tz, lambda message: _envelope(message, called))


def message_card(notification: Notification, tz: tzinfo = UTC) -> Payload:
    """Return the legacy connector's MessageCard of `notification`, under LIMIT bytes; times are shown in `tz`."""
    return _fitting(notification, tz, _message_card)


def sent_bytes(payload: Payload) -> int:
    """Return the bytes of `payload` as pymsteams sends it: 6 for each character outside ASCII."""
    return len(json.dumps(payload))


def _fitting(notification: Notification, tz: tzinfo, render: Callable[[Message], Payload]) -> Payload:
    """Return the card with as many incidents one by one as fit under LIMIT."""
    for most in range(MOST_SHOWN, 0, -1):
        payload = render(describe(notification, tz, most))
        if sent_bytes(payload) < LIMIT:
            return payload
    return render(describe(notification, tz, 0))


def _text(text: str, **style: Any) -> Payload:
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def _facts(section: Section) -> Payload:
    return {"type": "FactSet", "facts": [{"title": name, "value": value} for name, value in section.facts]}


def _envelope(message: Message, mentions: Sequence[Mention]) -> Payload:
    colour = COLOURS[message.tone]
    title = _text(message.title, id=message.id, weight="bolder", size="large", color=colour)
    body = [title, _text(message.text)]
    for section in message.sections:
        items = [_text(section.heading, weight="bolder")] if len(message.sections) > 1 else []
        body.append({"type": "Container", "separator": True, "items": [*items, _facts(section)]})
    body += [_text(line, isSubtle=True, spacing="small") for line in message.more]
    card: Payload = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.title,
        "body": body,
    }
    if mentions:
        names = [f"<at>{plain(one.name)}</at>" for one in mentions]
        body.insert(1, _text(" ".join(names)))
        card["msteams"] = {
            "entities": [
                {"type": "mention", "text": name, "mentioned": {"id": one.address, "name": plain(one.name)}}
                for name, one in zip(names, mentions, strict=True)
            ]
        }
    if message.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the live page", "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _message_card(message: Message) -> Payload:
    sections: list[Payload] = [
        {
            **({"activityTitle": section.heading} if len(message.sections) > 1 else {}),
            "facts": [{"name": name, "value": value} for name, value in section.facts],
            "markdown": False,
        }
        for section in message.sections
    ]
    if message.more:
        sections.append({"text": "; ".join(message.more), "markdown": False})
    card: Payload = {
        "@type": "MessageCard",
        "@context": "https://schema.org/extensions",
        "correlationId": str(uuid5(NAMESPACE_OID, message.id)),
        "summary": message.title,
        "title": message.title,
        "themeColor": THEMES[message.tone],
        "text": message.text,
        "sections": sections,
    }
    if message.link is not None:
        target = {"os": "default", "uri": message.link}
        card["potentialAction"] = [{"@type": "OpenUri", "name": "Open the live page", "targets": [target]}]
    return card

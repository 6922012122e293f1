"""Lists the notifications of a run, in a table for its end."""

from collections import Counter
from collections.abc import Collection
from typing import Final

from txmon.model.clock import iso
from txmon.notify.notification import Notification
from txmon.notify.wording import Words
from txmon.support.plurals import counted

ROWS: Final = 30  # notifications shown


class SentTable:
    """Notes each notification that was given to a channel."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []
        self._count = 0
        self._kinds: Counter[str] = Counter()
        self._incidents: dict[str, None] = {}

    def add(self, notification: Notification, channels: Collection[str]) -> None:
        """Add a notification that goes to these channels."""
        self._count += 1
        self._kinds[notification.kind] += 1
        self._incidents |= dict.fromkeys(event.id for event in notification.events)
        if len(self._rows) < ROWS:
            severity = notification.severity if notification.events else ""
            title = Words(notification).title()
            self._rows.append((iso(notification.time)[:16].replace("T", " "), severity, title, ", ".join(channels)))

    def lines(self) -> list[str]:
        """Return the lines of the table, and of the numbers by kind; one line where no notification was sent."""
        if not self._count:
            return ["no notification was sent"]
        shown = [("time (UTC)", "severity", "notification", "to"), *self._rows]
        widths = [min(60, max(len(row[i]) for row in shown)) for i in range(4)]
        found = [
            "  ".join(text[:60].ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in shown
        ]
        if self._count > len(self._rows):
            found.append(f"and {self._count - len(self._rows)} more")
        kinds = ", ".join(f"{count} {kind}" for kind, count in self._kinds.most_common())
        found.append(f"{counted(self._count, 'notification')} of {counted(len(self._incidents), 'incident')}: {kinds}")
        return found

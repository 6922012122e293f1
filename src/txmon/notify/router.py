"""Chooses the channels of a notification, incident by incident."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any, Final

from txmon.errors import ConfigError
from txmon.model.outcome import IncidentEvent
from txmon.notify.notification import Notification
from txmon.settings.routing import Route
from txmon.support.suggest import nearest

REMEMBERED: Final = 10_000  # open incidents whose channels are known
Send = Callable[[Notification, Collection[str] | None], None]


class Router:
    """Sends each incident to the channels of the first route that matches it; without one to all.

    A channel that was notified of an incident is notified of its end, whatever route it matches by then.
    """

    def __init__(self, routes: Sequence[Route], names: Sequence[str], tz: tzinfo, send: Send) -> None:
        """names: of the channels that are configured. ConfigError for a route to another."""
        self._routes = routes
        self._names = tuple(names)
        self._tz = tz
        self._send = send
        self._heard: dict[str, tuple[str, ...]] = {}  # incident -> channels
        for route in routes:
            for name in route.to:
                if not self._meant(name):
                    known = ", ".join(names)
                    raise ConfigError(f"route {route}: no channel {name!r} is set up{nearest(name, names)} ({known})")

    def _meant(self, name: str) -> list[str]:
        """Return the channels that a route's name stands for: `apprise` for all addresses of Apprise."""
        return [one for one in self._names if one == name or one.rpartition("-")[0] == name]

    def tell(self, notification: Notification) -> None:
        """Send a notification to its channels; one of several incidents may become several."""
        if not self._routes or not notification.events:
            self._send(notification, None)
            return
        wanted: dict[str, list[IncidentEvent]] = {}
        for event in notification.events:
            for name in self._channels(event, notification.time):
                wanted.setdefault(name, []).append(event)
        if notification.day is not None:
            wanted = {name: list(notification.events) for name in self._names}
        alike: dict[tuple[str, ...], list[str]] = {}
        for name, events in wanted.items():
            alike.setdefault(tuple([event.id for event in events]), []).append(name)
        for ids, names in alike.items():
            some = tuple([event for event in notification.events if event.id in ids])
            self._send(replace(notification, events=some), names)

    def _channels(self, event: IncidentEvent, time: int) -> list[str]:
        route = next((one for one in self._routes if one.matches(event, time, self._tz)), None)
        found = list(self._names) if route is None else [one for name in route.to for one in self._meant(name)]
        if event.state == "resolved":
            return list(self._heard.pop(event.id, found))
        heard = self._heard.get(event.id, ())
        together = tuple(dict.fromkeys([*heard, *found]))
        self._heard[event.id] = together
        while len(self._heard) > REMEMBERED:
            del self._heard[next(iter(self._heard))]
        return list(together)

    def firing(self, events: Sequence[IncidentEvent]) -> dict[str, tuple[IncidentEvent, ...]]:
        """Return open incidents by the channel that heard of them; without routes every channel did."""
        if not self._routes:
            return dict.fromkeys(self._names, tuple(events))
        return {
            name: tuple([event for event in events if name in self._heard.get(event.id, ())]) for name in self._names
        }

    def snapshot(self) -> dict[str, Any]:
        """Return the channels that heard of each open incident, as values of JSON."""
        return {identity: list(names) for identity, names in self._heard.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `snapshot` returned. Raise TypeError or ValueError if it is not valid."""
        self._heard = {str(identity): tuple(map(str, names)) for identity, names in state.items()}

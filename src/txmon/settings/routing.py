"""Routing of notifications: routes ([[route]]) from incidents to channels, and the people that a card mentions."""

import re
from collections.abc import Mapping
from typing import Final

from txmon.model.keys import Key
from txmon.model.outcome import SEVERITIES, IncidentEvent
from txmon.settings.schedule import Silence, silences
from txmon.support.frozen import frozen
from txmon.support.lazy_pattern import LazyPattern
from txmon.support.suggest import choose

FIELDS: Final = ("severity", "status", "key", "time", "weekday", "to")
CHANNELS: Final = ("teams", "webhook", "exec", "apprise", "alertmanager")
_CHANNEL = LazyPattern(r"(?:teams|webhook|exec|alertmanager|apprise(?:-[1-9][0-9]?)?)", re.ASCII)
_ADDRESS = LazyPattern(r"[^<>@\s]+@[^<>@\s]+")


@frozen
class Mention:
    """A person whom a card mentions."""

    name: str
    address: str  # of their Teams account

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>"


@frozen
class Route:
    """The destination of incidents. A condition that is not given matches everything."""

    to: tuple[str, ...]  # channels; empty for none
    when: Silence  # the statuses, the key and the hours
    severities: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the route as its flag accepts it: severity=critical;status=denied;to=teams."""
        parts = [f"severity={'+'.join(self.severities)}"] if self.severities else []
        parts += [str(self.when)] if str(self.when) else []
        return ";".join([*parts, f"to={'+'.join(self.to) or 'none'}"])

    def matches(self, event: IncidentEvent, time: int, tz: object) -> bool:
        """Return whether the route applies to `event` at `time` (epoch seconds). One matching status is enough."""
        named = not self.when.statuses or bool(set(event.statuses) & set(self.when.statuses))
        right = named and (not self.severities or event.severity in self.severities)
        return right and _within(self.when.key, event.key) and self.when.active(time, tz)  # type: ignore[arg-type]


def _within(wanted: Key, key: Key) -> bool:
    return set(wanted) <= set(key)


def routes(value: object) -> tuple[Route, ...]:
    """Return routes from TOML tables, or from texts like `severity=critical;status=denied;to=teams+exec`."""
    items = [value] if isinstance(value, Mapping) else value
    if isinstance(items, str):
        items = [item for item in items.split(",") if item.strip()]
    if not isinstance(items, list | tuple) or not items:
        raise ValueError(f"{value!r} is not a route. Use for example severity=critical;to=teams.")
    tables = [one for item in items for one in (item.split(",") if isinstance(item, str) else [item])]
    return tuple([_route(_table(one) if isinstance(one, str) else one) for one in tables])


def _table(text: str) -> dict[str, object]:
    """Return a route's text as a table. The conditions that `silences` parses stay text."""
    table: dict[str, object] = {}
    rest = []
    for part in text.split(";"):
        name, equals, item = part.partition("=")
        if not equals or not item.strip():
            raise ValueError(f"{part!r} is not NAME=VALUE in a route")
        if name.strip() in ("severity", "to"):
            table[name.strip()] = [word.strip() for word in item.split("+")]
        else:
            rest.append(part)
    return table | ({"window": ";".join(rest)} if rest else {})


def _route(table: object) -> Route:
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f"{table!r} is not a route. It needs `to`, and the incidents that it is for.")
    for name in table:
        if name not in FIELDS and name != "window":
            raise ValueError(choose(str(name), FIELDS))
    if "to" not in table:
        raise ValueError("a route needs `to`: its channels, or none")
    to = [word for word in _words(table["to"]) if word != "none"]
    for word in to:
        if _CHANNEL.fullmatch(word) is None:
            raise ValueError(choose(word, CHANNELS))
    severities = _words(table.get("severity", ()))
    for word in severities:
        if word not in SEVERITIES:
            raise ValueError(choose(word, SEVERITIES))
    window = {name: table[name] for name in ("status", "key", "time", "weekday") if name in table}
    given: object = table.get("window") or window
    [when] = silences([given]) if given else [Silence()]
    return Route(tuple(to), when, severities)


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def mentions(value: object) -> tuple[Mention, ...]:
    """Return people from `Ana Lima <ana@bank.example>`, several separated by commas."""
    items = value if isinstance(value, list | tuple) else [value]
    found = []
    for item in items:
        for text in str(item).split(","):
            name, _, rest = text.strip().partition("<")
            address = rest.removesuffix(">")
            if not name.strip() or ">" in name or address == rest or _ADDRESS.fullmatch(address) is None:
                raise ValueError(f"{text.strip()!r} is not a person. Write for example 'Ana Lima <ana@bank.example>'.")
            found.append(Mention(name.strip(), address))
    return tuple(found)

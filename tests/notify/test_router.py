"""Who hears of which incident: the first route that matches, and the end of what one heard of."""

from datetime import UTC

import pytest

from txmon.errors import ConfigError
from txmon.model.outcome import IncidentEvent, IncidentState, Severity
from txmon.notify.notification import Notification
from txmon.notify.router import Router
from txmon.settings.routing import routes

T0 = 1772461980  # 2026-03-02T14:33:00Z
NAMES = ("teams", "webhook", "apprise-1", "apprise-2")


def event(state: IncidentState, severity: Severity = "critical", name: str = "a", **more: object) -> IncidentEvent:
    key = (("merchant", str(more["merchant"])),) if "merchant" in more else ()
    return IncidentEvent(T0, state, name, ("failed",), key, "failures", T0, T0, 9, 1.0, 8.0, "", severity)


class Told:
    def __init__(self, text: str) -> None:
        self.rows: list[tuple[str, tuple[str, ...]]] = []
        self.router = Router(routes(text), NAMES, UTC, self.send)

    def send(self, notification: Notification, names: object) -> None:
        assert names is None or isinstance(names, list)
        self.rows.append((notification.kind, tuple(names or NAMES)))

    def tell(self, *events: IncidentEvent, time: int = T0) -> list[tuple[str, tuple[str, ...]]]:
        self.rows.clear()
        self.router.tell(Notification(events[0].state, time, events))
        return self.rows


def test_whoever_heard_of_an_incident_hears_of_its_end_and_nobody_else() -> None:
    told = Told("severity=info;to=none,severity=warning;to=teams,to=webhook")
    assert told.tell(event("opened", "warning")) == [("opened", ("teams",))]
    assert told.tell(event("worsened", "critical")) == [("worsened", ("teams", "webhook"))]
    assert told.tell(event("resolved", "critical")) == [("resolved", ("teams", "webhook"))]
    assert told.tell(event("opened", "info")) == []
    assert told.tell(event("resolved", "warning")) == []  # it got worse when it ended; nobody knows of it


def test_routes_by_status_key_and_time_of_day() -> None:
    told = Told("status=denied;to=teams,key=merchant:m1;to=webhook,time=14:00-15:00;to=apprise-2,to=apprise")
    assert told.tell(event("opened", merchant="m1")) == [("opened", ("webhook",))]
    assert told.tell(event("opened", name="b", merchant="m2")) == [("opened", ("apprise-2",))]
    assert told.tell(event("opened", name="c"), time=T0 + 3600) == [("opened", ("apprise-1", "apprise-2"))]


def test_what_is_open_is_repeated_to_whoever_heard_of_it() -> None:
    told = Told("severity=info;to=none,severity=warning;to=teams,to=webhook")
    some = (event("opened", "warning"), event("opened", "critical", "b"), event("opened", "info", "c"))
    for one in some:
        told.tell(one)
    assert told.router.firing(some) == {
        "teams": some[:1], "webhook": some[1:2], "apprise-1": (), "apprise-2": (),
    }  # fmt: skip
    assert Router((), NAMES, UTC, told.send).firing(some) == dict.fromkeys(NAMES, some)


def test_a_route_to_a_channel_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no channel 'exec' is set up"):
        Told("to=exec")

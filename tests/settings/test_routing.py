"""Routes and people, from TOML tables and texts, and back."""

from datetime import UTC

import pytest

from txmon.model.outcome import IncidentEvent
from txmon.settings.routing import Mention, mentions, routes

EVENT = IncidentEvent(
    1772445600, "opened", "i", ("failed",), (("merchant", "m1"),), "failures", 0, 0, 9, 1.0, 8.0, "text", "critical"
)


@pytest.mark.parametrize(
    "text",
    [
        "severity=critical;to=teams",
        "severity=warning+critical;status=denied;key=merchant:m1;time=08:00-18:00;weekday=mon;to=exec+apprise-2",
        "to=none",
    ],
)
def test_a_route_reads_back_from_its_text(text: str) -> None:
    [route] = routes(text)
    assert str(route) == text


def test_a_table_says_the_same_as_a_text() -> None:
    table = {"severity": ["critical"], "status": ["denied", "failed"], "time": "08:00-18:00", "to": ["teams"]}
    assert routes([table]) == routes("severity=critical;status=denied+failed;time=08:00-18:00;to=teams")


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("to=teams", True),
        ("severity=critical;to=teams", True),
        ("severity=info;to=teams", False),
        ("status=failed;to=teams", True),
        ("status=denied;to=teams", False),
        ("key=merchant:m1;to=teams", True),
        ("key=merchant:m2;to=teams", False),
        ("time=10:00-11:00;to=teams", True),
        ("time=11:00-12:00;to=teams", False),
        ("weekday=tue;to=teams", False),
    ],
)
def test_what_is_not_given_matches_everything(text: str, matches: bool) -> None:
    [route] = routes(text)
    assert route.matches(EVENT, EVENT.time, UTC) is matches


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("severity=critical", "needs `to`"),
        ("to=team", "Choose teams, webhook"),
        ("severity=bad;to=teams", "Choose info, warning or critical"),
        ("wen=x;to=teams", "is not valid. Choose"),
        ("to", "not NAME=VALUE"),
        ("", "not a route"),
        ("time=25:00-26:00;to=teams", "not a time of day"),
    ],
)
def test_what_is_no_route_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        routes(text)


def test_people_have_a_name_and_an_address() -> None:
    assert mentions("Ana Lima <ana@bank.example>") == (Mention("Ana Lima", "ana@bank.example"),)
    assert str(mentions(["Ana <a@b.c>", "Rui <r@b.c>"])[1]) == "Rui <r@b.c>"

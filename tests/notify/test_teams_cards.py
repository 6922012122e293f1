"""Cards: valid whatever is told, under the limit whatever the number, and deaf to what texts from outside ask for."""

import json
import unicodedata
from dataclasses import replace
from datetime import UTC
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import TESTS

from txmon.model.keys import Key
from txmon.model.outcome import IncidentEvent, IncidentState, Severity, Trend
from txmon.notify.channels.teams_cards import LIMIT, adaptive_card, message_card, sent_bytes
from txmon.notify.notification import Day, Notification, Recent, worst_first
from txmon.notify.wording import describe, picture, plain
from txmon.settings.routing import mentions

SCHEMA = json.loads((TESTS / "data" / "adaptive-card-1.4.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
T0 = 1772461980  # 2026-03-02T14:33:00Z
MERCHANT: Key = (("merchant", "m1"),)


def event(
    state: IncidentState = "opened",
    name: str = "20260302T1433-reversed",
    statuses: tuple[str, ...] = ("reversed",),
    key: Key = (),
    label: str = "reversal wave",
    minutes: int = 0,
    excess: float = 121.0,
) -> IncidentEvent:
    return IncidentEvent(T0 + 60 * minutes, state, name, statuses, key, label, T0, T0, 122, 1.4, excess, "text")


def told(*events: IncidentEvent, **more: Any) -> Notification:
    return Notification(kind=events[0].state, time=events[0].time, events=worst_first([*events]), **more)


def card_of(notification: Notification) -> dict[str, Any]:
    payload = adaptive_card(notification)
    VALIDATOR.validate(payload)
    assert sent_bytes(payload) < LIMIT
    assert sent_bytes(message_card(notification)) < LIMIT
    content = payload["attachments"][0]["content"]
    assert isinstance(content, dict)
    return content


def facts_of(card: dict[str, Any]) -> dict[str, str]:
    """Of the first incident."""
    fact_set = next(element for element in card["body"] if element["type"] == "Container")["items"][-1]
    return {fact["title"]: fact["value"] for fact in fact_set["facts"]}


def test_an_opened_card_says_what_an_analyst_asks_first() -> None:
    recent = Recent(60, {("reversed", ()): (0, 1, 0, 2, 1, 0, 0, 1, 3, 1, 0, 1, 2, 0, 122)})
    card = card_of(told(event(), recent=recent, trends={"reversed": Trend(2.0, "rising a lot")}, link="http://l:1/"))
    assert card["body"][0]["text"] == "Opened: reversal wave - reversed"
    assert card["body"][1]["text"] == "122 reversed, 1.4 expected at 2026-03-02 14:33 UTC."
    facts = facts_of(card)
    assert facts == {
        "Excess": "121 transactions above normal so far",
        "Since": "2026-03-02 14:33 UTC",
        "Last 15 min": "▁▂▁▂▂▁▁▂▂▂▁▂▂▁█ 0 to 122/min",
        "Trend": "reversed rising a lot",
        "Look at": "timeouts between the gateway and the acquirer, and what is reversed twice",
        "Severity": "warning",
        "Incident": "20260302T1433-reversed",
    }
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open the live page", "url": "http://l:1/"}]


def test_a_resolved_card_says_how_long_and_how_much() -> None:
    card = card_of(told(event("resolved", minutes=95, excess=-250.4)))
    facts = facts_of(card)
    assert facts["Lasted"] == "1 h 35 min, until 2026-03-02 16:08 UTC"
    assert facts["Excess"] == "250 transactions below normal in all"
    assert card["body"][0]["color"] == "good"
    assert "actions" not in card


def test_times_are_shown_in_the_zone() -> None:
    from zoneinfo import ZoneInfo

    message = describe(told(event()), ZoneInfo("America/Sao_Paulo"))
    assert "2026-03-02 11:33 -03" in message.text


def test_the_sparkline_of_a_key_is_its_own_or_says_that_it_is_not() -> None:
    apart = Recent(60, {("reversed", MERCHANT): (1, 2), ("reversed", ()): (9, 9)})
    together = Recent(60, {("reversed", ()): (9, 9)}, over_all_keys=True)
    incident = event(key=MERCHANT)
    assert facts_of(card_of(told(incident, recent=apart)))["Last 2 min"] == "▅█ 1 to 2/min"
    assert facts_of(card_of(told(incident, recent=together)))["Last 2 min"] == "reversed, all keys: ██ 9 to 9/min"


def test_grouped_incidents_share_a_card_the_worst_first() -> None:
    few = [event(name=f"i{n}", key=(("merchant", f"m{n}"),), excess=n) for n in range(3)]
    card = card_of(told(*few))
    headings = [element["items"][0]["text"] for element in card["body"] if element["type"] == "Container"]
    assert card["body"][0]["text"] == "Opened: 3 incidents - reversal wave (3)"
    assert headings == [f"reversal wave - reversed (m{n})" for n in (2, 1, 0)]


NASTY = "**[x](http://evil.example/)** <at>all</at> {{DATE(2017)}} \x1b[31m\x00\u202e# _y_\nz" + "é" * 500


@pytest.mark.parametrize("kind", ["opened", "escalated", "reminder", "resolved"])
def test_ten_thousand_series_at_once_stay_under_the_limit(kind: IncidentState) -> None:
    statuses = tuple(f"{n}{NASTY}" for n in range(40))
    many = [
        event(kind, f"id{n}-{NASTY}", statuses, (("merchant", f"{n}{NASTY}"), (NASTY, NASTY)), NASTY, n % 90, n)
        for n in range(10_000)
    ]
    recent = Recent(60, {(statuses[0], e.key): (10**9,) * 15 for e in many})
    trends = {status: Trend(1.0, "rising a lot") for status in statuses}
    card = card_of(told(*many, recent=recent, trends=trends, link="https://host/" + "x" * 1900))
    shown = sum(element["type"] == "Container" for element in card["body"])
    assert 1 <= shown <= 10
    assert f"and {10_000 - shown} more:" in [element.get("text") for element in card["body"]]


def test_ten_thousand_ordinary_series_show_ten() -> None:
    many = [event(name=f"i{n}", key=(("merchant", f"m{n}"),), excess=n) for n in range(10_000)]
    card = card_of(told(*many))
    assert sum(element["type"] == "Container" for element in card["body"]) == 10
    assert card["body"][-1]["text"] == "reversal wave: 9990 incidents, the largest 9989 transactions off normal"


def texts_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts_in(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return [value] if isinstance(value, str) else []


def test_texts_from_outside_are_neither_markdown_nor_html_nor_functions() -> None:
    card = card_of(told(event(statuses=(NASTY,), key=(("merchant", NASTY),), label=NASTY, name=NASTY)))
    for text in texts_in(card["body"]):
        assert not set("*[]<>{}`\\&\n\x1b\x00\u202e") & set(text), text
        assert "://" not in text
        assert " _y" not in text
    assert "evil.example" in str(card["body"])  # it is still to be read


def test_an_ordinary_name_is_left_as_it_is() -> None:
    for name in ("backend_reversed", "merchant-7", "São Paulo", "支付", "a.b:c", "50%"):
        assert plain(name) == name


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=400))
def test_any_text_becomes_one_short_line_that_can_be_sent(text: str) -> None:
    line = plain(text)
    assert 1 <= len(line) <= 80
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in line)
    line.encode("utf-8")
    assert plain(line) == line


def test_a_sparkline_starts_at_zero() -> None:
    assert picture((0, 50, 100)) == "▁▅█"
    assert picture((0, 0)) == "▁▁"
    assert picture(()) == ""


def test_a_trend_a_digest_and_a_test_are_valid_cards() -> None:
    recent = Recent(60, {("failed", ()): tuple(range(15))})
    trend = card_of(Notification("trend", T0, recent=recent, trends={"failed": Trend(1.0, "rising a lot")}))
    assert facts_of(trend) == {"failed": "▁▂▂▃▃▄▄▅▅▆▆▇▇██ 0 to 14/min, +1.0 a minute more every minute"}
    day = Day(T0 - 86400, T0, {"approved": 1000, "failed": 7}, 2, 1, 3, 4)
    digest = card_of(Notification("digest", T0, (event("resolved"),), day=day))
    assert digest["body"][0]["text"] == "Daily summary: 2 incidents"
    first = next(element for element in digest["body"] if element["type"] == "Container")["items"][-1]["facts"]
    assert {"title": "Incidents", "value": "2 begun, 1 still open"} in first
    assert {"title": "failed", "value": "7 transactions"} in first
    assert card_of(Notification("test", T0))["body"][0]["text"] == "Test: txmon can reach you here"


def test_the_schema_is_strict() -> None:
    good = adaptive_card(told(event()))
    for path, wrong in ((("version",), "1.5"), (("body", 0, "colour"), "x"), (("body", 0, "color"), "red")):
        bad = json.loads(json.dumps(good))
        place = bad["attachments"][0]["content"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong
        assert not VALIDATOR.is_valid(bad)


def test_the_legacy_card_tells_the_same() -> None:
    card = message_card(told(event("resolved", minutes=5), link="http://l:1/"))
    assert card["@type"] == "MessageCard"
    assert card["title"] == card["summary"] == "Resolved: reversal wave - reversed"
    assert {"name": "Since", "value": "2026-03-02 14:33 UTC"} in card["sections"][0]["facts"]
    assert card["sections"][0]["markdown"] is False
    assert card["potentialAction"][0]["targets"] == [{"os": "default", "uri": "http://l:1/"}]


def test_the_id_is_stable_and_differs_by_step() -> None:
    one, two = event(name="a"), event(name="b")
    assert told(one, two).id == told(two, one).id
    assert told(one).id != told(two).id
    assert told(one).id != told(replace(one, state="resolved")).id
    assert told(event(name="../../etc/passwd\x00")).id.replace("-", "").isalnum()


def test_people_are_called_by_name_when_it_begins_or_gets_worse() -> None:
    people = mentions("Ana Lima <ana@bank.example>, Rui <rui@bank.example>")
    for state, severity, called in (
        ("opened", "critical", True), ("worsened", "warning", True), ("opened", "info", False),
        ("reminder", "critical", False), ("resolved", "critical", False),
    ):  # fmt: skip
        one = replace(event(cast(IncidentState, state)), severity=cast(Severity, severity))
        card = adaptive_card(told(one), UTC, people)["attachments"][0]["content"]
        assert ("msteams" in card) is called
        if called:
            assert card["body"][1]["text"] == "<at>Ana Lima</at> <at>Rui</at>"
            assert card["msteams"]["entities"][0] == {
                "type": "mention", "text": "<at>Ana Lima</at>",
                "mentioned": {"id": "ana@bank.example", "name": "Ana Lima"},
            }  # fmt: skip
    with pytest.raises(ValueError, match="is not a person"):
        mentions("ana@bank.example")


def test_what_is_normal_is_said_instead_of_nothing_expected() -> None:
    one = replace(event(), observed=5, expected=0.0, low=0, high=2, total=100, root="reversed", times=3)
    [container] = [part for part in card_of(told(one))["body"] if part["type"] == "Container"]
    facts = {fact["title"]: fact["value"] for fact in container["items"][-1]["facts"]}
    assert "At the worst" not in facts  # the text has it
    text = card_of(told(one))["body"][1]["text"]
    assert text.endswith("At the worst 5 reversed, normal is 0 to 2 (5% of all) at 2026-03-02 14:33 UTC.")
    quiet = replace(one, state="no data", no_data_since=T0)
    assert facts_of(card_of(told(quiet)))["Look at"].startswith("whether the feed still sends")
    assert card_of(told(replace(one, key_count=4)))["body"][0]["text"] == "Opened: reversal wave - reversed (4 keys)"
    digest = card_of(Notification("digest", T0, (one, replace(quiet, id="b"))))
    headings = [part["items"][0]["text"] for part in digest["body"] if part["type"] == "Container"]
    assert headings == ["Opened: reversal wave - reversed", "No data: reversal wave - reversed"]
    assert "usually none" in card_of(told(replace(one, high=0)))["body"][1]["text"]
    level = card_of(told(replace(one, state="changed level", usual=4.04)))["body"][1]["text"]
    assert "Still 4 times the usual" in level

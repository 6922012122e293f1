"""The services behind Apprise: an alert of an incident is opened and closed under one key, and messages share a thread.

The requests are real. Their addresses lead to a receiver of the tests' own, because the services are not here.
"""

import json
import socket
from collections.abc import Iterator
from datetime import UTC
from email.message import Message

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Collecting

from conftest import Start
from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.notify.channels.apprise import Apprise
from txmon.notify.notification import Notification

T0 = 1772461980  # 2026-03-02T14:33:00Z
KEY = "0123456789abcdef0123456789abcdef"
IDENTITY = "20260302T1433-failed"


def step(state: IncidentState, minute: int) -> Notification:
    text = f"failures: failed; {minute} failed"
    event = IncidentEvent(
        T0 + 60 * minute, state, IDENTITY, ("failed",), (), "failures", T0, T0, 9, 1.0, 8.0, text
    )  # fmt: skip
    return Notification(state, T0 + 60 * minute, (event,))


STORY = [step("opened", 0), step("worsened", 20), step("resolved", 30)]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver is on this machine, wherever the tests run."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def send(channel: Apprise, story: list[Notification]) -> None:
    for notification in story:
        answer = channel.send(notification.id, channel.render(notification))
        assert answer.outcome == "sent", answer.text


def test_pagerduty_opens_and_resolves_one_alert(receiver: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins import pagerduty

    endpoint = receiver({"code": 202, "body": "{}"})
    for region in pagerduty.PAGERDUTY_API_LOOKUP:
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, region, f"http://127.0.0.1:{endpoint.port}/v2/enqueue")
    send(Apprise(f"pagerduty://{KEY}@{KEY}/txmon/payments", 1, UTC), STORY)
    sent = [json.loads(row["body"]) for row in endpoint.requests]
    assert [row["event_action"] for row in sent] == ["trigger", "trigger", "resolve"]
    assert {row["dedup_key"] for row in sent} == {IDENTITY}


def test_opsgenie_closes_the_alert_by_its_alias(receiver: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins import opsgenie

    endpoint = receiver({"code": 202, "body": '{"requestId": "43a29c5c-3dbf-4fa4-9c26-f4f71023e120"}'})
    for region in opsgenie.OPSGENIE_API_LOOKUP:
        monkeypatch.setitem(opsgenie.OPSGENIE_API_LOOKUP, region, f"http://127.0.0.1:{endpoint.port}/v2/alerts")
    address = f"opsgenie://{KEY}"
    send(Apprise(address, 1, UTC), STORY[:2])
    send(Apprise(address, 1, UTC), STORY[2:])  # after a restart, of which the alert knows nothing
    opened, again, closed = endpoint.requests
    assert json.loads(opened["body"])["alias"] == json.loads(again["body"])["alias"] == IDENTITY
    assert closed["path"] == f"/v2/alerts/{IDENTITY}/close?identifierType=alias"
    assert closed["headers"]["Authorization"] == f"GenieKey {KEY}"


@pytest.mark.parametrize(("code", "outcome"), [(503, "retry"), (401, "retry"), (422, "refused")])
def test_opsgenie_that_does_not_close_is_said(
    code: int, outcome: str, receiver: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apprise.plugins import opsgenie

    endpoint = receiver({"code": code})
    monkeypatch.setitem(
        opsgenie.OPSGENIE_API_LOOKUP, opsgenie.OpsgenieRegion.US, f"http://127.0.0.1:{endpoint.port}/v2/alerts"
    )
    channel = Apprise(f"opsgenie://{KEY}", 1, UTC)
    answer = channel.send("id", channel.render(STORY[2]))
    assert answer.outcome == outcome
    assert KEY not in answer.text


def test_slack_takes_a_message_a_step(receiver: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.slack import NotifySlack

    endpoint = receiver({"code": 200, "body": "ok"})
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{endpoint.port}/services")
    send(Apprise("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#payments", 1, UTC), STORY)
    sent = [json.loads(row["body"]) for row in endpoint.requests]
    assert len(sent) == 3
    assert "Opened: failures - failed" in json.dumps(sent[0])
    assert "Resolved: failures - failed" in json.dumps(sent[2])


def test_google_chat_shows_an_incident_as_one_thread(receiver: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.google_chat import NotifyGoogleChat

    endpoint = receiver({"code": 200, "body": "{}"})
    monkeypatch.setattr(NotifyGoogleChat, "notify_url", f"http://127.0.0.1:{endpoint.port}/v1/spaces/{{workspace}}/x")
    send(Apprise("gchat://workspace/key/token", 1, UTC), STORY)
    threads = [json.loads(row["body"])["thread"]["thread_key"] for row in endpoint.requests]
    assert threads == [IDENTITY] * 3


def test_a_thread_of_the_address_is_kept(receiver: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.google_chat import NotifyGoogleChat

    endpoint = receiver({"code": 200, "body": "{}"})
    monkeypatch.setattr(NotifyGoogleChat, "notify_url", f"http://127.0.0.1:{endpoint.port}/v1/spaces/{{workspace}}/x")
    send(Apprise("gchat://workspace/key/token?thread=all", 1, UTC), STORY[:1])
    assert json.loads(endpoint.requests[0]["body"])["thread"]["thread_key"] == "all"


class Mailbox(Collecting):
    """Keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.messages.append(message)


@pytest.fixture
def mail() -> Iterator[tuple[int, Mailbox]]:
    """A mail server, and what it got."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield port, box
    server.stop()


def test_mails_of_an_incident_refer_to_it(mail: tuple[int, Mailbox]) -> None:
    port, box = mail
    address = f"mailto://127.0.0.1:{port}?from=txmon@bank.example&to=ops@bank.example&smtp=127.0.0.1"
    send(Apprise(address, 1, UTC), STORY)
    assert [message["References"] for message in box.messages] == [f"<{IDENTITY}@txmon>"] * 3
    assert [message["Subject"].partition(":")[0] for message in box.messages] == ["Opened", "Worsened", "Resolved"]

"""Every channel against a receiver that is a process of its own: what each answer leads to, and what is never said.

The courier is driven with a clock of the test's, so that back-off costs no time; the requests are real.
"""

import base64
import hashlib
import hmac
import json
import socket
import sys
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from paths import TESTS

from conftest import FLOW, SIGNATURE, Endpoint, Start, card_id
from txmon.errors import ConfigError
from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.notify.channels.apprise import Apprise
from txmon.notify.channels.base import Channel, Secrets, failure_answer, retry_after
from txmon.notify.channels.command import Command
from txmon.notify.channels.teams import Teams
from txmon.notify.channels.webhook import Webhook
from txmon.notify.delivery import Courier
from txmon.notify.notification import Notification, worst_first
from txmon.notify.spool import Spool

SCHEMA = json.loads((TESTS / "data" / "adaptive-card-1.4.schema.json").read_text())
T0 = 1772461980  # 2026-03-02T14:33:00Z


def news(n: int, state: IncidentState = "opened") -> Notification:
    event = IncidentEvent(
        T0 + 60 * n, state, f"i{n}", ("failed",), (("m", "é$(touch x)"),), "failures", T0, T0, 9, 1.0, 8.0, "text"
    )
    return Notification(state, T0 + 60 * n, worst_first([event]))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver is on this machine, wherever the tests run."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.invalid")


class Line:
    """A channel's courier, its clock and what it said."""

    def __init__(self, channel: Channel, folder: Path) -> None:
        self.now = 0.0
        self.waited: list[float] = []
        self.said: list[str] = []
        self.folder = folder
        self.spool = Spool(folder)
        self.courier = Courier(channel, self.spool, lambda: self.now, self.said.append)

    def send(self, count: int, tries: int = 100) -> list[str]:
        """Queue so many and go on until all are gone, or for so many tries; their ids."""
        notifications = [news(n) for n in range(count)]
        for notification in notifications:
            self.courier.add(notification)
        for _ in range(tries):
            pause = self.courier.step()
            if pause is None:
                break
            self.waited.append(pause)
            self.now += pause
        return [notification.id for notification in notifications]

    @property
    def text(self) -> str:
        """Everything that could hold a secret."""
        files = [path.read_text() + path.name for path in self.folder.rglob("*") if path.is_file()]
        return "\n".join([*self.said, *self.courier.summary(), *files, repr(self.courier.channel)])


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Any]:
    """Makes lines, and looks for the secret in all that they left."""
    made: list[Line] = []

    def make(channel: Channel) -> Line:
        made.append(Line(channel, tmp_path / f"spool-{len(made)}"))
        return made[-1]

    yield make
    for one in made:
        assert SIGNATURE not in one.text
        assert FLOW not in one.text


def teams(endpoint: Endpoint, kind: Any = "adaptive") -> Teams:
    return Teams(endpoint.url, kind, UTC, timeout=0.5)


@pytest.mark.parametrize("code", [200, 202])
def test_workflows_takes_cards_in_order_each_once(code: int, receiver: Start, line: Any) -> None:
    endpoint = receiver({"code": code})
    one = line(teams(endpoint))
    assert endpoint.taken == [] == one.said
    assert one.send(6) == endpoint.taken
    assert len(endpoint.requests) == 6
    for row in endpoint.requests:
        assert row["headers"]["Content-Type"] == "application/json"
        assert len(row["body"]) < 24_000
        jsonschema.validate(json.loads(row["body"]), SCHEMA)
    assert SIGNATURE in endpoint.requests[0]["path"]


def test_429_waits_as_long_as_asked_then_goes_on(receiver: Start, line: Any) -> None:
    endpoint = receiver({"code": 429, "headers": {"Retry-After": "17"}}, {})
    one = line(teams(endpoint))
    assert one.send(3) == endpoint.taken
    assert [row["code"] for row in endpoint.requests] == [429, 202, 202, 202]
    assert one.waited[0] == 17.0


def test_500s_are_tried_again_until_it_works(receiver: Start, line: Any) -> None:
    endpoint = receiver(*[{"code": 500 + n, "echo": True} for n in range(4)], {})
    one = line(teams(endpoint))
    assert one.send(2) == endpoint.taken
    assert [row["code"] for row in endpoint.requests] == [500, 501, 502, 503, 202, 202]
    assert "500 Internal Server Error" in one.said[0]


def test_a_hang_is_tried_again_with_the_same_id(receiver: Start, line: Any) -> None:
    endpoint = receiver({"hang": True}, {})
    one = line(teams(endpoint))
    ids = one.send(2)
    assert endpoint.taken == ids
    assert [card_id(row["body"]) for row in endpoint.requests] == [ids[0], ids[0], ids[1]]
    assert one.said == ["teams: no answer in time; will try again", "teams: works again after 1 failed attempt"]


def test_a_closed_port_keeps_everything(line: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    one = line(teams(Endpoint(port, Path("none"))))
    one.send(3, tries=12)
    assert one.said == ["teams: the connection was refused; will try again"]
    assert len(one.spool.names()) == 3
    assert one.courier.counts.failed == 12


def test_a_host_that_is_not_known_is_said_without_it(line: Any) -> None:
    channel = Teams(f"https://{FLOW}.invalid/?sig={SIGNATURE}", "adaptive", UTC, timeout=5)
    one = line(channel)
    one.send(1, tries=1)
    assert one.said == ["teams: the host's name is not known; will try again"]


@pytest.mark.parametrize("code", [301, 302, 303, 401, 403, 404, 410])
def test_a_wrong_address_keeps_the_cards_and_does_not_repeat_it(code: int, receiver: Start, line: Any) -> None:
    elsewhere = receiver({"code": 202})
    headers = {"Location": elsewhere.url} if code < 400 else {}
    endpoint = receiver({"code": code, "echo": True, "headers": headers})
    one = line(teams(endpoint))
    one.send(2, tries=3)
    assert len(one.spool.names()) == 2
    assert one.courier.counts.sent == 0
    if code >= 400:
        assert "no such flow" in one.said[0]


def test_a_redirect_that_takes_the_card_along_is_followed(receiver: Start, line: Any) -> None:
    elsewhere = receiver({"code": 202})
    endpoint = receiver({"code": 307, "headers": {"Location": elsewhere.url}})
    ids = line(teams(endpoint)).send(2)
    assert elsewhere.taken == ids


def test_a_card_that_is_at_fault_goes_aside_and_the_next_is_sent(receiver: Start, line: Any) -> None:
    endpoint = receiver({"code": 400, "body": "Bad payload received by generic incoming webhook."}, {})
    one = line(teams(endpoint))
    ids = one.send(2)
    assert endpoint.taken == ids[1:]
    assert len(list((one.folder / "refused").iterdir())) == 1
    assert "400 Bad Request: Bad payload" in one.said[0]


def test_a_legacy_connector_has_taken_a_card_only_when_it_says_1(receiver: Start, line: Any) -> None:
    said = (
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x"
    )
    large = (
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId x"
    )
    endpoint = receiver(
        {"code": 200, "body": said}, {"code": 200, "body": "1"},
        {"code": 200, "body": large}, {"code": 200, "body": "1"},
    )  # fmt: skip
    one = line(teams(endpoint, "messagecard"))
    one.send(3)
    titles = [json.loads(row["body"])["correlationId"] for row in endpoint.requests]
    assert titles[0] == titles[1]
    assert len(set(titles)) == 3
    assert (one.courier.counts.sent, one.courier.counts.refused, one.courier.counts.failed) == (2, 1, 1)
    assert f"200 OK, but: {said}" in one.said[0]


def test_the_webhook_follows_no_redirect(receiver: Start, line: Any) -> None:
    elsewhere = receiver({"code": 200})
    endpoint = receiver({"code": 302, "headers": {"Location": elsewhere.url}})
    one = line(Webhook(endpoint.url, None, UTC))
    one.send(1, tries=2)
    assert one.courier.counts.sent == 0
    assert one.said == ["webhook: 302 Found; will try again"]


def test_the_webhook_signs_what_it_sends(receiver: Start, line: Any) -> None:
    endpoint = receiver({"code": 200})
    one = line(Webhook(endpoint.url, SIGNATURE, UTC))
    one.courier.add(news(0))
    one.courier.add(news(1, "resolved"))
    one.send(0)
    first, second = endpoint.requests
    expected = hmac.new(SIGNATURE.encode(), first["body"].encode(), hashlib.sha256).hexdigest()
    assert first["headers"]["X-Txmon-Signature"] == f"sha256={expected}"
    assert first["headers"]["X-Txmon-Id"] == news(0).id == json.loads(first["body"])["id"]
    rows = [json.loads(row["body"]) for row in (first, second)]
    assert [row["status"] for row in rows] == ["firing", "resolved"]
    assert rows[0]["incidents"][0]["dedup_key"] == "i0"
    assert rows[0]["incidents"][0]["key"] == {"m": "é$(touch x)"}


@pytest.mark.parametrize(
    ("answers", "codes", "left"),
    [
        ([{"code": 429, "headers": {"Retry-After": "3"}}, {}], [429, 202], 0),
        ([{"code": 503, "echo": True}, {"code": 500}, {}], [503, 500, 202], 0),
        ([{"hang": True}, {}], [202, 202], 0),
        ([{"code": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, {}], [302, 202], 0),
        ([{"code": 404, "echo": True}], [404] * 4, 1),
    ],
)
def test_the_webhook_tries_again(answers: list[Any], codes: list[int], left: int, receiver: Start, line: Any) -> None:
    endpoint = receiver(*answers)
    one = line(Webhook(endpoint.url, None, UTC, timeout=0.5))
    one.send(1, tries=4)
    assert [row["code"] for row in endpoint.requests] == codes
    assert len(one.spool.names()) == left
    assert "X-Txmon-Signature" not in endpoint.requests[0]["headers"]


def test_the_webhook_logs_in_with_what_its_address_says(receiver: Start, line: Any) -> None:
    endpoint = receiver({"code": 401, "echo": True}, {"code": 200})
    one = line(Webhook(f"http://me:{SIGNATURE}%40@127.0.0.1:{endpoint.port}/{FLOW}", None, UTC))
    one.send(1)
    assert [row["path"] for row in endpoint.requests] == [f"/{FLOW}"] * 2
    login = endpoint.requests[0]["headers"]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(login).decode() == f"me:{SIGNATURE}@"


def test_a_webhook_document_of_ten_thousand_names_some_and_counts_the_rest() -> None:
    events = [
        IncidentEvent(T0, "opened", f"i{n}", ("failed",), (), "failures", T0, T0, 9, 1, n, "t") for n in range(10_000)
    ]
    row = json.loads(Webhook("http://h/", None, UTC).render(Notification("opened", T0, worst_first(events))))
    assert len(row["incidents"]) == 500
    assert row["incidents_left_out"] == 9500
    assert row["incidents"][0]["dedup_key"] == "i9999"


def test_a_command_gets_the_incident_on_its_standard_input(
    line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import os, sys; open('got', 'a').write(sys.stdin.read()); print(sorted(os.environ), file=open('env', 'w'))"
    env = {"TXMON_TEAMS_WEBHOOK": SIGNATURE, "LANG": "C.UTF-8"}
    one = line(Command(f'{sys.executable} -c "{code}"', env, UTC))
    ids = one.send(2)
    got = (tmp_path / "got").read_text().splitlines()
    assert [json.loads(row)["id"] for row in got] == ids
    assert "TXMON" not in (tmp_path / "env").read_text()
    assert not (tmp_path / "x").exists()  # no shell looked at the key


@pytest.mark.parametrize(
    ("code", "outcome", "says"),
    [
        ("raise SystemExit(75)", "retry", "exit code 75"),
        ("raise SystemExit('no pager')", "refused", "exit code 1: no pager"),
        ("import os; os.kill(os.getpid(), 9)", "refused", "killed by signal 9"),
        ("import time; time.sleep(60)", "retry", "took longer than 0.5 s"),
    ],
)
def test_a_command_that_fails(code: str, outcome: str, says: str) -> None:
    answer = Command(f'{sys.executable} -c "{code}"', {}, UTC, timeout=0.5 if "sleep" in code else 30).send("id", "{}")
    assert answer.outcome == outcome
    assert answer.text.endswith(says)


def test_a_command_that_is_not_there_may_come_back() -> None:
    assert Command("/nowhere/at-all", {}, UTC).send("id", "{}").outcome == "retry"


def test_apprise_reaches_its_addresses(receiver: Start, line: Any) -> None:
    endpoint = receiver({"code": 500}, {"code": 200})
    one = line(Apprise(f"json://127.0.0.1:{endpoint.port}/{FLOW}?sig={SIGNATURE}", 1, UTC))
    one.send(1)
    sent = json.loads(endpoint.requests[-1]["body"])
    assert [row["code"] for row in endpoint.requests] == [500, 200]
    assert sent["title"] == "Opened: failures - failed (é$(touch x))"
    assert sent["type"] == "failure"
    assert "9 failed, 1.0 expected" in sent["message"]


def test_apprise_refuses_an_address_without_showing_it() -> None:
    with pytest.raises(ConfigError) as caught:
        Apprise(f"nonsense://{SIGNATURE}", 2, UTC)
    assert SIGNATURE not in str(caught.value)
    assert "address 2" in str(caught.value)


def test_secret_parts_are_hidden_whatever_surrounds_them() -> None:
    url = Endpoint(80, Path()).url
    secrets = Secrets([url])
    path = url.partition(":80")[2]
    for text in (
        url,
        path,
        f"Max retries exceeded with url: {path} (",
        f"sig={SIGNATURE}&x",
        f"/a/{FLOW}/b",
        repr(url),
    ):
        hidden = secrets.hide(text)
        assert SIGNATURE not in hidden
        assert FLOW not in hidden
        assert "[secret]" in hidden
    assert secrets.hide("400 Bad Request: workflows triggers") == "400 Bad Request: workflows triggers"


def test_a_percent_encoded_secret_is_hidden_in_both_forms() -> None:
    secrets = Secrets(["https://h/x?sig=abc%2Fdefghijk%3D"])
    assert secrets.hide("got abc/defghijk= there") == "got [secret] there"
    assert secrets.hide("got abc%2Fdefghijk%3D there") == "got [secret] there"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "Mon, 02 Mar 2026 14:34:00 GMT", "Date": "Mon, 02 Mar 2026 14:33:00 GMT"}, 60.0),
        ({"Retry-After": "Mon, 02 Mar 2026 14:32:00 GMT", "Date": "Mon, 02 Mar 2026 14:33:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 02 Mar 2026 14:34:00 GMT"}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_failure_is_said_in_our_own_words() -> None:
    secret = OSError(f"HTTPSConnectionPool(host='h', port=443): url: /?sig={SIGNATURE}")
    assert failure_answer(secret).text == "the connection failed (OSError)"
    secret.__cause__ = ConnectionResetError()
    assert failure_answer(secret).text == "the connection broke"

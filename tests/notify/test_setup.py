"""Settings become channels and a policy; a notifier that breaks stops nothing."""

from contextlib import ExitStack
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

from txmon.model.outcome import IncidentEvent, Outcome
from txmon.notify.policy import Notifier, Policy
from txmon.notify.router import Router
from txmon.notify.sent import SentTable
from txmon.notify.setup import NotificationSink, channels_of, notifications, policy_of, spool_folder
from txmon.settings.declarations import Settings
from txmon.settings.schedule import Clock, hours, silences


def test_channels_come_from_secrets_and_settings_teams_first(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://example.invalid/hook\n")
    settings = Settings(exec="true", webhook_file=str(tmp_path / "hook"))
    env = {"TXMON_TEAMS_WEBHOOK": "https://example.invalid/x?sig=1", "TXMON_APPRISE": "json://h/a\njson://h/b"}
    assert [channel.name for channel in channels_of(settings, env)] == [
        "teams", "webhook", "exec", "apprise-1", "apprise-2",
    ]  # fmt: skip
    assert channels_of(Settings(), {"TXMON_TEAMS_WEBHOOK": ""}) == []


def test_the_variable_wins_over_the_file(tmp_path: Path) -> None:
    settings = Settings(teams_webhook_file=str(tmp_path / "not there"))
    assert len(channels_of(settings, {"TXMON_TEAMS_WEBHOOK": "https://example.invalid/x"})) == 1


def test_the_policy_is_what_the_settings_say() -> None:
    settings = Settings(
        bucket=10, tz="Asia/Tokyo", digest=Clock(540), quiet_hours=hours("22:00-06:00"),
        silence=silences("status=denied"), trend_every=0, link="http://h/",
    )  # fmt: skip
    assert policy_of(settings) == Policy(
        10, 30, 0, 540, hours("22:00-06:00"), silences("status=denied"), ZoneInfo("Asia/Tokyo"), "http://h/", most=20
    )


def test_where_notifications_wait(tmp_path: Path) -> None:
    assert spool_folder(Settings(spool="here"), {"XDG_STATE_HOME": "/state"}) == Path("here")
    assert spool_folder(Settings(), {"XDG_STATE_HOME": "/state"}) == Path("/state/txmon/spool")
    assert spool_folder(Settings(), {}) == Path.home() / ".local/state/txmon/spool"


def nobody(*_: object) -> None:
    """Hear nothing."""


class Broken(Notifier):
    def accept(self, outcome: Outcome) -> None:
        raise ValueError("https://example.invalid/?sig=secret")


def test_a_notifier_that_breaks_is_said_once_and_counted() -> None:
    said: list[str] = []
    telling = NotificationSink(Broken(Policy(), nobody), said.append, Router((), (), UTC, nobody), SentTable(), 0)
    for time in range(3):
        telling.accept(Outcome(time, []))
    telling.close()
    assert said == ["notifications: unexpected ValueError; detection goes on"]
    assert telling.summary() == ["notifications: 3 buckets failed; their notifications are not complete"]


def test_what_was_told_is_delivered_as_the_stack_closes(tmp_path: Path) -> None:
    said: list[str] = []
    settings = Settings(exec=f"tee {tmp_path / 'got'}", spool=str(tmp_path / "spool"))
    event = IncidentEvent(60, "opened", "i", ("failed",), (), "failures", 60, 60, 9, 1.0, 8.0, "text")
    with ExitStack() as stack:
        notifications(settings, {"PATH": "/usr/bin:/bin"}, stack, said.append, live=False).accept(
            Outcome(60, [], [event])
        )
    assert said == ["exec: 1 notification sent"]
    assert '"kind": "opened"' in (tmp_path / "got").read_text()

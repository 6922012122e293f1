"""The courier and its spool, with a clock that only the test moves: what is sent when, and what survives."""

import json
import stat
import threading
from pathlib import Path
from typing import cast

import pytest

from txmon.errors import ConfigError, IoFailure
from txmon.model.outcome import IncidentEvent, IncidentState
from txmon.notify.channels.base import Answer
from txmon.notify.delivery import ROTATE_AFTER, Courier, Deliveries, Delivery
from txmon.notify.notification import Kind, Notification
from txmon.notify.spool import Spool


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A channel that answers from a list, and sends when that is empty."""

    name = "fake"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.tried: list[str] = []
        self.seen = threading.Event()
        self.clock: Clock | None = None
        self.at: list[float] = []

    def render(self, notification: Notification) -> str:
        return f"body of {notification.time}"

    def send(self, identity: str, body: str) -> Answer:
        self.tried.append(body.removeprefix("body of "))
        self.at.append(self.clock() if self.clock else 0.0)
        self.seen.set()
        return self.answers.pop(0) if self.answers else Answer("sent", "202 Accepted")


class Desk:
    """A courier with all it needs."""

    def __init__(self, folder: Path, *answers: Answer) -> None:
        self.clock = Clock()
        self.channel = Fake(*answers)
        self.channel.clock = self.clock
        self.said: list[str] = []
        self.spool = Spool(folder)
        self.courier = Courier(self.channel, self.spool, self.clock, self.said.append)

    def add(self, *times: int) -> None:
        for time in times:
            self.courier.add(Notification("test", time))

    def run(self, steps: int = 10_000) -> None:
        """Until nothing waits, or for so many steps; waits are only the clock's."""
        for _ in range(steps):
            pause = self.courier.step()
            if pause is None:
                return
            self.clock.now += pause


def retry(after: float | None = None) -> Answer:
    return Answer("retry", "503 Service Unavailable", after)


def test_everything_goes_in_order_and_leaves_the_spool(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add(3, 1, 2)
    waiting = desk.spool.waiting()
    assert [name for _, name in waiting] == desk.spool.names()
    assert len(waiting) == 3
    for identity, name in waiting:
        spooled = desk.spool.read(name)
        assert spooled is not None
        assert spooled.id == identity
    desk.run()
    assert desk.channel.tried == ["3", "1", "2"]
    assert desk.spool.names() == []
    assert desk.courier.summary() == ["fake: 3 notifications sent"]


def test_the_same_notification_waits_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add(1, 1)
    desk.run()
    assert desk.channel.tried == ["1"]


def test_never_more_than_four_in_a_second(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add(*range(40))
    desk.run()
    at = desk.channel.at
    assert len(at) == 40
    assert all(later - earlier >= 1.0 for earlier, later in zip(at, at[4:], strict=False))
    assert at[-1] - at[0] < 10  # and not much slower either


def test_failures_back_off_and_success_starts_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[retry()] * 3, Answer("sent", ""), retry())
    desk.add(1, 2)
    desk.run()
    gaps = [round(b - a, 6) for a, b in zip(desk.channel.at, desk.channel.at[1:], strict=False)]
    assert desk.channel.tried == ["1", "1", "1", "1", "2", "2"]
    assert gaps[:3] == [0.5, 1.0, 2.0]
    assert gaps[4] == 0.5
    assert desk.courier.counts.failed == 4
    assert desk.said == [
        "fake: 503 Service Unavailable; will try again", "fake: works again after 3 failed attempts",
        "fake: 503 Service Unavailable; will try again", "fake: works again after 1 failed attempt",
    ]  # fmt: skip


def test_backing_off_has_an_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[retry()] * 40)
    desk.add(1)
    desk.run()
    assert max(b - a for a, b in zip(desk.channel.at, desk.channel.at[1:], strict=False)) == 60.0


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (1e9, 3600.0)])
def test_retry_after_is_obeyed_within_reason(asked: float, waited: float, tmp_path: Path) -> None:
    desk = Desk(tmp_path, retry(asked))
    desk.add(1, 2)
    desk.run()
    assert desk.channel.tried == ["1", "1", "2"]
    assert desk.channel.at[1] - desk.channel.at[0] == waited


def test_one_that_fails_again_and_again_lets_the_others_go_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[retry()] * ROTATE_AFTER)
    desk.add(1, 2, 3)
    desk.run()
    assert desk.channel.tried == ["1"] * ROTATE_AFTER + ["2", "3", "1"]


def test_what_is_refused_is_kept_aside_and_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Answer("refused", "413 Content Too Large"))
    desk.add(1, 2)
    desk.run()
    assert desk.channel.tried == ["1", "2"]
    assert [json.loads(path.read_text())["body"] for path in (tmp_path / "refused").iterdir()] == ["body of 1"]
    assert desk.courier.summary()[1] == f"fake: 1 refused, kept in {tmp_path / 'refused'}: 413 Content Too Large"


def test_not_more_than_so_many_refused_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txmon.notify.spool.MOST_REFUSED", 10)
    desk = Desk(tmp_path, *[Answer("refused", "400")] * 15)
    desk.add(*range(15))
    desk.run()
    kept = sorted(path.name for path in (tmp_path / "refused").iterdir())
    assert len(kept) == 10
    assert kept[0].startswith("0000000006-")


def test_a_defect_in_a_channel_is_a_failure_that_does_not_show_its_text(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.channel.answers = [None]  # type: ignore[list-item]
    real = desk.channel.send

    def broken(identity: str, body: str) -> Answer:
        if real(identity, body) is None:
            raise ValueError("https://host/?sig=secret")
        return Answer("sent", "")

    desk.channel.send = broken  # type: ignore[method-assign]
    desk.add(1)
    desk.run()
    assert desk.said[0] == "fake: unexpected ValueError; will try again"
    assert desk.courier.counts.sent == 1


def test_a_restart_sends_what_waited_first(tmp_path: Path) -> None:
    before = Desk(tmp_path, retry(60.0))
    before.add(1, 2)
    before.run(1)
    before.courier.close()
    between = Desk(tmp_path, retry(60.0))
    between.add(2, 3)  # 2 is told again
    between.run(1)
    between.courier.close()
    after = Desk(tmp_path)
    after.run()
    assert after.channel.tried == ["1", "2", "3"]


def test_files_are_whole_and_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "fake"
    desk = Desk(folder)
    desk.add(1)
    (path,) = folder.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == {"id": Notification("test", 1).id, "body": "body of 1"}
    assert list(folder.glob("*.tmp")) == []


def test_half_a_file_of_a_killed_process_is_thrown_away_and_a_strange_one_kept(tmp_path: Path) -> None:
    (tmp_path / "0000000007-x.json.tmp").write_text('{"id": "x", "bo')
    (tmp_path / "0000000003-y.json").write_text("not ours")
    desk = Desk(tmp_path)
    desk.add(1)
    desk.run()
    assert desk.channel.tried == ["1"]
    assert [path.name for path in (tmp_path / "refused").iterdir()] == ["0000000003-y.json"]
    assert desk.courier.summary()[1] == f"fake: 1 unreadable in {tmp_path}"


def test_a_full_queue_drops_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txmon.notify.delivery.MOST_QUEUED", 20)
    desk = Desk(tmp_path)
    desk.add(*range(23))
    assert len(desk.courier) == 20 == len(desk.spool.names())
    assert desk.courier.counts.dropped == 3
    desk.run(1)
    assert desk.channel.tried == ["3"]


def test_a_disk_that_cannot_keep_it_does_not_lose_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def full(identity: str, body: str, told: object = None) -> str:
        raise OSError(28, "No space left on device")

    desk.spool.put = full  # type: ignore[method-assign]
    desk.add(1, 2)
    desk.run()
    assert desk.channel.tried == ["1", "2"]
    assert desk.said == ["fake: the spool cannot keep notifications (No space left on device)"]


def test_what_was_neither_sent_nor_kept_is_lost_and_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "sp")
    desk.add(1)
    (tmp_path / "sp").rename(tmp_path / "elsewhere")
    desk.add(2)
    said = desk.courier.summary()
    assert said[1:3] == [
        f"fake: 1 not sent yet, kept in {tmp_path / 'sp'}",
        f"fake: 1 notification lost: neither sent nor kept in {tmp_path / 'sp'}",
    ]


def test_two_processes_do_not_share_a_spool(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    with pytest.raises(ConfigError, match="another txmon sends from there"):
        Spool(tmp_path)
    first.close()
    Spool(tmp_path).close()


def test_a_folder_that_cannot_be_is_an_io_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IoFailure, match="Not a directory"):
        Spool(tmp_path / "file" / "spool")


class Hung(Fake):
    """A channel that answers when it is let go, and not before."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.free = threading.Event()

    def send(self, identity: str, body: str) -> Answer:
        self.entered.set()
        assert self.free.wait(30)
        return super().send(identity, body)


def test_telling_does_not_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    channel, clock = Hung(), Clock()
    delivery = Delivery(Courier(channel, Spool(tmp_path), clock, lambda line: None), clock)
    delivery.start()
    delivery.tell(Notification("test", 1))
    assert channel.entered.wait(30)
    for time in range(2, 100):  # returns although the one before is still being sent
        delivery.tell(Notification("test", time))
    assert len(delivery.courier) == 99
    delivery.begin_close(0.0)
    delivery.end_close()  # nothing got through for 0 s: gives up
    assert len(Spool.names(delivery.courier._spool)) == 99
    channel.free.set()


def test_closing_waits_for_all_that_gets_through(tmp_path: Path) -> None:
    said: list[str] = []
    clock = Ticking()
    channel = Fake()
    deliveries = Deliveries([channel], tmp_path, clock, said.append, patience=600.0)
    for time in range(3):
        deliveries.tell(Notification("test", time))
    deliveries.close()
    assert channel.tried == ["0", "1", "2"]
    assert deliveries.summary() == ["fake: 3 notifications sent"]
    Spool(tmp_path / "fake").close()  # another process may have it now


class Ticking(Clock):
    """A clock that goes on by itself, half a second a look."""

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def test_closing_gives_up_on_a_dead_receiver(tmp_path: Path) -> None:
    clock = Ticking()
    channel = Fake(*[retry(3600.0)] * 100)
    deliveries = Deliveries([channel], tmp_path, clock, lambda line: None, patience=500.0)
    deliveries.tell(Notification("test", 1))
    assert channel.seen.wait(30)
    deliveries.close()
    assert channel.tried == ["1"]
    assert deliveries.summary()[-1] == f"fake: 1 not sent yet, kept in {tmp_path / 'fake'}"
    Spool(tmp_path / "fake").close()  # the thread has ended


def test_a_second_channel_does_not_wait_for_the_first(tmp_path: Path) -> None:
    hung, good = Hung(), Fake()
    hung.name = "hung"
    deliveries = Deliveries([hung, good], tmp_path, Ticking(), lambda line: None, patience=5.0)
    deliveries.tell(Notification("test", 1))
    assert good.seen.wait(30)
    deliveries.close()
    assert good.tried == ["1"]
    assert deliveries.summary()[0] == "hung: 0 notifications sent"
    hung.free.set()


def test_what_cannot_leave_the_spool_is_said(tmp_path: Path) -> None:
    """Sent, but its file has become a folder meanwhile; refused, but the place for it is a file."""
    desk = Desk(tmp_path / "a")
    desk.add(1)
    [name] = desk.spool.names()

    class Meanwhile(Fake):
        def send(self, identity: str, body: str) -> Answer:
            (tmp_path / "a" / name).unlink()
            (tmp_path / "a" / name).mkdir()
            return super().send(identity, body)

    desk.courier.channel = Meanwhile()
    desk.run()
    [said] = desk.said
    assert "stays in the spool (Is a directory) and will come again" in said
    assert desk.courier.summary() == ["fake: 1 notification sent"]
    other = Desk(tmp_path / "b", Answer("refused", "400 Bad Request"))
    (tmp_path / "b" / "refused").write_text("")
    other.add(1)
    other.run()
    assert "refused" in other.said[0]
    assert (
        other.said[1].endswith("stays in the spool (File exists)") or "stays in the spool (Not a dir" in other.said[1]
    )


class Steps(Fake):
    """A channel whose bodies say what was told, and what was told late."""

    def render(self, notification: Notification) -> str:
        late = "".join(f" after {kind}" for kind, _ in notification.earlier)
        return f"body of {notification.kind} {','.join(event.id for event in notification.events)}{late}"


def steps(folder: Path, *answers: Answer) -> Desk:
    desk = Desk(folder, *answers)
    desk.channel = Steps(*answers)
    desk.courier.channel = desk.channel
    return desk


def incident(kind: Kind, time: int, *names: str) -> Notification:
    """A step of these incidents."""
    some = [
        IncidentEvent(time, cast(IncidentState, kind), name, ("failed",), (), "failures", 0, 0, 9, 1.0, 8.0, "text")
        for name in names
    ]
    return Notification(kind, time, tuple(some))


def test_steps_that_were_overtaken_while_the_receiver_was_away_are_one(tmp_path: Path) -> None:
    desk = steps(tmp_path, retry())
    for told in (
        incident("opened", 1, "a"), incident("opened", 2, "b"), incident("worsened", 3, "a"),
        incident("resolved", 4, "a"), incident("resolved", 5, "b"),
    ):  # fmt: skip
        desk.courier.add(told)
    assert len(desk.spool.names()) == 5
    desk.run()
    assert desk.channel.tried == ["opened a", "resolved a after opened after worsened", "resolved b after opened"]
    assert desk.spool.names() == []
    assert "fake: 3 overtaken steps sent together with later ones" in desk.courier.summary()


def test_steps_are_told_one_by_one_to_a_receiver_that_is_there(tmp_path: Path) -> None:
    desk = steps(tmp_path)
    desk.courier.add(incident("opened", 1, "a"))
    desk.courier.add(incident("resolved", 2, "a"))
    desk.run()
    assert desk.channel.tried == ["opened a", "resolved a"]


def test_what_an_earlier_process_left_is_merged_with_what_came_since(tmp_path: Path) -> None:
    first = steps(tmp_path)
    first.courier.add(incident("opened", 1, "a"))
    first.courier.close()
    second = steps(tmp_path)
    second.courier.add(incident("resolved", 2, "a"))
    second.run()
    assert second.channel.tried == ["resolved a after opened"]


@pytest.mark.parametrize("failures", [1, ROTATE_AFTER, ROTATE_AFTER + 1, 3 * ROTATE_AFTER])
def test_a_later_step_never_goes_before_an_earlier_one(tmp_path: Path, failures: int) -> None:
    """Notifications of several incidents cannot be merged with those of one; they keep their order."""
    desk = steps(tmp_path, *[retry()] * failures)
    desk.courier.add(incident("opened", 1, "a", "b"))
    desk.courier.add(incident("resolved", 2, "a"))
    desk.courier.add(incident("opened", 3, "c"))
    desk.run()
    taken = desk.channel.tried[failures:]
    assert taken.index("opened a,b") < taken.index("resolved a")
    assert set(taken) == {"opened a,b", "resolved a", "opened c"}


def test_a_slow_receiver_is_not_asked_again_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[Answer("retry", "no answer in time", slow=True)] * 3)
    desk.add(1)
    desk.run()
    waits = [later - earlier for earlier, later in zip(desk.channel.at, desk.channel.at[1:], strict=False)]
    assert waits == [30.0, 60.0, 120.0]

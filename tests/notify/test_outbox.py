"""The outbox on both databases, with real receivers and a clock that the test moves."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.event import listen, remove

from consumers.notify.senders import ChannelThread, Senders, sender_of
from db.engine import reading
from db.migrate import migrate
from db.notify.desk import Desk as Page
from db.notify.outbox import CLAIM_US, GIVE_UP_US
from tests.notify.conftest import Make
from tests.notify.receivers import ALL_ALERTS, HOUR_US, Receiver, alert, hook, receiver
from tests.support import eventually
from tidegate.host.embedded import free_port
from tidegate.notify.events import Message
from tidegate.notify.plan import delivery_id
from tidegate.notify.sending import Undelivered


def test_an_event_is_sent_once_and_a_copy_is_not(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1), alert(2), alert(1))
    assert desk.turn() == 2
    desk.tell(alert(2), alert(3))
    assert desk.turn() == 1
    assert desk.turn() == 0
    assert len(set(server.ids)) == 3
    assert [json.loads(body)["data"]["transaction_id"] for _, body in server.requests] == [
        "t1",
        "t2",
        "t3",
    ]
    assert set(desk.states().values()) == {"sent"}


def test_a_channel_that_is_down_loses_nothing_and_holds_up_no_other(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    port = free_port()
    down = hook("down", f"http://127.0.0.1:{port}/")
    both = ALL_ALERTS.replace("[hook]", "[down, hook]")
    desk = desks(url, tmp_path, down + hook("hook", server.url), both)
    desk.tell(*(alert(number) for number in range(5)))
    for _hour in range(3):
        assert desk.turn("down") == 0
        desk.turn("hook")
        desk.now += HOUR_US
    assert len(server.requests) == 5
    assert "does not answer" in desk.last_error() or desk.last_error() == ""
    with receiver(port) as up:
        for _turn in range(5):
            desk.turn("down")
            desk.now += HOUR_US
        assert len(up.requests) == len(set(up.ids)) == 5
        assert set(up.ids).isdisjoint(server.ids)


def test_a_failure_rests_the_channel_longer_each_time(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1))
    server.answers += [(500, {}), (500, {}), (429, {"Retry-After": "60"})]
    tried = []
    for second in range(90):
        before = len(server.requests)
        desk.turn()
        if len(server.requests) > before:
            tried.append(second)
        desk.now += 1_000_000
    assert [tried[0], len(tried)] == [0, 4]
    assert 5 <= tried[1] <= 7
    assert 10 <= tried[2] - tried[1] <= 13
    assert 60 <= tried[3] - tried[2] <= 61
    assert len(set(server.ids)) == 1
    assert desk.states() == {"1": "sent"}


def test_after_three_days_it_has_failed(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1), alert(2))
    server.answers += [(500, {}), (410, {}), (500, {}), (500, {})]
    desk.turn()
    desk.now += HOUR_US
    desk.turn()
    desk.now += GIVE_UP_US
    desk.turn()
    assert desk.states() == {"1": "failed", "2": "failed"}
    assert desk.turn() == 0


def test_who_is_killed_between_sending_and_marking_sends_it_again_with_the_same_id(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1))
    message = desk.outbox.claim(desk.config.channels["hook"])
    assert message is not None
    sender_of(desk.config.channels["hook"]).send(message)  # and here it dies
    desk.outbox.close()
    again = desks(url, tmp_path, hook("hook", server.url))
    again.now = desk.now
    assert again.turn() == 0, "somebody may be sending it"
    again.now += CLAIM_US
    assert again.turn() == 1
    assert server.ids[0] == server.ids[1] == message.id


def test_two_processes_do_not_send_one_message(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    first, second = (desks(url, tmp_path, hook("hook", server.url)) for _ in range(2))
    first.tell(*(alert(number) for number in range(20)))
    threads = [threading.Thread(target=desk.turn) for desk in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(server.ids) == len(set(server.ids)) == 20


def test_a_message_of_a_channel_that_is_gone_is_not_sent_again(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1))
    [name] = [delivery_id("hook", alert(1).key)]
    other = ALL_ALERTS.replace("[hook]", "[other]")
    desks(url, tmp_path, hook("other", server.url), other)
    page = Page(url)
    assert not page.resend(name, "ann", desk.now)
    assert desk.states() == {"1": "failed"}
    desks(url, tmp_path, hook("hook", server.url))
    assert page.resend(name, "ann", desk.now)
    assert desk.turn() == 1
    page.close()


def test_what_waits_is_found_by_its_index(tmp_path: Path, desks: Make, server: Receiver) -> None:
    url = f"sqlite:///{tmp_path}/outbox.db"
    migrate(url)
    desk, page = desks(url, tmp_path, hook("hook", server.url)), Page(url)
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, query: str, values: Any, *_more: object) -> None:  # noqa: ANN401 - the driver's
        if query.startswith("SELECT") and "deliveries" in query:
            asked.append((query, values))

    listen(Engine, "before_cursor_execute", note)
    try:
        desk.turn()
        desk.outbox.oldest_pending_us()
        page.figures(["hook"], desk.now)
    finally:
        remove(Engine, "before_cursor_execute", note)
        page.close()
    plans = []
    with reading(url) as connection:
        for query, values in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
            plans.append(" ".join(row.detail for row in rows))
    waiting = [plan for plan in plans if "ix_deliveries_waiting" in plan]
    assert len(plans) == 8
    assert len(waiting) == 5, "held, pending, the oldest; and the page's counts and oldest"


def test_what_a_service_says_is_kept_without_its_secrets(
    url: str, tmp_path: Path, desks: Make
) -> None:
    port = free_port()
    address = f"mailto://someone:pa55word-x@127.0.0.1:{port}?to=a@example.com&from=b@example.com&mode=insecure"
    desk = desks(url, tmp_path, f"  hook:\n    apprise: {address}\n")
    desk.tell(alert(1))
    assert desk.turn() == 0
    assert desk.states() == {"1": "pending"}
    assert desk.last_error()
    assert "pa55word-x" not in desk.last_error()


def test_what_waits_for_a_channel_that_is_gone_has_failed(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1))
    other = ALL_ALERTS.replace("[hook]", "[other]")
    desks(url, tmp_path, hook("other", server.url), other)
    assert desk.states() == {"1": "failed"}
    assert desk.last_error() == "the channel is no longer in notify.yaml"


def test_what_is_old_goes_and_what_waits_stays(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url) + "keep_days: 7\n", "routes: []\n")
    desk = desks(url, tmp_path, hook("hook", server.url), ALL_ALERTS + "keep_days: 7\n")
    desk.tell(alert(1))
    desk.turn()
    desk.tell(alert(2))
    desk.now += 8 * 24 * HOUR_US
    assert (desk.outbox.expire(), desk.outbox.expire()) == (1, 0)
    assert desk.states() == {"2": "pending"}
    assert desk.outbox.oldest_pending_us() == {"hook": desk.now - 8 * 24 * HOUR_US}


def test_what_a_receiver_says_is_kept_as_any_database_takes_it(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1))
    server.says = b"a\0b\x1b[2J\xff"
    server.answers.append((500, {}))
    assert desk.turn() == 0
    assert desk.last_error() == "HTTP 500: ab[2J\ufffd"
    desk.now += HOUR_US
    assert desk.turn() == 1


def test_a_service_whose_library_fails_is_tried_again(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    desk.tell(alert(1))

    class Broken:
        def send(self, _message: Message) -> None:
            raise KeyError(server.url)

    thread = ChannelThread(desk.config.channels["hook"], desk.outbox, Broken(), lambda: desk.now)
    assert thread.turn() == 0
    assert desk.last_error() == "KeyError: '***'"
    assert desk.states() == {"1": "pending"}
    desk.now += HOUR_US
    assert desk.turn() == 1


def test_a_thread_ends_while_its_channel_hangs(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    entered, go_on = threading.Event(), threading.Event()

    class Hanging:
        def send(self, _message: Message) -> None:
            entered.set()
            go_on.wait(10)
            raise Undelivered("at last")

    senders = Senders(desk.config, desk.outbox, lambda: desk.now, lambda _channel: Hanging())
    senders.start()
    desk.tell(alert(1))
    senders.wake()
    assert entered.wait(10)
    senders.look()
    go_on.set()
    eventually(lambda: desk.last_error() == "at last")
    senders.close()

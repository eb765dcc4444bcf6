"""The outbox on both databases, with real receivers and a clock that the test moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.event import listen, remove

from consumers.notify.senders import ChannelThread, Senders, sender_of
from db.engine import reading, writing
from db.erasing import erase
from db.migrate import migrate
from db.notify.desk import Desk as Page
from db.notify.outbox import CLAIM_US, GIVE_UP_US, Outbox
from db.notify.rows import tell
from db.notify.tables import deliveries, mutes
from tests.notify.receivers import (
    ALL_ALERTS,
    HOUR_US,
    Receiver,
    alert,
    config_of,
    hook,
    mailbox,
    receiver,
)
from tests.support import eventually
from tidegate.host.embedded import free_port
from tidegate.notify.events import Event, Message
from tidegate.notify.plan import delivery_id
from tidegate.notify.sending import Undelivered


class Desk:
    """An outbox on a configuration, with its channels' threads not started: `turn` is one of them.

    `now` is the clock.
    """

    def __init__(self, url: str, folder: Path, channels: str, routes: str = ALL_ALERTS) -> None:
        self.now = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1e6)
        self.url = url
        self.config = config_of(folder, f"channels:\n{channels}{routes}")
        self.outbox = Outbox(url, self.config, lambda: self.now)
        self.outbox.begin()
        self.threads = {
            name: ChannelThread(channel, self.outbox, sender_of(channel), lambda: self.now)
            for name, channel in self.config.channels.items()
        }

    def tell(self, *events: Event) -> None:
        self.outbox.add(events)

    def turn(self, channel: str = "hook") -> int:
        return self.threads[channel].turn()

    def states(self) -> dict[str, str]:
        """By the events' keys."""
        with reading(self.url) as connection:
            rows = connection.execute(select(deliveries).order_by(deliveries.c.created_us)).all()
        return {
            row.key.rpartition("/")[2] if "digest" not in row.key else "digest": row.state
            for row in rows
        }

    def last_error(self) -> str:
        with reading(self.url) as connection:
            return str(connection.scalar(select(deliveries.c.last_error)))


@pytest.fixture
def desks() -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(*arguments: object) -> Desk:
        made.append(Desk(*arguments))  # type: ignore[arg-type] # as Desk takes them
        return made[-1]

    yield make
    for desk in made:
        desk.outbox.close()


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


Make = Callable[..., Desk]


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


def test_groups_and_the_throttle_send_digests(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    grouped = hook("hook", server.url, "    group: {by: account, within: 1m}\n")
    desk = desks(url, tmp_path, grouped)
    desk.tell(alert(1), alert(2, account="u1"), alert(3))
    assert desk.turn() == 0
    desk.now += 60_000_000
    assert desk.turn() == 2
    bodies = [json.loads(body) for _, body in server.requests]
    assert [body["type"] for body in bodies] == ["alert", "digest"]
    digest = bodies[1]
    assert digest["subject"] == "Tidegate: 2 events (2 alert)"
    assert [one["data"]["transaction_id"] for one in digest["data"]["first"]] == ["t1", "t2"]
    assert desk.states() == {"1": "grouped", "2": "grouped", "3": "sent", "digest": "sent"}


def test_a_throttled_channel_sends_the_rest_as_one(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url, "    throttle: {most: 3, per: 1h}\n"))
    desk.tell(*(alert(number) for number in range(40)))
    assert desk.turn() == 3
    desk.now += HOUR_US
    assert desk.turn() == 1
    digest = json.loads(server.requests[-1][1])
    assert digest["data"]["events"] == 37
    assert len(digest["data"]["first"]) == 20
    desk.tell(*(alert(number) for number in range(40, 44)))
    assert desk.turn() == 2, "the digest counts"


def test_quiet_hours_send_one_digest_afterwards(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    quiet = '    quiet: {from: "11:00", until: "14:00", zone: UTC}\n'
    routes = ALL_ALERTS + "  - {events: [lag], channels: [hook], urgent: true}\n"
    desk = desks(url, tmp_path, hook("hook", server.url, quiet), routes)
    desk.tell(alert(1), alert(2), alert(3, kind="lag", decision=""))
    assert desk.turn() == 1
    desk.now += 2 * HOUR_US
    assert desk.turn() == 1
    types = [json.loads(body)["type"] for _, body in server.requests]
    assert types == ["lag", "digest"]


def test_what_failed_before_quiet_hours_waits_for_their_end(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    more = (
        '    quiet: {from: "12:01", until: "14:00", zone: UTC}\n    throttle: {most: 2, per: 10m}\n'
    )
    routes = ALL_ALERTS + "  - {events: [lag], channels: [hook], urgent: true}\n"
    desk = desks(url, tmp_path, hook("hook", server.url, more), routes)
    server.answers.append((500, {}))
    desk.tell(alert(1))
    assert desk.turn() == 0
    desk.now += HOUR_US
    assert desk.turn() == 0
    lag = [alert(number, kind="lag", decision="") for number in range(2, 6)]
    desk.tell(*lag)
    assert desk.turn() == 2
    desk.now += HOUR_US // 6
    assert desk.turn() == 1, "urgent ones in a digest pass as well"
    desk.now += HOUR_US
    assert desk.turn() == 1
    types = [json.loads(body)["type"] for _, body in server.requests]
    assert types == ["alert", "lag", "lag", "digest", "alert"]


def test_what_is_no_longer_held_is_not_told(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url, "    group: {by: all, within: 1m}\n"))
    desk.tell(alert(1), alert(2))
    ids = [delivery_id("hook", alert(number).key) for number in (1, 2)]
    with writing(url) as connection:
        connection.execute(deliveries.update().values(state="suppressed"))
    with desk.outbox.transaction() as connection:
        told = [tell(connection, "hook", some, desk.now) for some in (ids, ids[:1])]
    assert desk.states() == {"1": "suppressed", "2": "suppressed"}
    assert told == [False, False]


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


def test_mail_arrives_as_a_person_reads_it(url: str, tmp_path: Path, desks: Make) -> None:
    with mailbox(free_port()) as box:
        desk = desks(
            url, tmp_path, f"  hook:\n    apprise: {box.address}\n    group: {{by: all}}\n"
        )
        desk.tell(alert(1), alert(2))
        desk.now += 60_000_000
        assert desk.turn() == 1
    [mail] = box.mails
    assert mail["subject"] == "Tidegate: 2 events (2 alert)"
    assert mail["to"] == "fraud@example.com"
    assert "Transaction t2 blocked" in mail.get_body(("plain", "html")).get_content()


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


def test_what_is_muted_is_kept_but_not_sent(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url))
    with writing(url) as connection:
        connection.execute(
            mutes.insert().values(what="kind/alert", until_us=desk.now + HOUR_US, who="ada")
        )
    desk.tell(alert(1))
    desk.now += HOUR_US
    desk.tell(alert(2))
    assert desk.turn() == 1
    assert desk.states() == {"1": "suppressed", "2": "sent"}


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


def test_an_erased_account_leaves_nothing_in_the_outbox(
    url: str, tmp_path: Path, desks: Make, server: Receiver
) -> None:
    desk = desks(url, tmp_path, hook("hook", server.url, "    group: {by: all, within: 1m}\n"))
    desk.tell(alert(1), alert(2), alert(7, account="u1"))
    desk.now += 60_000_000
    desk.outbox.gather(desk.config.channels["hook"])  # a digest, not sent yet
    desk.tell(alert(8, account="u1"))
    erase(url, "u1", "ada")
    with reading(url) as connection:
        said = [str(row) for row in connection.execute(text("SELECT * FROM deliveries"))]
    for name in ("t1", "t7", "t8", "u1", "alert/transactions.raw/0/1"):
        assert not any(f"'{name}'" in row or f"{name} " in row for row in said)
    desk.now += 60_000_000
    assert desk.turn() == 1
    digest = json.loads(server.requests[0][1])
    assert [one["data"]["transaction_id"] for one in digest["data"]["first"]] == ["t2"]
    desk.tell(alert(1))
    desk.now += 60_000_000
    assert desk.turn() == 0, "nor does a copy of it come back"


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

"""What is grouped, throttled, muted or waits for the end of quiet hours, on both databases."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import text

from db.engine import reading, writing
from db.erasing import erase
from db.notify.rows import tell
from db.notify.tables import deliveries, mutes
from tests.notify.conftest import Make
from tests.notify.receivers import ALL_ALERTS, HOUR_US, Receiver, alert, hook, mailbox
from tidegate.host.embedded import free_port
from tidegate.notify.plan import delivery_id


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

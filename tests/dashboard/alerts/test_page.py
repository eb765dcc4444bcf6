"""The page on alerts in a real browser: channels, a test, a failure sent again, mutes, the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select

from consumers.notify.senders import Senders, sender_of
from db.audit import export
from db.engine import reading, writing
from db.notify.desk import Desk
from db.notify.outbox import Outbox
from db.notify.tables import deliveries, facts, mutes
from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.dashboard.test_pages import XSS
from tests.dashboard.visitor import Visitor
from tests.notify.receivers import Receiver, alert, config_of, hook, receiver
from tidegate.clock import now_us
from tidegate.notify.events import Event

MORE = """    group: {by: account, within: 1h}
    quiet: {from: "22:00", until: "07:00", zone: Europe/Madrid}
"""
ROUTES = """routes:
  - {events: [alert], decisions: [block], min_score: 0.9, min_amount: 100, channels: [soc, down]}
  - {events: [operations], channels: [chat], urgent: true}
"""


class Running:
    """The stage's outbox and threads on the site's database, without the stage."""

    def __init__(self, site: Site, folder: Path, server: Receiver) -> None:
        channels = (
            hook("soc", server.url)
            + hook("down", "http://127.0.0.1:1/")
            + hook("chat", server.url, MORE)
        )
        config = config_of(folder, f"channels:\n{channels}{ROUTES}")
        self.outbox = Outbox(site.database, config, now_us)
        self.outbox.begin()
        self.senders = Senders(config, self.outbox, now_us, sender_of).start()

    def tell(self, *events: Event) -> None:
        self.outbox.add(events)
        self.senders.wake()

    def close(self) -> None:
        self.senders.close()
        self.outbox.close()


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def empty(site: Site) -> None:
    """As before the stage ran for the first time."""
    with writing(site.database) as connection:
        for table in (deliveries, facts, mutes):
            connection.execute(delete(table))


@pytest.fixture
def running(
    site: Site, request: pytest.FixtureRequest, tmp_path: Path, server: Receiver
) -> Iterator[Running]:
    request.getfixturevalue("empty")
    made = Running(site, tmp_path, server)
    yield made
    made.close()


def axe_in_both(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []


def acts(site: Site) -> list[tuple[str, str]]:
    return [(entry.what, entry.about) for entry in export(site.database)]


@pytest.mark.usefixtures("empty")
def test_nobody_is_told_yet(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/alerts")
    expect(page.get_by_text("Nobody is told anything yet")).to_be_visible()
    axe_in_both(page)


def test_channels_the_log_and_one_delivery(
    page: Page, site: Site, running: Running, server: Receiver
) -> None:
    drift = Event("d", "drift", "The rows have moved", "Moved most: amount", now_us())
    running.tell(alert(1), alert(2, subject=XSS, text=XSS), drift)
    page.goto(f"{site.url}/alerts")
    soc = page.get_by_role("region", name="soc")
    expect(soc.get_by_role("definition").first).to_have_text("2")
    expect(soc).to_contain_text("http://127.0.0.1:")
    assert server.url not in page.content()
    down = page.get_by_role("region", name="down")
    expect(down.get_by_text("2 messages are not taken")).to_be_visible()
    expect(down).to_contain_text("does not answer")
    chat = page.get_by_role("region", name="chat")
    expect(chat).to_contain_text("quiet from 22:00 to 07:00, Europe/Madrid")
    page.reload()
    axe_in_both(page)
    page.set_viewport_size({"width": 390, "height": 800})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    page.set_viewport_size({"width": 1280, "height": 900})

    page.get_by_label("Channel").select_option("down")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Transaction t1 blocked").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Transaction t1 blocked")
    expect(page.locator("#state")).to_contain_text("to be sent")
    expect(page.locator("pre").last).to_contain_text('"transaction_id": "t1"')
    axe_in_both(page)


@pytest.mark.usefixtures("running")
def test_a_test_message_arrives_and_is_audited(page: Page, site: Site, server: Receiver) -> None:
    page.goto(f"{site.url}/alerts")
    page.get_by_role("button", name="Send a test by soc").click()
    expect(page.locator("#state .badge")).to_have_text("sent")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tidegate: a test of the channel soc")
    [(headers, body)] = server.requests
    assert b'"type":"test"' in body
    assert headers["webhook-id"] in page.content()
    assert acts(site)[-1] == ("channel tested", "soc")


def test_what_has_failed_is_sent_again_with_the_same_id(
    page: Page, site: Site, running: Running, server: Receiver
) -> None:
    server.answers.append((410, {}))
    running.tell(alert(3))
    page.goto(f"{site.url}/alerts?channel=soc&state=failed")
    expect(page.get_by_text("some have failed")).to_be_visible()
    page.reload()
    page.get_by_role("link", name="Transaction t3 blocked").click()
    expect(page.locator(".error")).to_contain_text("HTTP 410")
    page.get_by_role("button", name="Send it again").click()
    expect(page.locator("#state .badge")).to_have_text("sent")
    assert len(server.ids) == 2
    assert len(set(server.ids)) == 1
    assert acts(site)[-1] == ("message sent again", server.ids[0])


def test_channels_and_kinds_are_muted_for_an_hour(
    page: Page, site: Site, running: Running, server: Receiver
) -> None:
    page.goto(f"{site.url}/alerts")
    page.get_by_role("button", name="Mute soc for an hour").click()
    expect(page.get_by_role("region", name="soc")).to_contain_text("Muted by dashboard until")
    page.get_by_label("Mute a kind of event").select_option(label="drift")
    page.locator("form", has=page.get_by_label("Mute a kind of event")).get_by_role(
        "button"
    ).click()
    expect(page.get_by_text("Nothing is told of: drift.")).to_be_visible()
    axe_in_both(page)
    running.tell(alert(4), Event("e", "drift", "moved", "moved", now_us()))
    page.goto(f"{site.url}/alerts?state=suppressed")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Tell it again").click()
    page.get_by_role("button", name="Unmute soc").click()
    expect(page.get_by_role("button", name="Mute soc for an hour")).to_be_visible()
    assert [what for what, _ in acts(site)[-4:]] == [
        "notifications muted",
        "notifications muted",
        "notifications unmuted",
        "notifications unmuted",
    ]
    assert server.requests == []


def test_the_log_has_pages_that_meet_each_delivery_once(
    page: Page, site: Site, running: Running
) -> None:
    running.outbox.add([alert(number, decision="block") for number in range(100, 160)])
    page.goto(f"{site.url}/alerts?channel=down")
    expect(page.locator("tbody tr")).to_have_count(50)
    first = page.locator("tbody a").evaluate_all("links => links.map((link) => link.href)")
    page.get_by_role("link", name="Older deliveries").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    second = page.locator("tbody a").evaluate_all("links => links.map((link) => link.href)")
    assert len({*first, *second}) == 60
    expect(page.get_by_role("link", name="Newest deliveries")).to_be_visible()


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/alerts?channel=../x", 400),
        ("/alerts?state=nonsense", 400),
        ("/alerts?kind=%00", 400),
        ("/alerts?before=-1", 400),
        ("/alerts?before=" + "9" * 10_000, 400),
        ("/alerts?before=1-msg_" + "g" * 30, 400),
        ("/alerts?channel=" + quote("\ud800".encode("utf-8", "surrogatepass")), 400),
        ("/alerts?channel=never-there", 200),
        ("/alerts/deliveries/msg_" + "0" * 30, 404),
        ("/alerts/deliveries/'; DROP TABLE deliveries", 404),
        ("/alerts/deliveries/" + "x" * 10_000, 404),
    ],
)
def test_strange_addresses(site: Site, path: str, status: int) -> None:
    assert site.server.get(quote(path, safe="/?&=%")).status == status


@pytest.mark.usefixtures("running")
def test_strange_forms_and_forms_without_a_token(site: Site) -> None:
    visitor = Visitor(site.server)
    unknown = "/alerts/deliveries/msg_" + "0" * 30 + "/resend"
    assert visitor.post(unknown, {}).status == 404
    assert visitor.post("/alerts/channels/nobody/test", {}).status == 404
    for what in ("", "channel/", "kind/nonsense", "channel/A B", "x" * 10_000):
        assert visitor.post("/alerts/mute", {"what": what}).status == 400
    assert site.server.post("/alerts/mute", b"what=kind/lag").status == 400
    with reading(site.database) as connection:
        assert connection.execute(select(mutes)).all() == []


def test_a_message_of_a_channel_that_is_gone_cannot_be_sent_again(
    site: Site, running: Running
) -> None:
    running.outbox.add([alert(8)])
    with reading(site.database) as connection:
        [found] = connection.scalars(select(deliveries.c.id).where(deliveries.c.channel == "down"))
    with writing(site.database) as connection:
        gone = {"channel": "gone", "state": "failed", "last_error": "HTTP 410"}
        connection.execute(deliveries.update().where(deliveries.c.id == found).values(gone))
    address = f"/alerts/deliveries/{found}"
    shown = site.server.get(f"{address}/now").body.decode()
    assert "Its channel is no longer in notify.yaml" in shown
    assert "Send it again" not in shown
    assert Visitor(site.server).post(f"{address}/resend", {}).status == 303
    with reading(site.database) as connection:
        state = select(deliveries.c.state).where(deliveries.c.id == found)
        assert connection.scalar(state) == "failed"


def test_two_who_send_again_at_once_send_once(site: Site, running: Running) -> None:
    desk = Desk(site.database)
    running.outbox.add([alert(9)])
    with reading(site.database) as connection:
        [found] = connection.scalars(select(deliveries.c.id).where(deliveries.c.channel == "down"))
    running.outbox.failed(found, "gone")
    done: list[bool] = []
    threads = [
        threading.Thread(target=lambda: done.append(desk.resend(found, "ann", now_us())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(done) == [False, True]
    desk.close()

"""Dead letters put back from the page, on the real Kafka: each once, whatever dies meanwhile."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page, expect

from db.audit import export
from db.migrate import migrate
from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.dashboard.dead_letters.letters import Bad, die
from tests.dashboard.dead_letters.test_pages import fault, open_group
from tests.support import eventually
from tests.web import Server, serving
from tidegate.dead_letters.letters import read_all
from tidegate.pipeline import FEEDBACK, QUARANTINE, RAW

OFFSETS = itertools.count(500_000_000, 1_000_000)
FORM = "application/x-www-form-urlencoded"


def record(word: str, number: int) -> bytes:
    return b'{"transaction_id": "%s-%d"}' % (word.encode(), number)


def kill(site: Site, word: str, count: int, **changes: object) -> None:
    bad = [Bad(record(word, i), word, **changes) for i in range(count)]  # type: ignore[arg-type]
    die(site.broker, site.profile, next(OFFSETS), bad)


def back(site: Site, topic: str, word: str) -> Counter[str]:
    """How often each record of a test lies on a topic."""
    consumer = site.broker.consumer(None)
    try:
        values = [record.value or b"" for record in read_all(consumer, topic)]
    finally:
        consumer.close()
    mine = f'{{"transaction_id": "{word}'.encode()
    return Counter(json.loads(each)["transaction_id"] for each in values if each.startswith(mine))


def once(word: str, *numbers: int) -> dict[str, int]:
    return {f"{word}-{number}": 1 for number in numbers}


def token(server: Server, path: str) -> tuple[str, dict[str, str]]:
    """What a form of a page sends along: the token, and the cookie of the session."""
    answer = server.get(path)
    found = re.search(rb'name="csrf_token" value="([^"]+)"', answer.body)
    assert found, answer.body[:300]
    return found[1].decode(), {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_a_group_by_parts_and_a_letter_twice(page: Page, site: Site) -> None:
    word = fault()
    kill(site, word, 6)
    open_group(page, site, word)
    page.get_by_label("At most").fill("2")
    page.get_by_role("button", name="Redrive 6 letters").click()
    expect(page.locator("#job")).to_contain_text("2 letters are back on transactions.raw.")
    expect(page.locator("#job").get_by_role("status")).to_have_text("done")  # loaded anew by then
    expect(page.get_by_role("button", name="Redrive 4 letters")).to_be_visible()
    assert violations(page) == []
    page.locator("tbody tr", has_text="Waiting").first.get_by_role("link").click()
    page.wait_for_url("**/letters/*")
    letter = page.url.removeprefix(site.url)
    secret, cookie = token(site.server, letter)
    body = f"csrf_token={secret}&do=redrive&policy=stop".encode()
    page.get_by_role("button", name="Redrive").click()
    expect(page.locator("#job")).to_contain_text("1 letter is back on transactions.raw.")
    expect(page.locator(".head .badge")).to_have_text("Redriven")
    expect(page.locator("#job").get_by_role("status")).to_have_text("done")
    again = site.server.ask("POST", f"{letter}/redrive", body, FORM, cookie)  # a second click
    assert again.status == 303
    page.reload()
    expect(page.locator("#job")).to_contain_text("An earlier redrive had dealt with all of them.")
    assert violations(page) == []
    assert sum(back(site, RAW, word).values()) == 3
    assert set(back(site, RAW, word).values()) == {1}
    acts = [entry for entry in export(site.database) if entry.what == "dead letters redriven"]
    assert [act.who for act in acts[-3:]] == ["dashboard"] * 3


def test_verdicts_and_the_quarantine(page: Page, site: Site) -> None:
    word = fault()
    kill(site, word, 2, stage="label", topic=FEEDBACK, reason="unknown_transaction")
    open_group(page, site, word)
    page.get_by_role("button", name="Redrive 2 letters").click()
    expect(page.locator("#job")).to_contain_text("2 letters are back on transactions.feedback.")
    assert back(site, FEEDBACK, word) == once(word, 0, 1)
    expect(page.locator(".head .badge")).to_have_text("Redriven")
    other = fault()
    kill(site, other, 3)
    kill(site, other, 1, failed_before=7)
    open_group(page, site, other)
    page.get_by_role("button", name="Quarantine").click()
    expect(page.locator("#job")).to_contain_text("4 went to the quarantine.")
    expect(page.locator("#job").get_by_role("status")).to_have_text("done")
    expect(page.locator(".head .badge")).to_have_text("Quarantined")  # it is loaded anew by then
    assert set(back(site, QUARANTINE, other)) == set(once(other, 0, 1, 2))
    page.goto(f"{site.url}/dead-letters?state=quarantined")
    expect(page.get_by_role("link", name=other)).to_be_visible()


def test_a_filter(page: Page, site: Site) -> None:
    word, reason = fault(), fault()
    kill(site, word, 3, reason=reason)
    kill(site, fault(), 2)
    page.goto(f"{site.url}/dead-letters")
    page.get_by_text("Redrive by a filter").click()
    page.get_by_label("Reason").select_option(reason)
    assert violations(page) == []
    page.get_by_role("button", name="Redrive what waits").click()
    expect(page.locator("#job")).to_contain_text("3 letters are back on transactions.raw.")
    assert back(site, RAW, word) == once(word, 0, 1, 2)


def test_resolved_until_new_ones_come(page: Page, site: Site) -> None:
    word = fault()
    kill(site, word, 2)
    open_group(page, site, word)
    kill(site, word, 1)  # came while the note was typed: it was not seen
    page.get_by_label("Note").fill("the till was <b>mended</b>")
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("heading", name="Resolved before, and back")).to_be_visible()
    page.reload()
    page.get_by_label("Note").fill("the till was <b>mended</b>, all of it")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator(".head .badge")).to_have_text("Resolved")
    expect(page.get_by_text("the till was <b>mended</b>, all of it")).to_be_visible()
    assert violations(page) == []
    page.goto(f"{site.url}/dead-letters?state=resolved")
    expect(page.get_by_role("link", name=word)).to_be_visible()
    kill(site, word, 1)
    expect(page.get_by_role("link", name=word)).to_have_count(0)
    open_group(page, site, word)
    page.get_by_role("button", name="Resolve").click()
    page.get_by_role("button", name="Reopen").click()
    expect(page.locator(".head .badge")).to_have_text("Open")


def test_strange_forms(site: Site) -> None:
    kill(site, fault(), 1)
    secret, cookie = token(site.server, "/dead-letters")
    for path, form, status in (
        ("/dead-letters/redrive", "do=burn", 400),
        ("/dead-letters/redrive", "policy=none", 400),
        ("/dead-letters/redrive", "most=-1", 400),
        ("/dead-letters/redrive", "most=x", 400),
        ("/dead-letters/redrive", "stage=%00nowhere", 404),
        ("/dead-letters/groups/0/redrive", "", 404),
        ("/dead-letters/groups/0/resolve", "until=1", 404),
        ("/dead-letters/letters/0:99999999/redrive", "", 404),
        ("/dead-letters/letters/%2F/redrive", "", 404),
    ):
        body = f"csrf_token={secret}&{form}".encode()
        assert site.server.ask("POST", path, body, FORM, cookie).status == status, path
        # without a token:
        assert site.server.ask("POST", path, form.encode(), FORM).status in (400, 404), path


def test_killed_midway_and_run_again(site: Site, tmp_path: Path) -> None:
    """The process dies at some moment of a large redrive; another one goes on."""
    word, count = fault(), 3000
    kill(site, word, count)
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")

    def redrive(server: Server) -> None:
        pages = (server.get(f"/dead-letters/now?state={state}") for state in ("open",))
        found = [re.search(rf'groups/(\w+)">{word}<'.encode(), page.body) for page in pages]
        path = f"/dead-letters/groups/{found[0][1].decode() if found[0] else ''}"
        secret, cookie = token(server, path)
        body = f"csrf_token={secret}".encode()
        assert server.ask("POST", f"{path}/redrive", body, FORM, cookie).status == 303

    def seen(server: Server) -> bool:
        return f"{count:,}".encode() in server.get("/dead-letters/now").body

    kafka = site.server.env["TIDEGATE_KAFKA"]
    with serving("dashboard", kafka, tmp_path) as server:
        eventually(lambda: seen(server), 30)
        redrive(server)
        server.process.kill()
    done = sum(back(site, RAW, word).values())
    with serving("dashboard", kafka, tmp_path) as server:
        eventually(lambda: word.encode() in server.get("/dead-letters/now?state=all").body, 30)
        if done < count:
            redrive(server)
        eventually(lambda: b"every 1s" not in server.get("/dead-letters/job").body, 60)
    assert back(site, RAW, word) == once(word, *range(count))

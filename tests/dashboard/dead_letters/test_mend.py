"""A copy of a dead letter: mended, compared, dry-run, and put back once by somebody with a name."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dashboard.dead_letters import dry_run as running
from dashboard.dead_letters.letter import one_letter
from dashboard.dead_letters.mend import difference, unmasked
from db.audit import export
from tests.axe import violations
from tests.dashboard.conftest import Site
from tests.dashboard.dead_letters.letters import Bad, die
from tests.dashboard.dead_letters.test_pages import fault, open_group
from tests.dashboard.dead_letters.test_redrive import FORM, token
from tests.profile.test_tokens import account, changed
from tests.web import transaction
from tidegate.dead_letters.letters import DeadLetter, edited_copy, read_all
from tidegate.dead_letters.redrive import EDITED
from tidegate.errors import Rejected
from tidegate.pipeline import ALERTS, BY_ENTITY_2, FEEDBACK, LABELS, RAW, SCORED
from tidegate.profile import load_profile
from tidegate.profile.personal import MASK

OFFSETS = itertools.count(900_000_000, 1_000_000)
TRIED_MS = 60_000
"""A dry-run loads the stage's code in a process of its own."""


def letter(topic: str, value: bytes) -> DeadLetter:
    told = {"topic": topic, "partition": "0", "offset": "1", "key": f"x/{topic}/0/1"}
    return DeadLetter((0, 1), 0, b"u-17", value, [], told, value)


def body(identity: str, **changes: object) -> bytes:
    return json.dumps(transaction(identity, **changes)).encode()


def test_mended_compared_and_put_back(page: Page, site: Site) -> None:
    word = fault()
    bad = Bad(body(word, amount="12,50 <b>EUR</b>", user_id="u-77"), word)
    die(site.broker, site.profile, next(OFFSETS), [bad])
    open_group(page, site, word)
    page.locator("tbody a").first.click()
    path = page.url.removeprefix(site.url)
    box = page.get_by_role("textbox", name="Mend a copy")
    page.get_by_role("button", name="Dry-run", exact=True).click()
    expect(page.locator("#checked")).to_contain_text("would fail again", timeout=TRIED_MS)
    box.fill(box.input_value().replace('"u-77"', '"u-78"'))
    page.get_by_role("button", name="Compare and dry-run").click()
    expect(page.locator("#checked .added")).to_contain_text("u-78", timeout=TRIED_MS)
    expect(page.get_by_role("button", name="Redrive the mended copy")).to_have_count(0)
    box.fill(box.input_value().replace('"12,50 <b>EUR</b>"', "12.5"))
    page.get_by_role("button", name="Compare and dry-run").click()
    expect(page.locator("#checked .badge")).to_have_text("would pass", timeout=TRIED_MS)
    expect(page.locator("#checked")).to_contain_text('-  "amount": "12,50 <b>EUR</b>"')
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
    secret, cookie = token(site.server, path)
    failing = f"csrf_token={secret}&value=nonsense".encode()
    answer = site.server.ask("POST", f"{path}/edited", failing, FORM, cookie)
    assert (answer.status, b"would fail again" in answer.body) == (200, True)
    long = f"csrf_token={secret}&value={'x' * 30_000}".encode()
    assert site.server.ask("POST", f"{path}/check", long, FORM, cookie).status == 400
    page.get_by_role("button", name="Redrive the mended copy").click(timeout=TRIED_MS)
    back = "1 letter is back on transactions.raw."
    expect(page.locator("#job")).to_contain_text(back, timeout=TRIED_MS)
    again = f"csrf_token={secret}&value={body(word).decode().replace('&', '')}".encode()
    assert site.server.ask("POST", f"{path}/edited", again, FORM, cookie).status == 303
    reader = site.broker.consumer(None)
    mine = [each for each in read_all(reader, RAW) if word.encode() in (each.value or b"")]
    reader.close()
    [put] = mine
    assert put.key == b"u-78"
    assert dict(put.headers)[EDITED] == b"dashboard"
    assert json.loads(put.value or b"") == transaction(word, user_id="u-78") | {
        "timestamp": json.loads(bad.value)["timestamp"]
    }
    acts = [each for each in export(site.database) if each.about == word]
    act = next(each for each in acts if "edited" in each.detail)
    assert "EUR" not in act.detail


def test_masks_are_put_back_where_they_stood() -> None:
    profile = load_profile("card")
    profile.masks.names = frozenset({"merchant"})
    held = letter(
        RAW, json.dumps({"merchant": "Jane", "in": [{"merchant": "Joe"}], "a": 1}).encode()
    )
    shown = one_letter(profile, held)
    assert "Jane" not in shown.text
    assert json.loads(shown.text) == {"merchant": MASK, "in": [{"merchant": MASK}], "a": 1}
    mended = json.loads(unmasked(profile, held, shown.text.replace("1", "2")))
    assert mended == {"merchant": "Jane", "in": [{"merchant": "Joe"}], "a": 2}
    with pytest.raises(Rejected, match="no such field"):
        unmasked(profile, held, json.dumps({"b": {"merchant": MASK}}))
    assert json.loads(unmasked(profile, held, '{"a": "•••"}')) == {"a": MASK}, "no mask: a text"
    assert unmasked(profile, held, "not JSON") == b"not JSON"
    broken = one_letter(profile, letter(RAW, b'{"merchant": "Jane"'))
    assert (broken.form, broken.text, broken.editable) == ("withheld", "", False)


def test_the_key_follows_the_record() -> None:
    profile = load_profile("card")
    raw = letter(RAW, b"broken")
    assert edited_copy(profile, raw, body("t", user_id="u-9")).key == b"u-9"
    assert edited_copy(profile, raw, b"still broken").key == b"u-17"
    verdict = letter(FEEDBACK, b"{}")
    assert edited_copy(profile, verdict, b'{"transaction_id": "t-2"}').key == b"t-2"


def test_long_texts_are_not_compared() -> None:
    assert difference("x\n" * 5000, "y") == []
    assert [line.kind for line in difference("a\nb", "a\nc")] == [
        "place",
        "same",
        "removed",
        "added",
    ]


@pytest.mark.parametrize("topic", [RAW, ALERTS, BY_ENTITY_2, SCORED, FEEDBACK, LABELS])
def test_a_personal_key_is_masked_on_every_topic(tmp_path: Path, topic: str) -> None:
    merchant = "merchant: {type: string}", "merchant: {type: string, personal: true}"
    profile = changed(tmp_path, account("personal: true"), merchant)
    shown = one_letter(profile, letter(topic, b"{}"))
    assert shown.key == ("u-17" if topic in (FEEDBACK, LABELS) else MASK)
    assert one_letter(profile, letter(topic, b"{}"), masked=False).key in ("u-17", MASK)


def test_who_cannot_have_a_turn_is_soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait would take the threads of all other pages."""
    monkeypatch.setattr(running.COMMAND, "patience", 0.01)
    with running.COMMAND.turn:
        assert running.dry_run("0:0").outcome == "not_known"

"""Who may review, what he is shown, and what happens while the database is away."""

from __future__ import annotations

import json
from pathlib import Path

from dashboard.review.desk import room_of
from db.audit import export
from model.bundles.policies import publish_policy
from tests.access.personal_data import KIND, broker_of
from tests.access.web import applications, bearer, key
from tests.profile.test_tokens import NUMBER, account, changed
from tests.web import persist, scored, transaction
from tidegate.messages.policy import Policy
from tidegate.profile import load_profile
from tidegate.profile.personal import MASK
from tidegate.settings import Settings


def test_what_is_masked_stays_masked(tmp_path: Path) -> None:
    masked = changed(tmp_path, account("personal: true"), KIND)
    with applications(tmp_path, profile=str(masked.path)) as (api, pages):
        one = transaction("t-1", user_id=NUMBER, device_type="pos-of-hers")
        reason = {"feature": "device_type", "value": 6.0, "contribution": 1.5}
        frame = scored(masked, one, "block", 0.9, [reason])
        persist(Settings(home=tmp_path).db_url, broker_of(api), masked, [frame])
        visitor = pages.test_client()
        page = visitor.get("/review").get_data(as_text=True)
        assert "t-1" in page
        assert MASK in page
        for asked in ("/review", "/review/list", "/review/figures"):
            told = visitor.get(asked).get_data(as_text=True)
            assert NUMBER not in told
            assert "pos-of-hers" not in told


def test_reading_alone_is_not_enough_and_names_are_kept(tmp_path: Path) -> None:
    with applications(tmp_path, auth="keys") as (api, pages):
        url, card = Settings(home=tmp_path).db_url, load_profile("card")
        frames = [scored(card, transaction(f"t-{n}"), "review", 0.6) for n in range(2)]
        persist(url, broker_of(api), card, frames)
        reader, ann = key(tmp_path, "reader", "read"), key(tmp_path, "ann", "read", "review")
        visitor = pages.test_client()
        for path in ("/review", "/review/list", "/review/figures"):
            assert visitor.get(path).status_code == 401
            assert visitor.get(path, headers=bearer(reader)).status_code == 403
            assert visitor.get(path, headers=bearer(ann)).status_code == 200
        form = {"case": "t-0", "verdict": "fraud"}
        assert visitor.post("/review/verdict", data=form, headers=bearer(reader)).status_code == 403
        done = visitor.post("/review/verdict", data=form, headers=bearer(ann))
        assert done.status_code == 303
        (said,) = [entry for entry in export(url) if entry.what == "case decided"]
        assert (said.who, said.about) == ("ann", "t-0")
        assert json.loads(said.detail)["verdict"] == "fraud"


def test_while_the_database_is_away(tmp_path: Path) -> None:
    with applications(tmp_path) as (_, pages):
        visitor = pages.test_client()
        assert visitor.get("/review").status_code == 200
        for file in tmp_path.glob("tidegate.db*"):
            file.rename(file.with_suffix(".gone"))
        (tmp_path / "tidegate.db").mkdir()
        room_of(pages).close()  # what is open goes on with the file that was there
        for path in ("/review", "/review/list", "/review/figures"):
            answer = visitor.get(path)
            assert answer.status_code == 503, path
            assert "away for a while" in answer.get_data(as_text=True)


def test_a_rule_that_hit_is_named_and_is_no_bar(tmp_path: Path) -> None:
    card = load_profile("card")
    with applications(tmp_path) as (api, pages):
        rule = {"feature": "", "value": None, "contribution": 0.0, "text": "rule large: amount > 5"}
        reasons = [rule | {"rule": "large"}, {"feature": "amount", "value": 6, "contribution": 1.5}]
        frame = scored(card, transaction("t-1"), "block", 0.9, reasons)
        persist(Settings(home=tmp_path).db_url, broker_of(api), card, [frame])
        page = pages.test_client().get("/review").text
        assert "<dt>large</dt>" in page
        assert "rule large: amount &gt; 5" in page
        bars = page.partition('<div class="rows reasons">')[2].partition("</div>")[0]
        assert bars.count('class="right"') == 1


def test_the_thresholds_are_those_that_decided(tmp_path: Path) -> None:
    card = load_profile("card")
    with applications(tmp_path) as (api, pages):
        broker = broker_of(api)
        strict = Policy(thresholds={"review": 0.1234, "block": 0.8765})
        publish_policy(broker, card, strict, by="ann")
        publish_policy(broker, card, Policy(thresholds={"review": 0.5, "block": 0.6}), by="ann")
        frames = card.scored_layout.unpack([scored(card, transaction("t-1"), "review", 0.3)])
        frames.rows["policy"] = strict.version.encode()
        persist(Settings(home=tmp_path).db_url, broker, card, list(card.scored_layout.pack(frames)))
        client = pages.test_client()
        for path in ("/review", "/transactions/t-1"):
            assert "0.1234" in client.get(path).text, path
            assert "0.8765" in client.get(path).text, path

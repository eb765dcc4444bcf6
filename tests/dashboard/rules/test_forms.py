"""The page of rules by hand-made requests: drafts, backtests, four eyes, bad input."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from dashboard.rules.desk import Desk, Refused
from db.audit import export
from db.engine import reading
from db.policies.hits import Hits
from db.policies.tables import policy_proposals
from db.users import add
from model.policy.faults import PolicyFault
from tests.access.web import applications
from tidegate.access.users import User, hashed
from tidegate.clock import now_us
from tidegate.messages.policy import Policy, Rule
from tidegate.settings import Settings

PASSWORD = "correct horse battery"  # noqa: S105 - of people who do not exist
RULE = {"name": "large", "when": "amount > 1000", "action": "block", "reason": "a large amount"}


class Person:
    """Somebody with a browser."""

    def __init__(self, app: Flask, name: str = "") -> None:
        self.client: FlaskClient = app.test_client()
        if name:
            self.post("/sign-in", {"name": name, "password": PASSWORD}, "/sign-in")

    def get(self, path: str = "/rules") -> TestResponse:
        return self.client.get(path)

    def text(self, path: str = "/rules") -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return html.unescape(answer.get_data(as_text=True))

    def post(self, path: str, form: dict[str, str], seen: str = "/rules") -> TestResponse:
        found = re.search(r'"X-CSRFToken": "([^"]*)"', self.text(seen))
        token = found[1] if found else ""
        headers = {"Referer": "http://localhost/rules"}
        return self.client.post(path, data=form | {"csrf_token": token}, headers=headers)

    def draft(self) -> dict[str, str]:
        """The hidden fields by which the draft is applied, or tried."""
        page = self.text()
        found = re.findall(r'name="(id|version)" value="([^"]*)"', page)
        return dict(found[:2])

    def save(self, **changes: str) -> TestResponse:
        return self.post("/rules/rule", RULE | changes, "/rules/rule")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with applications(tmp_path) as (_, pages):
        yield pages


def test_a_rule_comes_into_force_by_its_backtest_only(app: Flask, tmp_path: Path) -> None:
    person = Person(app)
    assert "No rules yet" in person.text()
    assert person.save().status_code == 303
    page = person.text()
    assert '+   "when": "amount > 1000",' in page
    assert "Bring it into force" not in page
    draft = person.draft()
    refused = person.post("/rules/apply", draft | {"version": "0" * 16})
    assert refused.status_code == 409
    assert "look at the backtest" in refused.get_data(as_text=True)
    assert person.post("/rules/backtest", {"id": draft["id"]}).status_code == 303
    assert "there is nothing to try it on" in person.text()
    seen = person.draft()
    assert person.save(before="large", when="amount > 2000").status_code == 303
    assert person.post("/rules/apply", seen).status_code == 409, "it is another one since"
    person.post("/rules/backtest", {"id": draft["id"]})
    assert person.post("/rules/apply", person.draft()).status_code == 303
    page = person.text()
    assert "Your draft" not in page
    assert "is in force." in page
    assert "amount > 2000" in page
    assert "In force" in person.text("/rules?tab=history")
    acts = [(entry.what, entry.about) for entry in export(Settings(home=tmp_path).db_url)]
    assert acts[-1][0] == "policy applied"
    person.post("/rules/switch", {"name": "large"})
    assert '+   "enabled": false' in person.text()
    person.post("/rules/delete", {"name": "large"})
    assert "No rules yet" in person.text()
    person.post("/rules/discard", {})
    assert "Your draft" not in person.text()


def test_who_began_before_another_version_begins_again(app: Flask) -> None:
    person = Person(app)
    person.save()
    first = person.draft()
    person.post("/rules/backtest", first)
    stale = person.draft()
    desk = app.extensions["tidegate.rules"]["desk"]
    other = desk.proposals.write_draft("another", desk.working("another"), desk.now().version)
    changed = desk.draft("").policy.with_thresholds({"review": 0.4, "block": 0.8})
    other = desk.proposals.write_draft("another", changed, desk.now().version)
    desk.try_out(desk.proposals.get(other.id))
    assert desk.apply(desk.proposals.get(other.id), changed.version, "another") == "applied"
    assert "Discard this" in person.text()
    refused = person.post("/rules/apply", stale)
    assert (refused.status_code, "Another version" in refused.get_data(as_text=True)) == (409, True)
    assert "0.4" in person.text()


def test_who_decides_second_changes_nothing(app: Flask) -> None:
    person = Person(app)
    person.save()
    person.post("/rules/backtest", person.draft())
    desk = app.extensions["tidegate.rules"]["desk"]
    draft = desk.draft("")
    assert desk.proposals.decide(draft, "rejected", "bo"), "between the look and the act"
    with pytest.raises(Refused, match="decided"):
        desk.apply(draft, draft.version, "")
    assert desk.now().rules == ()


def test_what_could_not_be_published_can_be_tried_again(app: Flask) -> None:
    person = Person(app)
    person.save()
    person.post("/rules/backtest", person.draft())
    desk = app.extensions["tidegate.rules"]["desk"]
    bad = Policy((Rule("bad", "nothing > 5", "block"),))
    tried = msgspec.structs.replace(desk.draft("").backtest, version=bad.version)
    draft = desk.proposals.write_draft("", bad, desk.now().version)
    desk.proposals.keep_backtest(draft.id, tried)
    draft = desk.draft("")
    with pytest.raises(PolicyFault, match="'nothing' is no field"):
        desk.apply(draft, draft.version, "")
    assert desk.draft("").version == bad.version


def test_lists_and_suppressions(app: Flask) -> None:
    person = Person(app)
    form = {"name": "stolen", "kind": "block", "field": "user_id"}
    assert person.post("/rules/list", form).status_code == 303
    values = {"list": "stolen", "values": "u1\n u2 \n\nu3", "days": "30", "note": "called"}
    assert person.post("/rules/entries", values).status_code == 303
    page = person.text("/rules?tab=lists")
    assert "3 entries" in page
    assert "called" in page
    version = re.search(r'name="version" value="([^"]+)"', page)
    assert version
    chosen = {"list": "stolen", "version": version[1], "place": "1"}
    assert person.post("/rules/entries/remove", chosen).status_code == 303
    assert "2 entries" in person.text("/rules?tab=lists")
    again = person.post("/rules/entries/remove", chosen)
    assert (again.status_code, "not there any more" in again.get_data(as_text=True)) == (400, True)
    quiet = {"field": "user_id", "value": "u9", "days": "7", "note": "known"}
    assert person.post("/rules/suppress", quiet).status_code == 303
    page = person.text("/rules?tab=suppressions")
    assert "u9" in page
    assert "all, and the models" in page
    version = re.search(r'value="0"><input type="hidden" name="version" value="([^"]+)"', page)
    assert version
    person.post("/rules/suppress/remove", {"place": "0", "version": version[1]})
    assert "Nothing is suppressed" in person.text("/rules?tab=suppressions")
    person.post("/rules/list/delete", {"name": "stolen"})
    assert "No lists yet" in person.text("/rules?tab=lists")


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        ("/rules/rule", RULE | {"when": "amont > 5"}, "do you mean amount?"),
        ("/rules/rule", RULE | {"when": ""}, "A condition is needed"),
        ("/rules/rule", RULE | {"name": "a b"}, "Letters, digits"),
        ("/rules/rule", RULE | {"action": "explode"}, "none of the values"),
        ("/rules/rule", RULE | {"when": "x" * 5_000}, "A condition is needed"),
        ("/rules/list", {"name": "a b", "kind": "block", "field": "user_id"}, "matching regex"),
        ("/rules/list", {"name": "a", "kind": "burn", "field": "user_id"}, "none of the values"),
        ("/rules/list", {"name": "a", "kind": "block", "field": "amount"}, "no field with texts"),
        ("/rules/entries", {"list": "none", "values": "x"}, "not there any more"),
        ("/rules/entries", {"list": "none", "values": " "}, "one value a line"),
        ("/rules/entries", {"list": "none", "values": "x", "days": "-1"}, "a whole number"),
        ("/rules/entries", {"list": "none", "values": "y" * 300}, "at most 200 characters"),
        ("/rules/suppress", {"field": "user_id", "value": "x"}, "A suppression ends"),
        ("/rules/suppress", {"field": "user_id", "value": "", "days": "1"}, "at least 1 character"),
        ("/rules/switch", {"name": "\0"}, "not there any more"),
        ("/rules/begin", {"version": "f" * 16}, "is neither on the topic"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_wrong(
    app: Flask, path: str, form: dict[str, str], words: str
) -> None:
    answer = Person(app).post(path, form, "/rules/rule")
    assert answer.status_code == 400
    assert words in html.unescape(answer.get_data(as_text=True))


def test_strange_requests(app: Flask) -> None:
    person = Person(app)
    for query in ("tab=x", "tab=" + "x" * 9_000, "tab=%00", "tab=%ed%a0%80"):
        assert person.get(f"/rules?{query}").status_code == 400, query
    for name in ("none", "x" * 9_000, "%00", "a/b", "%22%3E"):
        assert person.get(f"/rules/rule?name={name}").status_code == 404, name
    for path in ("/rules/backtest", "/rules/apply", "/rules/reject"):
        assert person.post(path, {"id": "\0" * 100}).status_code == 404


def test_hits_that_are_too_many_to_count(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    person = Person(app)
    person.save()
    hits = Counter({"large": 20_000})
    for more, told in ((False, ">20,000<"), (True, ">at least 20,000<")):
        monkeypatch.setattr(Desk, "hits", lambda _, more=more: Hits(hits, more))
        assert told in person.text()


def test_four_eyes(tmp_path: Path) -> None:
    with applications(tmp_path, four_eyes="true") as (_, app):
        url = Settings(home=tmp_path).db_url
        for name, role in (("ana", "operator"), ("bo", "operator"), ("vi", "viewer")):
            add(url, User(name, hashed(PASSWORD), role, now_us()))
        app.extensions["tidegate"].users._tried = float("-inf")
        ana, bo, vi = (Person(app, name) for name in ("ana", "bo", "vi"))
        ana.save()
        assert "Your draft" not in bo.text(), "a draft is its author's"
        assert bo.post("/rules/backtest", {"id": ana.draft()["id"]}).status_code == 404
        ana.post("/rules/backtest", ana.draft())
        assert ana.post("/rules/apply", ana.draft()).status_code == 303
        page = ana.text()
        assert "Proposed by ana" in page
        assert "Somebody else has to" in page
        proposal = ana.draft()
        assert ana.post("/rules/apply", proposal).status_code in (404, 409), "not by its author"
        waiting = bo.text()
        named = dict(re.findall(r'name="(id|version)" value="([^"]*)"', waiting)[:2])
        refused = ana.post("/rules/apply", named)
        assert (refused.status_code, "Somebody else" in refused.get_data(as_text=True)) == (
            409,
            True,
        )
        assert vi.post("/rules/apply", named).status_code == 403
        assert "No rules yet" in vi.text()
        assert bo.post("/rules/apply", named).status_code == 303
        assert "amount > 1000" in vi.text()
        history = vi.text("/rules?tab=history")
        assert "written by ana" in history
        assert bo.post("/rules/reject", named).status_code == 409, "it is decided"
        acts = [(entry.who, entry.what) for entry in export(url)][-2:]
        assert acts == [("ana", "policy proposed"), ("bo", "policy applied")]
        with reading(url) as connection:
            assert connection.scalars(select(policy_proposals.c.policy)).all() == ["{}"]


def test_four_eyes_need_people_who_sign_in(tmp_path: Path) -> None:
    with applications(tmp_path, four_eyes="true") as (_, app):
        person = Person(app)
        person.save()
        person.post("/rules/backtest", person.draft())
        refused = person.post("/rules/apply", person.draft())
        assert refused.status_code == 409
        assert "two people who sign in" in refused.get_data(as_text=True)

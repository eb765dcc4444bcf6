"""Strange questions to the page of the thresholds, and profiles without money or verdicts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dashboard.context import KEY
from db.migrate import migrate
from tests.access.web import applications
from tests.axe import violations
from tests.dashboard.champion import crowned
from tests.dashboard.conftest import Site
from tests.dashboard.visitor import Visitor
from tests.web import serving

__all__ = ["crowned"]
STRANGE = {
    "no number": ("many", "0.9"),
    "one alone": ("0.5", ""),
    "not finite": ("nan", "inf"),
    "negative": ("-1", "0.9"),
    "too much": ("0.5", "1.5"),
    "crossed": ("0.9", "0.5"),
    "nothing": ("0", "0"),
    "long": ("9" * 3000, "0.9"),
    "quotes": ("'\"<b>", "0.9"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_thresholds_are_refused(crowned: Site, kind: str) -> None:
    review, block = STRANGE[kind]
    visitor = Visitor(crowned.server)
    fields = {"review": review, "block": block, "version": ""}
    answer = visitor.post("/threshold", fields)
    assert answer.status == 400, answer.body
    assert b'"<b>' not in answer.body


def test_what_came_between_is_not_undone(crowned: Site) -> None:
    fields = {"review": "0.3", "block": "0.8", "version": "0123456789abcdef"}
    answer = Visitor(crowned.server).post("/threshold", fields)
    assert answer.status == 409
    assert b"has come into force since you began" in answer.body


def test_with_four_eyes_thresholds_are_only_a_draft(tmp_path: Path) -> None:
    with applications(tmp_path, four_eyes="true") as (_, pages):
        client = pages.test_client()
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/try").text)
        assert found
        fields = {"csrf_token": found[1], "review": "0.3", "block": "0.8"}
        answer = client.post("/threshold", data=fields)
        assert (answer.status_code, answer.location) == (303, "/rules")
        assert pages.extensions[KEY].registry.policy() is None, "nothing has come into force"
        draft = client.get("/rules").text
        assert "0.3" in draft
        assert "0.8" in draft


def test_without_a_model(page: Page, site: Site, tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'tidegate.db'}")
    kafka = site.server.env["TIDEGATE_KAFKA"]
    with serving("dashboard", kafka, tmp_path, "vector") as server:
        page.goto(f"http://127.0.0.1:{server.port}/threshold")
        expect(page.get_by_text("No model has been promoted yet")).to_be_visible()
        assert violations(page) == []
        page.goto("about:blank")

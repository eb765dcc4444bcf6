"""NUL, which PostgreSQL takes in no text, wherever the pages and the API read an id."""

from __future__ import annotations

import re
from pathlib import Path

from tests.access.web import applications

PLACES = ("", "/reasons", "/around")
ACTS = ("/transactions/%00/replay", "/transactions/a%00b/unmasked", "/transactions/%00/verdict")


def test_no_page_fails_on_it(url: str, tmp_path: Path) -> None:
    with applications(tmp_path, db=url) as (api, pages):
        client = pages.test_client()
        answer = client.get("/try?like=a%00b")
        assert answer.status_code == 200
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
        assert found
        fields = {"csrf_token": found[1], "verdict": "fraud"}
        for place in PLACES:
            assert client.get(f"/transactions/%00{place}").status_code == 404, place
        for path in ACTS:
            assert client.post(path, data=fields).status_code == 404, path
        for path in ("apply", "backtest", "reject"):
            about = fields | {"id": "\0"}
            assert client.post(f"/rules/{path}", data=about).status_code == 404, path
        for path in ("/v1/transactions/%00", "/v1/transactions/a%00b", "/transaction/%00"):
            assert api.test_client().get(path).status_code == 404, path

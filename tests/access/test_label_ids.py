"""Label ids under `ids: per_client` belong to the client that sent them."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.api.label_ids import own_label_ids
from tests.access.test_repeats import per_client
from tests.access.web import applications, bearer, key

pytestmark = pytest.mark.training


def test_a_client_finds_its_own_verdict_and_no_others(tmp_path: Path) -> None:
    with per_client(tmp_path) as api:
        evil, rev = (bearer(key(tmp_path, name, "review")) for name in ("evil", "rev"))
        client = api.test_client()
        for own, name, about in ((evil, "evil", "evil:t-1"), (rev, "rev", "shop:t-1")):
            verdict = {"transaction_id": about, "verdict": "fraud", "label_id": "cb-77"}
            answer = client.post("/v1/feedback", json=verdict, headers=own)
            assert answer.get_json()["label_ids"] == [f"{name}:cb-77"]
        for asked in ("cb-77", "rev:cb-77"):
            found = client.get(f"/v1/feedback/{asked}", headers=rev).get_json()
            assert (found["label_id"], found["transaction_id"]) == ("rev:cb-77", "shop:t-1")
        assert client.get("/v1/feedback/evil:cb-77", headers=rev).status_code == 404
        found = client.get("/v1/feedback/cb-77", headers=evil).get_json()
        assert found["transaction_id"] == "evil:t-1"


def test_an_id_that_was_made_belongs_to_its_client_too(tmp_path: Path) -> None:
    with per_client(tmp_path) as api:
        evil, rev = (bearer(key(tmp_path, name, "review")) for name in ("evil", "rev"))
        client, verdict = api.test_client(), {"transaction_id": "shop:t-1", "verdict": "fraud"}
        for headers in ({}, {"Idempotency-Key": "k"}):
            answer = client.post("/v1/feedback", json=verdict, headers=rev | headers)
            [made] = answer.get_json()["label_ids"]
            assert client.get(f"/v1/feedback/{made}", headers=rev).status_code == 200
            for asked in (made, made.removeprefix("rev:")):
                assert client.get(f"/v1/feedback/{asked}", headers=evil).status_code == 404


@pytest.mark.parametrize(("length", "status"), [(251, 202), (252, 422)])
def test_a_label_id_that_is_too_long_with_the_clients_name(
    tmp_path: Path, length: int, status: int
) -> None:
    with per_client(tmp_path) as api:
        own = bearer(key(tmp_path, "shop", "review"))
        verdict = {"transaction_id": "t-1", "verdict": "fraud", "label_id": "c" * length}
        answer = api.test_client().post("/v1/feedback", json=verdict, headers=own)
        assert answer.status_code == status
        if status == 422:
            assert [error["field"] for error in answer.get_json()["errors"]] == ["label_id"]


def test_where_ids_are_shared_they_mean_what_they_say() -> None:
    assert own_label_ids("", "shop:cb-77") == ["shop:cb-77"]


def test_one_label_id_on_two_transactions_of_a_request_is_refused(tmp_path: Path) -> None:
    def post(*about: tuple[str, str]) -> tuple[int, list[dict[str, object]]]:
        given = [
            {"transaction_id": name, "verdict": "fraud", "label_id": label} for name, label in about
        ]
        answer = client.post("/v1/feedback", json=given)
        return answer.status_code, answer.get_json().get("errors")

    with applications(tmp_path) as (api, _):
        client = api.test_client()
        assert post(("t-1", "a"), ("t-2", "b"), ("t-1", "a"))[0] == 202
        status, [error] = post(("t-1", "c"), ("t-2", "c"))
        assert (status, error["index"], error["field"]) == (422, 1, "label_id")
        assert client.get("/v1/feedback/c").status_code == 404

"""Personal ids where each client has ids of its own: tokens that are found by their values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import pytest

from tests.access.personal_data import body, broker_of, everything, on_disk
from tests.access.web import applications, bearer, key
from tests.profile.test_tokens import BY_CLIENT, ID_TOKEN, KEY, NUMBER, TOKEN, changed
from tests.support import eventually
from tests.web import persist, scored
from tidegate.pipeline import FEEDBACK, RAW, SCORED
from tidegate.settings import Settings


def test_the_ids_of_a_client_are_tokens_and_found_by_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    profile = changed(tmp_path, TOKEN, ID_TOKEN, BY_CLIENT)
    own, named = f"{NUMBER}:1", f"shop:{NUMBER}:1"
    stored = profile.stored_id(named)
    with applications(tmp_path, profile=str(profile.path), auth="keys") as apps:
        broker, client = broker_of(apps[0]), apps[0].test_client()
        shop, bank = (
            bearer(key(tmp_path, name, "ingest", "read", "review")) for name in ("shop", "bank")
        )
        post = partial(client.post, headers=shop)
        answers = [
            post("/v1/transactions", json=body(own)),
            post("/v1/transactions/batch", json=[body(own)]),
            client.post("/v1/transactions", json=body(own), headers=bank),
            post("/v1/transactions/batch", json=[body(own), body(own, amount=-1)]),
            post("/v1/feedback", json={"verdict": "fraud", "transaction_id": named}),
            post("/v1/feedback", json={"verdict": "fraud", "transaction": body(own)}),
        ]
        assert [answer.status_code for answer in answers] == [202] * 6
        assert answers[0].get_json()["transaction_id"] == stored
        assert answers[1].get_json()["id_prefix"] == "shop:"
        assert answers[2].get_json()["transaction_id"] == profile.stored_id(f"bank:{own}")
        assert answers[3].get_json()["rejected"][0]["id"] == stored
        assert answers[5].get_json()["transaction_ids"] == [stored]
        verdicts = [record.key for _, _, record in broker.committed_records(FEEDBACK)]
        assert verdicts == [stored.encode()] * 2

        frame = scored(profile, body(named), "block", 0.9)
        persist(Settings(home=tmp_path).db_url, broker, profile, [frame])
        found = [
            client.get(f"/v1/transactions/{name}", headers=shop) for name in (named, stored)
        ] + [client.get("/v1/transactions", query_string={"id": named}, headers=shop)]
        assert [answer.get_json()["transaction_id"] for answer in found] == [stored] * 3
        missing = client.get(f"/v1/transactions/till:{own}", headers=bank)
        assert missing.status_code == 404

        posts = len(broker.committed_records(RAW))
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(
                apps[0].test_client().post,
                "/v1/transactions?wait_ms=9000",
                json=body(own + "w"),
                headers=shop,
            )
            eventually(lambda: len(broker.committed_records(RAW)) > posts)
            decided = scored(profile, body(named + "w"), "block", 0.9)
            while not wait([waiting], 0.2).done:  # the API may not follow the topic yet
                broker.append(SCORED, stored.encode(), decided, None, None)
            answer = waiting.result()
        assert (answer.status_code, answer.get_json()["decision"]) == (200, "block")
        shown = b"".join(answer.data for answer in [*answers, *found, missing, answer])
    for where in (shown, everything(broker), on_disk(tmp_path)):
        assert NUMBER.encode() not in where

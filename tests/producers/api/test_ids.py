"""Ids as people have them: each is found by the address that its 202 gave."""

from __future__ import annotations

import pytest

from producers.api.ids import address_of
from tests.producers.api.test_post import fresh
from tests.web import Server, persist, scored, transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.profile import Profile

SHAPES = [
    "/{}",
    "//{}",
    "{}/",
    "{}/a//b/",
    "../{}",
    "{}/../x",
    "./{}/.",
    ".{}.",
    "{};v=1;w",
    "{}?a=b&c#d",
    "100% {}+%2F",
    "{}\\x",
    "{}/verdict",
    "código-{}-№",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("query", ["", "?wait_ms=1"], ids=["express", "waiting"])
def test_an_id_is_found_by_its_address(api: Server, shape: str, query: str) -> None:
    name = shape.format(fresh())
    posted = api.post(f"/v1/transactions{query}", transaction(name))
    assert (posted.status, posted.json()["transaction_id"]) == (202, name)
    found = api.get(posted.headers["location"])
    assert (found.status, found.json()["transaction_id"]) == (202, name)


@pytest.mark.parametrize("name", [".", ".."])
def test_ids_that_clients_take_for_folders_are_found_by_a_query(api: Server, name: str) -> None:
    """Every client resolves /v1/transactions/.. before it asks, written as %2E too."""
    posted = api.post("/v1/transactions", transaction(name))
    assert posted.headers["location"] == f"/v1/transactions?id={name}"
    found = api.get(posted.headers["location"])
    assert (found.status, found.json()["transaction_id"]) == (202, name)


def test_a_row_with_such_an_id_is_found(
    api: Server, broker: KafkaBroker, card: Profile, database: str
) -> None:
    names = [f"/{fresh()}", f"{fresh()}\n", ".."]
    persist(database, broker, card, [scored(card, transaction(name)) for name in sorted(names)])
    for name in names:
        found = api.get(address_of(name))
        assert (found.status, found.json()["transaction_id"]) == (200, name)
    assert api.get("/v1/transactions?id=..&limit=3").status == 422

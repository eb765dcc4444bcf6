"""The form of a profile's fields, and its gauge, without a server."""

from __future__ import annotations

import json

import pytest

from dashboard.try_one import form
from dashboard.try_one.gauge import gauge
from tidegate.clock import now_us
from tidegate.profile import load_profile

PROFILES = ("card", "wallet", "vector", "creditcard", "card_unsupervised", "handbook", "sequences")


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_an_example_comes_through_the_form_as_it_is(name: str, seed: int) -> None:
    profile = load_profile(name)
    example = form.example(profile, now_us(), seed)
    sent = {one.name: one.value for one in form.inputs(profile, example)}
    filled = form.transaction(profile, sent)
    assert filled == {key: value for key, value in example.items() if value is not None}
    profile.decode(json.dumps(filled).encode(), now_us())


def test_what_is_asked_for() -> None:
    inputs = form.inputs(load_profile("card"), {}, {"amount": "too little"})
    assert [one.name for one in inputs if not one.optional][:2] == ["user_id", "amount"]
    assert "transaction_id" not in [one.name for one in inputs]
    amount = next(one for one in inputs if one.name == "amount")
    assert (amount.kind, amount.low, amount.high) == ("number", "0.01", "1000000")
    assert amount.fault == "too little"
    kinds = {one.name: one.kind for one in inputs}
    assert kinds["merchant_type"] == "open_choice"
    assert kinds["location_match"] == "bool"
    assert [one.kind for one in form.inputs(load_profile("wallet"), {})][1] == "choice"


def test_ignored_fields_are_not_asked_for() -> None:
    assert "Class" not in [one.name for one in form.inputs(load_profile("creditcard"), {})]


def test_the_gauge() -> None:
    middle = gauge(0.5, 0.5, 0.9)
    assert (middle.x, middle.y) == (110.0, 34.0)
    assert [zone.decision for zone in middle.zones] == ["approve", "review", "block"]
    assert middle.zones[0].path == "M18.00 108.00A92 92 0 0 1 110.00 16.00"
    assert [zone.decision for zone in gauge(2.0, 0.7, 0.7).zones] == ["approve", "block"]
    assert [zone.decision for zone in gauge(0.0, 1.5, 2.0).zones] == ["approve"]

"""The compiled program finds what one row at a time in plain Python finds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.policy.compiled import CompiledPolicy
from model.policy.facts import Rows
from model.policy.kernel import CHUNK
from model.policy.vocabulary import Vocabulary
from tests.model.policy.made import profile, rows
from tests.model.policy.plain import Plain
from tidegate.messages.policy import ListEntry, Policy, Rule, ValueList
from tidegate.messages.rule_hits import FIRST_LIST
from tidegate.profile import Profile

ENTRIES = {"u1": 0, "u2": 1_000, "u3": 1_001, "nobody": 0}
NUMBERS = st.sampled_from(
    ["amount", "age", "user_count_1h", "score", "lightgbm", "model.online", "note"]
)
LITERALS = st.sampled_from(["0", "1", "-1", "2.5", "7", "40", "0.5", "1e308"])


def arithmetic(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(["abs", "sqrt", "log1p", "-"]), inner).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
    )


VALUES = st.recursive(st.one_of(NUMBERS, LITERALS), arithmetic, max_leaves=4)
SIMPLE = st.one_of(
    st.tuples(VALUES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), VALUES).map(" ".join),
    st.tuples(VALUES, st.sampled_from(["in (1, 7, 2.5)", "not in (1, 40)"])).map(" ".join),
    st.tuples(
        st.sampled_from(["user", "shop", "city", "mcc", "kind", "age", "tx.online", "note"]),
        st.sampled_from(["is missing", "is not missing"]),
    ).map(" ".join),
    st.sampled_from(
        [
            *("user in list:seen", "user not in list:seen", "user == 'u1'", "user != 'u1'"),
            *("city in ('Quito', 'Lima')", "city not in ('Quito', 'Lima')", "shop == 's1'"),
            *("kind == 'cash'", "'card' != kind", "mcc in ('food', 'boats')", "mcc != 'fuel'"),
            *("tx.online", "tx.online == true", "not tx.online", "true", "decision == 'review'"),
        ]
    ),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return profile(tmp_path_factory.mktemp("profile"))


def some_rows(toy: Profile, count: int, seed: int) -> Rows:
    """Rows of few different values, in which each field is missing sometimes."""
    chance = random.Random(seed)
    fields: dict[str, list[Any]] = {
        "shop": ["s1", "s2"],
        "kind": ["cash", "card"],
        "mcc": ["food", "fuel", "boats"],
        "online": [True, False],
        "age": [0, 7, 40],
        "city": ["Quito", "Lima", "Cuenca"],
        "note": [1, 7, -1],
        "user_count_1h": [0.0, 1.0, 2.5],
    }
    txs = [
        {"user": chance.choice(["u1", "u2", "u3", "u4"]), "amount": chance.choice([0.0, 2.5, 40.0])}
        | {name: chance.choice(some) for name, some in fields.items() if chance.random() < 0.8}
        for _ in range(count)
    ]
    made = rows(toy, *txs)
    detectors = np.array([[chance.choice([0.5, 1.0, np.nan]), 0.5] for _ in txs])
    decisions = np.array([chance.randrange(3) for _ in txs], np.uint8)
    score = np.array([chance.choice([0.0, 0.5, 1.0]) for _ in txs])
    return made._replace(scores=detectors, decision=decisions, score=score)


@given(
    texts=st.lists(CONDITIONS, min_size=1, max_size=8),
    count=st.sampled_from([1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 44]),
    seed=st.integers(0, 50),
)
@settings(deadline=None, max_examples=40)
def test_each_rule_hits_the_rows_that_it_holds_for(
    toy: Profile, texts: list[str], count: int, seed: int
) -> None:
    made, words = some_rows(toy, count, seed), Vocabulary(toy)
    entries = tuple(ListEntry(value, until) for value, until in ENTRIES.items())
    rules = tuple(Rule(f"r{place}", text, "review") for place, text in enumerate(texts))
    lists = (
        ValueList("seen", "watch", "user", entries),
        ValueList("bad", "block", "user", entries),
    )
    hits = CompiledPolicy(Policy(rules, lists), toy).decide(made).hits
    each = [Plain(words, {"seen": ENTRIES}, made, at) for at in range(count)]
    for bit, text in enumerate(texts):
        assert hits[bit].tolist() == [one.holds(text) for one in each], text
    assert hits[FIRST_LIST + 1].tolist() == [one.holds("user in list:seen") for one in each]
    assert not hits[len(texts) : FIRST_LIST].any()

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.policy.compiled import CompiledPolicy
from model.policy.conditions import Condition, condition, lists_named
from model.policy.facts import Facts, PayloadReader
from model.policy.lexer import ConditionFault
from model.policy.lists import Membership
from model.policy.program import Builder
from model.policy.syntax import MOST_NODES
from model.policy.vocabulary import Vocabulary
from tests.model.policy.made import profile, rows
from tidegate.messages.policy import Policy, Rule
from tidegate.profile import Profile

A = {
    "user": "u1", "shop": "s1", "amount": 12.5, "kind": "cash", "mcc": "food", "online": True,
    "age": 40, "city": "Quito", "note": 1, "user_count_1h": 3,
}  # fmt: skip
B = {"user": "u2", "amount": 900, "kind": "card", "mcc": "boats", "user_count_1h": 0}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return profile(tmp_path_factory.mktemp("profile"))


def hits(toy: Profile, text: str, *txs: dict[str, Any]) -> list[bool]:
    words = Vocabulary(toy)
    lists = {"seen": Membership("user", np.array([], np.uint64), [])}
    ready = condition(text, words, lists)
    reader = PayloadReader([word for word in ready.words if word.source == "payload"])
    return held(ready, Facts(rows(toy, *(txs or (A, B))), reader))


def held(ready: Condition, facts: Facts) -> list[bool]:
    builder = Builder()
    builder.hit(ready.write(builder), 0)
    bits, _ = builder.program().run(facts)
    return bits[:, 0].astype(bool).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount > 100", [False, True]),
        ("tx.amount >= 12.5 and amount <= 900", [True, True]),
        ("kind == 'cash'", [True, False]),
        ("'cash' == kind", [True, False]),
        ("kind != 'cash'", [False, True]),
        ('mcc == "boats"', [False, True]),
        ("mcc in ('food', 'boats')", [True, True]),
        ("mcc not in ['boats']", [True, False]),
        ("user == 'u1' or user == 'u2'", [True, True]),
        ("shop == 's1'", [True, False]),
        ("shop != 's2'", [True, False]),
        ("shop is missing", [False, True]),
        ("not shop is missing", [True, False]),
        ("shop is not missing", [True, False]),
        ("city == 'Quito'", [True, False]),
        ("city is missing", [False, True]),
        ("online", [True, False]),
        ("not online", [False, True]),
        ("online == false", [False, False]),
        ("note == 1", [True, False]),
        ("age > 30", [True, False]),
        ("age != 1", [True, False]),
        ("age not in (1, 2)", [True, False]),
        ("not (age == 1)", [True, True]),
        ("age in (40, -1)", [True, False]),
        ("amount / user_count_1h > 4", [True, False]),
        ("amount / user_count_1h is missing", [False, True]),
        ("amount - 2 * 5 + 1 == 3.5", [True, False]),
        ("-amount < -100", [False, True]),
        ("max(amount, 100) == 100", [True, False]),
        ("min(amount, user_count_1h, 5) == 3", [True, False]),
        ("abs(-amount) > 1 and sqrt(amount) == 30", [False, True]),
        ("log1p(amount) > 6", [False, True]),
        ("score < 0.5 and lightgbm < 0.5", [True, True]),
        ("model.online is missing", [True, True]),
        ("decision == 'approve'", [True, True]),
        ("user in list:seen", [False, False]),
        ("user not in list:seen", [True, True]),
        ("1 < 2", [True, True]),
        ("amount > 100 or amount > 10 and kind == 'cash'", [True, True]),
        ("(amount > 100 or amount > 10) and kind == 'cash'", [True, False]),
    ],
)
def test_what_a_condition_means(toy: Profile, text: str, expected: list[bool]) -> None:
    if "online" in text and not text.startswith("model"):
        text = text.replace("online", "tx.online")
    assert hits(toy, text) == expected
    assert [*hits(toy, text, A), *hits(toy, text, B)] == expected, "the same alone"


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("", "expected a value, the condition ends", 0),
        ("amount", "expected a condition, this is a number", 0),
        ("amount >", "expected a value, the condition ends", 8),
        ("amount = 5", "compare with ==", 7),
        ("amount > 5 && online", "write `and`", 11),
        ("1 < amount < 5", "one comparison of two values", 2),
        ("amuont > 5", "do you mean amount?", 0),
        ("amount > 'x'", "texts are compared by == and != only", 7),
        ("kind == 'gold'", "'gold' is no value of kind: cash, card", 5),
        ("kind < 'cash'", "texts are compared by == and != only", 5),
        ("user == 5", "cannot be compared", 5),
        ("user + 1 > 2", "expected a number, this is a text", 0),
        ("(amount > 1) + 1 > 0", "expected a number, this is a condition", 8),
        ("at > 5", "'at' is a time", 0),
        ("online", "say tx.online or model.online", 0),
        ("user in list:other", "no list 'other'; there are: seen", 5),
        ("shop in list:seen", "write `user in list:seen`", 5),
        ("user in 5", "values in brackets", 8),
        ("user in ()", "expected a number, or a text in quotes", 9),
        ("age in ('x', 5)", "not all like the left side", 4),
        ("exec('x')", "no function 'exec'", 0),
        ("max(1)", "max takes 2 to 8 values", 0),
        ("user.__class__ == 1", "expected `and`, `or`, or the end", 4),
        ("'open", "the text is not closed", 0),
        ("amount > 5)", "expected `and`, `or`, or the end", 10),
        ("amount > 1e999999", "'1': no condition holds this character", 9),
        ("not " * 30 + "tx.online", "nested deeper", 104),
        ("(" * 30 + "1", "nested deeper", 26),
        ("amount > " + "+".join("1" * MOST_NODES), "at most 200 operations", 209),
        ("a" * 2001, "at most 2,000 characters", 2000),
        ("age in (" + ",".join(["1"] * 202) + ")", "make a list", 408),
    ],
)
def test_what_is_refused_and_where(toy: Profile, text: str, message: str, at: int) -> None:
    with pytest.raises(ConditionFault) as caught:
        hits(toy, text)
    assert message in str(caught.value)
    assert caught.value.at == at


PIECES = st.sampled_from(
    [
        *("amount", "user", "kind", "mcc", "tx.online", "score", "decision", "list", "seen", "age"),
        *("and", "or", "not", "in", "is", "missing", "true", "(", ")", "[", "]", ",", ":", "max"),
        *("+", "-", "*", "/", "==", "!=", "<", "<=", "'cash'", '"x"', "1", "0.5", "1e308", "\0"),
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map(" ".join)))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_condition_or_a_fault_with_its_place(toy: Profile, text: str) -> None:
    fault: ConditionFault | None = None
    found: list[bool] = []
    try:
        found = hits(toy, text)
    except ConditionFault as error:
        fault = error
    assert (fault is None and len(found) == 2) or (fault and 0 <= fault.at <= len(text))


def test_an_erasable_profile_keeps_rules_from_its_payloads(tmp_path: Path) -> None:
    toy = profile(tmp_path)
    toy.erasable = True
    assert hits(toy, "user == 'u1' and amount > 1") == [True, False]
    with pytest.raises(ConditionFault, match="'city' stands only in the payload"):
        hits(toy, "city == 'Quito'")


def test_which_lists_a_condition_names() -> None:
    assert lists_named("user in list:a and not (user not in list:b) or amount in (1, 2)") == {
        "a",
        "b",
    }


@pytest.mark.parametrize("value", ['"text"', '"7"', "[1]", '{"a": 1}', "1" + "0" * 400, "null"])
def test_what_is_no_number_in_an_ignored_field_is_missing(toy: Profile, value: str) -> None:
    policy = Policy((Rule("noted", "note > 0 and note < 9", "block"),))
    payloads = [f'{{"note": {value}}}'.encode(), b'{"note": 5}']
    made = rows(toy, A, B)._replace(payloads=payloads)
    assert CompiledPolicy(policy, toy).decide(made).decision.tolist() == [0, 2]


def test_a_payload_that_is_no_json_has_no_fields(toy: Profile) -> None:
    words = Vocabulary(toy)
    ready = condition("city is missing", words, {})
    made = rows(toy, A)._replace(payloads=[b"{"])
    assert held(ready, Facts(made, PayloadReader(ready.words))) == [True]

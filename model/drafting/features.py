"""The features proposed for a draft: those of the shipped profiles, where the fields allow them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from model.drafting.fields import identifier
from tidegate.profile.spec import DAY, Json

Features = dict[str, dict[str, Json]]
_HOUR = DAY // 24
_LADDER = (
    (30 * DAY, ("1h", "1d", "7d", "30d")),
    (10 * DAY, ("1h", "1d", "7d")),
    (2 * DAY, ("1h", "6h", "1d")),
    (0, ("1m", "10m", "1h", "6h")),
)
_DELAYS = (
    ("7d", 7 * DAY), ("3d", 3 * DAY), ("1d", DAY), ("6h", 6 * _HOUR), ("1h", _HOUR),
    ("10m", _HOUR // 6), ("1m", _HOUR // 60),
)  # fmt: skip
_DISTINCT = 3
"""Fields of text whose different values are counted by account."""


@dataclass(frozen=True)
class Facts:
    """What the features are proposed for: names of fields ("" where there is none).

    `span` of the times in us, 0 where it is not known; `scaled` is a feature that makes amounts of
    several currencies comparable; `texts` are fields worth counting the different values of;
    `prior` is the share of frauds, 0 where no verdicts are known.
    """

    time: str = ""
    money: str = ""
    scaled: dict[str, Json] = field(default_factory=dict)
    negative: bool = False
    account: str = ""
    second: str = ""
    span: int = 0
    clock: bool = True
    texts: list[str] = field(default_factory=list)
    prior: float = 0.0


def windows(facts: Facts) -> tuple[str, ...]:
    """Windows that the span of the file fills, and its times can tell apart."""
    span = facts.span or 90 * DAY
    found = next(names for least, names in _LADDER if span >= least)
    return found if facts.clock else tuple(name for name in found if name.endswith("d"))


def label_delay(facts: Facts) -> str:
    """How late verdicts come: a week, or so little of a short file that most of them count."""
    span = facts.span or 365 * DAY
    times = 20 if span >= 7 * DAY else 100
    return next((name for name, us in _DELAYS if times * us <= span), "1m")


def propose(facts: Facts) -> Features:
    """The features in the order in which they may refer to each other."""
    found: Features = {}
    if facts.time:
        found |= _calendar(facts)
    if facts.scaled:
        found["amount_scaled"] = facts.scaled
        facts = replace(facts, money="amount_scaled")
    if facts.money:
        size = f"abs({facts.money})" if facts.negative else facts.money
        found["amount_log"] = {"op": "expression", "is": f"log1p({size})"}
    if facts.account:
        found |= _account(facts)
    if facts.second:
        found |= _second(facts)
    return found


def _calendar(facts: Facts) -> Features:
    parts: tuple[str, ...] = ("weekday",)
    if facts.clock:
        parts = ("hour_sin", "hour_cos", "weekday", "is_night")
    if facts.span and facts.span < 2 * DAY:
        return {}  # the hour of the day would say no more than the place in the file
    if facts.span and facts.span < 14 * DAY:
        parts = tuple(part for part in parts if part != "weekday")
    return {part: {"op": "calendar", "part": part} for part in parts}


def _account(facts: Facts) -> Features:
    by, name = facts.account, identifier(facts.account)
    spans = windows(facts)
    found = _counted(facts, by, name, spans)
    found[f"{name}_since_last"] = {"op": "since_last", "by": by}
    for of in [facts.second, *facts.texts[:_DISTINCT]]:
        if of:
            found |= _distinct(by, name, of, spans)
    if facts.money:
        found |= _levels(facts.money, by, name)
        excess = f"{name}_excess"
        found[excess] = {"op": "expression", "is": f"max({name}_amount_ratio - 1, 0)"}
        surge = f"{name}_surge"
        found[surge] = {"op": "expression", "is": " * ".join([excess] * 4)}
        for span in spans[-2:] if len(spans) > 1 else spans:
            found[f"{excess}_{span}"] = _over("sum", by, span, excess)
            found[f"{surge}_{span}"] = _over("sum", by, span, surge)
    if facts.prior:
        found |= _rates(facts, by, name, spans[-2:])
    return found


def _second(facts: Facts) -> Features:
    by, name = facts.second, identifier(facts.second)
    if name == identifier(facts.account):
        name += "_other"
    spans = windows(facts)
    found = _counted(facts, by, name, spans)
    found |= _distinct(by, name, facts.account, spans)
    if facts.money:
        found |= _levels(facts.money, by, name)
    if facts.prior:
        found |= _rates(facts, by, name, spans)
        found |= _runs(facts, by, name)
    return found


def _counted(facts: Facts, by: str, name: str, spans: tuple[str, ...]) -> Features:
    found: Features = {}
    for span in spans:
        found[f"{name}_count_{span}"] = {"op": "count", "by": by, "window": span}
        if facts.money:
            found[f"{name}_mean_{span}"] = _over("mean", by, span, facts.money)
    return found


def _distinct(by: str, name: str, of: str, spans: tuple[str, ...]) -> Features:
    return {
        f"{name}_{plural(identifier(of))}_{span}": {
            "op": "distinct", "of": of, "by": by, "window": span, "keep": 32,
        }
        for span in spans[:2]
    }  # fmt: skip


def plural(word: str) -> str:
    """`merchants`, `categories`, `boxes`."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def _levels(of: str, by: str, name: str) -> Features:
    return {
        f"{name}_amount_{give}": {"op": "level", "of": of, "by": by, "last": 32, "give": give}
        for give in ("ratio", "difference", "zscore")
    }


def _rates(facts: Facts, by: str, name: str, spans: tuple[str, ...]) -> Features:
    prior = float(f"{min(max(facts.prior, 0.001), 0.5):.1g}")
    found: Features = {}
    for span in spans:
        found[f"{name}_fraud_rate_{span}"] = {
            "op": "fraud_rate", "by": by, "window": span, "prior": prior, "weight": 1,
        }  # fmt: skip
    found[f"{name}_verdicts_{spans[-1]}"] = {"op": "verdicts", "by": by, "window": spans[-1]}
    return found


def _runs(facts: Facts, by: str, name: str) -> Features:
    """The frauds since the last legitimate transaction, and how large the least of them was."""
    run = {"op": "fraud_run", "by": by, "last": 32}
    found: Features = {
        f"{name}_frauds": {**run, "give": "count"},
        f"{name}_frauds_age": {**run, "give": "age"},
        f"{name}_since_legitimate": {**run, "give": "since_legitimate"},
    }
    if facts.money:
        account = identifier(facts.account)
        least = (("amount", facts.money), ("ratio", f"{account}_amount_ratio"))
        for what, of in least:
            found[f"{name}_frauds_least_{what}"] = {
                "op": "fraud_run", "of": of, "by": by, "last": 32, "give": "least",
            }  # fmt: skip
    return found


def _over(op: str, by: str, window: str, of: str) -> dict[str, Json]:
    return {"op": op, "of": of, "by": by, "window": window}

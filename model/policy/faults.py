"""What is wrong with a policy, whether or not its words are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from model.ensemble.thresholds import ByAmount
from model.ensemble.thresholds import rule as threshold_rule
from tidegate.errors import ConfigError
from tidegate.messages.policy import Policy
from tidegate.messages.rule_hits import MOST_LISTS, MOST_RULES
from tidegate.profile import Profile

MOST_ENTRIES = 10_000
MOST_SUPPRESSIONS = 1_000


class Fault(NamedTuple):
    """What is wrong with one part of a policy: its place in the document, such as rules[2].when."""

    place: str
    message: str


class PolicyFault(ConfigError):
    """A policy that cannot be made ready; `faults` are all that was found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.place}: {fault.message}" for fault in faults))
        self.faults = list(faults)


def counts(policy: Policy) -> list[Fault]:
    """What there is too much of."""
    entries = sum(len(each.entries) for each in policy.lists)
    limits = (
        ("rules", len(policy.rules), MOST_RULES),
        ("lists", len(policy.lists), MOST_LISTS),
        ("lists", entries, MOST_ENTRIES),
        ("suppressions", len(policy.suppressions), MOST_SUPPRESSIONS),
    )
    what = ("rules", "lists", "entries in all lists", "suppressions")
    return [
        Fault(place, f"{number:,} {noun}, at most {most:,} are allowed")
        for (place, number, most), noun in zip(limits, what, strict=True)
        if number > most
    ]


def doubles(policy: Policy) -> list[Fault]:
    """Names that stand twice."""
    faults = []
    for section, names in (
        ("rules", [each.name for each in policy.rules]),
        ("lists", [each.name for each in policy.lists]),
    ):
        faults += [
            Fault(f"{section}[{place}].name", f"there is another one named {name}")
            for place, name in enumerate(names)
            if name in names[:place]
        ]
    return faults


def thresholds(policy: Policy, profile: Profile) -> list[Fault]:
    """What keeps its thresholds from deciding."""
    if not policy.thresholds:
        return []
    try:
        chosen = threshold_rule(policy.thresholds)
    except ConfigError as error:
        return [Fault("thresholds", str(error))]
    history, faults = profile.history, []
    if isinstance(chosen, ByAmount):
        if profile.money_field is None:
            faults.append(Fault("thresholds", "costs need amounts, and the profile has no money"))
        if not (history.verdicts or history.label):
            ranks = "costs need probabilities, and without verdicts scores are only ranks"
            faults.append(Fault("thresholds", ranks))
    return faults

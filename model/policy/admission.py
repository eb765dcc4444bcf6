"""What is asked of a policy before it is kept: the topics keep each for good.

Every door that takes one asks here. What was in force before these were asked still decides, and
is replayed: a `CompiledPolicy` alone asks none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.policy.compiled import CompiledPolicy
from model.policy.faults import Fault, PolicyFault
from model.policy.lexer import ConditionFault
from tidegate.messages.policy import Policy
from tidegate.profile import Profile

MOST_BYTES = 1_000_000
"""Of the document as JSON: each change of an entry writes it anew, for good."""


def admitted(policy: Policy, profile: Profile) -> CompiledPolicy:
    """A policy made ready that may be kept. Raises PolicyFault with all that is wrong with it."""
    faults = [*_size(policy), *_plain_entries(policy, profile)]
    try:
        compiled = CompiledPolicy(policy, profile)
    except PolicyFault as fault:
        raise PolicyFault([*fault.faults, *faults]) from None
    faults += _plain_conditions(compiled, profile)
    if faults:
        raise PolicyFault(faults)
    return compiled


def _size(policy: Policy) -> list[Fault]:
    size = policy.size
    if size <= MOST_BYTES:
        return []
    return [Fault("lists", f"{size:,} bytes in all, at most {MOST_BYTES:,} are allowed")]


def _plain_entries(policy: Policy, profile: Profile) -> Iterator[Fault]:
    """Values on lists and in suppressions that are to be kept as tokens."""
    held = [
        (f"lists[{place}].entries", each.field, [entry.value for entry in each.entries])
        for place, each in enumerate(policy.lists)
    ]
    held += [
        (f"suppressions[{place}].value", each.field, [each.value])
        for place, each in enumerate(policy.suppressions)
    ]
    for at, field, values in held:
        if _any_plain(profile, field, values):
            told = "`tidegate rules apply` and `tidegate lists add` make them tokens"
            yield Fault(at, f"values of {field} are kept as tokens only: {told}")


def _plain_conditions(compiled: CompiledPolicy, profile: Profile) -> Iterator[Fault]:
    """A condition is kept as it is written."""
    for place, condition in compiled.conditions.items():
        for field, texts, at in condition.compared:
            if _any_plain(profile, field, texts):
                told = (
                    f"values of {field} are kept as tokens only: put this one on a list, which "
                    f"keeps its token, and write `{field} in list:NAME`"
                )
                yield Fault(f"rules[{place}].when", str(ConditionFault(told, at)))


def _any_plain(profile: Profile, field: str, values: Sequence[str]) -> bool:
    return any(profile.stored(field, value) != value for value in values)

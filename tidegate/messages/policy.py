"""A policy: what people add to the models' scores - rules, lists, suppressions and thresholds.

`model.policy` checks it and makes it ready to decide; `model.bundles.policies` publishes it.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

RuleAction = Literal["approve", "review", "block", "reason"]
ListKind = Literal["block", "allow", "watch"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\Z")]
"""Letters, digits, `_`, `.` and `-`, at most 60."""
ListName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,59}\Z")]
"""Letters, digits and `_`: conditions name it."""
Words = Annotated[str, msgspec.Meta(max_length=300)]
Value = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Us = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Rule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """What becomes of transactions for which the expression `when` is true.

    `reason` says it in words; the action `reason` says it and decides nothing.
    """

    name: Name
    when: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    action: RuleAction
    reason: Words = ""
    enabled: bool = True


class ListEntry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A value on a list: `until_us` since 1970, by when Kafka recorded the transaction; 0 for ever.

    Of a field that is kept as a token, the value is the token.
    """

    value: Value
    until_us: Us = 0
    note: Words = ""


class ValueList(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Values of one field. Those on a block list are blocked, on an allow list approved; a watch
    list is only what rules make of it.
    """

    name: ListName
    kind: ListKind
    field: str
    entries: tuple[ListEntry, ...] = ()


class Suppression(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """For one value of a field no alert goes out until `until_us`, if the transaction is reviewed.

    With `rules`, only where these rules alone, and not the model, want the review. The decision,
    the row and what stands in it stay as they are; what is blocked is always told.
    """

    field: str
    value: Value
    until_us: Us
    rules: tuple[Name, ...] = ()
    note: Words = ""


class Policy(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """The whole document. `thresholds` replace those of every bundle: {review, block}, or
    {review_cost, block_cost} in minor units; empty: each bundle's own.
    """

    rules: tuple[Rule, ...] = ()
    lists: tuple[ValueList, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    thresholds: dict[str, float] = {}

    @property
    def version(self) -> str:
        """16 hexadecimal digits of all that it says: equal policies have equal versions."""
        return hashlib.sha256(_encode(self)).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Bytes of it as JSON: each change of anything in it writes so many to the topics."""
        return len(_encode(self))

    def with_thresholds(self, thresholds: dict[str, float] | None) -> Policy:
        """The same with other thresholds; None for each bundle's own."""
        return msgspec.structs.replace(self, thresholds=dict(sorted((thresholds or {}).items())))


class AppliedPolicy(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, tag="policy"):
    """The policy in force from here on (topic models, key policy/PROFILE)."""

    policy: Policy
    version: str
    profile: str
    applied_us: int
    by: str = ""
    proposed_by: str = ""
    """Who wrote it, where a second person has applied it."""


_encode = msgspec.json.Encoder(order="deterministic").encode

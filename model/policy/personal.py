"""Personal values in policies: masks where people look, tokens where the profile keeps such."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tidegate.errors import ConfigError
from tidegate.messages.policy import Policy
from tidegate.profile import Profile
from tidegate.profile.personal import MASK

_replace = msgspec.structs.replace


def masked(policy: Policy, profile: Profile) -> Policy:
    """The policy with masks in place of the personal values on lists and in suppressions;
    conditions are shown as they are.
    """
    return _each(policy, lambda field, value: MASK if field in profile.masks.names else value)


def stored(policy: Policy, profile: Profile) -> Policy:
    """The policy with tokens on lists and in suppressions where the profile keeps such.

    Raises ConfigError for a mask: it says nothing of the value that it stands for.
    """

    def kept(field: str, value: str) -> str:
        if value == MASK:
            raise ConfigError(
                f"{MASK} stands for a value of {field}: `tidegate rules show --unmask` prints what "
                "the lists hold"
            )
        return profile.stored(field, value)

    return _each(policy, kept)


def _each(policy: Policy, change: Callable[[str, str], str]) -> Policy:
    """The policy with other values on lists and in suppressions, by their field."""
    lists = tuple(
        _replace(
            each,
            entries=tuple(
                _replace(entry, value=change(each.field, entry.value)) for entry in each.entries
            ),
        )
        for each in policy.lists
    )
    suppressions = tuple(
        _replace(each, value=change(each.field, each.value)) for each in policy.suppressions
    )
    return _replace(policy, lists=lists, suppressions=suppressions)

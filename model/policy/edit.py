"""Small changes of a policy, each a new one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import msgspec

from tidegate.messages.policy import ListEntry, ListKind, Policy, Rule, Suppression, ValueList
from tidegate.profile import Profile

_replace = msgspec.structs.replace


def with_rule(policy: Policy, rule: Rule, instead_of: str = "") -> Policy:
    """With a rule in the place of the one of that name, or behind all others."""
    rules = list(policy.rules)
    places = [i for i, each in enumerate(rules) if each.name == instead_of]
    if places:
        rules[places[0]] = rule
    else:
        rules.append(rule)
    return _replace(policy, rules=tuple(rules))


def without_rule(policy: Policy, name: str) -> Policy:
    """Without the rule of that name."""
    return _replace(policy, rules=tuple(each for each in policy.rules if each.name != name))


def with_list(policy: Policy, name: str, kind: ListKind, field: str) -> Policy:
    """With an empty list. Raises ValueError where there is one of that name."""
    if any(each.name == name for each in policy.lists):
        raise ValueError(f"there is a list {name} already")
    made = msgspec.convert({"name": name, "kind": kind, "field": field}, ValueList)
    return _replace(policy, lists=(*policy.lists, made))


def without_list(policy: Policy, name: str) -> Policy:
    """Without the list of that name."""
    return _replace(policy, lists=tuple(each for each in policy.lists if each.name != name))


def with_entries(
    policy: Policy, profile: Profile, name: str, entries: Iterable[ListEntry]
) -> Policy:
    """With entries on a list, in place of those of the same values. Raises KeyError.

    What the profile keeps as a token is kept as its token here.
    """
    found = list_of(policy, name)
    kept = {each.value: each for each in found.entries}
    for entry in entries:
        stored = profile.stored(found.field, entry.value)
        kept[stored] = _replace(entry, value=stored)
    return _with(policy, _replace(found, entries=tuple(kept.values())))


def without_entries(policy: Policy, profile: Profile, name: str, values: Sequence[str]) -> Policy:
    """Without the entries of these values. Raises KeyError."""
    found = list_of(policy, name)
    gone = {profile.stored(found.field, value) for value in values}
    kept = tuple(each for each in found.entries if each.value not in gone)
    return _with(policy, _replace(found, entries=kept))


def list_of(policy: Policy, name: str) -> ValueList:
    """The list of that name. Raises KeyError."""
    for each in policy.lists:
        if each.name == name:
            return each
    raise KeyError(name)


def with_suppression(policy: Policy, profile: Profile, made: Suppression) -> Policy:
    """With a suppression, its value as the profile keeps it."""
    stored = _replace(made, value=profile.stored(made.field, made.value))
    return _replace(policy, suppressions=(*policy.suppressions, stored))


def without_suppression(policy: Policy, place: int) -> Policy:
    """Without the one at that place."""
    left = tuple(each for i, each in enumerate(policy.suppressions) if i != place)
    return _replace(policy, suppressions=left)


def difference(before: Policy, after: Policy) -> list[str]:
    """The lines of JSON that differ, each with - or + before it."""
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=1)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _lines(policy: Policy) -> list[str]:
    return msgspec.json.format(msgspec.json.encode(policy), indent=1).decode().splitlines()


def _with(policy: Policy, changed: ValueList) -> Policy:
    lists = tuple(changed if each.name == changed.name else each for each in policy.lists)
    return _replace(policy, lists=lists)

"""What a profile's columns depend on: in which keyed step each is known, and which may be large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.profile import Profile
from tidegate.profile.expression import names, parse
from tidegate.profile.number_types import Money
from tidegate.profile.spec import Expression, Feature


def feature_steps(profile: Profile) -> dict[str, int]:
    """The earliest step in which each column can be computed."""
    steps: dict[str, int] = dict.fromkeys(profile.inputs, 0)
    columns = readable(profile)
    for name, spec in profile.computed.items():
        by = getattr(spec, "by", None)
        if by is not None:
            steps[name] = profile.entities.index(by)
        else:
            steps[name] = max((steps[used] for used in _read(spec, columns)), default=0)
    return steps


def wide_columns(profile: Profile) -> set[str]:
    """The amounts whose squares may not fit a word, and all columns that depend on one."""
    wide = {
        field.name for field in profile.fields.values() if isinstance(field, Money) and field.wide
    }
    if wide:
        columns = readable(profile)
        for name, spec in profile.computed.items():
            if not wide.isdisjoint(_read(spec, columns)):
                wide.add(name)
    return wide


def readable(profile: Profile) -> Mapping[str, Sequence[str]]:
    """The columns that expressions may read; those of categories with their values."""
    fields = profile.fields
    return {name: fields[name].codes() if name in fields else () for name in profile.values}


def scale_of(profile: Profile, column: str) -> float:
    """What a column's values are multiplied by to be whole numbers in windows."""
    field = profile.fields.get(column)
    return 10.0 ** (4 if field is None else field.places())


def _read(spec: Feature, columns: Mapping[str, Sequence[str]]) -> set[str]:
    """The columns that a feature reads."""
    if isinstance(spec, Expression):
        return names(parse(spec.is_, columns))
    of = getattr(spec, "of", None)
    return {of} if of is not None else set()

"""Which keyed step of a profile computes which column."""

from __future__ import annotations

from typing import Any

from tidegate.profile import Profile
from tidegate.profile.expression import names, parse
from tidegate.profile.spec import Expression


def feature_steps(profile: Profile) -> dict[str, int]:
    """The earliest step in which each column can be computed."""
    steps: dict[str, int] = dict.fromkeys(profile.inputs, 0)
    columns: dict[str, Any] = dict.fromkeys(profile.values, ())
    columns |= {name: field.codes() for name, field in profile.fields.items()}
    for name, spec in profile.computed.items():
        by = getattr(spec, "by", None)
        if by is not None:
            steps[name] = profile.entities.index(by)
        elif isinstance(spec, Expression):
            steps[name] = max((steps[used] for used in names(parse(spec.is_, columns))), default=0)
        else:
            steps[name] = 0
    return steps

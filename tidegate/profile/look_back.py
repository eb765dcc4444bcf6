"""How much of a stream each column has to have seen before it says what it always will."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.profile import expression
from tidegate.profile.profile import Profile
from tidegate.profile.spec import (
    Calendar,
    DecayedSum,
    Distinct,
    Expression,
    Feature,
    FraudRun,
    Verdicted,
    Windowed,
)

_HALVINGS = 5
"""A decayed sum counts as full after so many half-lives: 97% of it is there."""


def look_back(profile: Profile) -> dict[str, int]:
    """Microseconds of the stream until each of `profile.values`, and `score`, is full.

    A window is full when the stream is as old as the window. Features of an entity's last
    transactions or verdicts are bounded by no time: they wait as long as the longest window does.
    What counts verdicts waits for the label delay as well, and what is computed from other columns
    waits for them too.
    """
    spans = {name: _span(spec) for name, spec in profile.computed.items()}
    longest = max((span for span in spans.values() if span is not None), default=0)
    waits = dict.fromkeys(profile.inputs, 0)
    for name, spec in profile.computed.items():
        span = spans[name]
        delay = profile.label_delay_us if isinstance(spec, Verdicted | FraudRun) else 0
        own = longest if span is None else span
        waits[name] = own + delay + _before(spec, profile, waits)
    waits["score"] = max((waits[name] for name in profile.features), default=0)
    return waits


def _span(spec: Feature) -> int | None:
    """The window of a feature; None where no time bounds what it looks back on."""
    if isinstance(spec, Calendar | Expression):
        return 0
    if isinstance(spec, DecayedSum):
        return _HALVINGS * spec.half_life
    if isinstance(spec, Windowed | Distinct | Verdicted):
        return int(spec.window)
    return None


def _before(spec: Feature, profile: Profile, waits: Mapping[str, int]) -> int:
    """The longest wait of the columns that a feature is computed from."""
    if isinstance(spec, Expression):
        codes = {
            name: profile.fields[name].codes() if name in profile.fields else () for name in waits
        }
        used = expression.names(expression.parse(spec.is_, codes))
        return max((waits[name] for name in used), default=0)
    return waits.get(getattr(spec, "of", None) or "", 0)

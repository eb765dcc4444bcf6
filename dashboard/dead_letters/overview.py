"""The groups as a page lists them: by their state, each with its letters of the last day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flask_babel import lazy_gettext

from tidegate.dead_letters.groups import Group

State = Literal["open", "redriven", "quarantined", "dropped"]
STATES = {
    "open": lazy_gettext("Open"),
    "redriven": lazy_gettext("Redriven"),
    "quarantined": lazy_gettext("Quarantined"),
    "dropped": lazy_gettext("Given up"),
}
FILTERS = STATES | {"all": lazy_gettext("All")}
BADGES = {"open": "block", "redriven": "approve", "quarantined": "review", "dropped": "soft"}
"""The class of each state's badge."""


@dataclass(frozen=True, slots=True)
class Line:
    """A group, its state, and its sparkline: a height in percent for each of 24 hours."""

    group: Group
    state: State
    bars: list[float]


def line_of(group: Group) -> Line:
    """A group as it is listed."""
    most = max(1, *group.hours)
    return Line(group, state_of(group), [100 * count / most for count in group.hours])


def state_of(group: Group) -> State:
    """Open while letters wait; then what was done with the most of them."""
    if group.waiting:
        return "open"
    done = {name: count for name, count in group.counts.items() if name != "waiting"}
    return max(done, key=done.__getitem__)


@dataclass(frozen=True, slots=True)
class Overview:
    """The groups of one state and stage, and how many there are of each state."""

    lines: list[Line]
    states: Counter[str]
    stages: list[str]
    waiting: int


def overview(groups: Sequence[Group], state: str, stage: str) -> Overview:
    """`state` and `stage` choose groups; "" takes all."""
    lines = [line_of(group) for group in groups]
    chosen = [each for each in lines if not stage or each.group.kind.stage == stage]
    return Overview(
        [each for each in chosen if not state or each.state == state],
        Counter(each.state for each in chosen),
        sorted({group.kind.stage for group in groups}),
        sum(group.waiting for group in groups),
    )

"""The groups as a page lists them: by their state, each with its letters of the last day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flask_babel import lazy_gettext

from db.letter_groups import Resolution
from tidegate.dead_letters.groups import Group

State = Literal["open", "resolved", "redriven", "quarantined", "dropped"]
STATES = {
    "open": lazy_gettext("Open"),
    "resolved": lazy_gettext("Resolved"),
    "redriven": lazy_gettext("Redriven"),
    "quarantined": lazy_gettext("Quarantined"),
    "dropped": lazy_gettext("Given up"),
}
FILTERS = STATES | {"all": lazy_gettext("All")}
BADGES = {
    "open": "block",
    "resolved": "approve",
    "redriven": "approve",
    "quarantined": "review",
    "dropped": "soft",
}
"""The class of each state's badge."""


@dataclass(frozen=True, slots=True)
class Line:
    """A group, its state, and its sparkline: a height in percent for each of 24 hours.

    One that is open although there is a `resolution` was opened again by new letters.
    """

    group: Group
    state: State
    bars: list[float]
    resolution: Resolution | None


def line_of(group: Group, resolution: Resolution | None) -> Line:
    """A group as it is listed."""
    most = max(1, *group.hours)
    bars = [100 * count / most for count in group.hours]
    return Line(group, state_of(group, resolution), bars, resolution)


def state_of(group: Group, resolution: Resolution | None) -> State:
    """Open while letters wait that nobody has resolved; then what was done with the most."""
    if group.waiting:
        seen = resolution is not None and group.last_ms <= resolution.until_ms
        return "resolved" if seen else "open"
    done = {name: count for name, count in group.counts.items() if name != "waiting"}
    return max(done, key=done.__getitem__)


@dataclass(frozen=True, slots=True)
class Overview:
    """The groups of one state and stage, and how many there are of each state."""

    lines: list[Line]
    states: Counter[str]
    stages: list[str]
    waiting: int


def overview(lines: Sequence[Line], state: str, stage: str) -> Overview:
    """`state` and `stage` choose groups; "" takes all."""
    chosen = [each for each in lines if not stage or each.group.kind.stage == stage]
    return Overview(
        [each for each in chosen if not state or each.state == state],
        Counter(each.state for each in chosen),
        sorted({each.group.kind.stage for each in lines}),
        sum(each.group.waiting for each in lines if each.state == "open"),
    )

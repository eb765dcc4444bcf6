"""The stages as their heartbeats tell of them, where the flow jams, and what to type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dashboard.pipeline.rates import Pace, Rates
from tidegate.messages.heartbeats import Heartbeat, Held, Restoring
from tidegate.pipeline import RAW, STAGES

_JAM_LAG = 1000
"""Fewer records behind are no jam."""
_JAM_BUSY = 0.7
"""A process that keeps so much of a processor busy has no time to spare."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: of its `partitions`, so many are `served`. `busy` is that of its busiest process
    in processors, `beats` those of its living processes.
    """

    name: str
    topic: str
    partitions: int
    served: int
    lag: int
    pace: Pace
    beats: Sequence[Heartbeat]

    @property
    def good(self) -> bool:
        """Whether all of it is served."""
        return 0 < self.partitions == self.served

    @property
    def batch(self) -> int:
        """Records of the largest of the newest transactions."""
        return max((beat.batch for beat in self.beats), default=0)

    @property
    def side_lag(self) -> int:
        """How far it is behind on its side topic."""
        return max((beat.side_lag for beat in self.beats), default=0)

    @property
    def busy(self) -> float:
        """Of the busiest process; -1 where nobody says."""
        return max((beat.busy for beat in self.beats), default=-1.0)

    @property
    def restarts(self) -> int:
        """Of all its processes."""
        return sum(beat.restarts for beat in self.beats)

    @property
    def restoring(self) -> list[Restoring]:
        """The partitions that are being restored."""
        return [each for beat in self.beats for each in beat.restoring]


class Hold(NamedTuple):
    """A partition that is held, and the command that lets the stage go on."""

    stage: str
    held: Held
    command: str


class Jam(NamedTuple):
    """The stage that holds up the others, and the command that helps; "" where none does."""

    stage: Stage
    command: str


def stages_of(
    names: Sequence[str],
    beats: Sequence[Heartbeat],
    partitions: Mapping[str, int],
    rates: Rates,
) -> list[Stage]:
    """The stages of these names; `partitions` says how many each has to serve."""
    return [
        _stage(name, partitions.get(name, 0), [beat for beat in beats if beat.stage == name], rates)
        for name in names
    ]


def on_request(beats: Sequence[Heartbeat]) -> dict[str, int]:
    """The stages among these that need not run and read a topic, and how many partitions they have
    between them: one process of each serves all.
    """
    found: dict[str, set[int]] = {}
    for beat in beats:
        spec = STAGES.get(beat.stage)  # a version that replaces this one may have others
        if spec and spec.on_request and spec.input:
            found.setdefault(beat.stage, set()).update(beat.partitions)
    return {name: len(partitions) for name, partitions in found.items()}


def _stage(name: str, partitions: int, beats: Sequence[Heartbeat], rates: Rates) -> Stage:
    living = [beat for beat in beats if not beat.stopping]
    served = {partition for beat in living if beat.restored for partition in beat.partitions}
    pace = rates.of([beat.process for beat in living])
    lag = sum(beat.lag for beat in living)
    return Stage(name, STAGES[name].input, partitions, len(served), lag, pace, living)


def lanes(stages: Sequence[Stage]) -> list[list[Stage]]:
    """The stages in rows: each reads what the one before it writes."""
    found: list[list[Stage]] = []
    for stage in stages:
        before = (lane for lane in found if stage.topic in STAGES[lane[-1].name].outputs)
        lane = next(before, None)
        if lane is None or stage.topic == RAW:
            found.append([stage])
        else:
            lane.append(stage)
    return found


def jam(stages: Sequence[Stage]) -> Jam | None:
    """The stage that falls behind by most while its processes are busy; None where none does."""
    behind = [
        stage
        for stage in stages
        if stage.lag >= _JAM_LAG and stage.pace.growth > 0 and stage.busy >= _JAM_BUSY
    ]
    if not behind:
        return None
    worst = max(behind, key=lambda stage: stage.pace.growth)
    count = len(worst.beats) + 1
    may = not STAGES[worst.name].single and count <= worst.partitions
    return Jam(worst, f"tidegate up --scale {worst.name}={count}" if may else "")


def holds(stages: Sequence[Stage]) -> Iterator[Hold]:
    """What is held, and how to go on."""
    for stage in stages:
        for beat in stage.beats:
            for held in beat.held:
                how = "--accept-loss" if held.lost else f"--until {held.until}"
                command = f"tidegate skip {stage.name} --partition {held.partition} {how}"
                yield Hold(stage.name, held, command)

"""The stages as their heartbeats tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.messages.documents import Heartbeat


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: of its `partitions`, so many are `served`."""

    name: str
    partitions: int
    served: int
    lag: int

    @property
    def good(self) -> bool:
        """Whether all of it is served."""
        return 0 < self.partitions == self.served


def stages_of(
    names: Sequence[str], beats: Sequence[Heartbeat], partitions: Mapping[str, int]
) -> list[Stage]:
    """The stages of these names; `partitions` says how many each has to serve."""
    return [
        _stage(name, partitions.get(name, 0), [beat for beat in beats if beat.stage == name])
        for name in names
    ]


def _stage(name: str, partitions: int, beats: Sequence[Heartbeat]) -> Stage:
    serving = [beat for beat in beats if beat.restored and not beat.stopping]
    served = {partition for beat in serving for partition in beat.partitions}
    return Stage(name, partitions, len(served), sum(beat.lag for beat in beats))

"""The keyed steps of a profile one after the other, without a broker; and labels as the label stage
makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from consumers.preprocess import PartitionState, PreprocessStage
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import Label
from tidegate.messages.frames import Frames
from tidegate.pipeline import FEATURES, RAW
from tidegate.profile import Profile
from tidegate.stream.stage import Output

NOW_MS = 1_704_100_000_000


def batch(
    values: Sequence[bytes | None],
    start: int = 0,
    topic: str = RAW,
    keys: Sequence[bytes | None] | None = None,
) -> Batch:
    n = len(values)
    return Batch(
        TopicPartition(topic, 0),
        list(range(start, start + n)),
        list(keys or [None] * n),
        list(values),
        [NOW_MS] * n,
        [None] * n,
        NOW_MS * 1000,
    )


class Chain:
    """All keyed steps of a profile, one partition each."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.stages = [PreprocessStage(profile, step) for step in range(profile.steps)]
        self.states: list[PartitionState] = [stage.new_state(0, 1) for stage in self.stages]

    def step(self, number: int, records: Batch) -> Output:
        self.states[number].begin()
        output = self.stages[number].process(self.states[number], records)
        self.states[number].commit()
        return output

    def run(
        self, values: Sequence[bytes | None], start: int = 0
    ) -> tuple[Frames, list[tuple[int, str]]]:
        output = self.step(0, batch(values, start))
        rejects = [(reject.index, reject.reason) for reject in output.rejects]
        for number in range(1, self.profile.steps):
            emit = output.emits[0]
            output = self.step(number, batch(emit.values, start, emit.topic, emit.keys))
        frames = self.profile.features_layout.unpack(
            [value or b"" for value in output.emits[0].values]
        )
        assert output.emits[0].topic == FEATURES
        assert list(output.emits[0].keys) == frames.ids
        return frames, rejects

    def absorb(self, labels: list[Label], start: int = 0) -> None:
        for stage, state in zip(self.stages, self.states, strict=True):
            if stage.side and labels:
                state.begin()
                stage.absorb(
                    state,
                    batch([msgspec.json.encode(label) for label in labels], start, stage.side),
                )
                state.commit()


def encode(records: Sequence[dict[str, Any]]) -> list[bytes]:
    return [msgspec.json.encode(record) for record in records]


def label_of(
    profile: Profile,
    name: str,
    event_us: int,
    entities: list[str | None],
    *,
    fraud: bool,
    values: Sequence[float] = (),
) -> Label:
    """What the label stage makes of a verdict; missing values are null in it."""
    carried = [None if np.isnan(value) else float(value) for value in values]
    return Label(
        transaction_id=name,
        label_id=f"label of {name}",
        fraud=fraud,
        source="test",
        profile=profile.hash.decode(),
        event_us=event_us,
        amount_minor=0,
        given_us=0,
        keys=[],
        values=carried,
        score=0.0,
        decision="approve",
        entities=entities,
    )

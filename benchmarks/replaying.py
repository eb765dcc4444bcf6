"""How much faster a keyed step folds its log again than it processed it.

`python -m benchmarks.replaying` prints, for each keyed step of the card profile, both rates over
the same log, alternately, and the median of their ratios. CPU seconds of one thread, without Kafka.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.pipeline import card_transactions
from consumers.preprocess import PreprocessStage
from tidegate.broker.records import Batch, TopicPartition
from tidegate.profile import load_profile

RECORDS = 200_000
BATCH = 4000
ROUNDS = 7
STAMP_MS = 1_900_000_000_000
Records = Sequence[tuple[bytes | None, bytes | None]]


class Rates(NamedTuple):
    """Records a second, and the ratio of the two."""

    process: float
    replay: float

    @property
    def ratio(self) -> float:
        return self.replay / self.process


def main() -> None:
    """Measure every keyed step of the card profile."""
    profile = load_profile("card")
    log: Records = card_transactions(RECORDS, "replay-", 15)
    for number in range(profile.steps):
        stage = PreprocessStage(profile, number)
        batches = _batches(stage.input, log)
        found = [measure(stage, batches) for _ in range(ROUNDS)]
        for rates in found:
            _say(
                f"{stage.name}: process {rates.process:,.0f}/s, replay {rates.replay:,.0f}/s, "
                f"{rates.ratio:.2f}"
            )
        _say(f"{stage.name}: median ratio {statistics.median(r.ratio for r in found):.2f}")
        log = _frames(stage, batches)


def measure(stage: PreprocessStage, batches: Sequence[Batch]) -> Rates:
    """One run of each over the same batches. Raises RuntimeError when the states differ."""
    process, digest = _run(stage, batches, replay=False)
    replay, again = _run(stage, batches, replay=True)
    if digest != again:
        raise RuntimeError("the replayed state is not the processed one")
    return Rates(process, replay)


def _run(stage: PreprocessStage, batches: Sequence[Batch], *, replay: bool) -> tuple[float, str]:
    state = stage.new_state(0, 1)
    apply = stage.replay if replay else stage.process
    gc.collect()
    gc.disable()  # as the runner does
    started = time.process_time()
    for batch in batches:
        state.begin()
        apply(state, batch)
        state.commit()
    seconds = time.process_time() - started
    gc.enable()
    return sum(map(len, batches)) / seconds, state.digest()


def _batches(topic: str, log: Records) -> list[Batch]:
    return [
        Batch(
            TopicPartition(topic, 0),
            list(range(start, start + len(part))),
            [key for key, _ in part],
            [value for _, value in part],
            [STAMP_MS + start] * len(part),
            [None] * len(part),
        )
        for start in range(0, len(log), BATCH)
        if (part := log[start : start + BATCH])
    ]


def _frames(stage: PreprocessStage, batches: Sequence[Batch]) -> Records:
    """What the next step reads."""
    state, frames = stage.new_state(0, 1), []
    for batch in batches:
        state.begin()
        for emit in stage.process(state, batch).emits:
            frames += list(zip(emit.keys, emit.values, strict=True))
        state.commit()
    return frames


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

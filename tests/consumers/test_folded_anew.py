"""A profile takes what the one before refused: the state folded anew, and a redrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consumers.preprocess import PreprocessStage
from tests.blocks import frames_on
from tests.consumers.test_preprocess import card
from tests.model.features.chain import encode
from tests.producers.running_api import TOPICS
from tests.stream.crash import Clock
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.pipeline import BY_ENTITY_2, DLQ, RAW, group_of
from tidegate.profile import Profile, load_profile
from tidegate.profile.spec import DAY
from tidegate.stream.runner import Runner
from tidegate.stream.sink import KafkaSink

LEAST = "min: 0.01, max: 1000000"


def taking(folder: Path, bounds: str, rest: str = "") -> Profile:
    """The profile `card` with other bounds for the amount."""
    path = folder / "card.yaml"
    path.write_text(Path("profiles/card.yaml").read_text().replace(LEAST, bounds) + rest)
    return load_profile(path)


def drained(broker: MemoryBroker, profile: Profile) -> None:
    """A process without snapshots: it folds its state anew, and then works off what there is."""
    stage, clock = PreprocessStage(profile), Clock()
    consumer = broker.consumer(group_of(stage.name))
    sink = KafkaSink(broker, consumer, stage.name, instance="0", profile=profile.hash, clock=clock)
    run = Runner(stage, broker, consumer, sink, snapshots=None, clock=clock)
    for _ in range(8):
        run.run_once()
    run.close()


def post(broker: MemoryBroker, *records: dict[str, Any]) -> None:
    for record, value in zip(records, encode(list(records)), strict=True):
        broker.append(RAW, record["user_id"].encode(), value, None, None)


@pytest.mark.parametrize("rest", ["", "remember: {time: 1h}\n"])
@pytest.mark.parametrize("days", [0, 3])
def test_what_was_a_dead_letter_gets_its_row_and_counts_once(
    tmp_path: Path, rest: str, days: int
) -> None:
    """Also when the redrive comes days later, after the ids are forgotten."""
    broker = MemoryBroker(TOPICS | {RAW: 1, BY_ENTITY_2: 1})
    broker._time = 1_704_100_000_000
    post(broker, *[card(number, user_id="u", amount=10 + 10 * number) for number in range(5)])
    drained(broker, taking(tmp_path, "min: 0.01, max: 25"))
    assert len(broker.committed_records(DLQ)) == 3
    broker._time += days * DAY // 1000
    wider = taking(tmp_path, LEAST, rest)
    drained(broker, wider)
    assert len(frames_on(broker, BY_ENTITY_2)) == 2
    assert redrive(broker, wider, Selection()).redriven == {RAW: 3}
    drained(broker, wider)
    post(broker, card(5, user_id="u"))
    drained(broker, wider)
    rows = wider.features_layout.rows(frames_on(broker, BY_ENTITY_2))
    assert np.sort(rows["amount_minor"]).tolist() == [1000, 1500, 2000, 3000, 4000, 5000]
    count = wider.values.index("user_count_1h")
    assert rows["values"][-1, count] == 6, "five before it, each counted once"

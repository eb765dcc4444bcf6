"""A stage that reads blocks takes all that has come in one turn, however small they are."""

from __future__ import annotations

from tests.broker.test_blocks import filled
from tests.stream.running import runner
from tidegate.broker.records import Batch
from tidegate.pipeline import DLQ, FEATURES
from tidegate.stream.stage import NoState, Output, StatelessStage


class Counted(StatelessStage):
    name, input = "toy", FEATURES

    def process(self, _state: NoState, _batch: Batch) -> Output:
        return Output()


def test_one_without_snapshots_takes_many_small_blocks_in_one_turn() -> None:
    broker = filled(*[3] * 200)
    broker.create(DLQ, 1)
    running = runner(broker, Counted())  # type: ignore[arg-type]
    running.run_once()  # joins the group
    assert running.run_once() == 600

"""Processing a batch although some of its records make the stage raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegate.broker.records import Batch
from tidegate.errors import TidegateError
from tidegate.stream.stage import Output, Reject, Stage, State


def process(
    stage: Stage[Any], state: State, batch: Batch, prepare: Callable[[], None]
) -> list[tuple[Batch, Output]]:
    """Begin, `prepare` (absorb the side input), and process; the state is left begun.

    Records that make the stage raise are found by bisection, each on the state it met, and rejected
    as `exception`; the others are processed as one batch. What the stage raises on purpose passes,
    with the state rolled back.
    """
    rejected: list[tuple[Batch, Output]] = []
    while len(batch):
        outcome = _attempt(stage, state, batch, prepare)
        if isinstance(outcome, Output):
            return [(batch, outcome), *rejected]
        index, error = _first_poison(stage, state, batch, prepare, outcome)
        reject = Reject(0, "exception", str(error), type(error).__name__)
        rejected.append((batch.slice(index, index + 1), Output(rejects=[reject])))
        batch = batch.take([i for i in range(len(batch)) if i != index])
    begin(state, prepare)
    return rejected


def _attempt(
    stage: Stage[Any], state: State, batch: Batch, prepare: Callable[[], None]
) -> Output | Exception:
    """The stage's output with the state begun, or its defect with the state rolled back."""
    begin(state, prepare)
    try:
        return stage.process(state, batch)
    except TidegateError:
        state.rollback()
        raise
    except Exception as error:  # noqa: BLE001 - any defect: the caller isolates the record and puts it into a dead letter
        state.rollback()
        return error


def begin(state: State, prepare: Callable[[], None]) -> None:
    """Begin and `prepare`; where that raises on purpose the state is rolled back."""
    state.begin()
    try:
        prepare()
    except TidegateError:
        state.rollback()
        raise


def _first_poison(
    stage: Stage[Any], state: State, batch: Batch, prepare: Callable[[], None], error: Exception
) -> tuple[int, Exception]:
    """The index of the first record with which a prefix of the batch raises, and what it raises."""
    low, high = 0, len(batch) - 1
    while low < high:
        middle = (low + high) // 2
        outcome = _attempt(stage, state, batch.slice(0, middle + 1), prepare)
        if isinstance(outcome, Output):
            state.rollback()
            low = middle + 1
        else:
            high, error = middle, outcome
    return low, error

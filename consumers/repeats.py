"""What a keyed step does with transactions that have come before, by their ids and bodies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from model.features.state import KeyedState
from model.hashing import Bytes, Ints, join
from model.sip import SipKey, sip128
from tidegate import metrics
from tidegate.broker.records import Headers
from tidegate.stream.dead_letters import attempt
from tidegate.stream.stage import Output, Reject

REPEAT, READ_AGAIN = "repeat", "read_again"
"""Kinds of records that nothing comes of: an id that has come with this body; a frame that lies
behind what was read of its source.
"""


def look_up(
    state: KeyedState,
    key: SipKey,
    ids: Sequence[bytes],
    bodies: tuple[Bytes, Ints],
    ingested: NDArray[np.int64],
) -> NDArray[np.int8]:
    """Whether each transaction is NEW, known with the SAME body, or with an OTHER one; remembers
    new ones. `bodies` are joined, as `model.hashing.join` does.
    """
    words = np.empty((len(ids), 2), np.uint64)
    words[:, 0] = sip128(*join(ids), key)[:, 0]
    words[:, 1] = sip128(*bodies, key)[:, 0]
    return state.seen.ids.remember(words, ingested)


def redriven(headers: Sequence[Headers | None], indices: Sequence[int]) -> NDArray[np.bool_]:
    """Which of these records were put back from the dead letters."""
    if not any(headers):
        return np.zeros(len(indices), np.bool_)
    return np.array([bool(headers[i]) and attempt(headers[i]) > 0 for i in indices], np.bool_)


def conflict(index: int) -> Reject:
    """The dead letter of an id that stands for another body."""
    detail = "this id was taken by a transaction with another body"
    return Reject(index, "conflicting_duplicate", detail)


def measured(state: KeyedState, output: Output, stage: str, partition: int) -> Output:
    """Tell with the commit how far back ids are known, and how many keys there are."""
    gauge = metrics.ID_MEMORY.labels(stage, str(partition))
    output.on_commit.append(partial(gauge.set, state.seen.ids.reach_us / 1e6))
    output.on_commit.append(partial(_tell_keys, state, stage, str(partition)))
    return output


def _tell_keys(state: KeyedState, *labels: str) -> None:
    metrics.STATE_KEYS.labels(*labels).set(len(state.rows))
    metrics.EVICTED_KEYS.labels(*labels).inc(state.take_evicted())

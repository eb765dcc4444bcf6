"""The frames that the keyed step before has handed on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.broker.records import Batch
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import FrameLayout
from tidegate.stream.sources import Sources
from tidegate.stream.stage import Reject


def take_frames(layout: FrameLayout, batch: Batch) -> tuple[FrameColumn, list[int], list[Reject]]:
    """The frames, their indices in the batch, and what is no frame."""
    frames, good, faults = layout.take(batch.values)
    return frames, good, [Reject(i, fault.reason, fault.detail) for i, fault in faults]


def made_again(
    sources: Sources, rows: NDArray[Any], step: int, put_back: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of n frames `step` has made again, those put back never; `sources` notes the others."""
    source, ingested = rows["steps"][:, step], rows["ingest_us"]
    if not put_back.any():
        return sources.repeats(source["partition"], source["offset"], ingested)
    again, first = np.zeros(len(rows), np.bool_), np.flatnonzero(~put_back)
    source = source[first]
    again[first] = sources.repeats(source["partition"], source["offset"], ingested[first])
    return again

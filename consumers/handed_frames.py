"""The frames that the keyed step before has handed on."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tidegate.broker.records import Batch
from tidegate.messages.frames import FrameLayout
from tidegate.stream.sources import Sources
from tidegate.stream.stage import Reject


def take_frames(
    layout: FrameLayout, batch: Batch
) -> tuple[NDArray[Any], list[bytes], list[int], list[Reject]]:
    """The frames' rows, the frames, their indices in the batch, and what is no frame."""
    rows = layout.whole_rows(batch.values)
    if rows is not None:
        return rows, cast("list[bytes]", batch.values), list(range(len(batch))), []
    good, faults = layout.good(batch.values)
    values = [batch.values[i] or b"" for i in good]
    rejects = [Reject(i, fault.reason, fault.detail) for i, fault in faults]
    return layout.rows(values), values, good, rejects


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

"""What the persist stage hands to the database: scored frames, and their places in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.messages.frames import Frames


@dataclass(slots=True)
class ScoredRows:
    """Scored frames of one batch; frame `i` came from the record at `indexes[i]` of that batch."""

    frames: Frames
    indexes: Sequence[int]


def merge(batches: Sequence[Frames]) -> Frames:
    """The frames of one or more batches of one layout as one."""
    if len(batches) == 1:
        return batches[0]
    return Frames(
        np.concatenate([frames.rows for frames in batches]),
        list(chain.from_iterable(frames.ids for frames in batches)),
        list(chain.from_iterable(frames.accounts for frames in batches)),
        list(chain.from_iterable(frames.payloads for frames in batches)),
        list(chain.from_iterable(frames.reasons for frames in batches)),
    )


def by_id(ids: Sequence[bytes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the first frame of each id, in the ids' order, and of all later ones of these ids.

    Sorted rows touch each page of the index on ids once a batch, and two writers lock ids in one
    order.
    """
    packed = np.array(ids, dtype=bytes)
    order = np.argsort(packed, kind="stable")
    ordered = packed[order]
    repeated = np.zeros(len(order), dtype=bool)
    repeated[1:] = ordered[1:] == ordered[:-1]
    return order[~repeated], order[repeated]


def fixed_columns(rows: NDArray[Any], persisted_us: int) -> dict[str, Any]:
    """The fixed-size columns of table `transactions`, from the rows of scored frames."""
    first, last = rows["steps"][:, 0], rows["steps"][:, -1]
    same = (
        "event_us",
        "amount_minor",
        "score",
        "models_offset",
        "online_labels",
        "features_offset",
        "features_partition",
        "scored_us",
        "body_hash",
        "scores",
        "keys",
    )
    return {name: rows[name] for name in same} | {
        "raw_offset": first["offset"],
        "raw_partition": first["partition"],
        "ingested_us": rows["ingest_us"],
        "preprocessed_us": last["time_us"],
        "persisted_us": persisted_us,
        "features": rows["values"],
        "trace": rows["steps"],
    }

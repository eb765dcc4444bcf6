"""What the persist stage hands to the database: decoded scored frames, and where in their batch
they stood.
"""

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
    """Scored frames of one batch; `at[i]` is the index in that batch of the record that frame `i`
    came from.
    """

    frames: Frames
    at: Sequence[int]


def merge(parts: Sequence[Frames]) -> Frames:
    """The frames of several batches of one layout as one. `parts` must not be empty."""
    if len(parts) == 1:
        return parts[0]
    return Frames(
        np.concatenate([part.rows for part in parts]),
        *(
            list(chain.from_iterable(getattr(part, name) for part in parts))
            for name in ("ids", "accounts", "payloads", "reasons")
        ),
    )


def by_id(ids: Sequence[bytes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the first frame of each id, in the ids' order, and of all later frames of an id
    met before.

    Sorted rows touch each page of the index on ids once a batch, and two writers lock ids in one
    order.
    """
    packed = np.array(ids, dtype=bytes)
    order = np.argsort(packed, kind="stable")
    ordered = packed[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = ordered[1:] == ordered[:-1]
    return order[~again], order[again]


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

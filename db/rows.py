"""What the persist stage hands to the database: scored frames, and their places in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.broker.addresses import index_of, offset_of
from tidegate.messages.frames import Frames
from tidegate.pipeline import BY_ENTITY_2, FEATURES

STEP = np.dtype(
    [
        ("partition", "<i4"),
        ("offset", "<i8"),
        ("labels", "<i8"),
        ("time_us", "<i8"),
        ("index", "<i2"),
    ]
)
"""What a row keeps of each keyed step: its input's partition and offset, the next labels offset,
the time in us, and the index in the input's block. Rows of the version before have no index.
"""


@dataclass(slots=True)
class ScoredRows:
    """Scored frames of one batch; frame `i` came from the record at `indexes[i]` of that batch."""

    frames: Frames
    indexes: Sequence[int]


class Inserted(NamedTuple):
    """Which frames became rows, and the `seq` i8[n] that each got, ascending."""

    frames: NDArray[np.intp]
    seqs: NDArray[np.int64]


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
        "features_partition",
        "scored_us",
        "body_hash",
        "scores",
        "keys",
    )
    return {name: rows[name] for name in same} | {
        "features_offset": _offsets(FEATURES, rows["features_offset"]),
        "features_index": _indices(FEATURES, rows["features_offset"]),
        "raw_offset": first["offset"],
        "raw_partition": first["partition"],
        "ingested_us": rows["ingest_us"],
        "preprocessed_us": last["time_us"],
        "persisted_us": persisted_us,
        "features": rows["values"],
        "trace": trace(rows["steps"]),
    }


RULINGS = ("policy", "rule_hits", "model_decision")
"""The columns that only rows decided under a policy have."""


def under_policy(rows: NDArray[Any]) -> bool:
    """Whether any of the rows of scored frames has `RULINGS`."""
    return bool((rows["policy"] != b"").any()) or bool(ruled_rows(rows))


def ruled_rows(rows: NDArray[Any]) -> list[int]:
    """Those of the rows of scored frames that a rule or list hit; of the others the decision is the
    model's.
    """
    words = np.ascontiguousarray(rows["rule_hits"]).view("<u8").reshape(len(rows), 2)
    return np.flatnonzero(words.any(axis=1)).tolist()


def trace(steps: NDArray[Any]) -> NDArray[Any]:
    """What rows keep of the steps [n, k] of n frames: `STEP`[n, k]."""
    kept = np.zeros(steps.shape, STEP)
    for name in ("partition", "labels", "time_us"):
        kept[name] = steps[name]
    kept["offset"][:, :1] = steps["offset"][:, :1]
    kept["offset"][:, 1:] = _offsets(BY_ENTITY_2, steps["offset"][:, 1:])
    kept["index"][:, 1:] = _indices(BY_ENTITY_2, steps["offset"][:, 1:])
    return kept


def _offsets(topic: str, addresses: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(addresses < 0, addresses, offset_of(topic, addresses))


def _indices(topic: str, addresses: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(addresses < 0, 0, index_of(topic, addresses))

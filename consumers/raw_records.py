"""What the first keyed step takes of a batch of the raw topic: its own partition's transactions."""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from model.features.columns import to_bytes
from model.features.intake import Intake, take
from model.hashing import partitions_of
from tidegate.broker.records import Batch
from tidegate.pipeline import WRONG_PARTITION
from tidegate.profile import Profile
from tidegate.stream.stage import Reject


def take_own(
    profile: Profile,
    batch: Batch,
    received_us: NDArray[np.int64],
    place: tuple[int, int],
    only: Collection[int] | None = None,
) -> tuple[Intake, list[Reject]]:
    """The transactions that belong to partition `place[0]` of `place[1]`, and the rejects.

    With `only`, those columns alone are made of them.
    """
    values = [value or b"" for value in batch.values]
    intake = take(profile, values, received_us, batch.headers, only)
    rejects = [Reject(i, fault.reason, fault.detail) for i, fault in intake.rejects]
    home = _home(profile, intake, place)
    misplaced = np.flatnonzero(home != place[0])
    if not len(misplaced):
        return intake, rejects
    rejects += [_misplaced(intake.at[i], profile, batch, int(home[i])) for i in misplaced.tolist()]
    return intake.only(np.flatnonzero(home == place[0])), rejects


def identify(profile: Profile, intake: Intake, batch: Batch) -> list[bytes]:
    """The ids; a transaction without one is named after its place on the raw topic."""
    ids = list(map(attrgetter(profile.id_field), intake.txs))
    if None in ids:
        topic, partition = batch.source
        for i, name in enumerate(ids):
            if name is None:
                ids[i] = profile.stored_id(f"{topic}-{partition}-{batch.offsets[intake.at[i]]}")
                profile.set_id(intake.txs[i], ids[i])
    return to_bytes(ids)


def _home(profile: Profile, intake: Intake, place: tuple[int, int]) -> NDArray[np.int64]:
    """The partition of each transaction's key; without a key any, and so this one."""
    keys = (
        intake.columns.texts[profile.account]
        if profile.account
        else to_bytes(list(map(attrgetter(profile.id_field), intake.txs)))
    )
    home = partitions_of(keys, place[1])
    if b"" in keys:
        home[[not key for key in keys]] = place[0]
    return home


def _misplaced(index: int, profile: Profile, batch: Batch, home: int) -> Reject:
    field = profile.account or profile.id_field
    detail = (
        f"partition {batch.source.partition}, but its {field} belongs to partition {home}: the "
        f"producer's key must be the {field} as text, and its partitioner murmur2; "
        "`tidegate redrive --reason wrong_partition` puts it there"
    )
    return Reject(index, WRONG_PARTITION, detail)

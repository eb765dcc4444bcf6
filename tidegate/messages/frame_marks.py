"""How frames of whatever profile begin, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tidegate.messages.frame_column import LENGTHS, SCORED_MARK, FrameColumn, is_block

MAGIC, SCORED_MAGIC = 0x3246_4754, int.from_bytes(SCORED_MARK, "little")  # "TGF2", "TGS4"
RULELESS = 0x3353_4754
"""What scored frames began with before there were policies, "TGS3"."""
ALONE = {MAGIC: 0x3146_4754, SCORED_MAGIC: 0x3253_4754}
"""What frames began with before there were blocks: "TGF1", "TGS2"."""
_MARKS = tuple(
    magic.to_bytes(4, "little") for magic in (MAGIC, SCORED_MAGIC, RULELESS, *ALONE.values())
)
"""How a frame begins."""
_NEW = tuple(magic.to_bytes(4, "little") for magic in (MAGIC, SCORED_MAGIC, RULELESS))


def frame_profile(value: bytes | None) -> bytes | None:
    """The profile's hash (8 characters) that a frame carries; None for anything else."""
    if value is None or len(value) < 12 or not value.startswith(_MARKS):
        return None
    return value[4:12]


def is_new_frame(value: bytes) -> bool:
    """Whether this begins like a frame of this version: no older one, and no block."""
    return value.startswith(_NEW) and len(value) >= LENGTHS.itemsize


def of_others(values: Sequence[bytes | None], profiles: Iterable[bytes]) -> list[int]:
    """Indices of the frames that carry another profile than these hashes; no loop of Python's
    looks into a message that is no frame, or into a block.
    """
    known = list(profiles)
    if isinstance(values, FrameColumn):
        own = np.isin(np.ascontiguousarray(values.rows[:, 4:12]).view("S8").ravel(), known)
        return np.flatnonzero(~own).tolist()
    begins = tuple(mark + profile for mark in _MARKS for profile in known)
    return [
        index
        for index, value in enumerate(values)
        if value is not None and value.startswith(_MARKS) and not value.startswith(begins)
        if not is_block(value) and frame_profile(value) is not None
    ]

"""Where a frame of whatever profile comes from."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from tidegate.messages.frame_column import LENGTHS
from tidegate.messages.frame_marks import frame_profile
from tidegate.messages.frame_rows import HEAD

_ORIGIN = struct.Struct(f"<12xHHII{np.dtype(HEAD).itemsize - LENGTHS.itemsize}xiq")
"""The lengths of the tail, and the place in `steps[0]`: the same in frames of every profile."""


class Origin(NamedTuple):
    """Where a frame's transaction was read on the raw topic, and its id."""

    partition: int
    offset: int
    id: bytes


def origin(value: bytes | None) -> Origin | None:
    """Of a whole frame, whatever its profile; None for anything else."""
    if value is None or frame_profile(value) is None or len(value) < _ORIGIN.size:
        return None
    id_len, account_len, payload_len, reasons_len, partition, offset = _ORIGIN.unpack_from(value)
    tail = len(value) - (id_len + account_len + payload_len + reasons_len)
    return Origin(partition, offset, value[tail : tail + id_len]) if tail >= _ORIGIN.size else None

"""From frames of features to scored frames: wider rows, and the reasons behind the tail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundles.reasons import Reason
from tidegate.messages.documents import encode
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frame_marks import SCORED_MAGIC
from tidegate.messages.frames import FrameLayout
from tidegate.messages.texts import Texts


def widened(layout: FrameLayout, frames: FrameColumn) -> NDArray[Any]:
    """The rows of the frames in the layout of scored ones, which begin with all of a features row;
    what is new is 0.
    """
    size = frames.row_size
    rows = np.empty(len(frames), layout.dtype)
    wide = rows.view(np.uint8).reshape(len(frames), layout.dtype.itemsize)
    wide[:, :size] = frames.rows
    wide[:, size:] = 0
    rows["magic"] = SCORED_MAGIC
    return rows


def packed(
    rows: NDArray[Any],
    frames: FrameColumn,
    told: NDArray[np.intp],
    why: Sequence[list[Reason]],
) -> FrameColumn:
    """Scored frames: the new row, the old tail, and the reasons of those that have some."""
    texts = [encode(each) for each in why]
    lengths = np.zeros(len(rows), np.int64)
    lengths[told] = [len(text) for text in texts]
    rows["reasons_len"] = lengths
    reasons = Texts.cut(b"".join(texts), lengths)
    return FrameColumn.of_rows(rows, (*frames.tails[:3], reasons))

"""The persist stage: scored frames become rows, and are counted to watch the drift."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from consumers.drift_watch import DriftWatch
from consumers.handed_frames import take_frames
from db.rows import ScoredRows
from model.bundles.shared import SharedBundles
from model.drift.window import WindowState
from tidegate.broker.records import Batch
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import DECISIONS, Frames
from tidegate.messages.heartbeats import Drift
from tidegate.pipeline import SCORED
from tidegate.profile import Profile
from tidegate.stream.stage import Output, Reject

_LONGEST_KEY = 2000
"""Bytes of an id or account: PostgreSQL's index entries end at 2,704."""


_FORMAT = 2


class Persist:
    """Decodes frames for a `db.sink.SqlSink`.

    Damaged frames, and texts that no database stores, are rejects.

    Its state holds the drift. `bundles` is the folder of the bundles, for what they learnt from.
    """

    name = "persist"
    input = SCORED
    side: str | None = None
    reach = DriftWatch.reach

    def __init__(
        self, profile: Profile, bundles: Path, shared: SharedBundles | None = None
    ) -> None:
        self._layout = profile.scored_layout
        self._watch = DriftWatch(profile, bundles, shared)
        self.snapshot_tag = f"{profile.hash.decode()}-{_FORMAT}"
        self.also = profile.version

    @property
    def drift(self) -> Drift | None:
        """How far the newest rows are from the training."""
        return self._watch.newest

    def new_state(self, _partition: int, _partitions: int) -> WindowState:
        return self._watch.new_state()

    def load_state(
        self, partition: int, partitions: int, arrays: Mapping[str, np.ndarray]
    ) -> WindowState:
        state = self.new_state(partition, partitions)
        state.load(arrays)
        return state

    def absorb(self, state: WindowState, batch: Batch) -> None:
        """There is no side input."""

    def side_from(self, _state: WindowState) -> int:
        return 0

    def process(self, state: WindowState, batch: Batch) -> Output:
        """Rows of the frames that are whole, rejects for the others.

        Raises Stop for frames of another profile.
        """
        column, good, rejects = take_frames(self._layout, batch)
        good, frames, passed = self._read(column, good)
        if good and not _storable(frames):
            good, frames = _without_faults(good, frames, rejects)
        if not good:
            return Output(rejects=rejects, passed=passed)
        self._watch.fold(state, np.array(batch.offsets, np.int64)[good], frames.rows)
        return Output(rejects=rejects, rows=ScoredRows(frames, good), passed=passed)

    def _read(
        self, column: FrameColumn, good: list[int]
    ) -> tuple[list[int], Frames, Mapping[str, int]]:
        """The frames, which lie at these indices; the indices again, and what was passed over."""
        return good, self._layout.unpack(column), {}


def _storable(frames: Frames) -> bool:
    """Whether every frame can be a row: the check of a whole batch at once."""
    rows = frames.rows
    keys = max(int(rows["id_len"].max()), int(rows["account_len"].max()))
    return bool(
        rows["id_len"].min() > 0
        and keys <= _LONGEST_KEY
        and max(rows["decision"].max(), rows["model_decision"].max()) < len(DECISIONS)
        and np.isfinite(rows["score"]).all()
        and not _text_fault(b"".join({*rows["bundle"].tolist(), *rows["policy"].tolist()}))
        and not any(
            _text_fault(b"\n".join(column))
            for column in (frames.ids, frames.accounts, frames.payloads, frames.reasons)
        )
    )


def _text_fault(text: bytes) -> str:
    if b"\0" in text:
        return "it contains the character NUL"
    if text.isascii():
        return ""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8: {error}"
    return ""


def _without_faults(
    good: list[int], frames: Frames, rejects: list[Reject]
) -> tuple[list[int], Frames]:
    kept = []
    for i, index in enumerate(good):
        detail = _fault(frames, i)
        if detail:
            rejects.append(Reject(index, "not_storable", detail))
        else:
            kept.append(i)
    return [good[i] for i in kept], frames.take(np.array(kept, dtype=np.intp))


def _fault(frames: Frames, i: int) -> str:
    """What keeps frame `i` from being a row."""
    row = frames.rows[i]
    texts = {
        "id": frames.ids[i],
        "account": frames.accounts[i],
        "payload": frames.payloads[i],
        "reasons": frames.reasons[i],
        "bundle": bytes(row["bundle"]),
        "policy": bytes(row["policy"]),
    }
    faults = [
        f"the {name}: {fault}" for name, text in texts.items() if (fault := _text_fault(text))
    ]
    faults += [
        f"the {name} has {len(texts[name])} bytes, at most {_LONGEST_KEY} are kept"
        for name in ("id", "account")
        if len(texts[name]) > _LONGEST_KEY
    ]
    if not texts["id"]:
        faults.append("it has no id")
    decisions = row["decision"], row["model_decision"]
    if max(decisions) >= len(DECISIONS) or not np.isfinite(row["score"]):
        faults.append(
            f"decision {decisions[0]} with score {row['score']}, of the model {decisions[1]}"
        )
    return "; ".join(faults)

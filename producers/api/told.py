"""What callers are told of scored frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tidegate.messages.frames import DECISIONS, FrameLayout, Frames
from tidegate.profile.personal import Masks


class Told(NamedTuple):
    """Scored frames of one layout as documents; `names` are those of its detectors, and `masks`
    keep personal values from who did not post them.
    """

    layout: FrameLayout
    names: Sequence[str]
    masks: Masks

    def decision(self, frame: bytes, body_hash: bytes) -> dict[str, Any] | None:
        """What somebody who waits is told; None where the frame is of another body than his."""
        frames = self.layout.unpack([frame])
        if frames.rows["body_hash"][0].tobytes() != body_hash:
            return None
        [told] = self._all(frames)
        del told["account"], told["event_us"]
        return told

    def decisions(self, frames: Frames) -> list[dict[str, Any]]:
        """The same of many, with account and event time, which who reads along does not know."""
        return list(map(self.masks.decision, self._all(frames)))

    def _all(self, frames: Frames) -> list[dict[str, Any]]:
        rows = zip(frames.rows, frames.ids, frames.accounts, frames.reasons, strict=True)
        return [self._told(*row) for row in rows]

    def _told(
        self,
        row: Any,  # noqa: ANN401 - numpy.void
        transaction_id: bytes,
        account: bytes,
        reasons: bytes,
    ) -> dict[str, Any]:
        scores = dict(zip(self.names, row["scores"].tolist()[:-1], strict=True))
        return {
            "transaction_id": transaction_id.decode(),
            "status": "scored",
            "account": account.decode() or None,
            "event_us": int(row["event_us"]),
            "decision": DECISIONS[int(row["decision"])],
            "score": float(row["score"]),
            "scores": scores,
            "degraded": [name for name, score in scores.items() if math.isnan(score)],
            "reasons": msgspec.Raw(reasons or b"[]"),
            "bundle": row["bundle"].decode(),
        }

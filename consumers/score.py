"""The score stage: frames with features become frames with scores, a decision, and reasons for what
is flagged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from consumers.deadline import Deadline, Late
from model.bundles.bundle import Bundle, Scores
from model.bundles.reasons import Reason, reasons
from model.bundles.serving import Model, Serving
from model.detectors.base import Array, Detector
from model.hashing import hash64
from tidegate.broker.records import Batch
from tidegate.errors import Retry
from tidegate.messages.documents import encode
from tidegate.messages.frames import SCORED_MAGIC, Decision
from tidegate.metrics import DECISIONS, DEGRADED, SCORES, SHADOW, observe_many
from tidegate.pipeline import ALERTS, FEATURES, MODELS, SCORED
from tidegate.profile import Profile
from tidegate.stream.stage import Emit, NoState, Output, Reject, StatelessStage

_LOG = logging.getLogger(__name__)
_NAMES: tuple[Decision, ...] = ("approve", "review", "block")


class Alert(msgspec.Struct):
    """A transaction sent to review or blocked (topic transactions.alerts)."""

    transaction_id: str
    account: str | None
    profile: str
    event_us: int
    amount_minor: int
    decision: Decision
    score: float
    reasons: list[Reason]
    bundle: str
    scored_us: int


class ScoreStage(StatelessStage):
    """Scores with the bundles that the topic `models` names, read between batches: see
    `model.bundles.serving`.

    `detector_seconds`: a batch is decided without a detector that takes longer for it; 0: however
    long one takes.
    """

    name = "score"
    input = FEATURES
    side: str | None = MODELS

    def __init__(self, profile: Profile, bundles_dir: Path, detector_seconds: float = 0.0) -> None:
        self._profile, self._deadline = profile, Deadline(detector_seconds)
        self._from, self._to = profile.features_layout, profile.scored_layout
        self._account = (
            profile.hashed.index(profile.account) if profile.account in profile.hashed else -1
        )
        self._failing = set[tuple[str, str]]()
        self.serving = Serving(profile, bundles_dir)

    @property
    def bundle(self) -> Bundle | None:
        """The champion with the online weights in use; None before the first promotion."""
        return self.serving.champion.bundle if self.serving.champion else None

    @property
    def models_offset(self) -> int:
        """The offset after the last absorbed record of the topic `models`."""
        return self.serving.offset

    def absorb(self, _state: NoState, batch: Batch) -> None:
        """Switch bundles and weights. Raises ConfigError for a champion that cannot be used."""
        self.serving.absorb(batch)
        for model in filter(None, (self.serving.champion, self.serving.canary)):
            for part in model.bundle.detectors:
                DEGRADED.labels(part.name)  # an alert sees it rise only from a 0 that was there

    def process(self, _state: NoState, batch: Batch) -> Output:
        """Score whole frames, reject others. Raises Retry before the first promotion, Stop for
        another profile's.
        """
        champion = self.serving.champion
        if champion is None:
            raise Retry(
                "no champion yet on the topic models: `tidegate train` makes and promotes one"
            )
        good, faults = self._from.good(batch.values)
        output = Output(rejects=[Reject(at, fault.reason, fault.detail) for at, fault in faults])
        if not good:
            return output
        source = [value for at in good if (value := batch.values[at]) is not None]
        rows = self._rows(source)
        rows["features_partition"] = batch.source.partition
        rows["features_offset"] = [batch.offsets[at] for at in good] if faults else batch.offsets
        rows["scored_us"], rows["models_offset"] = batch.received_us, self.models_offset
        keys = [batch.keys[at] for at in good] if faults else batch.keys
        if self.serving.canary is None:
            self._score(champion, rows, source, keys, output)
            return output
        chosen = self._chosen(rows, source)
        for model, part in (
            (champion, np.flatnonzero(~chosen)),
            (self.serving.canary, np.flatnonzero(chosen)),
        ):
            if len(part):
                at = part.tolist()
                mine = rows[part], [source[i] for i in at], [keys[i] for i in at]
                try:
                    self._score(model, *mine, output)
                except Late:
                    if model is champion:
                        raise
                    self._score(champion, *mine, output)
        return output

    def _chosen(self, rows: NDArray[Any], source: list[bytes]) -> NDArray[np.bool_]:
        """Rows of the canary's accounts; a profile without accounts shares its transactions out."""
        hashes = (
            rows["keys"][:, self._account]
            if self._account >= 0
            else hash64(self._from.ids(rows, source))
        )
        return np.asarray((hashes >> np.uint64(11)) * 2.0**-53 < self.serving.share)

    def _score(
        self,
        model: Model,
        rows: NDArray[Any],
        source: list[bytes],
        keys: list[bytes | None],
        output: Output,
    ) -> None:
        """Score, decide and explain whole frames by one bundle, into `output`."""
        bundle = model.bundle
        rows["bundle"], rows["online_labels"] = bundle.hash, model.online_labels
        scores = self._scores(bundle, np.ascontiguousarray(rows["values"]))
        rows["score"], rows["scores"][:, :-1] = scores.final, scores.parts
        self._tell_degraded(bundle, scores)
        rows["decision"] = decisions = bundle.decide(scores.final, rows["amount_minor"])
        rows["scores"][:, -1] = self._beside(rows, decisions)
        flagged = np.flatnonzero(decisions)
        why = self._reasons(bundle, rows[flagged]) if len(flagged) else []
        output.emits.append(Emit(SCORED, keys, self._pack(rows, source, flagged, why)))
        if len(flagged):
            output.emits.append(self._alerts(rows, source, flagged, why))
        _count(decisions, scores.final)

    def _scores(self, bundle: Bundle, values: Array) -> Scores:
        """Raises Late when all detectors are: the batch comes again, and they get more time for
        it.
        """
        try:
            found = bundle.score(values, call=self._call(bundle))
        except Late:
            self._deadline.wait_longer()
            raise
        self._deadline.wait_as_usual()
        return found

    def _call(self, bundle: Bundle) -> Callable[[Detector, Array], Array]:
        return partial(self._deadline.score, bundle.hash)

    def _beside(self, rows: NDArray[Any], decisions: NDArray[np.uint8]) -> Array:
        """The shadow's scores f8[n]; NaN without one, or when none of its detectors works or is in
        time.
        """
        shadow, nothing = self.serving.shadow, np.full(len(rows), np.nan)
        if shadow is None:
            return nothing
        try:
            found = shadow.score(np.ascontiguousarray(rows["values"]), call=self._call(shadow))
        except Exception as error:  # noqa: BLE001 - whatever it is, the shadow decides nothing
            self._log_left_out(shadow, dict.fromkeys(shadow.manifest.detectors, error))
            return nothing
        self._log_left_out(shadow, found.failures)
        same = int((shadow.decide(found.final, rows["amount_minor"]) == decisions).sum())
        SHADOW.labels("same").inc(same)
        SHADOW.labels("other").inc(len(rows) - same)
        return found.final

    def _tell_degraded(self, bundle: Bundle, scores: Scores) -> None:
        """Count and log what was decided without a detector."""
        if np.isnan(scores.parts).any():
            for part, count in zip(
                bundle.detectors, np.isnan(scores.parts).sum(axis=0).tolist(), strict=True
            ):
                DEGRADED.labels(part.name).inc(count)
        self._log_left_out(bundle, scores.failures)

    def _log_left_out(self, bundle: Bundle, failures: Mapping[str, Exception]) -> None:
        """An error once, until the detector works again."""
        for name, error in failures.items():
            if (bundle.hash, name) not in self._failing:
                what = "is late" if isinstance(error, Late) else "failed"
                _LOG.error(
                    "detector %s of bundle %s %s and is left out",
                    name,
                    bundle.hash,
                    what,
                    exc_info=error,
                )
        others = {pair for pair in self._failing if pair[0] != bundle.hash}
        self._failing = others.union((bundle.hash, name) for name in failures)

    def _reasons(self, bundle: Bundle, flagged: NDArray[Any]) -> list[list[Reason]]:
        return reasons(
            bundle,
            self._profile,
            np.ascontiguousarray(flagged["values"]),
            flagged["amount_minor"],
            np.ascontiguousarray(flagged["scores"][:, :-1]),
        )

    def _rows(self, source: list[bytes]) -> NDArray[Any]:
        """The rows of the frames, widened: a scored row begins with all of a features row."""
        size = self._from.dtype.itemsize
        rows = np.empty(len(source), self._to.dtype)
        wide = rows.view(np.uint8).reshape(len(source), self._to.dtype.itemsize)
        wide[:, :size] = np.frombuffer(
            b"".join([value[:size] for value in source]), np.uint8
        ).reshape(-1, size)
        wide[:, size:] = 0
        rows["magic"] = SCORED_MAGIC
        return rows

    def _pack(
        self,
        rows: NDArray[Any],
        source: list[bytes],
        flagged: NDArray[np.intp],
        why: Sequence[list[Reason]],
    ) -> list[bytes]:
        """Scored frames: the new row, the old tail as it came, and reasons, which only flagged ones
        have.
        """
        said = [encode(part) for part in why]
        if len(flagged):
            rows["reasons_len"][flagged] = [len(part) for part in said]
        packed = self._from.with_rows(rows, source)
        for at, part in zip(flagged.tolist(), said, strict=True):
            packed[at] += part
        return packed

    def _alerts(
        self,
        rows: NDArray[Any],
        source: list[bytes],
        flagged: NDArray[np.intp],
        why: Sequence[list[Reason]],
    ) -> Emit:
        frames = self._from.unpack([source[at] for at in flagged.tolist()])
        alerts = [
            Alert(
                name.decode(),
                account.decode() or None,
                self._profile.name,
                int(row["event_us"]),
                int(row["amount_minor"]),
                _NAMES[row["decision"]],
                float(row["score"]),
                part,
                row["bundle"].decode(),
                int(row["scored_us"]),
            )
            for name, account, row, part in zip(
                frames.ids, frames.accounts, rows[flagged], why, strict=True
            )
        ]
        return Emit(
            ALERTS,
            [account or name for account, name in zip(frames.accounts, frames.ids, strict=True)],
            [encode(alert) for alert in alerts],
        )


def _count(decisions: NDArray[np.uint8], scores: Array) -> None:
    for name, count in zip(
        _NAMES, np.bincount(decisions, minlength=len(_NAMES)).tolist(), strict=True
    ):
        DECISIONS.labels(name).inc(count)
    observe_many(SCORES, scores)

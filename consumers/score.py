"""The score stage: frames with features become frames with scores, a decision, and reasons for what is flagged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle, Scores
from model.detectors.base import Array
from model.reasons import Reason, reasons
from model.registry import model_message
from tidegate.errors import ConfigError, Retry
from tidegate.messages import NONE, SCORED_MAGIC, Champion, Decision, OnlineWeights, Shadow, encode
from tidegate.metrics import DECISIONS, DEGRADED, MODEL_INFO, ONLINE_LABELS, SCORES, SHADOW, observe_many
from tidegate.profile import Profile
from tidegate.stage import Batch, Emit, NoState, Output, Reject

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


class ScoreStage:
    """Scores with the champion and its newest online weights, both read from the topic `models` between batches."""

    name = "score"
    input = "transactions.features"
    side: str | None = "models"
    snapshot_tag = ""

    def __init__(self, profile: Profile, bundles_dir: Path) -> None:
        self._profile, self._folder = profile, bundles_dir
        self._from, self._to = profile.features_layout, profile.scored_layout
        self._failing: set[str] = set()
        self._weights: dict[str, OnlineWeights] = {}
        self._trained: Bundle | None = None
        self._shadow: Bundle | None = None
        self.bundle: Bundle | None = None
        """The champion with the online weights in use; None before the first promotion."""
        self.models_offset = 0
        """The offset after the last absorbed record of the topic `models`."""
        self.online_labels = NONE
        """The offset on the labels topic up to which the weights in use have learnt."""

    def new_state(self, partition: int, partitions: int) -> NoState:  # noqa: ARG002 - the protocol's arguments
        return NoState()

    def load_state(self, partition: int, partitions: int,  # noqa: ARG002 - the protocol's arguments
                   arrays: Mapping[str, np.ndarray]) -> NoState:  # noqa: ARG002 - the protocol's arguments
        return NoState()

    def absorb(self, state: NoState, batch: Batch) -> None:  # noqa: ARG002 - it keeps none
        """Switch bundle and weights; records seen before change nothing. Raises ConfigError for a damaged bundle."""
        champion: Champion | None = None
        shadow: Shadow | None = None
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if offset < self.models_offset:
                continue
            message = model_message(value)
            if isinstance(message, OnlineWeights):
                self._weights[message.bundle] = message
            elif message is None and value is not None:
                _LOG.warning("topic models, offset %d: not a message this version knows", offset)
            elif isinstance(message, Champion) and message.profile.encode() == self._profile.hash:
                champion = message
            elif isinstance(message, Shadow) and message.profile.encode() == self._profile.hash:
                shadow = message
        if champion is not None and (self._trained is None or self._trained.hash != champion.bundle):
            self._trained = self._load(champion.bundle)
            _LOG.info("scoring with bundle %s", champion.bundle)
            MODEL_INFO.clear()
        if shadow is not None:
            self._shadow = self._load_shadow(shadow.bundle)
        self.models_offset = max(self.models_offset, batch.next_offset)
        self._switch()

    def _switch(self) -> None:
        if self._trained is None:
            return
        online = self._weights.get(self._trained.hash)
        self.bundle = self._trained.with_weights(
            None if online is None else np.frombuffer(online.weights, "<f8").astype(np.float64))
        self.online_labels = NONE if online is None else online.labels
        MODEL_INFO.labels(self.bundle.hash).set(self.models_offset)
        ONLINE_LABELS.set(max(self.online_labels, 0))

    def _load(self, name: str) -> Bundle:
        if Path(name).name != name:
            raise ConfigError(f"the champion {name!r} on the topic models is no bundle's hash: promote another one")
        bundle = Bundle.load(self._folder / name)
        wanted = (list(self._profile.values), self._profile.models.names)
        if (bundle.manifest.values, bundle.manifest.detectors) != wanted:
            raise ConfigError(f"bundle {bundle.path}: trained for other columns or models than {self._profile.path} "
                              "has; train one with `tidegate train`")
        return bundle

    def _load_shadow(self, name: str) -> Bundle | None:
        """A shadow that cannot be loaded is left out: it decides nothing, so it stops nothing."""
        try:
            return self._load(name) if name else None
        except ConfigError as error:
            _LOG.error("no shadow scores: %s", error)
            return None

    def process(self, state: NoState, batch: Batch) -> Output:  # noqa: ARG002 - it keeps none
        """Score whole frames, reject others. Raises Retry before the first promotion, Stop for another profile's."""
        if self.bundle is None:
            raise Retry("no champion yet on the topic models: `tidegate train` makes and promotes one")
        good, faults = self._from.good(batch.values)
        rejects = [Reject(at, fault.reason, fault.detail) for at, fault in faults]
        if not good:
            return Output(rejects=rejects)
        source = [value for at in good if (value := batch.values[at]) is not None]
        keys, offsets = batch.keys, batch.offsets
        if faults:
            keys, offsets = [keys[at] for at in good], [offsets[at] for at in good]
        return self._score(self.bundle, batch, source, keys, offsets, rejects)

    def _score(self, bundle: Bundle, batch: Batch, source: list[bytes], keys: list[bytes | None], offsets: list[int],
               rejects: list[Reject]) -> Output:
        rows = self._rows(source)
        rows["features_partition"] = batch.source.partition
        rows["features_offset"] = offsets
        rows["scored_us"] = batch.received_us
        rows["bundle"] = bundle.hash
        rows["models_offset"] = self.models_offset
        rows["online_labels"] = self.online_labels
        scores = bundle.score(np.ascontiguousarray(rows["values"]))
        rows["score"], rows["scores"][:, :-1] = scores.final, scores.parts
        self._tell_degraded(bundle, scores)
        rows["decision"] = decisions = bundle.decide(scores.final, rows["amount_minor"])
        rows["scores"][:, -1] = self._beside(rows, decisions)
        flagged = np.flatnonzero(decisions)
        why = self._reasons(bundle, rows[flagged]) if len(flagged) else []
        emits = [Emit("transactions.scored", keys, self._pack(rows, source, flagged, why))]
        if len(flagged):
            emits.append(self._alerts(rows, source, flagged, why))
        _count(decisions, scores.final)
        return Output(emits, rejects)

    def _beside(self, rows: NDArray[Any], decisions: NDArray[np.uint8]) -> Array:
        """The shadow's scores f8[n]; NaN without one."""
        if self._shadow is None:
            return np.full(len(rows), np.nan)
        scores = self._shadow.score(np.ascontiguousarray(rows["values"])).final
        same = int((self._shadow.decide(scores, rows["amount_minor"]) == decisions).sum())
        SHADOW.labels("same").inc(same)
        SHADOW.labels("other").inc(len(rows) - same)
        return scores

    def _tell_degraded(self, bundle: Bundle, scores: Scores) -> None:
        """Count what was decided without a detector; log an error once, until the detector works again."""
        if np.isnan(scores.parts).any():
            for part, count in zip(bundle.detectors, np.isnan(scores.parts).sum(axis=0).tolist(), strict=True):
                DEGRADED.labels(part.name).inc(count)
        for name in scores.failures.keys() - self._failing:
            _LOG.error("detector %s failed and is left out", name, exc_info=scores.failures[name])
        self._failing = set(scores.failures)

    def _reasons(self, bundle: Bundle, flagged: NDArray[Any]) -> list[list[Reason]]:
        return reasons(bundle, self._profile, np.ascontiguousarray(flagged["values"]), flagged["amount_minor"],
                       np.ascontiguousarray(flagged["scores"][:, :-1]))

    def _rows(self, source: list[bytes]) -> NDArray[Any]:
        """The rows of the frames, widened: a scored row begins with all of a features row."""
        size = self._from.dtype.itemsize
        rows = np.empty(len(source), self._to.dtype)
        wide = rows.view(np.uint8).reshape(len(source), self._to.dtype.itemsize)
        wide[:, :size] = np.frombuffer(b"".join([value[:size] for value in source]), np.uint8).reshape(-1, size)
        wide[:, size:] = 0
        rows["magic"] = SCORED_MAGIC
        return rows

    def _pack(self, rows: NDArray[Any], source: list[bytes], flagged: NDArray[np.intp],
              why: Sequence[list[Reason]]) -> list[bytes]:
        """Scored frames: the new row, the old tail as it came, and reasons, which only flagged ones have."""
        said = [encode(part) for part in why]
        if len(flagged):
            rows["reasons_len"][flagged] = [len(part) for part in said]
        packed = self._from.with_rows(rows, source)
        for at, part in zip(flagged.tolist(), said, strict=True):
            packed[at] += part
        return packed

    def _alerts(self, rows: NDArray[Any], source: list[bytes], flagged: NDArray[np.intp],
                why: Sequence[list[Reason]]) -> Emit:
        frames = self._from.unpack([source[at] for at in flagged.tolist()])
        alerts = [
            Alert(name.decode(), account.decode() or None, self._profile.name, int(row["event_us"]),
                  int(row["amount_minor"]), _NAMES[row["decision"]], float(row["score"]), part,
                  row["bundle"].decode(), int(row["scored_us"]))
            for name, account, row, part in zip(frames.ids, frames.accounts, rows[flagged], why, strict=True)]
        return Emit("transactions.alerts", [account or name for account, name in zip(frames.accounts, frames.ids,
                                                                                      strict=True)],
                    [encode(alert) for alert in alerts])


def _count(decisions: NDArray[np.uint8], scores: Array) -> None:
    for name, count in zip(_NAMES, np.bincount(decisions, minlength=len(_NAMES)).tolist(), strict=True):
        DECISIONS.labels(name).inc(count)
    observe_many(SCORES, scores)

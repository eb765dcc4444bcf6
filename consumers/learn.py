"""The learn stage: labels move the online weights, one label at a time, in the order of the log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle
from model.detectors.base import Array
from model.detectors.online import Online
from model.registry import TOPIC, Promoted, model_message, online_key
from tidegate.errors import ConfigError
from tidegate.messages import Champion, Label, OnlineWeights, decode_label, encode
from tidegate.metrics import LEARNT
from tidegate.profile import Profile
from tidegate.stage import Arrays, Batch, Emit, Output, Reject

_RECENT = 65_536
"""Label ids that are remembered: a label that comes again among so many others is not learnt twice."""


class Superseded(RuntimeError):
    """Another bundle is champion: the process ends, and starts again with that bundle and its fold of the labels."""


class LearnState:
    """Weights, how many labels made them, and the ids of the last labels: a fold of the labels topic."""

    def __init__(self, params: Array, learnt: int = 0, recent: NDArray[np.uint64] | None = None) -> None:
        self.params = params.copy()
        self.learnt = learnt
        self._recent = np.zeros(_RECENT, np.uint64) if recent is None else recent.copy()
        self._seen = set(self._recent[self._recent > 0].tolist())
        self._undo: tuple[Array, int, list[tuple[int, np.uint64]]] | None = None

    def begin(self) -> None:
        if self._undo is not None:
            raise RuntimeError("begin on top of an open begin")
        self._undo = (self.params.copy(), self.learnt, [])

    def rollback(self) -> None:
        if self._undo is None:
            raise RuntimeError("rollback without begin")
        self.params, self.learnt, slots = self._undo
        for at, before in reversed(slots):
            self._seen.discard(int(self._recent[at]))
            self._recent[at] = before
            if before:
                self._seen.add(int(before))
        self._undo = None

    def commit(self) -> None:
        self._undo = None

    def is_new(self, label_id: str) -> bool:
        """Whether this label was not folded lately; remembers it in place of the oldest. Counts it as learnt."""
        word = int.from_bytes(hashlib.blake2b(label_id.encode(), digest_size=8).digest(), "little") or 1
        if word in self._seen:
            return False
        at = self.learnt % _RECENT
        if self._undo is not None:
            self._undo[2].append((at, self._recent[at]))
        self._seen.discard(int(self._recent[at]))
        self._recent[at] = word
        self._seen.add(word)
        self.learnt += 1
        return True

    def arrays(self) -> Arrays:
        return {"params": self.params.copy(), "learnt": np.array([self.learnt], np.int64),
                "recent": self._recent.copy()}

    def digest(self) -> str:
        content = b"".join(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in self.arrays().values())
        return hashlib.sha256(content).hexdigest()


class LearnStage:
    """Folds labels of this profile into the champion's weights and publishes them once a batch.

    Labels of another profile version have other columns and are passed over.
    """

    name = "learn"
    input = "transactions.labels"
    side: str | None = TOPIC

    def __init__(self, profile: Profile, bundle: Bundle, promoted_at: int) -> None:
        """`promoted_at` is the offset of the champion message (`Promoted.offset`) that named `bundle`."""
        if bundle.online is None:
            raise ConfigError(f"bundle {bundle.path} has no online model: nothing to learn; name `online` under models")
        self._profile, self._bundle, self._promoted_at = profile, bundle, promoted_at
        self._online: Online = bundle.online
        self._columns = [bundle.manifest.values.index(name) for name in bundle.feature_names]
        self.snapshot_tag = f"{profile.hash.decode()}-{bundle.hash}"

    def new_state(self, partition: int, partitions: int) -> LearnState:  # noqa: ARG002 - the protocol's arguments
        return LearnState(self._online.params)

    def load_state(self, partition: int, partitions: int,  # noqa: ARG002 - the protocol's arguments
                   arrays: Mapping[str, np.ndarray]) -> LearnState:
        try:
            params, learnt, recent = arrays["params"], int(arrays["learnt"][0]), arrays["recent"]
        except (KeyError, IndexError) as error:
            raise ConfigError(f"the learner's snapshot lacks {error}: delete it, it is rebuilt from the log") from error
        if params.shape != self._online.params.shape or recent.shape != (_RECENT,):
            raise ConfigError("the learner's snapshot has other sizes than this bundle: delete it, it is rebuilt")
        return LearnState(params.astype(np.float64), learnt, recent.astype(np.uint64))

    def absorb(self, state: LearnState, batch: Batch) -> None:  # noqa: ARG002 - promotions are no part of the fold
        """Raises Superseded when another bundle was promoted after the one this process learns for."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            message = model_message(value) if offset > self._promoted_at else None
            if (isinstance(message, Champion) and message.profile.encode() == self._profile.hash
                    and message.bundle != self._bundle.hash):
                raise Superseded(f"bundle {message.bundle} was promoted at offset {offset} of the topic {TOPIC}, "
                                 f"this process learns for {self._bundle.hash}")

    def process(self, state: LearnState, batch: Batch) -> Output:
        """Learn what is new, and publish the weights after the batch."""
        output = Output()
        fresh: list[Label] = []
        for at, value in enumerate(batch.values):
            found = self._read(value, at)
            if isinstance(found, Reject):
                output.rejects.append(found)
            elif found.profile.encode() == self._profile.hash and state.is_new(found.label_id):
                fresh.append(found)
        if fresh:
            self._learn(state, fresh)
        weights = OnlineWeights(self._bundle.hash, batch.next_offset, state.params.astype("<f8").tobytes(),
                                state.learnt, batch.received_us)
        output.emits.append(Emit(TOPIC, [online_key(self._bundle.hash)], [encode(weights)]))
        return output

    def _learn(self, state: LearnState, labels: list[Label]) -> None:
        values = np.array([label.values for label in labels], np.float64)
        y = np.array([label.fraud for label in labels], np.bool_)
        self._online.learn(state.params, np.ascontiguousarray(values[:, self._columns]), y)
        LEARNT.labels("fraud").inc(int(y.sum()))
        LEARNT.labels("legitimate").inc(int((~y).sum()))

    def _read(self, value: bytes | None, at: int) -> Label | Reject:
        try:
            label = decode_label(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Reject(at, "invalid_json", f"not a label; only the label stage writes here: {error}")
        expected = len(self._profile.values)
        if label.profile.encode() == self._profile.hash and len(label.values) != expected:
            return Reject(at, "wrong_type", f"{len(label.values)} values, this profile has {expected}")
        return label


def learn_stage(profile: Profile, bundle: Bundle, promoted: Promoted) -> LearnStage:
    """The stage for a champion as `model.registry.current_champion` gives it."""
    return LearnStage(profile, bundle, promoted.offset)

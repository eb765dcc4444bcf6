"""Verdicts into the windows of a keyed step: each on the entity of its transaction."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.features.plan import Plan
from model.features.state import KeyedState
from model.features.verdict_reach import counts_from_ms, reach_us
from model.hashing import KEY_SEED, hash_joined, join, partitions_of
from model.sip import SipKey, sip128
from model.verdicts import label_numbers
from tidegate.broker.records import Batch
from tidegate.messages.documents import Label, decode_label
from tidegate.profile import Profile


class KeyedVerdicts:
    """Folds labels into the states of keyed step `step`. `key` hashes ids."""

    def __init__(self, profile: Profile, plan: Plan, step: int, key: SipKey) -> None:
        self._profile, self._plan, self._step, self._key = profile, plan, step, key
        self._reach_us = reach_us(plan)

    def absorb(self, state: KeyedState, batch: Batch, place: tuple[int, int]) -> None:
        """Fold the verdicts on entities of partition `place[0]` of `place[1]` that may count; pass
        over all else.
        """
        labels = self._first_of(state, batch, self.since_ms(state))
        keyed = [
            (label, text)
            for label in labels
            if self._step < len(label.entities) and (text := label.entities[self._step]) is not None
        ]
        if not keyed:
            return
        keys = [text.encode() for _, text in keyed]
        own = np.flatnonzero(partitions_of(keys, place[1]) == place[0])
        self._fold(state, [keyed[i][0] for i in own], [keys[i] for i in own])

    def since_ms(self, state: KeyedState) -> int:
        """Labels recorded before this cannot count: see `model.features.verdict_reach`."""
        return counts_from_ms(self._reach_us, state.clock_us)

    def _fold(self, state: KeyedState, labels: list[Label], keys: list[bytes]) -> None:
        if not labels:
            return
        verdicts = np.empty((len(labels), 5), np.int64)
        verdicts[:, :2] = self._hashes([label.transaction_id for label in labels])
        verdicts[:, 2] = [label.given_us for label in labels]
        verdicts[:, 3] = label_numbers([label.label_id for label in labels])
        verdicts[:, 4] = [1 + label.fraud for label in labels]
        times = np.array([label.event_us for label in labels], np.int64)
        state.absorb(
            verdicts,
            hash_joined(*join(keys), KEY_SEED).view(np.int64),
            times + self._profile.label_delay_us,
            self._carried(labels),
        )

    def _carried(self, labels: list[Label]) -> NDArray[np.float64]:
        """The values f8[n, plan.carried] that verdicts bring along; NaN from other profiles."""
        carried = np.full((len(labels), len(self._plan.carried)), np.nan)
        if not self._plan.carried:
            return carried
        for i, label in enumerate(labels):
            if label.profile.encode() != self._profile.hash:
                continue
            if len(label.values) == len(self._profile.values):
                values = [label.values[column] for column in self._plan.carried]
                carried[i] = [np.nan if value is None else value for value in values]
        return carried

    def _first_of(self, state: KeyedState, batch: Batch, since_ms: int) -> list[Label]:
        """The labels with a weight, recorded since then, whose ids were not met before, on whatever
        transaction.
        """
        recorded = zip(batch.values, batch.timestamps, strict=True)
        found = [_label(value) for value, ms in recorded if ms >= since_ms]
        labels = [label for label in found if label is not None and label.weight]
        if not labels:
            return []
        first = state.first_of(self._hashes([label.label_id for label in labels]))
        return [label for label, counts in zip(labels, first.tolist(), strict=True) if counts]

    def _hashes(self, texts: list[str]) -> NDArray[np.int64]:
        """i8[n, 2] of n ids, the first word never 0."""
        hashes = sip128(*join([text.encode() for text in texts]), self._key)
        hashes[hashes[:, 0] == 0, 0] = 1
        return hashes.view(np.int64)


def _label(value: bytes | None) -> Label | None:
    try:
        return decode_label(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

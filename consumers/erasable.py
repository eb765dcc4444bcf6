"""The stages of an erasable profile: payloads are encrypted on the topics and plain in the rows.

The first step decrypts what it reads and encrypts what it hands on; no step between looks into a
payload; persist decrypts. What is encrypted by a destroyed key is passed over, as if it had never
been sent. Keys are fetched for a whole batch before the stage begins with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from consumers.persist import Persist
from consumers.preprocess import PartitionState, PreprocessStage, Raw
from model.bundles.shared import SharedBundles
from model.sip import NO_SECRET, SipKey
from tidegate.broker.records import Batch
from tidegate.messages.ciphertext import ERASED, ERASED_KIND
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import Frames
from tidegate.messages.vault import Vault
from tidegate.profile import Profile
from tidegate.stream.stage import Output


class ErasablePreprocess(PreprocessStage):
    """The first keyed step. `process` and `replay` may raise Retry for a key.

    Anybody may write to the raw topic, so a record that no key opens is a reject like any other.
    What is folded anew was good once: there, an unknown key says that the database is another one.
    """

    def __init__(self, profile: Profile, vault: Vault, key: SipKey = NO_SECRET) -> None:
        super().__init__(profile, 0, key)
        self.vault = vault
        """Its dead letters are encrypted by it, too."""

    def process(self, state: PartitionState, batch: Batch) -> Output:
        return super().process(state, replace(batch, values=self.vault.decrypt(batch.values)))

    def replay(self, state: PartitionState, batch: Batch) -> Output:
        opened = self.vault.decrypt_known(batch.values)
        return super().replay(state, replace(batch, values=opened))

    def _frames(self, raw: Raw) -> Frames:
        frames = super()._frames(raw)
        frames.payloads = self.vault.encrypt(frames.accounts, frames.payloads)
        return frames


def keyed_step(
    profile: Profile, step: int, key: SipKey, vault: Vault | None = None
) -> PreprocessStage:
    """Keyed step `step` (0-based) of any profile; only the first of an erasable one decrypts."""
    if vault is None or step > 0:
        return PreprocessStage(profile, step, key)
    return ErasablePreprocess(profile, vault, key)


class ErasablePersist(Persist):
    """The persist stage. `process` may raise Retry for a key.

    Only our own steps write frames, so one with an unknown key waits for the database that has it.
    """

    def __init__(
        self, profile: Profile, bundles: Path, shared: SharedBundles | None, vault: Vault
    ) -> None:
        super().__init__(profile, bundles, shared)
        self._vault = vault

    def _read(
        self, column: FrameColumn, good: list[int]
    ) -> tuple[list[int], Frames, Mapping[str, int]]:
        good, frames, _ = super()._read(column, good)
        payloads = cast("list[bytes]", self._vault.decrypt_known(frames.payloads))
        kept = [place for place, payload in enumerate(payloads) if payload != ERASED]
        frames.payloads = payloads
        frames.rows["payload_len"] = np.fromiter(map(len, payloads), np.int64, len(payloads))
        passed = Counter({ERASED_KIND: len(good) - len(kept)})
        if len(kept) < len(good):
            good, frames = [good[place] for place in kept], frames.take(np.array(kept, np.intp))
        return good, frames, +passed

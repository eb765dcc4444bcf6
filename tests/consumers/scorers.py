"""Scorers of two bundles, for promotions: each with a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from consumers.score import ScoreStage
from model.bundles.bundle import Bundle, save
from model.bundles.promotion import model_message
from model.bundles.shared import SharedBundles
from tests.consumers.scoring import STATE, features_batch, scored
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.documents import ModelMessage, encode
from tidegate.messages.heartbeats import Heartbeat, decode_heartbeat
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.stream.side_topic import read_partition
from tidegate.stream.sources import Sources

SECONDS = 0.3
"""How long a scorer that never answers is waited for here."""


@pytest.fixture(scope="module")
def other(trained: Trained) -> Bundle:
    """A second bundle of the same profile, in the same folder: other thresholds."""
    first = trained.bundle
    lower = {name: value / 2 for name, value in first.manifest.thresholds.items()}
    manifest = msgspec.structs.replace(first.manifest, thresholds=lower)
    return save(first.path.parent, manifest, first.detectors, first.ensemble)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({MODELS: 1, PROMOTIONS: 1})


class Scorer:
    """A scorer with a bundle folder of its own; asked for its heartbeat, it first reads on."""

    def __init__(
        self, broker: MemoryBroker, trained: Trained, folder: Path, name: str, url: str = ""
    ) -> None:
        self._broker, self._name = broker, name
        shared = SharedBundles(url, folder) if url else None
        self.stage = ScoreStage(trained.profile, folder, shared=shared)

    def __call__(self) -> Heartbeat:
        self.read_on()
        bundle = self.stage.bundle.hash if self.stage.bundle else ""
        beat = Heartbeat(
            self._name, "score", 1, "h", [0], True, 0, 0, 0, 0, bundle,
            self.stage.models_offset, 9000, 5, prepared=self.stage.prepared,
        )  # fmt: skip
        return decode_heartbeat(encode(beat))

    def read_on(self) -> None:
        for batch in read_partition(self._broker, MODELS, self.stage.models_offset):
            self.stage.absorb(STATE, batch)


def living(*scorers: Callable[[], Heartbeat]) -> Callable[[], list[Heartbeat]]:
    return lambda: [scorer() for scorer in scorers]


def names(broker: MemoryBroker) -> list[tuple[str, str]]:
    """What is on the topic models: the kind of each message, and its bundle."""
    values = [value for batch in read_partition(broker, MODELS, 0) for value in batch.values]
    messages: list[ModelMessage] = [found for value in values if (found := model_message(value))]
    return [(type(message).__name__, message.bundle) for message in messages]


def decided_by(trained: Trained, scorer: Scorer) -> str:
    scorer.read_on()
    rows = scored(trained, scorer.stage.process(Sources(), features_batch(trained, slice(5)))).rows
    (bundle,) = set(rows["bundle"].tolist())
    return str(bundle.decode())

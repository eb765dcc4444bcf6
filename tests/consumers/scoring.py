"""Frames for the score stage, what the topic models says, and what the stage makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from consumers.score import ScoreStage
from model.bundles.bundle import Bundle
from model.detectors.base import Array, Detector
from tests.trained import Trained
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import Champion, ModelMessage, OnlineWeights, Shadow, encode
from tidegate.messages.frames import Frames
from tidegate.pipeline import FEATURES, MODELS, SCORED
from tidegate.stream.stage import NoState, Output

STATE = NoState()


def features_batch(trained: Trained, rows: slice, start: int = 100) -> Batch:
    """Frames of these rows of the history as the last keyed step writes them."""
    values = trained.values[rows]
    n, layout = len(values), trained.profile.features_layout
    frames = Frames(
        layout.empty(n),
        [f"t{i}".encode() for i in range(n)],
        [f"a{i % 7}".encode() for i in range(n)],
        [f'{{"n":{i}}}'.encode() for i in range(n)],
        [b""] * n,
    )
    frames.rows["values"], frames.rows["event_us"] = values, np.arange(n)
    frames.rows["amount_minor"] = 1234
    frames.rows["steps"]["offset"] = np.arange(n)[:, np.newaxis]
    return Batch(
        TopicPartition(FEATURES, 3),
        list(range(start, start + n)),
        list(frames.ids),
        list(layout.pack(frames)),
        [0] * n,
        [None] * n,
        777,
    )


def models(*messages: ModelMessage | bytes | None, start: int = 0) -> Batch:
    n = len(messages)
    values = [
        part if part is None or isinstance(part, bytes) else encode(part) for part in messages
    ]
    return Batch(
        TopicPartition(MODELS, 0),
        list(range(start, start + n)),
        [b""] * n,
        values,
        [0] * n,
        [None] * n,
    )


def champion(trained: Trained, bundle: str = "", profile: str = "") -> Champion:
    return Champion(bundle or trained.bundle.hash, profile or trained.profile.hash.decode(), 1)


def ready(trained: Trained, *more: ModelMessage | bytes | None) -> ScoreStage:
    stage = ScoreStage(trained.profile, trained.bundle.path.parent)
    stage.absorb(STATE, models(champion(trained), *more))
    return stage


def scored(trained: Trained, output: Output) -> Frames:
    layout = trained.profile.scored_layout
    values = [value for emit in output.emits if emit.topic == SCORED for value in emit.values]
    assert all(layout.check(value) is None for value in values)
    return layout.unpack([value for value in values if value is not None])


def count(output: Output) -> Output:
    """What the runner does once a batch is committed."""
    for counted in output.on_commit:
        counted()
    return output


def shadow(trained: Trained, bundle: str) -> Shadow:
    return Shadow(bundle, trained.profile.hash.decode(), 1)


class Broken:
    """A detector that fails: on every row, or with no number for the rows of which the first column
    is high.
    """

    def __init__(self, part: Detector, error: Exception | None = None) -> None:
        self._part, self._error = part, error
        self.name, self.features = part.name, part.features

    def score(self, x: Array) -> Array:
        if self._error:
            raise self._error
        out = self._part.score(x)
        out[x[:, 0] > np.nanmedian(x[:, 0])] = np.inf
        return out

    def contributions(self, x: Array) -> Array:
        return self._part.contributions(x)


def broken(
    trained: Trained, place: int, error: Exception | None = None, *more: OnlineWeights
) -> ScoreStage:
    stage = ready(trained, *more)
    assert stage.serving.champion
    bundle = stage.serving.champion.bundle
    parts: list[Any] = list(bundle.detectors)
    parts[place] = Broken(parts[place], error)
    stage.serving.champion = stage.serving.champion._replace(
        bundle=Bundle(bundle.path, bundle.hash, bundle.manifest, parts, bundle.ensemble)
    )
    return stage

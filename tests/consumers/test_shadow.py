"""A bundle that scores beside the champion."""

from __future__ import annotations

import numpy as np

from tests.consumers.scoring import (
    features_batch,
    ready,
    scored,
    shadow,
)
from tests.trained import Trained
from tidegate.messages.documents import OnlineWeights, Shadow
from tidegate.stream.sources import Sources


def test_a_shadow_scores_and_decides_nothing(trained: Trained) -> None:
    """The shadow has the training's online weights, the champion others: their scores differ."""
    weights = np.zeros(len(trained.bundle.online.params))  # type: ignore[union-attr] # card has an online model
    learnt = OnlineWeights(trained.bundle.hash, 7, weights.astype("<f8").tobytes(), 7, 1)
    batch = features_batch(trained, slice(3000))
    alone = scored(trained, ready(trained, learnt).process(Sources(), batch)).rows
    both = scored(
        trained,
        ready(trained, learnt, shadow(trained, trained.bundle.hash)).process(Sources(), batch),
    ).rows
    np.testing.assert_array_equal(
        both["scores"][:, -1], trained.bundle.score(trained.values[:3000]).final
    )
    assert not np.array_equal(both["scores"][:, -1], both["score"])
    for name in ("score", "decision", "bundle"):
        np.testing.assert_array_equal(alone[name], both[name])
    np.testing.assert_array_equal(alone["scores"][:, :-1], both["scores"][:, :-1])


def test_a_shadow_that_is_off_damaged_or_another_profiles_scores_nothing(trained: Trained) -> None:
    beside = shadow(trained, trained.bundle.hash)
    for last in (shadow(trained, ""), shadow(trained, "0123456789abcdef")):
        frames = scored(
            trained,
            ready(trained, beside, last).process(Sources(), features_batch(trained, slice(5))),
        )
        assert np.isnan(frames.rows["scores"][:, -1]).all()
    other = ready(trained, Shadow(trained.bundle.hash, "otherone", 1))
    frames = scored(trained, other.process(Sources(), features_batch(trained, slice(5))))
    assert np.isnan(frames.rows["scores"][:, -1]).all()

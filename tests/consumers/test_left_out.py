"""Detectors that fail are left out of a decision."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from model.bundles.bundle import Bundle
from model.bundles.reasons import Reason
from model.evaluation.metrics import auc
from tests.consumers.scoring import (
    Broken,
    broken,
    count,
    features_batch,
    scored,
)
from tests.trained import Trained
from tidegate.metrics import DEGRADED
from tidegate.stream.sources import Sources


@pytest.mark.parametrize(("place", "name"), [(0, "lightgbm"), (1, "online")])
def test_a_detector_that_fails_is_left_out(
    trained: Trained, place: int, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage, before = (
        broken(trained, place, RuntimeError("no memory")),
        DEGRADED.labels(name)._value.get(),
    )
    output = count(stage.process(Sources(), features_batch(trained, slice(20_000, 24_000))))
    count(stage.process(Sources(), features_batch(trained, slice(10))))
    frames = scored(trained, output)
    assert np.isnan(frames.rows["scores"][:, place]).all()
    assert auc(frames.rows["score"], trained.labels[20_000:24_000] == 1) > 0.8
    again = trained.bundle.score(trained.values[20_000:24_000], without=[name])
    np.testing.assert_array_equal(frames.rows["score"], again.final)
    assert DEGRADED.labels(name)._value.get() == before + 4_010
    assert [record.message for record in caplog.records] == [
        f"detector {name} of bundle {trained.bundle.hash} failed and is left out"
    ]
    flagged = np.flatnonzero(frames.rows["decision"])
    assert all(msgspec.json.decode(frames.reasons[i], type=list[Reason]) for i in flagged.tolist())


def test_a_score_that_is_no_number_is_left_out_of_its_row(trained: Trained) -> None:
    frames = scored(
        trained, broken(trained, 0).process(Sources(), features_batch(trained, slice(500)))
    )
    missing, whole = (
        np.isnan(frames.rows["scores"][:, 0]),
        trained.bundle.score(trained.values[:500]),
    )
    without = trained.bundle.score(trained.values[:500], without=["lightgbm"])
    assert 0 < missing.sum() < 500
    np.testing.assert_array_equal(
        frames.rows["score"], np.where(missing, without.final, whole.final)
    )


def test_contributions_add_up_without_a_detector_too(trained: Trained) -> None:
    values = trained.values[:200]
    scores = trained.bundle.score(values, without=["lightgbm"])
    odds = trained.bundle.contributions(values, scores.detectors).sum(axis=1)
    np.testing.assert_allclose(odds, np.log(scores.final / (1 - scores.final)), atol=1e-9)


def test_without_any_detector_nothing_is_decided(trained: Trained) -> None:
    stage = broken(trained, 0, RuntimeError("no memory"))
    assert stage.serving.champion
    bundle = stage.serving.champion.bundle
    parts: list[Any] = [Broken(part, RuntimeError("no memory")) for part in bundle.detectors]
    stage.serving.champion = stage.serving.champion._replace(
        bundle=Bundle(bundle.path, bundle.hash, bundle.manifest, parts, bundle.ensemble)
    )
    with pytest.raises(RuntimeError, match="no memory"):
        stage.process(Sources(), features_batch(trained, slice(10)))

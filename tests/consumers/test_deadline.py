"""A detector that takes too long is left out of the batch, and of every other one until it has
ended.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from consumers.deadline import Deadline, Late
from consumers.score import ScoreStage
from model.bundles.bundle import Bundle
from model.bundles.reasons import Reason
from model.bundles.serving import Model
from model.detectors.online import Online
from model.detectors.trees.lightgbm import LightGBM
from tests.consumers.test_score import (
    STATE,
    Broken,
    champion,
    count,
    features_batch,
    models,
    scored,
    shadow,
)
from tests.model.gate import Gate, gate_of
from tests.support import eventually
from tests.trained import Trained
from tidegate.messages.documents import ModelMessage
from tidegate.messages.frames import NONE
from tidegate.metrics import DEGRADED
from tidegate.stream.sources import Sources

SECONDS = 1.0
ROWS = slice(20_000, 24_000)
trees, online = gate_of(LightGBM), gate_of(Online)


def limited(trained: Trained, *more: ModelMessage) -> ScoreStage:
    stage = ScoreStage(trained.profile, trained.bundle.path.parent, SECONDS)
    stage.absorb(STATE, models(champion(trained), *more))
    return stage


def test_with_time_enough_a_limit_changes_no_bit(trained: Trained) -> None:
    whole = ScoreStage(trained.profile, trained.bundle.path.parent)
    whole.absorb(STATE, models(champion(trained)))
    batch = features_batch(trained, ROWS)
    assert [emit.values for emit in limited(trained).process(Sources(), batch).emits] == [
        emit.values for emit in whole.process(Sources(), batch).emits
    ]


def test_a_late_detector_is_left_out_and_comes_back(
    trained: Trained, trees: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    stage, batch, before = (
        limited(trained),
        features_batch(trained, ROWS),
        DEGRADED.labels("lightgbm")._value.get(),
    )
    values, calls = trained.values[ROWS], trees.calls
    trees.close()
    for _ in range(2):
        frames = scored(trained, count(stage.process(Sources(), batch)))
        others = trained.bundle.score(values, without=["lightgbm"])
        np.testing.assert_array_equal(frames.rows["score"], others.final)
        np.testing.assert_array_equal(
            np.isnan(frames.rows["scores"][:, :-1]), [[True, False]] * len(values)
        )
    assert trees.calls == calls + 1, "no other batch, and no part in reasons"
    assert DEGRADED.labels("lightgbm")._value.get() == before + 8_000
    assert [record.message for record in caplog.records] == [
        f"detector lightgbm of bundle {trained.bundle.hash} is late and is left out"
    ]
    for i in np.flatnonzero(frames.rows["decision"]):
        check_limits(trained, values[i], msgspec.json.decode(frames.reasons[i], type=list[Reason]))
    trees.open()
    eventually(
        lambda: np.isfinite(
            scored(trained, stage.process(Sources(), batch)).rows["scores"][:, 0]
        ).all()
    )
    np.testing.assert_array_equal(
        scored(trained, stage.process(Sources(), batch)).rows["score"],
        trained.bundle.score(values).final,
    )


def check_limits(trained: Trained, values: np.ndarray, said: list[Reason]) -> None:
    """What a reason says would pass does pass, without the detector."""
    for reason in said:
        limit = reason.pass_at_most if reason.pass_at_most is not None else reason.pass_at_least
        if limit is not None:
            changed = values[np.newaxis].copy()
            changed[0, trained.profile.values.index(reason.feature)] = limit
            again = trained.bundle.score(changed, without=["lightgbm"]).final
            assert trained.bundle.decide(again, np.array([1234])) == 0


def test_what_a_detector_raises_comes_from_its_thread(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = limited(trained)

    def fail(_part: LightGBM, _x: np.ndarray) -> np.ndarray:
        raise RuntimeError("no memory")

    monkeypatch.setattr(LightGBM, "score", fail)
    frames = scored(trained, stage.process(Sources(), features_batch(trained, slice(50))))
    assert np.isnan(frames.rows["scores"][:, 0]).all()


def test_when_all_are_late_nothing_is_decided(trained: Trained, trees: Gate, online: Gate) -> None:
    stage, batch = limited(trained), features_batch(trained, slice(50))
    trees.close()
    online.close()
    for _ in range(2):
        with pytest.raises(Late):
            stage.process(Sources(), batch)
    online.open()
    eventually(lambda: not decided_by_none(stage, trained))


def test_a_batch_that_takes_longer_than_the_limit_is_scored_when_that_has_grown(
    trained: Trained,
) -> None:
    deadline, part, x = (
        Deadline(1e-4),
        trained.bundle.detectors[0],
        trained.bundle.inputs(trained.values),
    )
    with pytest.raises(Late):
        deadline.score("bundle", part, x)

    def scored_with_more_time() -> bool:
        deadline.wait_longer()
        try:
            return len(deadline.score("bundle", part, x)) == len(x)
        except Late:
            return False

    eventually(scored_with_more_time)


def test_the_accounts_of_a_canary_that_is_late_are_the_champions(trained: Trained) -> None:
    stage, batch = limited(trained), features_batch(trained, slice(50))
    before = scored(trained, stage.process(Sources(), batch)).rows
    bundle = trained.bundle
    parts: list[Any] = [Broken(part, Late("not yet")) for part in bundle.detectors]
    hanging = Bundle(bundle.path, "f" * 16, bundle.manifest, parts, bundle.ensemble)
    stage.serving.canary, stage.serving.share = Model(hanging, NONE), 1.0
    after = scored(trained, stage.process(Sources(), batch)).rows
    np.testing.assert_array_equal(after["score"], before["score"])
    assert set(after["bundle"].tolist()) == {bundle.hash.encode()}


def decided_by_none(stage: ScoreStage, trained: Trained) -> bool:
    try:
        frames = scored(trained, stage.process(Sources(), features_batch(trained, slice(50))))
    except Late:
        return True
    return not np.isfinite(frames.rows["scores"][:, 1]).all()


def test_a_shadow_of_which_nothing_works_holds_nobody_up(trained: Trained) -> None:
    stage, batch = (
        limited(trained, shadow(trained, trained.bundle.hash)),
        features_batch(trained, slice(50)),
    )
    before, bundle = scored(trained, stage.process(Sources(), batch)).rows, trained.bundle
    assert np.isfinite(before["scores"][:, -1]).all()
    parts: list[Any] = [Broken(part, RuntimeError("no memory")) for part in bundle.detectors]
    stage.serving.shadow = Bundle(bundle.path, "f" * 16, bundle.manifest, parts, bundle.ensemble)
    after = scored(trained, stage.process(Sources(), batch)).rows
    np.testing.assert_array_equal(after["score"], before["score"])
    assert np.isnan(after["scores"][:, -1]).all()

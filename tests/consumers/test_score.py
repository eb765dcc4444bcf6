from __future__ import annotations

import dataclasses
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.alerts import Alert
from consumers.score import ScoreStage
from model.bundles import serving
from model.bundles.bundle import Bundle
from model.bundles.reasons import Reason
from model.detectors.base import Array, Detector
from model.evaluation.metrics import auc
from tests.trained import Trained
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry, Stop
from tidegate.messages.documents import Champion, ModelMessage, OnlineWeights, Shadow, encode
from tidegate.messages.frames import DECISIONS as DECISION_NAMES
from tidegate.messages.frames import MAGIC, NONE, Frames
from tidegate.metrics import CHAMPION_REFUSED, DECISIONS, DEGRADED
from tidegate.pipeline import ALERTS, FEATURES, MODELS, SCORED
from tidegate.stream.sources import Sources
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


def test_without_a_champion_it_waits(trained: Trained) -> None:
    stage = ScoreStage(trained.profile, trained.bundle.path.parent)
    stage.absorb(STATE, models(champion(trained, profile="otherone"), None, b"{"))
    with pytest.raises(Retry, match="no champion"):
        stage.process(Sources(), features_batch(trained, slice(5)))


def test_a_scored_frame_holds_all_that_a_row_needs(trained: Trained) -> None:
    stage, batch = ready(trained), features_batch(trained, slice(2000))
    output = stage.process(Sources(), batch)
    frames, before = (
        scored(trained, output),
        trained.profile.features_layout.unpack([v for v in batch.values if v]),
    )
    expected = trained.bundle.score(trained.values[:2000])
    np.testing.assert_array_equal(frames.rows["score"], expected.final)
    np.testing.assert_array_equal(frames.rows["scores"][:, :-1], expected.detectors)
    assert np.isnan(frames.rows["scores"][:, -1]).all()
    np.testing.assert_array_equal(frames.rows["features_offset"], batch.offsets)
    for name, value in {
        "features_partition": 3,
        "scored_us": 777,
        "bundle": trained.bundle.hash.encode(),
        "models_offset": 1,
        "online_labels": NONE,
    }.items():
        assert (frames.rows[name] == value).all(), name
    for field in before.rows.dtype.names or ():
        if field not in ("reasons_len", "magic"):
            assert frames.rows[field].tobytes() == before.rows[field].tobytes(), field
    assert (frames.ids, frames.accounts, frames.payloads) == (
        before.ids,
        before.accounts,
        before.payloads,
    )
    assert list(output.emits[0].keys) == batch.keys
    np.testing.assert_array_equal(
        frames.rows["decision"], (expected.final >= 0.5).astype(int) + (expected.final >= 0.9)
    )


def test_what_is_flagged_has_reasons_and_an_alert(trained: Trained) -> None:
    output = ready(trained).process(Sources(), features_batch(trained, slice(None)))
    frames = scored(trained, output)
    flagged = np.flatnonzero(frames.rows["decision"]).tolist()
    assert flagged
    assert [i for i, part in enumerate(frames.reasons) if part] == flagged
    assert all(msgspec.json.decode(frames.reasons[i], type=list[Reason]) for i in flagged)
    alerts = output.emits[1]
    assert alerts.topic == ALERTS
    assert list(alerts.keys) == [frames.accounts[i] for i in flagged]
    first = msgspec.json.decode(alerts.values[0] or b"", type=Alert)
    assert (first.transaction_id, first.score) == (
        frames.ids[flagged[0]].decode(),
        frames.rows["score"][flagged[0]],
    )
    assert first.decision in ("review", "block")


def test_a_frame_that_comes_again_alerts_once(trained: Trained) -> None:
    stage, state, batch = ready(trained), Sources(), features_batch(trained, slice(None))
    first = stage.process(state, batch)
    alerts = first.emits[1]
    assert alerts.headers is not None
    assert len({dict(headers or [])["tidegate-key"] for headers in alerts.headers}) == len(
        alerts.values
    )
    restored = Sources()
    restored.restore(state.note())
    for known in (state, restored):
        again = stage.process(known, batch)
        assert [emit.topic for emit in again.emits] == [SCORED], "scored, for persist to decide"
    put_back = dataclasses.replace(batch, headers=[[("tidegate-attempt", b"1")]] * len(batch))
    assert stage.process(restored, put_back).emits[1].topic == ALERTS


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 400), max_size=5))
def test_any_batches_give_the_same_frames(trained: Trained, cuts: list[int]) -> None:
    stage, whole = ready(trained), features_batch(trained, slice(20_000, 20_400))
    ends = [0, *sorted(cuts), 400]
    parts = [
        value
        for start, stop in pairwise(ends)
        if start < stop
        for value in stage.process(Sources(), whole.slice(start, stop)).emits[0].values
    ]
    assert parts == list(stage.process(Sources(), whole).emits[0].values)


def test_damaged_frames_are_rejected_and_their_neighbours_scored(trained: Trained) -> None:
    batch = features_batch(trained, slice(6))
    batch.values[1], batch.values[3] = (batch.values[1] or b"")[:-1], b"no frame"
    batch.values[4] = None
    output = ready(trained).process(Sources(), batch)
    assert {reject.index: reject.reason for reject in output.rejects} == {
        1: "truncated_frame",
        3: "not_a_frame",
        4: "not_a_frame",
    }
    frames = scored(trained, output)
    assert frames.ids == [b"t0", b"t2", b"t5"]
    assert frames.rows["features_offset"].tolist() == [100, 102, 105]
    assert list(output.emits[0].keys) == [b"t0", b"t2", b"t5"]


def test_frames_of_another_profile_stop_it(trained: Trained) -> None:
    batch = features_batch(trained, slice(1))
    value = batch.values[0] or b""
    with pytest.raises(Stop, match="frames of profile"):
        ready(trained).process(
            Sources(), dataclasses.replace(batch, values=[value[:4] + b"deadbeef" + value[12:]])
        )


def test_a_batch_of_nothing_but_rejects(trained: Trained) -> None:
    output = ready(trained).process(
        Sources(), dataclasses.replace(features_batch(trained, slice(1)), values=[b""])
    )
    assert not output.emits
    assert len(output.rejects) == 1


def test_online_weights_are_used_from_the_next_batch_on(trained: Trained) -> None:
    assert trained.bundle.online is not None
    changed = trained.bundle.online.params.copy()
    changed[0] += 1.0
    stage, batch = ready(trained), features_batch(trained, slice(50))
    before = scored(trained, stage.process(Sources(), batch)).rows
    weights = OnlineWeights(trained.bundle.hash, 12, changed.astype("<f8").tobytes(), 12, 5)
    stage.absorb(STATE, models(weights, start=1))
    after = scored(trained, stage.process(Sources(), batch)).rows
    assert (after["scores"][:, 1] > before["scores"][:, 1]).all()
    assert set(after["models_offset"].tolist()) == {2}
    assert set(after["online_labels"].tolist()) == {12}
    np.testing.assert_array_equal(
        after["score"], trained.bundle.score(trained.values[:50], changed).final
    )


def test_records_read_again_change_nothing(trained: Trained) -> None:
    assert trained.bundle.online is not None
    newer = OnlineWeights(trained.bundle.hash, 9, trained.bundle.online.params.tobytes(), 9, 5)
    stage = ready(trained, newer)
    older = OnlineWeights(trained.bundle.hash, 3, trained.bundle.online.params.tobytes(), 3, 5)
    stage.absorb(STATE, models(champion(trained), older))
    assert stage.serving.champion
    assert (stage.models_offset, stage.serving.champion.online_labels) == (2, 9)


def test_weights_may_come_before_their_champion(trained: Trained) -> None:
    assert trained.bundle.online is not None
    weights = OnlineWeights(trained.bundle.hash, 9, trained.bundle.online.params.tobytes(), 9, 5)
    stage = ScoreStage(trained.profile, trained.bundle.path.parent)
    stage.absorb(STATE, models(weights))
    stage.absorb(STATE, models(champion(trained), start=1))
    assert stage.serving.champion
    assert (stage.models_offset, stage.serving.champion.online_labels) == (2, 9)


def test_weights_of_other_bundles_are_left_aside(trained: Trained) -> None:
    stage = ready(trained, OnlineWeights("f" * 16, 9, b"\0" * 8, 9, 5))
    assert stage.serving.champion
    assert stage.serving.champion.online_labels == NONE
    assert stage.models_offset == 2


def test_decisions_are_counted_when_they_are_committed(trained: Trained) -> None:
    stage, batch = ready(trained), features_batch(trained, slice(2000))

    def decided() -> int:
        return int(sum(DECISIONS.labels(name)._value.get() for name in DECISION_NAMES))

    before = decided()
    stage.process(Sources(), batch)  # a batch that is rewound
    assert decided() == before
    count(stage.process(Sources(), batch))
    assert decided() == before + 2000


@pytest.mark.parametrize("name", ["0" * 16, "../up", "damaged"])
def test_the_champion_before_goes_on_where_one_cannot_be_loaded(
    trained: Trained, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(trained.bundle.path, tmp_path / trained.bundle.hash)
    shutil.copytree(trained.bundle.path, tmp_path / "damaged")
    (tmp_path / "damaged" / "online.json").write_bytes(b"{}")
    stage = ScoreStage(trained.profile, tmp_path)
    stage.absorb(STATE, models(champion(trained)))
    stage.absorb(STATE, models(champion(trained, bundle=name), start=1))
    rows = scored(trained, stage.process(Sources(), features_batch(trained, slice(5)))).rows
    assert set(rows["bundle"].tolist()) == {trained.bundle.hash.encode()}
    assert stage.models_offset == 2
    assert stage.refused.startswith(f"{name}: ")
    assert CHAMPION_REFUSED._value.get() == 1
    assert [record.message.split(",")[0] for record in caplog.records] == [
        f"champion {name} is refused"
    ]
    stage.absorb(STATE, models(champion(trained), start=2))
    assert (stage.refused, CHAMPION_REFUSED._value.get()) == ("", 0)


def test_a_scorer_that_starts_falls_back_to_the_champion_before(
    trained: Trained, tmp_path: Path
) -> None:
    """Compaction has dropped the earlier message: the newest one names what it replaced."""
    stage = ScoreStage(trained.profile, trained.bundle.path.parent)
    missing = champion(trained, bundle="0" * 16)
    stage.absorb(STATE, models(msgspec.structs.replace(missing, previous=trained.bundle.hash)))
    assert stage.bundle
    assert (stage.bundle.hash, stage.refused[:17]) == (trained.bundle.hash, "0" * 16 + ":")
    empty = ScoreStage(trained.profile, tmp_path)
    empty.absorb(STATE, models(champion(trained)))
    with pytest.raises(Retry, match=f"no champion can be loaded: {trained.bundle.hash}"):
        empty.process(Sources(), features_batch(trained, slice(5)))


def test_a_refused_champion_scores_once_its_bundle_has_come(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_RETRY_SECONDS", 0.0)
    stage, batch = ScoreStage(trained.profile, tmp_path), features_batch(trained, slice(5))
    stage.absorb(STATE, models(champion(trained)))
    shutil.copytree(trained.bundle.path, tmp_path / trained.bundle.hash)
    rows = scored(trained, stage.process(Sources(), batch)).rows
    assert set(rows["bundle"].tolist()) == {trained.bundle.hash.encode()}
    assert stage.refused == ""


def shadow(trained: Trained, bundle: str) -> Shadow:
    return Shadow(bundle, trained.profile.hash.decode(), 1)


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


def test_scored_frames_of_the_version_before_stop_their_reader(trained: Trained) -> None:
    (value,) = ready(trained).process(Sources(), features_batch(trained, slice(1))).emits[0].values
    old = MAGIC.to_bytes(4, "little") + (value or b"")[4:-8]
    with pytest.raises(Stop, match="another version"):
        trained.profile.scored_layout.check(old)
    assert not trained.profile.scored_layout.ours(old)


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

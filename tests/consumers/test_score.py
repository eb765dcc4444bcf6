from __future__ import annotations

import dataclasses
import shutil
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.alerts import Alert
from consumers.score import ScoreStage
from model.bundles import serving
from model.bundles.reasons import Reason
from tests.consumers.scoring import (
    STATE,
    champion,
    count,
    features_batch,
    models,
    ready,
    scored,
)
from tests.trained import Trained
from tidegate.errors import Retry, Stop
from tidegate.messages.documents import OnlineWeights
from tidegate.messages.frame_marks import MAGIC
from tidegate.messages.frames import DECISIONS as DECISION_NAMES
from tidegate.messages.frames import NONE
from tidegate.metrics import CHAMPION_REFUSED, DECISIONS
from tidegate.pipeline import ALERTS, SCORED
from tidegate.stream.sources import Sources


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


def test_scored_frames_of_the_version_before_stop_their_reader(trained: Trained) -> None:
    (value,) = ready(trained).process(Sources(), features_batch(trained, slice(1))).emits[0].values
    old = (
        MAGIC.to_bytes(4, "little") + (value or b"")[4:-41]
    )  # 33 bytes of the policy, and 8 of the shadow
    with pytest.raises(Stop, match="another version"):
        trained.profile.scored_layout.check(old)
    assert not trained.profile.scored_layout.ours(old)

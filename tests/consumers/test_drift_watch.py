"""What the persist stage tells of the stream's drift."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from consumers.drift_watch import FEWEST
from consumers.persist import Persist
from model.bundles.manifest import MANIFEST, Manifest, Training
from model.bundles.shared import SharedBundles
from model.drift.reference import REFERENCE_FILE, reference_of
from model.drift.window import ROWS, WindowState
from tidegate.broker.addresses import address_of
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry
from tidegate.messages.frames import Frames
from tidegate.pipeline import SCORED
from tidegate.profile import load_profile
from tidegate.profile.look_back import look_back
from tidegate.profile.spec import DAY

PROFILE = load_profile("card")
AMOUNT = PROFILE.values.index("amount")
LONG = {name for name, us in look_back(PROFILE).items() if us >= DAY}
CHANCE = np.random.default_rng(8)


def traffic(rows: int) -> np.ndarray:
    return CHANCE.lognormal(3, 1, (rows, len(PROFILE.values)))


def score_of(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + values[:, AMOUNT])


def manifest(created_us: int) -> bytes:
    """Of a bundle that holds no more than the drift asks for."""
    training, files = (
        Training("", 0, 0, [], []),
        {REFERENCE_FILE: hashlib.sha256(REFERENCE).hexdigest()},
    )
    return msgspec.json.encode(
        Manifest("card", "", [], [], [], {}, training, {}, files, created_us)
    )


TRAINED = traffic(5000)
REFERENCE = msgspec.json.encode(
    reference_of(
        PROFILE.features,
        TRAINED[:, [PROFILE.values.index(name) for name in PROFILE.features]],
        score_of(TRAINED),
    )
)
MANIFESTS = {hashlib.sha256(content).hexdigest()[:16]: content for content in map(manifest, (1, 2))}
BUNDLE, OTHER = MANIFESTS


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for name, content in MANIFESTS.items():
        (folder / name).mkdir()
        (folder / name / REFERENCE_FILE).write_bytes(REFERENCE)
        (folder / name / MANIFEST).write_bytes(content)
    return folder


def persist(stage: Persist, state: WindowState, values: np.ndarray, bundle: str = BUNDLE) -> None:
    """Scored frames with these values, after those that the state holds."""
    layout = PROFILE.scored_layout
    rows = layout.empty(len(values))
    rows["values"], rows["score"] = values, score_of(values)
    rows["bundle"] = bundle.encode()
    messages, count = state.arrays()["messages"], len(values)
    start = int(messages[-1]) + 1 if len(messages) else 0
    names = [f"t{start + at}".encode() for at in range(count)]
    packed = layout.pack(Frames(rows, names, [b"u"] * count, [b"{}"] * count, [b""] * count))
    batch = Batch(
        TopicPartition(SCORED, 0),
        [address_of(SCORED, start, at) for at in range(count)],
        [None] * count,
        packed,
        [0] * count,
        [None] * count,
    )
    state.begin()
    assert stage.process(state, batch).rejects == []
    state.commit()


def gauge(name: str, kind: str, feature: str) -> float | None:
    return REGISTRY.get_sample_value(f"tidegate_drift_{name}", {"kind": kind, "feature": feature})


def test_a_stream_like_the_training_has_not_drifted_and_another_one_has(bundles: Path) -> None:
    stage = Persist(PROFILE, bundles)
    state = stage.new_state(0, 1)
    persist(stage, state, traffic(FEWEST - 1))
    assert stage.drift is None, "too few"
    persist(stage, state, traffic(1400))
    assert stage.drift is not None
    assert (stage.drift.bundle, stage.drift.rows) == (BUNDLE, FEWEST + 1399)
    assert max(one.psi for one in stage.drift.moved) < 0.1
    other = traffic(2000)
    other[:, AMOUNT] *= 20
    persist(stage, state, other)
    for kind, name in (("input", "amount"), ("score", "score")):
        assert (gauge("psi", kind, name) or 0) > 0.5
        assert (gauge("ks", kind, name) or 0) > 0.3
    assert gauge("psi", "input", "device_type") == pytest.approx(0, abs=0.1)
    assert [one.name for one in stage.drift.moved if one.psi > 0.25] == ["amount", "score"]
    assert stage.drift.moved == sorted(stage.drift.moved, key=lambda one: -one.psi)


def test_windows_that_are_filling_do_not_crowd_out_full_ones(bundles: Path) -> None:
    stage = Persist(PROFILE, bundles)
    state = stage.new_state(0, 1)
    moved = traffic(2000)
    for place, name in enumerate(PROFILE.values):
        moved[:, place] *= 20 if name in LONG else 3 if name == "user_count_1h" else 1
    persist(stage, state, moved)
    assert stage.drift is not None
    derived = [one.name for one in stage.drift.moved if one.kind == "derived"]
    assert set(derived[:12]) <= LONG, "most have moved further"
    assert "user_count_1h" in derived


def test_a_promotion_begins_a_window_of_its_own(bundles: Path) -> None:
    stage = Persist(PROFILE, bundles)
    state = stage.new_state(0, 1)
    persist(stage, state, traffic(ROWS))
    persist(stage, state, traffic(1000), OTHER)
    assert stage.drift is not None
    assert stage.drift.bundle == BUNDLE, "of which there are more rows"
    persist(stage, state, traffic(500), OTHER)
    assert (stage.drift.bundle, stage.drift.rows) == (OTHER, 1500)


def test_of_a_bundle_that_is_not_there_nothing_is_reported(
    bundles: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Persist(PROFILE, bundles)
    state = stage.new_state(0, 1)
    with caplog.at_level(logging.WARNING):
        persist(stage, state, traffic(1000), "ffffffffffffffff")
    assert "no drift is reported: bundle" in caplog.text
    assert (stage.drift, state.bundle) == (None, b"")


def test_a_blip_of_the_bundles_url_changes_no_state(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SharedBundles(f"file://{bundles}", tmp_path / "copies")
    stage, undisturbed = Persist(PROFILE, tmp_path / "copies", source), Persist(PROFILE, bundles)
    state, wanted = stage.new_state(0, 1), undisturbed.new_state(0, 1)
    values = traffic(1000)
    with monkeypatch.context() as patch:
        patch.setattr(source, "_content", away)
        with pytest.raises(Retry, match="no endpoint"):
            persist(stage, state, values)
    state.rollback()
    persist(stage, state, values)
    persist(undisturbed, wanted, values)
    assert state.digest() == wanted.digest()
    assert stage.drift == undisturbed.drift
    assert stage.drift is not None


def away(_name: str, _file: str) -> bytes:
    raise OSError("no endpoint")

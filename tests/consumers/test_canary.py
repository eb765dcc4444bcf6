from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consumers.persist import Persist
from db.comparison import DecidedSince, compare_canary
from db.migrate import migrate
from model.bundles.bundle import Bundle
from model.bundles.promotion import promote, set_canary
from model.training.train import train
from producers.simulator.history import read_frame, simulate_history
from tests.consumers.scoring import features_batch, ready, scored
from tests.trained import Trained
from tests.web import persist, produce
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch
from tidegate.messages.documents import Canary, Label, encode
from tidegate.pipeline import DLQ, LABELS, MODELS, PROMOTIONS, SCORED
from tidegate.stream.sources import Sources

ROWS = 2000


@pytest.fixture(scope="module")
def other(trained: Trained) -> Bundle:
    """A second bundle of the same profile, in the same folder."""
    frame = simulate_history(trained.profile, 20_000, seed=6)
    history = read_frame(trained.profile, frame).history
    return train(
        trained.profile, history, trained.bundle.path.parent, lambda _share, _what: None, 1
    )


@pytest.fixture(scope="module")
def batch(trained: Trained) -> Batch:
    """Two transactions of each of a thousand accounts."""
    made = features_batch(trained, slice(ROWS))
    layout = trained.profile.features_layout
    frames = layout.unpack([value for value in made.values if value])
    accounts = np.random.default_rng(1).integers(0, 2**64, ROWS // 2, np.uint64)
    frames.rows["keys"] = np.tile(accounts, 2)[:, np.newaxis]
    made.values[:] = layout.pack(frames)
    return made


def canary(trained: Trained, bundle: str, share: float) -> Canary:
    return Canary(bundle, trained.profile.hash.decode(), share, 1)


def outcome(trained: Trained, batch: Batch, *messages: Canary) -> NDArray[Any]:
    """The scored rows, in the order of the transactions."""
    stage = ready(trained, *messages)
    frames = scored(trained, stage.process(Sources(), batch))
    offsets = frames.rows["features_offset"]
    assert [f"t{offset - 100}".encode() for offset in offsets] == frames.ids
    return frames.rows[np.argsort(offsets)]


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_it_decides_for_its_share_of_the_accounts(
    trained: Trained, other: Bundle, batch: Batch, share: float
) -> None:
    rows = outcome(trained, batch, canary(trained, other.hash, share))
    by_canary = rows["bundle"] == other.hash.encode()
    assert abs(by_canary.mean() - share) < 0.04
    np.testing.assert_array_equal(by_canary[: ROWS // 2], by_canary[ROWS // 2 :])
    values = trained.values[:ROWS]
    expected = np.where(by_canary, other.score(values).final, trained.bundle.score(values).final)
    np.testing.assert_array_equal(rows["score"], expected)


def test_a_larger_share_keeps_the_accounts_of_the_smaller(
    trained: Trained, other: Bundle, batch: Batch
) -> None:
    few, many = (
        outcome(trained, batch, canary(trained, other.hash, share))["bundle"] == other.hash.encode()
        for share in (0.1, 0.5)
    )
    assert not (few & ~many).any()


def test_one_that_is_off_damaged_or_the_champion_decides_nothing(
    trained: Trained, other: Bundle, batch: Batch
) -> None:
    alone = outcome(trained, batch)
    for last in (
        canary(trained, "", 0.0),
        canary(trained, "0123456789abcdef", 1.0),
        canary(trained, trained.bundle.hash, 1.0),
    ):
        rows = outcome(trained, batch, canary(trained, other.hash, 1.0), last)
        for name in ("bundle", "score", "decision"):
            np.testing.assert_array_equal(rows[name], alone[name])


def test_what_both_decided_is_compared(
    trained: Trained, other: Bundle, batch: Batch, tmp_path: Path
) -> None:
    url, profile = f"sqlite:///{tmp_path / 'rows.db'}", trained.profile
    migrate(url)
    broker = MemoryBroker(dict.fromkeys((MODELS, PROMOTIONS, LABELS, SCORED, DLQ), 1))
    assert compare_canary(profile, url, broker) is None
    promote(broker, trained.bundle.hash, profile.hash.decode(), by="test")
    set_canary(broker, other.hash, profile.hash.decode(), 0.2, by="test")
    stage = ready(trained, canary(trained, other.hash, 0.2))
    emitted = stage.process(Sources(), batch).emits
    persist(
        url,
        broker,
        profile,
        [
            value
            for emit in emitted
            if emit.topic == Persist.input
            for value in emit.values
            if value
        ],
    )
    rows = scored(trained, stage.process(Sources(), batch)).rows
    flagged = [
        (row["bundle"].decode(), int(row["features_offset"]) - 100)
        for row in rows
        if row["decision"]
    ]
    produce(
        broker,
        LABELS,
        *(
            encode(
                Label(
                    f"t{at}",
                    f"l{at}",
                    at % 2 == 0,
                    "api",
                    profile.hash.decode(),
                    1,
                    2,
                    3,
                    [],
                    [],
                    0.5,
                    "review",
                    [],
                )
            )
            for _, at in flagged
        ),
    )
    compared = compare_canary(profile, url, broker)
    assert compared is not None
    assert compared[:2] == (other.hash, 0.2)
    for bundle, side in compared[2].items():
        mine = [at for name, at in flagged if name == bundle]
        frauds = sum(at % 2 == 0 for at in mine)
        count = int((rows["bundle"] == bundle.encode()).sum())
        assert side == DecidedSince(
            count, len(mine), len(mine), frauds, frauds / len(mine) if mine else None
        )
    assert set(compared[2]) == {trained.bundle.hash, other.hash}

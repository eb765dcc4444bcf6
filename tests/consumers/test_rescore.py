from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from consumers.learn import LearnStage
from consumers.replay.logs import Logs
from consumers.replay.rescore import Rescored, rescore
from db.migrate import migrate
from db.revisions import DegradedRow, read_degraded, write_revisions
from db.store import Store
from model.bundles.bundle import Bundle
from model.bundles.policies import publish_policy
from tests.consumers.scoring import Broken, broken, features_batch
from tests.consumers.test_learn import batch, folded, label, no_history
from tests.trained import Trained
from tests.web import persist, produce
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.documents import OnlineWeights
from tidegate.messages.frames import DECISIONS, NONE
from tidegate.messages.policy import Policy, Rule
from tidegate.pipeline import DLQ, LABELS, MODELS, PROMOTIONS, SCORED
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.sources import Sources

ROWS, TOLD = slice(20_000, 20_400), (10, 40)
"""The transactions, and how many labels the learner had folded when the second half of them was
scored.
"""


@pytest.fixture
def broker(trained: Trained) -> MemoryBroker:
    """Its labels are the first 60 of the history."""
    made = MemoryBroker({LABELS: 1, SCORED: 1, DLQ: 1, MODELS: 1, PROMOTIONS: 1})
    produce(made, LABELS, *(label(trained, at) for at in range(60)))
    return made


@pytest.fixture
def logs(broker: MemoryBroker, tmp_path: Path) -> Iterator[Logs]:
    made = Logs(broker, Snapshots(str(tmp_path / "snapshots")))
    yield made
    made.close()


def weights(trained: Trained, count: int) -> np.ndarray:
    """What the learner published after so many labels."""
    stage = LearnStage(trained.profile, trained.bundle, no_history)
    return stage.weights(folded(stage, batch(*[label(trained, at) for at in range(count)])))


@pytest.fixture
def url(trained: Trained, broker: MemoryBroker, tmp_path: Path) -> str:
    """A database with rows that were decided without LightGBM, by online weights of two moments."""
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    migrate(url)
    frames, error = features_batch(trained, ROWS), RuntimeError("no memory")
    half = len(frames) // 2
    for part, told in (
        (frames.slice(0, half), TOLD[0]),
        (frames.slice(half, len(frames)), TOLD[1]),
    ):
        learnt = weights(trained, told).astype("<f8").tobytes()
        stage = broken(
            trained, 0, error, OnlineWeights(trained.bundle.hash, told, learnt, told, 1, False)
        )
        outputs = [emit for emit in stage.process(Sources(), part).emits if emit.topic == SCORED]
        persist(
            url,
            broker,
            trained.profile,
            [value for emit in outputs for value in emit.values if value],
        )
    return url


def degraded(trained: Trained, url: str) -> list[DegradedRow]:
    return read_degraded(url, trained.profile.hash.decode(), len(trained.profile.models.names))


def again(trained: Trained, url: str, logs: Logs) -> Rescored:
    return rescore(
        trained.profile, degraded(trained, url), logs, trained.bundle.path.parent, lambda: 5_000
    )


def test_each_degraded_row_gets_a_revision_and_stays_as_it_is(
    trained: Trained, url: str, logs: Logs
) -> None:
    store = Store(url, trained.profile)
    before = [store.get(f"t{i}") for i in range(400)]
    found = again(trained, url, logs)
    assert (len(found.revisions), found.failures) == (400, {})
    write_revisions(url, found.revisions)
    assert degraded(trained, url) == []
    write_revisions(url, [part._replace(score=0.0) for part in found.revisions])
    values = trained.values[ROWS]
    for rows, told in ((slice(200), TOLD[0]), (slice(200, 400), TOLD[1])):
        whole = trained.bundle.score(values[rows], weights(trained, told))
        decided = trained.bundle.decide(whole.final, np.full(200, 1234))
        for k, i in enumerate(range(400)[rows]):
            row = store.get(f"t{i}")
            assert row is not None
            assert row.pop("revision") == {
                "rescored_us": 5_000,
                "score": whole.final[k],
                "decision": DECISIONS[decided[k]],
                "scores": dict(
                    zip(trained.profile.models.names, whole.detectors[k].tolist(), strict=True)
                ),
            }
            assert row | {"revision": None} == before[i]
    store.close()


def test_a_detector_that_fails_again_gives_no_revision(
    trained: Trained, url: str, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("still no memory")
    broken = Broken(trained.bundle.detectors[0], error)
    monkeypatch.setattr("model.detectors.trees.lightgbm.LightGBM.score", broken.score)
    assert again(trained, url, logs) == ([], {"lightgbm": error}, {})


def test_labels_in_any_order_give_the_same(trained: Trained, url: str, logs: Logs) -> None:
    rows = degraded(trained, url)
    bundles = trained.bundle.path.parent
    forth, back = (
        rescore(trained.profile, part, logs, bundles, lambda: 1) for part in (rows, rows[::-1])
    )
    assert sorted(forth.revisions) == sorted(back.revisions)


def test_a_revision_is_decided_by_the_policy_of_its_row(
    trained: Trained, broker: MemoryBroker, logs: Logs
) -> None:
    policy = Policy(
        (Rule("dear", "amount > 50", "block"),), thresholds={"review": 1e-9, "block": 1}
    )
    publish_policy(broker, trained.profile, policy, by="ana")
    values, amount = trained.values[:60], trained.profile.values.index("amount")
    rows = [
        DegradedRow(
            f"t{i}", trained.bundle.hash, NONE, 5, row.tobytes(), bytes(16), 1, "{}", version
        )
        for i, row in enumerate(values)
        for version in (policy.version, None)
    ]
    found = rescore(trained.profile, rows, logs, trained.bundle.path.parent, lambda: 1)
    plain = trained.bundle.decide(trained.bundle.score(values).final, np.full(60, 5))
    for i, row in enumerate(values):
        both = [part.decision for part in found.revisions if part.transaction_id == f"t{i}"]
        ruled = "block" if row[amount] > 50 else "review"
        assert sorted(both) == sorted([DECISIONS[plain[i]], ruled])


def test_rows_whose_policy_is_gone_are_left_out_and_the_others_are_not(
    trained: Trained, logs: Logs
) -> None:
    gone = "0123456789abcdef"
    rows = [
        DegradedRow(
            f"t{i}", trained.bundle.hash, NONE, 5, row.tobytes(), bytes(16), 1, "{}", version
        )
        for i, (row, version) in enumerate(zip(trained.values[:4], [None, gone] * 2, strict=True))
    ]
    found = rescore(trained.profile, rows, logs, trained.bundle.path.parent, lambda: 1)
    assert [part.transaction_id for part in found.revisions] == ["t0", "t2"]
    assert list(found.undecided) == [gone]
    assert f"the policy {gone} is neither on the topic" in str(found.undecided[gone])


def test_rows_without_online_weights_take_the_trainings(trained: Trained, logs: Logs) -> None:
    values = trained.values[:3]
    rows = [
        DegradedRow(
            f"t{i}", trained.bundle.hash, NONE, 5, values[i].tobytes(), bytes(16), 1, "{}", None
        )
        for i in range(3)
    ]
    found = rescore(trained.profile, rows, logs, trained.bundle.path.parent, lambda: 1)
    assert [part.score for part in found.revisions] == Bundle.load(trained.bundle.path).score(
        values
    ).final.tolist()

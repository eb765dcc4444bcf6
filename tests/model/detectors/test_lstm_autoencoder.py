"""The autoencoder of sequences: what it finds that no single transaction tells, and what it
refuses.
"""

from __future__ import annotations

import numpy as np
import pytest

from model.detectors.base import Array
from model.detectors.neural.lstm_autoencoder import LstmAutoencoder
from model.evaluation.metrics import auc
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training

STEPS = 3
NAMES = tuple(f"{series}_{back}" for series in ("amount", "gap") for back in range(STEPS))
SERIES = ["amount", "gap"]


def rows(n: int, seed: int = 0) -> Array:
    """Each account keeps to a level of its own, in its amounts and in its gaps."""
    chance = np.random.default_rng(seed)
    level = np.repeat(chance.uniform(0, 4, (n, 2)), STEPS, axis=1)
    return np.exp(level + 0.1 * chance.normal(size=(n, 2 * STEPS)))


@pytest.fixture(scope="module")
def trained() -> LstmAutoencoder:
    return LstmAutoencoder.fit(rows(2000), np.zeros(2000, np.bool_), NAMES, {"series": SERIES})


def test_what_is_usual_for_others_is_unusual_for_an_account(trained: LstmAutoencoder) -> None:
    """The newest transactions of both halves are the same, so that nothing can be told from them
    alone.
    """
    fine = rows(2000, 1)
    fine = fine[(fine[:, [0, STEPS]] > np.exp(2.5)).all(axis=1)]
    broken = fine / np.where(np.arange(2 * STEPS) % STEPS, np.exp(2.5), 1.0)
    x = np.vstack([fine, broken])[:, [NAMES.index(name) for name in trained.features]]
    assert auc(trained.score(x), np.arange(len(x)) >= len(fine)) > 0.9


def test_the_newest_transaction_gets_the_blame(trained: LstmAutoencoder) -> None:
    shares = np.abs(trained.contributions(rows(300, 2))[:, 1:]).sum(axis=0)
    assert {name for name, share in zip(trained.features, shares, strict=True) if share > 0} == {
        "amount_0",
        "gap_0",
    }


def test_a_sequence_is_read_from_its_oldest_step(trained: LstmAutoencoder) -> None:
    file = trained.save()["lstm_autoencoder.json"].decode()
    assert '"columns":["amount_2","gap_2","amount_1","gap_1"' in file
    assert '"written":2' in file


@pytest.mark.parametrize("written", [-1, 3, 9])
def test_a_graph_that_writes_something_else_is_refused(
    trained: LstmAutoencoder, written: int
) -> None:
    files = trained.save()
    text = files["lstm_autoencoder.json"].replace(b'"written":2', b'"written":%d' % written)
    with pytest.raises(ConfigError, match="fetch the bundle again"):
        LstmAutoencoder.load({**files, "lstm_autoencoder.json": text}, trained.features)


@pytest.mark.parametrize(
    "series",
    [["nowhere"], ["amount", "other"], "amount", [["amount"]], ["amount_0"], ["gap", "gap"]],
)
def test_series_that_are_not_there_are_refused(series: object) -> None:
    names = [*NAMES[:-1], "other_0"]
    with pytest.raises(ConfigError, match=r"models\.lstm_autoencoder\.series"):
        LstmAutoencoder.fit(rows(100), np.zeros(100, np.bool_), names, {"series": series})  # type: ignore[dict-item]

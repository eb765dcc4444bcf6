"""The isolation forest against scikit-learn's, its one-sided columns, and damage to its nodes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as Theirs

from model.detectors.base import Array
from model.detectors.isolation.forest import IsolationForest
from model.detectors.isolation.growing import NODE
from tidegate.errors import ConfigError

NAMES = ("a", "b", "c")


def rows(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, len(NAMES)))


@pytest.fixture(scope="module")
def forest() -> IsolationForest:
    return IsolationForest.fit(
        rows(5000), np.zeros(5000, np.bool_), NAMES, {"trees": 200, "sample": 256}
    )


def test_it_agrees_with_scikit_learns(forest: IsolationForest) -> None:
    x = rows(2000, 1) * np.linspace(0.5, 4, 2000)[:, None]
    theirs = (
        Theirs(n_estimators=200, max_samples=256, random_state=0).fit(rows(5000)).score_samples(x)
    )
    ours = -(2.0 ** forest.unusual(x))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    np.testing.assert_allclose(ours.mean(), theirs.mean(), atol=0.01)


def test_scores_are_log_odds_of_the_rank_in_training(forest: IsolationForest) -> None:
    shares = [
        (forest.score(rows(20_000, 2)) > np.log(p / (1 - p))).mean() for p in (0.5, 0.9, 0.99)
    ]
    np.testing.assert_allclose(shares, [0.5, 0.1, 0.01], rtol=0.2)


def test_more_unusual_rows_than_any_of_training_still_score_higher(forest: IsolationForest) -> None:
    x = np.array([[2.5, 0, 0], [4.0, 4.0, 0], [9.0, 9.0, 9.0]])
    assert (np.diff(forest.score(x)) > 0).all()


def test_in_named_columns_only_high_values_are_suspicious() -> None:
    x = rows(5000)
    made = IsolationForest.fit(x, np.zeros(5000, np.bool_), NAMES, {"columns": ["b"]})
    high, low, other = made.score(np.array([[0.0, 5.0, 0.0], [0.0, -5.0, 0.0], [5.0, -0.5, 5.0]]))
    assert high > 4
    assert low == other < 0
    assert not made.contributions(x)[:, [1, 3]].any()


@pytest.mark.parametrize("columns", [["nowhere"], "a", [["a"]], True])
def test_columns_that_are_not_there_are_refused(columns: object) -> None:
    with pytest.raises(ConfigError, match=r"models\.isolation_forest\.columns"):
        IsolationForest.fit(rows(100), np.zeros(100, np.bool_), NAMES, {"columns": columns})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("column", 3),
        ("column", 2**31 - 1),
        ("right", 0),
        ("right", -5),
        ("right", 2**31 - 1),
        ("cut", np.nan),
        ("path", np.inf),
    ],
)
def test_twisted_nodes_are_refused(forest: IsolationForest, field: str, value: float) -> None:
    files = dict(forest.save())
    nodes = np.frombuffer(files["isolation_forest.nodes"], NODE).copy()
    nodes[field][0] = value
    with pytest.raises(ConfigError, match="leads nowhere"):
        IsolationForest.load(files | {"isolation_forest.nodes": nodes.tobytes()}, NAMES)


@pytest.mark.parametrize("starts", [[], [0], [0, 5], [0, 0], [-1, 10], [0, 2**40], [5, 2]])
def test_trees_that_are_not_the_nodes_are_refused(
    forest: IsolationForest, starts: list[int]
) -> None:
    files = dict(forest.save())
    file = msgspec.json.decode(files["isolation_forest.json"]) | {"starts": starts}
    with pytest.raises(ConfigError, match=r"not the nodes|is damaged"):
        IsolationForest.load(files | {"isolation_forest.json": msgspec.json.encode(file)}, NAMES)


@pytest.mark.parametrize("part", ["inputs", "ranks"])
@pytest.mark.parametrize("twist", ["empty", "longer", "decreasing"])
def test_twisted_numbers_are_refused(forest: IsolationForest, part: str, twist: str) -> None:
    files = dict(forest.save())
    file = msgspec.json.decode(files["isolation_forest.json"])
    name = {"inputs": "medians", "ranks": "measure"}[part]
    numbers = file[part][name]
    file[part][name] = {"empty": [], "longer": [*numbers, 1e9], "decreasing": numbers[::-1]}[twist]
    if (part, twist) == ("inputs", "decreasing"):
        file["inputs"]["columns"] = ["a", "b", "zzz"]
    with pytest.raises(ConfigError):
        IsolationForest.load(files | {"isolation_forest.json": msgspec.json.encode(file)}, NAMES)

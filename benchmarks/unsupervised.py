"""`python -m benchmarks.unsupervised`: what is found without a verdict, beside the usual way.

The usual way is scikit-learn's isolation forest, a small autoencoder and their mean, on the fields
as they come, scaled. Ours are the models of the profile `card_unsupervised`, on its features. Both
learn the first part of the same simulated transactions without labels, and are judged on the rest
when the most unusual share of it is flagged.

The best single column, its direction chosen with the labels in sight, is judged in the same way: if
it came near to the models, the data would be separable by a rule, and the table would say nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from model.detectors.base import Array
from model.evaluation.metrics import auc
from model.history.fold import fold
from model.training.fit import fit_models, margins_of
from producers.simulator.history import read_frame, simulate_history
from tidegate.profile import Profile, load_profile

FLAGGED = 0.05
LEARNT = 0.7
"""Share of the transactions, oldest first, that the models learn from."""
METRICS = ("precision", "recall", "F1", "AUC")
Frauds = NDArray[np.bool_]
Scores = Mapping[str, Array]
"""Of the rows that are judged, f8[n] by model; a high score is unusual."""


def main() -> None:
    """Run everything and print it: means over the seeds with their standard deviations in brackets,
    then each seed's figures as one line of JSON.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="(default: %(default)s)")
    parser.add_argument(
        "--seeds", type=int, default=3, help="sets of transactions (default: %(default)s)"
    )
    asked = parser.parse_args()
    profile = load_profile("card_unsupervised")
    runs = [measured(profile, asked.rows, seed) for seed in range(1, asked.seeds + 1)]
    print(f"{'':32}" + "".join(f"{metric:15}" for metric in METRICS))
    for name in runs[0]:
        print(f"{name:32}" + "".join(_spread([run[name][m] for run in runs]) for m in METRICS))
    print(json.dumps(runs))


def measured(profile: Profile, rows: int, seed: int) -> dict[str, dict[str, float]]:
    """The metrics of each model on one set of transactions."""
    frame = simulate_history(profile, rows, seed)
    history = read_frame(profile, frame).history
    frauds = history.labels == 1
    if not np.array_equal(frauds, frame["label"] == 1):
        raise RuntimeError("the profile refuses transactions that its simulator makes")
    values = fold(profile, history, blind=True)
    x = values[:, [profile.values.index(name) for name in sorted(profile.features)]]
    fields = raw_fields(frame)
    learnt = int(rows * LEARNT)
    scores = {
        **_named("the usual way", usual_way(fields, learnt, seed)),
        **_named("ours", ours(profile, x, learnt, seed)),
        "best single column": best_column(np.column_stack([fields, x])[learnt:], frauds[learnt:]),
        "at best": frauds[learnt:].astype(np.float64),
    }
    return {name: judged(score, frauds[learnt:]) for name, score in scores.items()}


def judged(scores: Array, frauds: Frauds) -> dict[str, float]:
    """The metrics of scores f8[n] of rows that are frauds or not, bool[n]."""
    flagged = np.argsort(-scores, kind="stable")[: int(len(scores) * FLAGGED)]
    hits = int(frauds[flagged].sum())
    return {
        "precision": hits / len(flagged),
        "recall": hits / int(frauds.sum()),
        "F1": 2 * hits / (len(flagged) + int(frauds.sum())),
        "AUC": auc(scores, frauds),
    }


def raw_fields(frame: pd.DataFrame) -> Array:
    """The fields as such projects take them, f8[n, columns]: numbers, and a column a category.

    Ids say nothing of other people's transactions, and the parts of the time are fields already.
    """
    fields = frame.drop(columns=["transaction_id", "user_id", "timestamp", "label"])
    return pd.get_dummies(fields, columns=["merchant_category"]).to_numpy(np.float64)


def usual_way(fields: Array, learnt: int, seed: int) -> Scores:
    """Both models on scaled fields f8[n, columns], and their mean on a scale from 0 to 1."""
    scaler = StandardScaler().fit(fields[:learnt])
    x, test = scaler.transform(fields[:learnt]), scaler.transform(fields[learnt:])
    forest = IsolationForest(contamination=FLAGGED, random_state=seed).fit(x)
    network = MLPRegressor(
        hidden_layer_sizes=(16, 3, 16), max_iter=200, early_stopping=True, random_state=seed
    )
    network.fit(x, x)
    of_forest = -forest.score_samples(x), -forest.score_samples(test)
    of_network = _errors(network, x), _errors(network, test)
    both = (_scaled(*of_forest) + _scaled(*of_network)) / 2
    return {"isolation forest": of_forest[1], "autoencoder": of_network[1], "both": both}


def ours(profile: Profile, x: Array, learnt: int, seed: int) -> Scores:
    """The profile's models and their ensemble, on its features f8[n, features] in sorted order."""
    unknown = np.zeros(learnt, np.bool_)
    fitted = fit_models(
        profile, profile.models.names, x[:learnt], unknown, x[:0], seed, lambda _share, _what: None
    )
    margins = margins_of(fitted.detectors, x[learnt:])
    return {
        name.replace("_", " "): margins[:, place] for place, name in enumerate(profile.models.names)
    } | {"both": fitted.ensemble.combine(margins)}


def best_column(columns: Array, frauds: Frauds) -> Array:
    """The column f8[n] of `columns` f8[n, k], or its negative, with the greatest AUC."""
    either = np.column_stack([columns, -columns]).T
    best: Array = max(either, key=lambda column: auc(column, frauds))
    return best


def _errors(network: MLPRegressor, x: Array) -> Array:
    errors: Array = ((x - network.predict(x)) ** 2).mean(axis=1)
    return errors


def _scaled(learnt: Array, scores: Array) -> Array:
    scaled: Array = (scores - learnt.min()) / (learnt.max() - learnt.min())
    return scaled


def _named(whose: str, scores: Scores) -> dict[str, Array]:
    return {f"{whose}: {name}": score for name, score in scores.items()}


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({np.std(values):.3f})  "


if __name__ == "__main__":
    main()

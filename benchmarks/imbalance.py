"""`make bench-imbalance`: what each way to meet the imbalance does to LightGBM alone, on the
handbook's data.

The weeks lie before the first test week of `make bench-detection`, and choose what the handbook's
profile does. The features are computed once; the referee of the book's protocol judges.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.detection import METRICS, Figures, Inputs, add_inputs, inputs_of, output
from model.detectors.trees import imbalance
from model.detectors.trees.lightgbm import LightGBM
from model.evaluation.splits import Split
from model.history.fold import Log, fold
from model.history.reading import read_history
from model.training.backtest import split_by_week
from tidegate.profile import Profile, load_profile

FOLDS = ("2018-07-03",)
WEEKS = 8
END = "2018-07-25"
"""No row from here on is read."""
VARIANTS: Mapping[str, Mapping[str, float]] = {
    "all rows alike": {},
    "class weights": {"fraud_weight": 120},
    "their root": {"fraud_weight": 11},
    "SMOTE, a fraud for 2 others": {"smote": 0.5},
    "14 others a fraud": {"ratio": 14},
    "balanced bagging: 5 bags, 14 others a fraud": {"ratio": 14, "bags": 5},
    "balanced bagging: 5 bags, 1 other a fraud": {"ratio": 1, "bags": 5},
}
"""Settings of `models.lightgbm` beside the profile's trees; 1 in 120 rows is a fraud."""


def main() -> None:
    """Run everything and print it: a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_inputs(parser)
    inputs = inputs_of(parser.parse_args())
    profile = load_profile("handbook")
    history = read_history(profile, str(inputs.card)).history
    end_us = int(pd.Timestamp(END).value) // 1000
    history = history.only(history.times < end_us)
    log = Log(fold(profile, history), history.labels, history.times)
    ids = history.ids.cast("int64").to_numpy()
    figures = {}
    print(f"{'':46}{'AUC':8}{'AP':8}{'CP@100':8}seconds a fit")
    for name, settings in VARIANTS.items():
        figures[name] = measured(profile, log, ids, settings, inputs)
        print(
            f"{name:46}"
            + "".join(f"{figures[name][metric]:<8.3f}" for metric in (*METRICS, "seconds")),
            flush=True,
        )
    print(json.dumps(figures))


def measured(
    profile: Profile, log: Log, ids: np.ndarray, settings: Mapping[str, float], inputs: Inputs
) -> Figures:
    """The referee's mean over the weeks, and the seconds that one fit took."""
    began = time.perf_counter()
    splits = [split_by_week(profile, log.times, day, WEEKS) for day in FOLDS]
    scores = [_scores(profile, log, ids, split, settings) for split in splits]
    seconds = (time.perf_counter() - began) / len(splits)
    with tempfile.TemporaryDirectory(prefix="tidegate-imbalance-") as folder:
        out = Path(folder) / "scores.parquet"
        pd.concat(scores).to_parquet(out)
        judgement = json.loads(output(inputs.judging(out)))
    return {
        **{metric: round(judgement["mean"][metric], 4) for metric in METRICS},
        "seconds": round(seconds, 1),
    }


def _scores(
    profile: Profile, log: Log, ids: np.ndarray, split: Split, settings: Mapping[str, float]
) -> pd.DataFrame:
    own = {
        key: value
        for key, value in profile.models.settings["lightgbm"].items()
        if key not in imbalance.DEFAULTS
    }
    columns = [profile.values.index(name) for name in profile.features]
    detector = LightGBM.fit(
        log.values[split.fit][:, columns],
        log.labels[split.fit] == 1,
        profile.features,
        {**own, **settings},
    )
    x = log.values[split.test][:, [profile.values.index(name) for name in detector.features]]
    return pd.DataFrame(
        {
            "fold": split.name,
            "transaction_id": ids[split.test],
            "score": detector.score(np.ascontiguousarray(x)),
        }
    )


if __name__ == "__main__":
    main()

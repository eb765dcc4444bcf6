"""`make bench-detection`: `tidegate backtest` of the whole system and of each detector, beside what
is published.

The judge of the card transactions is not ours: `../shared/referee/handbook.py`, by the protocol of
the Fraud Detection Handbook (Le Borgne et al., chapters 3 and 5). S-FFSD has none: there
scikit-learn judges a temporal split.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from model.detectors.catalog import known

ROOT = Path(__file__).resolve().parents[1]
FOLDS = ("2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15")
METRICS = ("auc", "ap", "cp100")
Figures = dict[str, float]


class Goal(NamedTuple):
    """What is to be reached."""

    auc: float | None = None
    ap: float | None = None
    cp100: float | None = None


class Case(NamedTuple):
    """One line of the table: options of `tidegate backtest`, and folds; without folds it is
    S-FFSD's split.
    """

    name: str
    options: tuple[str, ...] = ()
    folds: tuple[str, ...] = FOLDS
    goal: Goal = Goal()
    profile: str = "handbook"


WEEKS: Mapping[str, tuple[str, ...]] = {"week of 07-11": (), "no verdicts": ("--without-verdicts",)}
"""What is measured of the detectors without labels, on the book's one fold for them."""
_NEURAL = {"week of 07-11": Goal(0.870, 0.35, 0.27), "no verdicts": Goal(0.65, 0.28, 0.095)}
UNSUPERVISED: Mapping[str, Mapping[str, Goal]] = {
    "isolation_forest": {
        "week of 07-11": Goal(0.870, 0.50, 0.28),
        "no verdicts": Goal(0.66, 0.30, 0.095),
    },
    "autoencoder": _NEURAL,
    "lstm_autoencoder": _NEURAL,
    "vae": _NEURAL,
}


class Inputs(NamedTuple):
    """The folder with the data, and the referee's file."""

    data: Path
    referee: Path

    @property
    def card(self) -> Path:
        """The handbook's card transactions."""
        return self.data / "handbook/transactions.parquet"

    @property
    def sffsd(self) -> Path:
        """The S-FFSD."""
        return self.data / "s-ffsd/S-FFSD.csv"

    def judging(self, scores: Path) -> list[str]:
        """The command that prints the referee's figures of card scores as JSON."""
        return [sys.executable, str(self.referee), str(scores), "--data", str(self.card), "--json"]


PUBLISHED: Mapping[str, Goal] = {
    "logistic regression": Goal(0.868, 0.623, 0.297),
    "random forest": Goal(0.870, 0.678, 0.299),
    "XGBoost": Goal(0.869, 0.687, 0.303),
    "balanced bagging": Goal(0.879, 0.680, 0.305),
    "neural network": Goal(0.876, 0.675, 0.303),
    "LSTM": Goal(0.876, 0.665, 0.297),
    "autoencoder, week of 07-11": Goal(0.836, 0.180, 0.217),
    "isolation forest, week of 07-11": Goal(0.808, 0.164, 0.190),
    "perfect scores": Goal(1.0, 1.0, 0.419),
    "S-FFSD, GTAN, random split": Goal(0.829, 0.659),
    "S-FFSD, RGTAN, random split": Goal(0.846, 0.694),
}
"""The book's figures and the papers', as ../shared/data/README.md quotes them."""


def cases() -> list[Case]:
    """The whole system, then each detector alone.

    Detectors that need no labels are tested on the book's one fold for them.
    """
    lines = [
        Case("whole system", goal=Goal(0.880, 0.755, 0.310)),
        Case("whole system, one week", ("--weeks", "1"), goal=Goal(0.880, 0.740, 0.310)),
        Case(
            "online, one pass, no refit",
            ("--models", "online", "--weeks", "14"),
            goal=Goal(0.878, 0.730, 0.308),
        ),
    ]
    for name in known():
        if name in UNSUPERVISED:
            profile = "sequences" if name == "lstm_autoencoder" else "handbook"
            lines += [
                Case(
                    f"{name}, {what}",
                    ("--models", name, "--weeks", "1", *WEEKS[what]),
                    ("2018-07-11",),
                    goal,
                    profile,
                )
                for what, goal in UNSUPERVISED[name].items()
            ]
        elif name != "online":
            lines.append(Case(name, ("--models", name)))
    return [*lines, Case("S-FFSD, whole system", folds=(), goal=Goal(ap=0.74), profile="sffsd")]


def main() -> None:
    """Run everything and print it: a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_inputs(parser)
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="only the lines that contain it")
    arguments = parser.parse_args()
    inputs = inputs_of(arguments)
    chosen = [case for case in cases() if arguments.only in case.name]
    figures = {case.name: _measured(case, arguments.seeds, inputs) for case in chosen}
    print_table(chosen, figures)
    print(json.dumps(figures))


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that say where the data and its referee are."""
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared/data",
        help="folder (default: %(default)s)",
    )
    parser.add_argument(
        "--referee",
        type=Path,
        default=ROOT.parent / "shared/referee/handbook.py",
        help="its program (default: %(default)s)",
    )


def inputs_of(arguments: argparse.Namespace) -> Inputs:
    """What they say. Ends the process when a file is not there."""
    inputs = Inputs(arguments.data, arguments.referee)
    for file in (inputs.card, inputs.sffsd, inputs.referee):
        if not file.is_file():
            sys.exit(
                f"there is no {file}: say where the data is by DATA=FOLDER, and the referee by "
                "REFEREE=FILE"
            )
    return inputs


def _measured(case: Case, seeds: int, inputs: Inputs) -> Figures:
    began = time.perf_counter()
    figures = summary([judged(case, seed, inputs) for seed in range(seeds)])
    figures["seconds"] = round((time.perf_counter() - began) / seeds, 1)
    sys.stderr.write(f"{case.name}: {figures['seconds']:.0f} s a seed\n")
    return figures


def judged(case: Case, seed: int, inputs: Inputs) -> dict[str, Figures]:
    """The metrics of the product's own scores for each fold, and their `mean`."""
    with tempfile.TemporaryDirectory(prefix="tidegate-detection-") as folder:
        out = Path(folder) / "scores.parquet"
        data = inputs.card if case.folds else inputs.sffsd
        rows = [option for fold in case.folds for option in ("--fold", fold)] or ["--split", "0.8"]
        output(
            [
                sys.executable,
                "-m",
                "cli",
                "backtest",
                "--profile",
                case.profile,
                "--data",
                str(data),
                *rows,
                *case.options,
                "--seed",
                str(seed),
                "--out",
                str(out),
            ]
        )
        if not case.folds:
            return {"mean": split_judged(pd.read_parquet(out), pd.read_csv(data))}
        judgement = json.loads(output(inputs.judging(out)))
    return {
        fold: {metric: figures[metric] for metric in METRICS} for fold, figures in judgement.items()
    }


def split_judged(scores: pd.DataFrame, data: pd.DataFrame) -> Figures:
    """AUC and AP of S-FFSD's last fifth, without the rows of label 2."""
    start = int(len(data) * 0.8)
    if scores.row.tolist() != list(range(start + 1, len(data) + 1)):
        sys.exit("bench-detection: the scores are not those of the last fifth of the rows")
    labels = data.Labels.to_numpy()[start:]
    y, score = labels[labels < 2], scores.score.to_numpy()[labels < 2]
    return {"auc": float(roc_auc_score(y, score)), "ap": float(average_precision_score(y, score))}


def output(command: list[str]) -> str:
    """What a command prints. Ends the process when the command fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(command)}")
    return done.stdout


def summary(judgements: list[dict[str, Figures]]) -> Figures:
    """Each metric's mean, and its standard deviations over folds (their means) and over seeds."""
    figures: Figures = {}
    folds = [name for name in judgements[0] if name != "mean"]
    for metric in judgements[0]["mean"]:
        by_seed = [judgement["mean"][metric] for judgement in judgements]
        by_fold = [
            statistics.fmean(judgement[fold][metric] for judgement in judgements) for fold in folds
        ]
        figures |= {
            metric: statistics.fmean(by_seed),
            f"{metric}_folds": _spread(by_fold),
            f"{metric}_seeds": _spread(by_seed),
        }
    return {name: round(value, 4) for name, value in figures.items()}


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def print_table(chosen: list[Case], figures: Mapping[str, Figures]) -> None:
    """Tidegate's figures as mean (standard deviation over folds, over seeds), with goals in
    brackets; then what is published.
    """
    print(f"{'':34}" + "".join(f"{title:<30}" for title in ("AUC", "AP", "CP@100")))
    for case in chosen:
        cells = [
            _cell(figures[case.name], metric, goal)
            for metric, goal in zip(METRICS, case.goal, strict=True)
        ]
        print(f"{case.name:34}" + "".join(f"{cell:<30}" for cell in cells).rstrip())
    for name, row in PUBLISHED.items():
        print(
            f"{'published: ' + name:46}"
            + "  ".join(f"{figure:.3f}" for figure in row if figure is not None)
        )


def _cell(figures: Figures, metric: str, goal: float | None) -> str:
    if metric not in figures:
        return ""
    wanted = f" [{goal:.3f}]" if goal else ""
    return (
        f"{figures[metric]:.3f} ({figures[metric + '_folds']:.3f}, "
        f"{figures[metric + '_seeds']:.3f}){wanted}"
    )


if __name__ == "__main__":
    main()

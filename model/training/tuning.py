"""Settings of boosted trees found by trial on the newest part of what may be learnt from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array, Settings, setting
from model.detectors.trees import imbalance
from model.detectors.trees.boosted import USUAL
from model.evaluation.metrics import average_precision
from model.history.fold import fold
from model.history.history import History
from model.progress import Progress
from model.training.fit import before_stack, kind_of, require_both
from model.training.train import learnt_and_test
from tidegate.errors import ConfigError
from tidegate.profile import Profile

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

Found = dict[str, float]
_TUNABLE = ("lightgbm", "xgboost")


class Tuned(NamedTuple):
    """The settings by model, and the average precision of each: as the profile has it, and best."""

    settings: dict[str, Found]
    before: dict[str, float]
    best: dict[str, float]
    trials: int


class _Slices(NamedTuple):
    x: Array
    y: NDArray[np.bool_]
    newest_x: Array
    newest_y: NDArray[np.bool_]

    def digest(self) -> bytes:
        """Of all that a trial depends on beside its settings."""
        return hashlib.sha256(
            b"".join(np.ascontiguousarray(part).tobytes() for part in self)
        ).digest()


def tune(
    profile: Profile,
    history: History,
    trials: int,
    minutes: float,
    folder: Path,
    progress: Progress,
    seed: int = 0,
) -> Tuned:
    """The best of `trials` settings for each model of boosted trees that the profile serves.

    Each trial learns from what was known when the newest fifth of the verdicts before training's
    test slice began, and is judged on that fifth. The first is the profile's own. Trials are kept
    in `folder`: the same data and profile go on from there. Ends after `minutes`, though each model
    is tried once. Raises ConfigError where there is nothing to tune, or too little to learn from.
    """
    names = [name for name in profile.models.names if name in _TUNABLE]
    if not names:
        raise ConfigError(
            f"--tune: {profile.path} serves none of the models that can be tuned: "
            f"{', '.join(_TUNABLE)}"
        )
    progress(0.0, "features for the trials")
    slices = _slices(profile, history)
    digest = slices.digest()
    settings, before, best, made = {}, {}, {}, 0
    for place, name in enumerate(names):

        def report(done: int, found: float, name: str = name, place: int = place) -> None:
            share = (place + min(done / trials, 1.0)) / len(names)
            progress(share, f"{name}: {done} of {trials} trials, best {found:.3f}")

        own = _own(profile, name)
        key = hashlib.sha256(profile.hash + digest + repr([_told(profile, name), seed]).encode())
        study = _study(folder, f"{profile.name}-{name}-{key.hexdigest()[:16]}", seed)
        judge = _judge(profile, name, own, slices, seed)
        _run(study, judge, own, trials, 60 * minutes / len(names), report)
        settings[name] = _settings(study.best_trial)
        before[name] = _value_of(study, own) or 0.0
        best[name] = study.best_value
        made += len(_finished(study))
    return Tuned(settings, before, best, made)


def _own(profile: Profile, name: str) -> Found:
    """What can be tuned, as the profile has it. Raises ConfigError for a wrong setting."""
    told = setting(name, _told(profile, name), {**USUAL, **imbalance.DEFAULTS})
    return {key: told[key] for key in USUAL}


def _told(profile: Profile, name: str) -> Settings:
    settings = profile.models.settings[name]
    return {key: value for key, value in settings.items() if key != "weight"}


def _judge(
    profile: Profile, name: str, own: Found, slices: _Slices, seed: int
) -> Callable[[Trial], float]:
    """Gives the average precision of a trial's settings."""
    kind, features = kind_of(profile, name), sorted(profile.features)
    told = _told(profile, name)

    def judge(trial: Trial) -> float:
        settings = {**told, **_suggested(trial, own)}
        detector = kind.fit(slices.x, slices.y, features, settings, seed)
        return average_precision(detector.score(slices.newest_x), slices.newest_y)

    return judge


def _slices(profile: Profile, history: History) -> _Slices:
    rows, _ = learnt_and_test(history.labels)
    cut = before_stack(len(rows))
    newest = rows[cut:]
    known = history.times[rows[:cut]] + profile.label_delay_us
    old = rows[:cut]
    if len(newest) and profile.time_field is not None:
        old = old[known <= history.times[newest[0]]]
    y, newest_y = history.labels[old] == 1, history.labels[newest] == 1
    require_both(y, "--tune: what was known before the newest verdicts")
    require_both(newest_y, "--tune: the newest verdicts before the test slice")
    values = fold(profile, history)
    columns = [profile.values.index(name) for name in sorted(profile.features)]
    return _Slices(values[old][:, columns], y, values[newest][:, columns], newest_y)


def _study(folder: Path, name: str, seed: int) -> Study:
    """The study of that name with the trials that an earlier run has made.

    SQLite, because a kill in the middle of a write damages a journal of Optuna's for good. Raises
    ConfigError for a file that is none.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.db"
    try:
        return optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name=name,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            load_if_exists=True,
        )
    except (SQLAlchemyError, RuntimeError) as error:  # no database; another Optuna's tables
        raise ConfigError(
            f"--tune: the trials in {path} cannot be read: remove the file to begin anew"
        ) from error


def _run(
    study: Study,
    judge: Callable[[Trial], float],
    own: Found,
    trials: int,
    seconds: float,
    report: Callable[[int, float], None],
) -> None:
    """Make the trials that are missing: the profile's own settings, and then what is suggested."""
    from optuna.trial import TrialState

    if _value_of(study, own) is None and not study.get_trials(states=(TrialState.WAITING,)):
        study.enqueue_trial(own)
    missing = trials - len(_finished(study))
    if missing > 0:
        study.optimize(
            judge,
            n_trials=missing,
            timeout=seconds,
            callbacks=[lambda study, _trial: report(len(_finished(study)), study.best_value)],
        )


def _finished(study: Study) -> list[FrozenTrial]:
    """Without those that a Ctrl-C ended."""
    return [trial for trial in study.trials if trial.value is not None]


def _value_of(study: Study, settings: Found) -> float | None:
    """How good these were, if they have been tried."""
    values = (trial.value for trial in _finished(study) if trial.params == settings)
    return next(values, None)


def _suggested(trial: Trial, own: Found) -> Found:
    """Settings within usual bounds, which what the profile says widens."""

    def bounds(key: str, low: float, high: float) -> tuple[float, float]:
        return min(low, own[key]), max(high, own[key])

    least, most = bounds("trees", 20, 300)
    few, many = bounds("leaves", 4, 32)
    return {
        "trees": trial.suggest_int("trees", int(least), int(most), log=True),
        "leaves": trial.suggest_int("leaves", int(few), int(many)),
        "rate": trial.suggest_float("rate", *bounds("rate", 0.01, 0.3), log=True),
        "columns": trial.suggest_float("columns", *bounds("columns", 0.1, 1.0)),
    }


def _settings(trial: FrozenTrial) -> Found:
    """As a person would write them: four digits."""
    return {
        key: value if isinstance(value, int) else float(f"{value:.4g}")
        for key, value in trial.params.items()
    }

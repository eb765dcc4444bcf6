"""Settings of boosted trees found by trial on the newest part of what may be learnt from."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.evaluation.metrics import average_precision
from model.history.fold import fold
from model.history.history import History
from model.progress import Progress
from model.training.fit import before_stack, kind_of, require_both
from tidegate.errors import ConfigError
from tidegate.profile import Profile

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

Found = dict[str, float]
_BEFORE_TEST = 0.85
"""Share of the verdicts that training learns from: the rest is its test, which no trial sees."""
_TUNABLE = ("lightgbm", "xgboost")
_USUAL: Found = {"trees": 100, "leaves": 31, "rate": 0.05, "columns": 1.0}
"""What a model takes where the profile says nothing."""


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
    in `folder`: the same data and profile go on from there. Ends after `minutes`. Raises
    ConfigError where there is nothing to tune, or too little to learn from.
    """
    names = [name for name in profile.models.names if name in _TUNABLE]
    if not names:
        raise ConfigError(
            f"--tune: {profile.path} serves none of the models that can be tuned: "
            f"{', '.join(_TUNABLE)}"
        )
    progress(0.0, "features for the trials")
    slices = _slices(profile, history)
    key = hashlib.sha256(profile.hash + slices.digest()).hexdigest()[:16]
    settings, before, best, made = {}, {}, {}, 0
    for name in names:
        study = _study(folder, f"{profile.name}-{name}-{key}", seed)
        _run(study, profile, name, slices, trials, 60 * minutes / len(names), progress, seed)
        settings[name] = _settings(study.best_trial)
        before[name] = float(study.trials[0].value or 0.0)
        best[name] = float(study.best_value)
        made += len(study.trials)
    return Tuned(settings, before, best, made)


def with_settings(profile: Profile, found: Mapping[str, Found]) -> Profile:
    """The profile with these settings of its models; serving depends on none of them."""
    models = profile.models
    settings = {name: {**models.settings[name], **told} for name, told in found.items()}
    changed = copy.copy(profile)
    changed.models = msgspec.structs.replace(models, settings={**models.settings, **settings})
    return changed


def _slices(profile: Profile, history: History) -> _Slices:
    rows = np.flatnonzero(history.labels >= 0)
    rows = rows[: int(len(rows) * _BEFORE_TEST)]
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
    """The study of that name with the trials that an earlier run has made."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / f"{name}.log"))),
        study_name=name,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        load_if_exists=True,
    )


def _run(
    study: Study,
    profile: Profile,
    name: str,
    slices: _Slices,
    trials: int,
    seconds: float,
    progress: Progress,
    seed: int,
) -> None:
    kind, features = kind_of(profile, name), sorted(profile.features)
    own = profile.models.settings[name]

    def judge(trial: Trial) -> float:
        settings = {**own, **_suggested(trial)}
        detector = kind.fit(slices.x, slices.y, features, settings, seed)
        return average_precision(detector.score(slices.newest_x), slices.newest_y)

    def report(study: Study, _trial: FrozenTrial) -> None:
        share = min(len(study.trials) / trials, 1.0)
        progress(share, f"{name}: {len(study.trials)} trials, best {study.best_value:.3f}")

    if not study.trials:
        first = {key: own.get(key, usual) for key, usual in _USUAL.items()}
        study.enqueue_trial(first)
    done = sum(trial.value is not None for trial in study.trials)
    if done < trials:
        study.optimize(judge, n_trials=trials - done, timeout=seconds, callbacks=[report])


def _suggested(trial: Trial) -> Found:
    return {
        "trees": trial.suggest_int("trees", 20, 300, log=True),
        "leaves": trial.suggest_int("leaves", 4, 32),
        "rate": trial.suggest_float("rate", 0.01, 0.3, log=True),
        "columns": trial.suggest_float("columns", 0.1, 1.0),
    }


def _settings(trial: FrozenTrial) -> Found:
    """As a person would write them: four digits."""
    return {
        key: value if isinstance(value, int) else float(f"{value:.4g}")
        for key, value in trial.params.items()
    }

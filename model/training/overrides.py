"""What a command may change in a profile for one training.

Serving depends on nothing of it, so the profile's hash stays.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence

import msgspec

from model.detectors.base import Settings
from model.detectors.catalog import trained_by
from tidegate.errors import ConfigError
from tidegate.profile import Profile
from tidegate.profile.spec import ModelsSpec
from tidegate.profile.thresholds import Contamination, Thresholds

_CHANGE = re.compile(r"(\w+)\.(\w+)=([0-9.]+)")


def adjusted(
    profile: Profile,
    samples: int = 0,
    epochs: int = 0,
    changes: Sequence[str] = (),
    contamination: float = 0.0,
) -> Profile:
    """The profile with other numbers of simulated transactions and neural epochs, settings of
    models (`MODEL.SETTING=NUMBER`), and a share that is reviewed or blocked, a tenth of it blocked;
    0 changes nothing.

    Raises ConfigError when the profile simulates nothing, names no neural model, or no such model.
    """
    models = profile.models
    history = profile.history
    if samples:
        if not history.simulate:
            raise ConfigError(
                f"--samples: {profile.path} trains on {history.file or 'no history'}, not on "
                "simulated transactions"
            )
        history = msgspec.structs.replace(history, simulate=samples)
    if epochs:
        trained = trained_by("neural")
        neural = [name for name in models.names if name in trained]
        if not neural:
            raise ConfigError(
                f"--epochs: {profile.path} names no neural model; there are "
                f"{', '.join(sorted(trained))}"
            )
        models = _merged(models, {name: {"epochs": epochs} for name in neural})
    for change in changes:
        models = _changed(profile, models, change)
    if contamination:
        shares = Contamination(review=contamination, block=contamination / 10)
        models = msgspec.structs.replace(models, thresholds=Thresholds(contamination=shares))
    changed = copy.copy(profile)
    changed.models = models
    changed.history = history
    return changed


def with_settings(profile: Profile, changes: Mapping[str, Settings]) -> Profile:
    """The profile with these settings of its models over those that they have."""
    changed = copy.copy(profile)
    changed.models = _merged(profile.models, changes)
    return changed


def _changed(profile: Profile, models: ModelsSpec, change: str) -> ModelsSpec:
    found = _CHANGE.fullmatch(change)
    if found is None or found[1] not in models.names:
        raise ConfigError(
            f"--set {change}: expected MODEL.SETTING=NUMBER, of a model that {profile.path} names: "
            f"{', '.join(models.names)}"
        )
    name, setting, text = found.groups()
    try:
        number = float(text) if "." in text else int(text)
    except ValueError:
        raise ConfigError(f"--set {change}: {text} is no number") from None
    return _merged(models, {name: {setting: number}})


def _merged(models: ModelsSpec, changes: Mapping[str, Settings]) -> ModelsSpec:
    """The models with these settings over those that they have."""
    merged = {name: {**models.settings[name], **settings} for name, settings in changes.items()}
    return msgspec.structs.replace(models, settings={**models.settings, **merged})

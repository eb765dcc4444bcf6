"""What a command may change in a profile for one training.

Serving depends on nothing of it, so the profile's hash stays.
"""

from __future__ import annotations

import copy

import msgspec

from model.detectors.catalog import trained_by
from tidegate.errors import ConfigError
from tidegate.profile import Profile


def adjusted(profile: Profile, samples: int = 0, epochs: int = 0) -> Profile:
    """The profile with other numbers of simulated transactions and neural epochs; 0 changes
    nothing.

    Raises ConfigError when the profile simulates nothing, or names no neural model.
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
        settings = {name: {**models.settings[name], "epochs": epochs} for name in neural}
        models = msgspec.structs.replace(models, settings={**models.settings, **settings})
    changed = copy.copy(profile)
    changed.models = models
    changed.history = history
    return changed

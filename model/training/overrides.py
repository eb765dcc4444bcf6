"""What a command may change in a profile for one training: nothing that serving depends on, so the
hash stays.
"""

from __future__ import annotations

import copy

import msgspec

from model.detectors.catalog import trained_by
from tidegate.errors import ConfigError
from tidegate.profile import Profile


def adjusted(profile: Profile, samples: int = 0, epochs: int = 0) -> Profile:
    """The profile with so many simulated transactions and passes of its neural models; 0 leaves
    what it says.

    Raises ConfigError when the profile simulates nothing, or names no neural model.
    """
    models, history = profile.models, profile.history
    if samples:
        if not history.simulate:
            raise ConfigError(
                f"--samples: {profile.path} trains on {history.file or 'no history'}, not on "
                "simulated "
                "transactions"
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
    changed.models, changed.history = models, history
    return changed

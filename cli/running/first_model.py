"""The first model of a home folder, trained in a process of its own while Kafka starts.

Beside it another one compiles the loops that are needed after the features: see
`model.training.rehearsal`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cli.running.steps import has_bundle
from tidegate.errors import ConfigError
from tidegate.host.process import Child, exit_words
from tidegate.host.spawn import tidegate

if TYPE_CHECKING:
    from tidegate.profile import Profile
    from tidegate.settings import Settings


class FirstModel:
    """Trains one where there is none. `note` is called with each line of its progress."""

    def __init__(self, settings: Settings, profile: Profile, note: Callable[[str], None]) -> None:
        self._settings, self._profile, self._note = settings, profile, note
        self._training = Child("train", tidegate("train"), settings.home)
        command = [sys.executable, "-m", "model.training.rehearsal", settings.profile]
        self._rehearsal = Child("rehearsal", command, settings.home)
        self._started = False
        self._noted = ""

    def start(self) -> None:
        """Begin to train, unless there is a model of this profile."""
        if has_bundle(self._settings, self._profile):
            return
        self._note("training the first model on the profile's history")
        self._training.log.unlink(missing_ok=True)  # last words are this training's
        self._training.start()
        self._rehearsal.start()
        self._started = True

    def ready(self) -> bool:
        """Whether nothing is left to train.

        Raises ConfigError with the cause when training failed.
        """
        if not self._started:
            return True
        code = self._training.exit_code
        if code is None:
            self._show_progress()
        elif code:
            cause = self._training.last_words().removeprefix("tidegate: ")
            raise ConfigError(
                f"training the first model failed ({exit_words(code)}): {cause}\n"
                f"Mend that, then start again. The whole output is in {self._training.log}; "
                f"`tidegate profile check {self._profile.path}` looks at profile and history"
            )
        return code == 0

    def stop(self) -> None:
        """End a training that is under way."""
        for child in (self._training, self._rehearsal):
            child.ask()
        for child in (self._training, self._rehearsal):
            child.end(time.monotonic())

    def _show_progress(self) -> None:
        words = self._training.last_words()
        if words.startswith("training: ") and words != self._noted:
            self._noted = words
            self._note(words)

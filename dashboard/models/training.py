"""Trainings that are begun from the page, as processes of their own."""

from __future__ import annotations

import importlib.util
import secrets
from typing import NamedTuple, cast

from flask import current_app

from dashboard.context import here
from tidegate.host.trainings import Training, Trainings

COMMANDS = ("train", "retrain")
_KEY = "tidegate.trainings"
_NOT_PROMOTED = 3
_LINES = 12


class State(NamedTuple):
    """How the newest one goes. `outcome` is "" while it runs, then trained, promoted, kept (the
    champion stays), cancelled or failed; `words` what it told last.
    """

    what: str
    share: float
    step: str
    done: bool
    outcome: str
    bundle: str
    words: str


def _trainings() -> Trainings:
    found = current_app.extensions.get(_KEY)
    if found is None:
        folder = here().settings.home / "trainings"
        found = current_app.extensions.setdefault(
            _KEY, Trainings(folder, lambda: secrets.token_hex(8))
        )
    return cast(Trainings, found)


def can_train() -> bool:
    """Whether the packages that training needs are here: the slim image has none."""
    return importlib.util.find_spec("lightgbm") is not None


def start(what: str) -> bool:
    """Begin; False while another one runs."""
    return _trainings().start(what, what) is not None


def cancel() -> None:
    """End the one that runs."""
    _trainings().cancel()


def state() -> State | None:
    """How the newest one goes; None before the first of this process."""
    job = _trainings().newest()
    if job is None:
        return None
    share, step = job.progress()
    if not job.done.is_set():
        return State(job.label, share, step, False, "", "", "")
    outcome = _outcome(job)
    told = job.last_words() if outcome == "failed" else "\n".join(job.output.splitlines()[-_LINES:])
    return State(job.label, 1.0, step, True, outcome, job.bundle, told)


def _outcome(job: Training) -> str:
    if job.cancelled:
        return "cancelled"
    if job.code == 0:
        return "trained" if job.label == "train" else "promoted"
    return "kept" if job.label == "retrain" and job.code == _NOT_PROMOTED else "failed"

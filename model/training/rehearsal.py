"""Compiles loops beside the first training, which compiles others meanwhile.

numba compiles on one core at a time, and keeps what it has compiled on disk: in a process of its
own, what a first start needs last is there when it is asked for.
"""

from __future__ import annotations

import sys

import numpy as np

from model.features.newest import VERDICT
from model.features.plan import Plan
from model.features.state import KeyedState
from model.hashing import join, partitions_of
from model.policy.program import warm_up
from model.sip import NO_SECRET, sip128
from model.training.fit import fit_models, kind_of
from tidegate.profile import Profile, load_profile

_ROWS = 200


def rehearse(profile: Profile) -> None:
    """Do once, on made-up rows, what training does after the features, and the stages first."""
    _absorb(profile)
    _fit(profile)
    _look_up(profile)
    warm_up()


def _absorb(profile: Profile) -> None:
    plan = Plan(profile, profile.steps - 1)
    state, one = KeyedState(plan), np.ones(1, np.int64)
    state.absorb(np.ones((1, VERDICT), np.int64), one, one, np.zeros((1, len(plan.carried))))


def _fit(profile: Profile) -> None:
    """Fit the detectors that need no extra: they are those with loops of our own."""
    names = [name for name in profile.models.names if kind_of(profile, name).extra is None]
    if names:
        x = np.random.default_rng(0).random((_ROWS, len(profile.features)))
        fit_models(profile, names, x, x[:, 0] < 0.5, x, 0, lambda _share, _what: None)


def _look_up(profile: Profile) -> None:
    text = [b"a text of some words"]
    partitions_of(text, 2)
    words = sip128(*join(text), NO_SECRET)
    KeyedState(Plan(profile, 0)).seen.ids.remember(words, np.ones(1, np.int64))


if __name__ == "__main__":
    rehearse(load_profile(sys.argv[1]))

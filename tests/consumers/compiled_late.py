"""Prints the loops that a stage compiles or loads only after it has warmed up, one a line.

To be run in a process of its own, which has met none of them: PROFILE STEP for a keyed step,
PROFILE BUNDLE, its folder, for the score stage.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from consumers.preprocess import PreprocessStage
from consumers.score import ScoreStage
from consumers.warm_up import warm_up
from model.bundles.reasons import reasons
from tests.consumers.test_replayed_fold import labels, messages
from tests.model.features.chain import Chain, batch
from tidegate.messages.documents import Champion, encode
from tidegate.messages.frames import Frames
from tidegate.messages.policy import AppliedPolicy, ListEntry, Policy, Rule, ValueList
from tidegate.pipeline import FEATURES, MODELS
from tidegate.profile import Profile, load_profile
from tidegate.stream.stage import NoState

RULED = Policy(
    (Rule("large", "amount / 2 > 1 and score >= 0 or user_id in list:known", "review"),),
    (ValueList("known", "block", "user_id", (ListEntry("u1"),)),),
)
_KINDS = ["good"] * 60 + ["again", "conflict", "late", "good"]


def variants() -> dict[str, int]:
    """In how many variants each loop is there."""
    found = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    return {f"{each.__module__}.{each.__name__}": len(each.signatures) for each in found}


def work(profile: Profile, step: int) -> None:
    """Transactions, repeats, verdicts, a batch that is undone, and a state out of a snapshot."""
    chain = Chain(profile)
    values = messages(profile, _KINDS, 1)
    for earlier in range(step):
        emit = chain.step(earlier, batch(values)).emits[0]
        values = list(emit.values)
    stage, state = chain.stages[step], chain.states[step]
    _absorb(stage, chain, 0)
    handed_on = 0
    for start in range(0, len(values), 20):
        records = batch(values[start : start + 20], start, stage.input)
        state.begin()
        stage.process(state, records)
        state.rollback()
        handed_on += len(chain.step(step, records).emits)
        _absorb(stage, chain, start)
    restored = stage.load_state(0, 1, state.arrays())
    restored.begin()
    stage.replay(restored, batch(values, 1000, stage.input))
    restored.commit()
    if not handed_on:
        raise AssertionError("nothing was folded")


def _absorb(stage: PreprocessStage, chain: Chain, seed: int) -> None:
    if stage.side:
        state = chain.states[stage.step]
        state.begin()
        stage.absorb(state, batch(labels(chain.profile, seed), seed, stage.side))
        state.commit()


def score(profile: Profile, stage: ScoreStage, frames: Frames) -> None:
    """Decide on transactions, and explain each, flagged or not."""
    values = list(profile.features_layout.pack(frames))
    output = stage.process(stage.new_state(0, 1), batch(values, 0, FEATURES, frames.ids))
    assert stage.bundle
    assert output.emits
    scores = stage.bundle.score(frames.rows["values"]).detectors
    reasons(stage.bundle, profile, frames.rows["values"], frames.rows["amount_minor"], scores)


def main() -> None:
    """Warm up, work, and tell what was not there before the work."""
    profile = load_profile(sys.argv[1])
    if sys.argv[2].isdigit():
        step = int(sys.argv[2])
        warm_up(profile, step)
        todo = partial(work, profile, step)
    else:
        folder = Path(sys.argv[2])
        stage = ScoreStage(profile, folder.parent)
        name = profile.hash.decode()
        messages_of = [
            encode(Champion(folder.name, name, 1)),
            encode(AppliedPolicy(RULED, RULED.version, name, 1)),
        ]
        stage.absorb(NoState(), batch(messages_of, 0, MODELS))
        frames, _ = Chain(profile).run(messages(profile, _KINDS, 1))
        todo = partial(score, profile, stage, frames)
    before = variants()
    todo()
    for name, count in sorted(variants().items()):
        if count > before.get(name, 0):
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()

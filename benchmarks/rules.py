"""What 50 rules cost: `python -m benchmarks.rules`.

The score stage with and without them, in turns, on the same 4,000 transactions of the card
simulator; medians of CPU time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from consumers.score import ScoreStage
from model.history.fold import fold
from model.training.train import train
from producers.simulator.history import simulated
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import Champion, ModelMessage, encode
from tidegate.messages.frames import Frames
from tidegate.messages.policy import AppliedPolicy, Policy, Rule
from tidegate.pipeline import FEATURES, MODELS
from tidegate.profile import Profile, load_profile
from tidegate.stream.sources import Sources
from tidegate.stream.stage import NoState

_ROWS, _TURNS = 4_000, 21


def main() -> None:
    """Print microseconds of a transaction, and the ratio."""
    profile = load_profile("card")
    history = simulated(profile, 30_000).history
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(profile, history, Path(folder), lambda _share, _what: None)
        batch = _frames(profile, fold(profile, history)[:_ROWS])
        name, rules = profile.hash.decode(), _rules(profile)
        messages: tuple[ModelMessage, ...] = (
            Champion(bundle.hash, name, 1),
            AppliedPolicy(rules, rules.version, name, 1),
        )
        stages = [_stage(profile, Path(folder), messages[:count]) for count in (1, 2)]
        for stage in stages:
            stage.process(Sources(), batch)
        times = [[_seconds(stage, batch) for stage in stages] for _ in range(_TURNS)]
    plain, ruled = (statistics.median(column) / _ROWS * 1e6 for column in zip(*times, strict=True))
    more = statistics.median(second / first for first, second in times) - 1
    print(f"without rules  {plain:8.2f} us/tx")
    print(f"with 50 rules  {ruled:8.2f} us/tx, {more:+.1%}")


def _rules(profile: Profile) -> Policy:
    """Each compares two features and the score, every fifth a ratio as well; none hits."""
    names = list(profile.computed)
    rules = []
    for i in range(50):
        first, second, third = (names[(i + step) % len(names)] for step in (0, 7, 13))
        when = f"{first} > 1e9 and {second} > 0 and score > 0.1"
        if i % 5 == 0:
            when += f" or {third} / 24 < -1e9"
        rules.append(Rule(f"rule-{i}", when, "review"))
    return Policy(tuple(rules))


def _stage(profile: Profile, folder: Path, messages: tuple[ModelMessage, ...]) -> ScoreStage:
    stage, n = ScoreStage(profile, folder), len(messages)
    values: list[bytes | None] = [encode(message) for message in messages]
    source = TopicPartition(MODELS, 0)
    stage.absorb(NoState(), Batch(source, list(range(n)), [None] * n, values, [0] * n, [None] * n))
    if stage.refused:
        raise SystemExit(stage.refused)
    return stage


def _frames(profile: Profile, values: np.ndarray) -> Batch:
    layout, n = profile.features_layout, len(values)
    ids = [f"t{i}".encode() for i in range(n)]
    frames = Frames(layout.empty(n), ids, [b"a"] * n, [b"{}"] * n, [b""] * n)
    frames.rows["values"], frames.rows["amount_minor"] = values, 1_234
    frames.rows["steps"]["offset"] = np.arange(n)[:, np.newaxis]
    source = TopicPartition(FEATURES, 0)
    return Batch(source, list(range(n)), [None] * n, layout.pack(frames), [0] * n, [None] * n)


def _seconds(stage: ScoreStage, batch: Batch) -> float:
    start = time.process_time()
    stage.process(Sources(), batch)
    return time.process_time() - start


if __name__ == "__main__":
    main()

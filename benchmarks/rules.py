"""What 50 rules cost: `python -m benchmarks.rules`.

The score stage with and without them, in turns, on the same transactions of the card simulator;
medians of CPU time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import msgspec
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

_BATCHES = (4_000, 1_000, 200)
_WORK = 400_000
"""Rows of each kind for each size of a batch."""


def main() -> None:
    """Print microseconds of a transaction, and the ratio."""
    profile = load_profile("card")
    history = simulated(profile, 30_000).history
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(profile, history, Path(folder), lambda _share, _what: None)
        values = fold(profile, history)
        name = profile.hash.decode()
        champion = Champion(bundle.hash, name, 1)
        policies = [_rules(profile), _hitting_rules(profile, values)]
        stages = [_stage(profile, Path(folder), (champion,))] + [
            _stage(profile, Path(folder), (champion, AppliedPolicy(each, each.version, name, 1)))
            for each in policies
        ]
        for rows in _BATCHES:
            _compare(profile, stages, _frames(profile, values[:rows]), rows)


def _compare(profile: Profile, stages: list[ScoreStage], batch: Batch, rows: int) -> None:
    hit = [_hit(profile, stage, batch) for stage in stages]
    times = [[_seconds(stage, batch) for stage in stages] for _ in range(_WORK // rows)]
    print(f"batches of {rows:,}")
    for place, column in enumerate(zip(*times, strict=True)):
        more = statistics.median(turn[place] / turn[0] for turn in times) - 1
        what = f"50 rules, {hit[place]} rows hit" if place else "no rules"
        print(f"  {what:<26}{statistics.median(column) / rows * 1e6:8.2f} us/tx {more:+8.1%}")


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


def _hitting_rules(profile: Profile, values: np.ndarray) -> Policy:
    """The same with a limit that one in a thousand is above, so that most parts of a batch have a
    row that the first comparison holds for.
    """
    rules = []
    for rule in _rules(profile).rules:
        column = values[:, profile.values.index(rule.when.split()[0])]
        limit = np.nanquantile(column, 0.999)
        rules.append(msgspec.structs.replace(rule, when=rule.when.replace("1e9", f"{limit}", 1)))
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


def _hit(profile: Profile, stage: ScoreStage, batch: Batch) -> int:
    """How many rows some rule hits."""
    values = stage.process(Sources(), batch).emits[0].values
    hits = profile.scored_layout.unpack([value for value in values if value]).rows["rule_hits"]
    return sum(map(any, map(bytes, hits.tolist())))


def _seconds(stage: ScoreStage, batch: Batch) -> float:
    start = time.process_time()
    stage.process(Sources(), batch)
    return time.process_time() - start


if __name__ == "__main__":
    main()

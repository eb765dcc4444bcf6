"""The check of the online weights: each set ever published is a fold of the labels before it.

The fold is the product's own, run over the log record by record in one thread: an oracle for the
stream, not for the arithmetic, which `tests/model/learning` checks.
"""

from __future__ import annotations

from consumers.learn import LearnStage
from model.bundles.published import label_history
from tests.chaos.evidence import Tape, decode_online
from tests.chaos.finding import Finding
from tests.faults.kill9.cluster import PROFILE, Cluster
from tidegate.pipeline import LABELS
from tidegate.stream.side_topic import read_partition


def weights(cluster: Cluster, tape: Tape) -> Finding:
    """Of the champion's bundle, those that the topic still holds."""
    stage = LearnStage(PROFILE, cluster.bundle, label_history(cluster.broker))
    state, done = stage.new_state(0, 1), 0
    bad, sets, learnt = [], 0, 0
    for message in decode_online(tape):
        if message.labels <= done:
            bad.append(f"weights after label {message.labels} come after those of {done}")
            continue
        for batch in read_partition(cluster.broker, LABELS, done, message.labels):
            for at in range(len(batch)):
                stage.process(state, batch.slice(at, at + 1))
        done, sets, learnt = message.labels, sets + 1, message.learnt
        if message.weights != stage.weights(state).astype("<f8").tobytes():
            bad.append(f"weights after label {done} are not the fold of the labels before it")
        if message.learnt != state.learned.learnt:
            bad.append(f"after label {done}: {message.learnt} learnt, not {state.learned.learnt}")
    if done != tape.ends.get((LABELS, 0), 0):
        bad.append(f"labels end at {tape.ends.get((LABELS, 0), 0)}, the newest weights at {done}")
    return Finding("weights", {"sets": sets, "learnt": learnt}, bad)

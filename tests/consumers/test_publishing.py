"""How often the learner's weights are published, and what becomes of it before the first ones."""

from __future__ import annotations

from itertools import pairwise

import pytest

from consumers.learn import PUBLISH_SECONDS
from model.bundles.promotion import model_message
from model.bundles.published import label_history
from tests.consumers.learners import Breaking, Hands, published, runner
from tests.consumers.test_learn import batch, label
from tests.stream.running import until_idle
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import Aborted, Stop
from tidegate.messages.documents import OnlineWeights
from tidegate.pipeline import DLQ, LABELS, MODELS, OUTCOMES
from tidegate.stream import poison


def test_weights_are_published_once_a_second_and_the_last_ones_always(trained: Trained) -> None:
    clock, broker = Hands(), MemoryBroker({LABELS: 1, MODELS: 1, OUTCOMES: 1, DLQ: 1})
    run = runner(broker, trained, "memory://published", clock, most=1000)
    times: list[int] = []
    for at in range(200):
        if at < 150:
            broker.append(LABELS, b"k", label(trained, at % 50, f"l{at}"), None, None)
        run.run_once()
        times += [clock.now] * (len(published(broker)) - len(times))
        clock.now += 50_000
    assert len(times) >= 7
    assert min(later - time for time, later in pairwise(times)) >= PUBLISH_SECONDS * 1_000_000
    assert published(broker)[-1].labels == 150, "a quiet stream leaves nothing unpublished"
    run.close()


def test_a_failure_before_the_first_weights_costs_a_pause_only(trained: Trained) -> None:
    clock, broker = Hands(), MemoryBroker({LABELS: 1, MODELS: 1, OUTCOMES: 1, DLQ: 1})
    run = runner(broker, trained, "memory://early", clock, most=1000)
    run.run_once()
    for at in range(30):
        broker.append(LABELS, b"k", label(trained, at, f"l{at}"), None, None)
    failed: list[str] = []

    def fail_twice(name: str, done: bool) -> None:
        if name == "produce" and len(failed) < 2 and not done:
            failed.append(name)
            raise Aborted("once more, please")

    broker.hook = fail_twice
    for _ in range(20):
        run.run_once()
        clock.now += 1_000_000
    assert len(failed) == 2
    assert published(broker)[-1].labels == 30
    run.close()


def test_a_group_that_forgets_a_learner_before_the_first_weights_finds_it_again(
    trained: Trained,
) -> None:
    """As after a restart of the broker: it ended with 78, for good."""
    clock, broker = Hands(), MemoryBroker({LABELS: 1, MODELS: 1, OUTCOMES: 1, DLQ: 1})
    run = runner(broker, trained, "memory://forgotten", clock, most=1000)
    run.run_once()
    broker.expire_members()
    for _ in range(5):
        run.run_once()
        clock.now += 1_000_000
    for at in range(30):
        broker.append(LABELS, b"k", label(trained, at, f"l{at}"), None, None)
    broker.expire_members()
    for _ in range(20):
        run.run_once()
        clock.now += 1_000_000
    assert published(broker)[-1].labels == 30
    run.close()


def test_labels_made_anew_before_the_first_weights_stop_the_learner(trained: Trained) -> None:
    clock, broker = Hands(), MemoryBroker({LABELS: 1, MODELS: 1, OUTCOMES: 1, DLQ: 1})
    run = runner(broker, trained, "memory://anew", clock, most=1000)
    for _ in range(3):
        run.run_once()
    for group in broker.groups.values():
        group.positions.clear()
    broker.expire_members()
    with pytest.raises(Stop, match="was the topic made anew"):
        until_idle(run)


def test_weights_say_that_they_have_passed_the_dead_letter_they_end_with(trained: Trained) -> None:
    log = batch(label(trained, 0), label(trained, 1), label(trained, 2, "breaks"))
    stage = Breaking(trained.profile, trained.bundle, label_history(MemoryBroker({})))
    (kept, output), (_, rejected) = poison.process(stage, stage.new_state(0, 1), log, lambda: None)
    assert (len(kept), len(rejected.rejects)) == (2, 1)
    weights = [model_message(value) for emit in output.emits for value in emit.values]
    assert [message.labels for message in weights if isinstance(message, OnlineWeights)] == [3]

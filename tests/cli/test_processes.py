"""Which processes a profile gets, and what readiness waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.running.processes import children
from tests.producers.api.test_parts import beat, status
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.pipeline import stage_inputs, stages_of
from tidegate.profile import Profile, load_profile
from tidegate.settings import Settings
from tidegate.status.board import Board

SHIPPED = Path(__file__).resolve().parents[2] / "profiles"


@pytest.fixture
def unlearning(tmp_path: Path) -> Profile:
    """The vector profile without its online model."""
    file = tmp_path / "unlearning.yaml"
    file.write_text((SHIPPED / "vector.yaml").read_text().replace("  online: {rate: 0.01}\n", ""))
    return load_profile(file)


def names(profile: Profile) -> list[str]:
    stages = stages_of(len(profile.entities), learner=profile.models.learns)
    return [stage.name for stage in stages]


def test_no_learner_where_no_model_learns(unlearning: Profile, tmp_path: Path) -> None:
    assert not unlearning.models.learns
    assert names(load_profile("vector")) == [
        "ingest",
        "preprocess",
        "score",
        "persist",
        "label",
        "learn",
        "cases",
        "dashboard",
    ]
    assert names(unlearning) == [
        "ingest",
        "preprocess",
        "score",
        "persist",
        "label",
        "cases",
        "dashboard",
    ]
    assert "learn" not in [
        child.name for child in children(Settings(home=tmp_path), unlearning, {}, 0.0)
    ]


def test_readiness_does_not_wait_for_a_learner_that_is_not_there(unlearning: Profile) -> None:
    for profile, missing in (
        (load_profile("vector"), ["learn: no live process"]),
        (unlearning, []),
    ):
        inputs = stage_inputs(1, learner=profile.models.learns)
        broker = MemoryBroker(dict.fromkeys(inputs.values(), 1))
        board = Board(broker, inputs, clock=lambda: 6)
        board.absorb(status(*(beat(stage, [0], 5) for stage in inputs if stage != "learn")))
        assert board.missing() == missing

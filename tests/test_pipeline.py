"""The table of stages and topics, held against everything that has to agree with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.running.makers import MAKERS
from cli.running.stages import SERVERS
from consumers.cases import CasesStage
from consumers.label import LabelStage
from consumers.learn import LearnStage
from consumers.notify.stage import NotifyStage
from consumers.persist import Persist
from consumers.preprocess import PreprocessStage
from consumers.score import ScoreStage
from tidegate import pipeline
from tidegate.dead_letters.redrive import TRANSACTIONAL_ID
from tidegate.pipeline import (
    CONTROL,
    MODELS,
    READERS,
    STAGES,
    STATUS,
    TOPICS,
    StageSpec,
    group_of,
    stage_inputs,
    stages_of,
)
from tidegate.profile import load_profile
from tidegate.topics import load_topics

ROOT = Path(__file__).resolve().parents[1]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ACCESS: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "deploy/cluster/access.yaml").read_text()
)
DEPLOYED = [stage for stage in STAGES.values() if stage.name != "retrain"]


def test_each_constant_is_in_topics_yaml_and_each_topic_is_a_constant() -> None:
    constants = [value for value in vars(pipeline).values() if value in TOPICS]
    listed = [topic.name for topic in load_topics(ROOT / "topics.yaml")]
    assert constants == list(TOPICS) == listed


def test_every_topic_is_written_and_read_by_someone() -> None:
    written = {topic for stage in STAGES.values() for topic in stage.outputs} | {STATUS, CONTROL}
    read = {
        topic for stage in STAGES.values() for topic in (stage.input, stage.side, *stage.follows)
    } | {CONTROL}
    by_redrive = {pipeline.DLQ, pipeline.QUARANTINE, pipeline.REDRIVEN}
    by_commands = by_redrive | {pipeline.AUDIT}  # `tidegate audit`
    assert written | by_commands == set(TOPICS)
    assert read - {""} | by_commands == set(TOPICS)


def test_each_stage_is_made_and_is_called_what_the_table_says() -> None:
    assert set(STAGES) == {*MAKERS, *SERVERS}
    assert tuple(MAKERS) == READERS
    card = load_profile("card")
    stages = [PreprocessStage(card, 0), PreprocessStage(card, 1), ScoreStage, Persist]
    for stage in [*stages, LabelStage, LearnStage, CasesStage, NotifyStage]:
        spec = STAGES[stage.name]
        assert stage.input == spec.input
        assert stage.side in (None, spec.side)  # the card's first step keeps no fraud rates


def test_the_stages_of_a_profile() -> None:
    assert "preprocess-2" not in stage_inputs(1)
    assert list(stage_inputs(2))[:3] == ["preprocess", "preprocess-2", "score"]
    assert [stage.name for stage in stages_of(2, asked=["notify"])] == [
        stage.name for stage in DEPLOYED
    ]
    assert [stage.name for stage in stages_of(0, learner=False, asked=["retrain"])] == [
        "retrain",
        "ingest",
        "preprocess",
        "score",
        "persist",
        "label",
        "cases",
        "dashboard",
    ]


def test_compose_has_a_service_for_each_stage() -> None:
    commands = {
        name: service["command"][1]
        for name, service in SERVICES.items()
        if service.get("command", [""])[0] == "run"
    }
    assert commands == {stage.name: stage.name for stage in DEPLOYED}


@pytest.mark.parametrize("stage", DEPLOYED, ids=lambda stage: stage.name)
def test_a_user_of_kafka_may_do_what_its_stage_does_and_no_more(stage: StageSpec) -> None:
    rights = ACCESS[stage.name]
    reads = {stage.input, stage.side, *stage.follows, CONTROL if stage.input else ""} - {""}
    assert (set(rights["read"]), set(rights["write"])) == (reads, set(stage.outputs))
    group = group_of(stage.name) if stage.input else None
    transactions = f"{group}." if stage.input and not stage.into_database else None
    if stage.name == "dashboard":
        # it asks where every stage is, to reconcile, and puts dead letters back
        group, transactions = "tidegate.", TRANSACTIONAL_ID
    assert (rights.get("group"), rights.get("transactions")) == (group, transactions)


def test_the_dashboard_may_read_what_a_replay_and_a_dry_run_read() -> None:
    card = load_profile("card")
    steps = [PreprocessStage(card, step) for step in range(card.steps)]
    read = {topic for step in steps for topic in (step.input, step.side) if topic}
    read |= {MODELS, pipeline.PROMOTIONS, pipeline.LABELS, pipeline.DLQ}
    assert read <= set(ACCESS["dashboard"]["read"])
    assert all(group_of(step.name).startswith(ACCESS["dashboard"]["group"]) for step in steps)


def test_only_the_auditor_writes_to_the_topic_of_seals_and_nothing_else() -> None:
    writers = {user for user, rights in ACCESS.items() if pipeline.AUDIT in rights["write"]}
    assert writers == {"auditor"}
    assert ACCESS["auditor"] == {"read": [pipeline.AUDIT], "write": [pipeline.AUDIT]}
    assert SERVICES["auditor"]["command"][:2] == ["audit", "seal"]


def test_each_user_that_promotes_may_write_the_history_of_that() -> None:
    promotes = {user for user, rights in ACCESS.items() if pipeline.PROMOTIONS in rights["write"]}
    assert promotes == {user for user, rights in ACCESS.items() if MODELS in rights["write"]} - {
        "learn"
    }


def test_the_page_on_operation_lists_every_stage() -> None:
    page = (ROOT / "docs/operation.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| [^|]+ \| ([^|]+) \|", page, re.MULTILINE))
    assert STAGES.keys() <= rows.keys()

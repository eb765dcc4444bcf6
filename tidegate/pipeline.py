"""The pipeline as one table: the topics' names, and each stage with what it reads and writes.

Whatever lists stages or topics takes them from here; `topics.yaml` says how each topic is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

RAW = "transactions.raw"
BY_ENTITY_2 = "transactions.by-entity-2"
FEATURES = "transactions.features"
SCORED = "transactions.scored"
ALERTS = "transactions.alerts"
DLQ = "transactions.dlq"
QUARANTINE = "transactions.quarantine"
REDRIVEN = "transactions.redriven"
FEEDBACK = "transactions.feedback"
LABELS = "transactions.labels"
OUTCOMES = "transactions.outcomes"
MODELS = "models"
PROMOTIONS = "promotions"
OPERATIONS = "operations"
STATUS = "status"
CONTROL = "control"
AUDIT = "audit"

TOPICS = (
    RAW,
    BY_ENTITY_2,
    FEATURES,
    SCORED,
    ALERTS,
    DLQ,
    QUARANTINE,
    REDRIVEN,
    FEEDBACK,
    LABELS,
    OUTCOMES,
    MODELS,
    PROMOTIONS,
    OPERATIONS,
    STATUS,
    CONTROL,
    AUDIT,
)
WRONG_PARTITION = "wrong_partition"
"""The reason of the dead letter of a transaction whose key is not its account, or was hashed by
another partitioner than murmur2. A redrive gives it the key that belongs to it.
"""
OTHER_PROFILE = "other_profile"
"""What verdicts and labels are counted as that are passed over, because their rows were scored by
another version of the profile.
"""
OVER_QUOTA = "over_quota"
"""What verdicts are counted as that are passed over, because their source had given too many."""
FRAMES = (BY_ENTITY_2, FEATURES, SCORED)
"""The topics between Tidegate's own steps: their messages are frames, those of the others JSON."""
_REDRIVE = (RAW, BY_ENTITY_2, FEATURES, SCORED, ALERTS, LABELS, QUARANTINE, REDRIVEN)
"""What putting dead letters back writes, beside verdicts."""


class StageSpec(NamedTuple):
    """One row of the table: what the process `tidegate run NAME` reads, writes and needs.

    A stage with an `input` is a consumer of the group `tidegate.NAME`; without one it is a server.
    Heartbeats are not listed: every stage but `retrain` writes them to `status`. Nor is `control`
    where it is followed: every consumer does, and commands write to it.
    """

    name: str
    input: str = ""
    side: str = ""
    """The topic that the runner reads in whole beside the input."""
    follows: tuple[str, ...] = ()
    """Topics read by threads or requests of the process itself, without a group."""
    outputs: tuple[str, ...] = ()
    into_database: bool = False
    """Rows and offsets share a transaction of the database; else all outputs one of Kafka."""
    single: bool = False
    """One process only: it owns a port, or is the one writer."""
    entities: int = 0
    """The fewest entities that a profile with this stage has."""
    learner: bool = False
    """Only for profiles that name a model which learns from verdicts."""
    on_request: bool = False
    """Not started with the others unless the settings ask for it."""


STAGES = {
    spec.name: spec
    for spec in (
        StageSpec(
            "retrain",
            follows=(LABELS, MODELS, STATUS),
            outputs=(MODELS, PROMOTIONS, OPERATIONS),
            single=True,
            on_request=True,
        ),
        StageSpec(
            "ingest",
            follows=(SCORED, FEEDBACK, LABELS, OUTCOMES, MODELS, STATUS),
            outputs=(RAW, FEEDBACK, MODELS, PROMOTIONS),
            single=True,
        ),
        StageSpec(
            "preprocess", RAW, side=LABELS, follows=(DLQ,), outputs=(BY_ENTITY_2, FEATURES, DLQ)
        ),
        StageSpec(
            "preprocess-2",
            BY_ENTITY_2,
            side=LABELS,
            follows=(DLQ,),
            outputs=(FEATURES, DLQ),
            entities=2,
        ),
        StageSpec("score", FEATURES, side=MODELS, outputs=(SCORED, ALERTS, DLQ)),
        StageSpec("persist", SCORED, follows=(DLQ,), outputs=(DLQ,), into_database=True),
        StageSpec(
            "label",
            FEEDBACK,
            follows=(RAW, BY_ENTITY_2, FEATURES, SCORED),
            outputs=(LABELS, OUTCOMES, DLQ),
        ),
        StageSpec(
            "learn",
            LABELS,
            follows=(MODELS, DLQ),
            outputs=(OUTCOMES, MODELS, DLQ),
            single=True,
            learner=True,
        ),
        StageSpec("cases", LABELS, outputs=(FEEDBACK,), into_database=True, single=True),
        StageSpec(
            "notify",
            ALERTS,
            follows=(DLQ, MODELS, PROMOTIONS, OPERATIONS, STATUS),
            outputs=(DLQ,),
            into_database=True,
            single=True,
            on_request=True,
        ),
        StageSpec(
            "dashboard",
            follows=(
                RAW,
                BY_ENTITY_2,
                FEATURES,
                SCORED,
                LABELS,
                MODELS,
                PROMOTIONS,
                STATUS,
                DLQ,
                REDRIVEN,
            ),
            outputs=(FEEDBACK, MODELS, PROMOTIONS, OPERATIONS, *_REDRIVE),
            single=True,
        ),
    )
}
"""Every stage by name: entrances first, then in the order of the flow."""

READERS = tuple(spec.name for spec in STAGES.values() if spec.input)
"""The stages that consume a topic."""
CONSUMERS = tuple(name for name in READERS if not STAGES[name].on_request)
"""Those of them that always run."""
INPUTS = tuple(STAGES[name].input for name in CONSUMERS)
REDRIVABLE = (*INPUTS, ALERTS)
"""The topics that some stage reads, always or on request, and that letters are put back to."""


def group_of(stage: str) -> str:
    """The consumer group of a stage."""
    return f"tidegate.{stage}"


def stages_of(
    entities: int, *, learner: bool = True, asked: Collection[str] = ()
) -> list[StageSpec]:
    """The stages of a profile with that many entities.

    `learner` says whether the profile names a model that learns from verdicts; `asked` are the
    stages on request that the settings ask for.
    """
    return [
        spec
        for spec in STAGES.values()
        if spec.entities <= entities
        and (learner or not spec.learner)
        and (spec.name in asked or not spec.on_request)
    ]


def stage_inputs(entities: int, *, learner: bool = True) -> dict[str, str]:
    """The consuming stages of a profile (see `stages_of`), and the topic each reads."""
    return {spec.name: spec.input for spec in stages_of(entities, learner=learner) if spec.input}

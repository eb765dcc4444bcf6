"""What the heartbeats, the models and the dead letters say is wrong now. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from consumers.notify.conditions import Condition
from tidegate.messages.heartbeats import Drift, Heartbeat, Held
from tidegate.notify.config import Bounds
from tidegate.words import count

_NAMED = 5
"""Columns that have moved, of which so many are named."""


def of_heartbeats(
    beats: Sequence[Heartbeat], missing: Iterable[str], drift: Drift | None, bounds: Bounds
) -> list[Condition]:
    """Stages that are missing, behind, held, or refuse the champion; and the drift."""
    living = [beat for beat in beats if not beat.stopping]
    lag = Counter[str]()
    for beat in living:
        lag[beat.stage] += beat.lag
    wrong = [
        Condition("stage_missing", sentence.partition(":")[0], f"Stage {sentence}")
        for sentence in missing
    ]
    wrong += [
        Condition("lag", stage, f"Stage {stage} is {behind:,} records behind", "", {"lag": behind})
        for stage, behind in lag.items()
        if behind > bounds.lag
    ]
    wrong += [_held(beat.stage, held) for beat in living for held in beat.held]
    wrong += [
        Condition("champion_refused", beat.process, f"{beat.process} refuses: {beat.refused}")
        for beat in living
        if beat.refused
    ]
    if drift is not None:
        wrong += _drifted(drift, bounds)
    return wrong


def _held(stage: str, held: Held) -> Condition:
    why = f"{held.lost:,} records are lost" if held.lost else ", ".join(held.reasons)
    return Condition(
        "held",
        f"{stage}/{held.partition}",
        f"Stage {stage} holds partition {held.partition} at offset {held.offset}: {why}",
        "",
        {"stage": stage, "partition": held.partition, "offset": held.offset, "lost": held.lost},
    )


def _drifted(drift: Drift, bounds: Bounds) -> list[Condition]:
    """Computed columns do not count: windows that are still filling move without a cause."""
    moved = [
        column for column in drift.moved if column.kind != "derived" and column.psi > bounds.drift
    ]
    if not moved:
        return []
    named = ", ".join(f"{column.name} (PSI {column.psi:.2f})" for column in moved[:_NAMED])
    return [
        Condition(
            "drift",
            drift.bundle,
            f"The newest {drift.rows:,} rows are not what model {drift.bundle} learnt from",
            f"Moved most: {named}",
            {"model": drift.bundle, "columns": {column.name: column.psi for column in moved}},
        )
    ]


def of_letters(letters: Mapping[tuple[str, str], int]) -> list[Condition]:
    """Dead letters of the last hour, counted by stage and reason."""
    return [
        Condition(
            "dead_letters",
            f"{stage}/{reason}",
            f"{count(letters[stage, reason], 'dead letter')} of {stage}: {reason}",
            "",
            {"stage": stage, "reason": reason, "count": letters[stage, reason]},
        )
        for stage, reason in sorted(letters)
    ]


def of_learner(bundle: str, *, frozen: bool) -> list[Condition]:
    """The champion's online model has lost."""
    if not frozen:
        return []
    return [
        Condition(
            "learner_frozen",
            bundle,
            f"The online model of {bundle} is frozen: the training's weights score",
            "It did worse than they on the labels. Find the bad verdicts, then "
            "`tidegate learner rollback`.",
        )
    ]

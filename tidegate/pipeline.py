"""The stages of the pipeline."""

from __future__ import annotations

from tidegate.profile import Profile


def stage_inputs(entities: int, *, learner: bool = True) -> dict[str, str]:
    """The consuming stages of a profile with that many entities, and the topic each reads, in the
    order of the flow.

    `learner` says whether the profile names a model that learns from verdicts.
    """
    second = {"preprocess-2": "transactions.by-entity-2"} if entities > 1 else {}
    return {
        "preprocess": "transactions.raw",
        **second,
        "score": "transactions.features",
        "persist": "transactions.scored",
        "label": "transactions.feedback",
        **({"learn": "transactions.labels"} if learner else {}),
    }


SINGLE = frozenset({"ingest", "dashboard", "learn"})
"""These are one process each: they own a port, or are the one writer of the weights."""
STAGES = ("ingest", "preprocess", "preprocess-2", "score", "persist", "label", "learn", "dashboard")


def stage_names(profile: Profile) -> list[str]:
    """The processes that a profile needs, entrances first: no learner where no model learns."""
    return [
        "ingest",
        *stage_inputs(len(profile.entities), learner=profile.models.learns),
        "dashboard",
    ]

"""The JSON Schema of each topic's message, for the topics whose messages are JSON."""

from __future__ import annotations

import json
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from consumers.alerts import Alert
from tidegate.dead_letters.plan import Mark
from tidegate.errors import ConfigError
from tidegate.messages.compatible import breaks
from tidegate.messages.documents import (
    AcceptedLoss,
    Canary,
    Champion,
    Label,
    ModelMessage,
    Rollback,
    Shadow,
    Skip,
    Verdict,
    VerdictOutcome,
)
from tidegate.messages.findings import Finding
from tidegate.messages.heartbeats import Heartbeat
from tidegate.messages.policy import AppliedPolicy
from tidegate.messages.seal import Seal
from tidegate.pipeline import (
    ALERTS,
    AUDIT,
    CONTROL,
    FEEDBACK,
    LABELS,
    MODELS,
    OPERATIONS,
    OUTCOMES,
    PROMOTIONS,
    RAW,
    REDRIVEN,
    STATUS,
)
from tidegate.profile import Profile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[str, tuple[Any, ...]] = {
    ALERTS: (Alert,),
    REDRIVEN: (Mark,),
    FEEDBACK: (Verdict,),
    LABELS: (Label, Rollback),
    OUTCOMES: (VerdictOutcome,),
    MODELS: (ModelMessage,),
    PROMOTIONS: (Champion, Shadow, Canary, AppliedPolicy),
    OPERATIONS: (Finding,),
    AUDIT: (Seal,),
    STATUS: (Heartbeat,),
    CONTROL: (Skip, AcceptedLoss),
}


def schemas(profile: Profile) -> dict[str, dict[str, Any]]:
    """By topic. What is on the raw topic is as the profile says."""
    types = {RAW: (profile.struct,), **_TYPES}
    return {topic: _schema(topic, *of) for topic, of in types.items()}


def _schema(topic: str, *types: Any) -> dict[str, Any]:  # noqa: ANN401 - classes and unions of them
    found, definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    for one in definitions.values():
        if "description" in one:  # whose lines some versions of Python indent as the source does
            one["description"] = cleandoc(one["description"])
    message = found[0] if len(found) == 1 else {"anyOf": list(found)}
    schema = {"$schema": _DIALECT, "title": topic, **message, "$defs": definitions}
    as_json: dict[str, Any] = json.loads(json.dumps(schema))  # a default may be a tuple
    return as_json


def write(folder: Path, profile: Profile, *, breaking: bool) -> list[str]:
    """Write a file for each topic; the names of those that have changed.

    Raises ConfigError, and writes nothing, for a change that breaks who reads or writes by the
    files that are there, unless `breaking`.
    """
    new = schemas(profile)
    old = {topic: read(folder, topic) for topic in new}
    broken = [
        f"{topic}: {what}"
        for topic, before in old.items()
        if before is not None
        for what in breaks(before, new[topic])
    ]
    if broken and not breaking:
        raise ConfigError(
            "; ".join(broken) + ". If that is meant, say --breaking, and name it in the CHANGELOG"
        )
    changed = [topic for topic in new if new[topic] != old[topic]]
    folder.mkdir(parents=True, exist_ok=True)
    for topic in changed:
        (folder / f"{topic}.json").write_text(json.dumps(new[topic], indent=2) + "\n")
    return changed


def read(folder: Path, topic: str) -> dict[str, Any] | None:
    """The schema in a folder; None where there is none yet. Raises ConfigError."""
    file = folder / f"{topic}.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error
    return found

"""The stream of decisions does not tell those of an account that was erased."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from db.erasing import erase, ids_secret
from tests.erasing.steps import OTHER, at_hand, body
from tests.producers.api.test_stream import ids, reading
from tests.producers.running_api import TOPICS, Api, serve
from tests.profile.test_tokens import NUMBER
from tests.web import produce, scored
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.vault import Vault
from tidegate.pipeline import SCORED
from tidegate.profile import Profile


def decide(api: Api, profile: Profile, vault: Vault, name: str, user: str) -> None:
    """A decision, as the scorer writes it of an erasable profile."""
    layout = profile.scored_layout
    frames = layout.unpack([scored(profile, body(name, user_id=user))])
    frames.payloads = vault.encrypt(frames.accounts, frames.payloads)
    produce(api.broker, SCORED, *layout.pack(frames))


@pytest.mark.parametrize(
    ("query", "told"), [("", ["b1", "a2", "b2"]), (f"?account={NUMBER}", ["a2"])]
)
def test_who_resumes_is_not_told_what_was_erased(
    profile: Profile, tmp_path: Path, query: str, told: list[str]
) -> None:
    broker, old = MemoryBroker(TOPICS | {SCORED: 1}), at_hand(profile, tmp_path)
    with serve(profile, tmp_path, broker) as api, reading(api) as events:
        for name, user in (("first", OTHER), ("a1", NUMBER), ("b1", OTHER)):
            decide(api, profile, old, name, user)
        first, *rest = itertools.islice(events, 3)
    assert [json.loads(event.data)["transaction_id"] for event in rest] == ["a1", "b1"]
    erase(api.database, profile.stored("user_id", NUMBER), "ann", ids_secret(profile))
    with serve(profile, tmp_path, broker) as api:  # its keys are read anew
        for name, user in (("a2", NUMBER), ("b2", OTHER)):
            decide(api, profile, at_hand(profile, tmp_path), name, user)
        with reading(api, query, after=first.id) as events:
            assert ids(events, len(told)) == told

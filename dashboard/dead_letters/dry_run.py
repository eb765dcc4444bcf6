"""What would become of a record that is put back, without doing it.

What follows from the record, the profile and the rows that there are. What depends on a stage's
own state (which ids a step remembers) is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from db.store import Store
from model.features.intake import take
from tidegate.clock import now_us
from tidegate.dead_letters.judge import judge_of
from tidegate.dead_letters.letters import DeadLetter, transaction_id
from tidegate.errors import Rejected, Stop
from tidegate.messages.ciphertext import ERASED, is_closed, not_opened
from tidegate.pipeline import FEEDBACK, FRAMES, RAW, REDRIVABLE, SCORED
from tidegate.profile import Profile

Outcome = Literal["passes", "fails", "passed_over", "repeat", "waits"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What would become of it: `reason` and `detail` say why it would fail, or be passed over;
    `id` is that of the transaction, and `moved` the one that it had before the edit.
    """

    outcome: Outcome
    reason: str = ""
    detail: str = ""
    id: str = ""
    moved: str = ""


def dry_run(
    profile: Profile, store: Store, letter: DeadLetter, before: DeadLetter | None = None
) -> Judgement:
    """Judge a letter; `before` is the one that it is a mended copy of. Raises Retry."""
    topic, value = letter.told.get("topic", ""), letter.plain
    if topic not in REDRIVABLE:
        return Judgement("fails", "no_stage", f"no stage reads its topic {topic}")
    if value == ERASED:
        return Judgement("fails", "erased", "its account was erased")
    if is_closed(value):
        return _failing(profile, letter, not_opened(value or b""))
    found = _raw(profile, store, letter) if topic == RAW else _others(profile, store, letter, topic)
    if before is None or found.outcome == "fails":
        return found
    named = transaction_id(profile, before)
    moved = named if found.id and named and named != found.id else ""
    return Judgement(found.outcome, found.reason, found.detail, found.id, moved)


def _failing(profile: Profile, letter: DeadLetter, fault: Rejected) -> Judgement:
    return Judgement("fails", fault.reason, profile.masks.said(fault.detail, letter.plain))


def _raw(profile: Profile, store: Store, letter: DeadLetter) -> Judgement:
    """As the first keyed step takes it, and whether there is a row with its id."""
    intake = take(profile, [letter.plain or b""], np.array([now_us()]), [letter.headers])
    if intake.rejects:
        return _failing(profile, letter, intake.rejects[0][1])
    if not intake.txs:
        return Judgement("passed_over", next(iter(intake.passed), ""))
    [tx] = intake.txs
    named = profile.id_of(tx)
    if named is None:  # it will be called after the place that it gets
        return Judgement("passes")
    return _beside_row(store, named, profile.body_hash(profile.canonical(tx)))


def _others(profile: Profile, store: Store, letter: DeadLetter, topic: str) -> Judgement:
    try:
        fault = judge_of(profile, topic)(letter.plain, now_us())
    except Stop as error:
        return Judgement("fails", "other_profile", str(error))
    if fault is not None:
        return _failing(profile, letter, fault)
    named = transaction_id(profile, letter)
    if topic == FEEDBACK:
        there = named in store.existing([named])
        return Judgement("passes" if there else "waits", id=named)
    if topic in FRAMES:
        return _beside_row(store, named, _body_of_frame(profile, topic, letter.plain))
    return Judgement("passes", id=named)


def _body_of_frame(profile: Profile, topic: str, frame: bytes | None) -> bytes:
    layout = profile.scored_layout if topic == SCORED else profile.features_layout
    frames, _ = layout.own([frame])
    body: bytes = frames.rows_as(layout.dtype)["body_hash"].tobytes()
    return body


def _beside_row(store: Store, named: str, body: bytes) -> Judgement:
    """A row with this id takes no second one: an equal body is a repeat, another one a conflict."""
    row = store.get(named) if named else None
    if row is None:
        return Judgement("passes", id=named)
    if row["body_hash"] == body.hex():
        return Judgement("repeat", id=named)
    detail = "this id was taken by a transaction with another body"
    return Judgement("fails", "conflicting_duplicate", detail, named)

"""The JSON documents that others meet, with their codecs: verdicts, labels, models, orders."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from tidegate.messages.frames import NONE, Decision
from tidegate.messages.policy import AppliedPolicy

GivenUs = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
"""When a verdict was given, us since 1970: of two on one transaction the later one holds."""


class Verdict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody says of a transaction (topic transactions.feedback)."""

    transaction_id: str
    verdict: Literal["fraud", "legitimate"]
    label_id: str = ""
    source: str = "api"
    note: str = ""
    given_us: GivenUs = 0
    """0: when Kafka recorded it."""


def label_id_of(verdict: Verdict) -> str:
    """Its own, or one that follows from what is said of which transaction by whom."""
    if verdict.label_id:
        return verdict.label_id
    text = encode([verdict.transaction_id, verdict.verdict, verdict.source])
    return hashlib.blake2b(text, digest_size=12).hexdigest()


class VerdictOutcome(msgspec.Struct, omit_defaults=True):
    """What became of a verdict that was not simply learnt (topic transactions.outcomes, key label
    id).

    The label stage says so of those of which it made no label, the learner of labels that moved no
    online weights.
    """

    label_id: str
    transaction_id: str
    outcome: str
    """refused, passed_over or over_quota; repeated, frozen or superseded."""
    reason: str = ""
    """Of a verdict of which no label was made."""
    detail: str = ""
    offset: int = NONE
    """Where such a verdict stands in its partition of the feedback topic."""
    bundle: str = ""
    """Whose learner says so; each bundle's learner makes up its own mind."""


class Label(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A verdict joined with its row (topic transactions.labels): a fold needs no look-up.

    `profile` is the version whose columns `values` are: that of the row, or the one that ran when
    the verdict came, if the columns of both have the same names.
    """

    transaction_id: str
    label_id: str
    fraud: bool
    source: str
    profile: str
    event_us: int
    amount_minor: int
    given_us: GivenUs
    keys: list[int]
    values: list[float | None]
    score: float
    decision: Decision
    entities: list[str | None]
    weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """What the profile gave the source when the label was written. With 0 it counts nowhere."""


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """The online weights become those before offset `rollback_to` (topic transactions.labels)."""

    rollback_to: int
    profile: str
    given_us: int
    by: str = ""


class Champion(msgspec.Struct, forbid_unknown_fields=True, tag="champion"):
    """Promotion: scorers switch to it between two batches (topic models, key champion/PROFILE)."""

    bundle: str
    profile: str
    promoted_us: int
    by: str = ""
    previous: str = ""
    """The champion before: where a rollback goes."""


class Prepare(msgspec.Struct, forbid_unknown_fields=True, tag="prepare"):
    """An order to load a bundle that is to be promoted (topic models, key prepare).

    `bundle` is empty when that came to nothing.
    """

    bundle: str
    profile: str
    asked_us: int
    by: str = ""


class Shadow(msgspec.Struct, forbid_unknown_fields=True, tag="shadow"):
    """A bundle that scores beside the champion and decides nothing (models, key shadow/PROFILE).

    `bundle` is empty when none is to do so any more.
    """

    bundle: str
    profile: str
    started_us: int
    by: str = ""


class Canary(msgspec.Struct, forbid_unknown_fields=True, tag="canary"):
    """A bundle that decides for a share of the accounts (topic models, key canary/PROFILE).

    The accounts are the same ones each time.

    `bundle` is empty when the champion is to decide for all again.
    """

    bundle: str
    profile: str
    share: float
    started_us: int
    by: str = ""


class OnlineWeights(msgspec.Struct, forbid_unknown_fields=True, tag="online"):
    """The online model after all labels before `labels` (topic models, key online/BUNDLE)."""

    bundle: str
    labels: int
    weights: bytes
    """Little-endian f8, the online detector's flat parameters."""
    learnt: int
    published_us: int
    frozen: bool = False
    """The online model lost against the training's weights: these are those, until a rollback or
    another bundle.
    """


class Skip(msgspec.Struct, forbid_unknown_fields=True):
    """An order to pass over bad records (topic control, key skip/STAGE/PARTITION).

    Rejects before `until` do not hold the partition: they become dead letters, and the good records
    among them are processed. `rejects`: how many there were in the eyes of whoever gave the order.
    """

    stage: str
    partition: int
    topic_id: str
    until: int
    rejects: int
    by: str
    given_us: int


class AcceptedLoss(msgspec.Struct, forbid_unknown_fields=True):
    """An order to go on although records are lost (topic control, key loss/STAGE/PARTITION).

    A stage whose position is `offset`, where the log has nothing, goes on at `until`, where the log
    begins. `lost`: how many records that were in the eyes of whoever gave the order.
    """

    stage: str
    partition: int
    topic_id: str
    offset: int
    until: int
    lost: int
    by: str
    given_us: int


def lost_range(offset: int, until: int, lost: int) -> tuple[int, int]:
    """From where to where records are lost: behind `offset`, or at the end of the log before it."""
    return (offset, until) if offset < until else (offset - lost, offset)


ModelMessage = Champion | Prepare | Shadow | Canary | OnlineWeights | AppliedPolicy
decode_model = msgspec.json.Decoder(ModelMessage).decode
decode_verdict = msgspec.json.Decoder(Verdict).decode
decode_outcome = msgspec.json.Decoder(VerdictOutcome).decode
decode_label = msgspec.json.Decoder(Label).decode
decode_rollback = msgspec.json.Decoder(Rollback).decode
encode = msgspec.json.Encoder().encode

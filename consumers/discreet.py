"""What the dead letters of a stage may show: no personal value of a profile that keeps tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tidegate.broker.records import Batch, Headers
from tidegate.messages.ciphertext import is_closed
from tidegate.messages.vault import Vault
from tidegate.profile import Profile
from tidegate.profile.token_records import TOKENISED, record_with_tokens
from tidegate.stream.dead_letters import PREFIX
from tidegate.stream.stage import Reject

WITHHELD = "; the record is withheld, since it may hold personal data"
_OPERATION = "__op"
"""Debezium's header that says what happened to a row: it is needed to put the record back."""


def discreet(
    profile: Profile, batch: Batch, rejects: Sequence[Reject], *, vault: Vault | None = None
) -> tuple[Batch, list[Reject]]:
    """The rejects of a batch, and the batch as their dead letters may show it.

    Sentences lose personal values. Where the profile keeps tokens, transactions and verdicts have
    them too, so that a redrive puts back what may lie there; what cannot be read is withheld. With
    a `vault` transactions are encrypted, and those that are stay as they are. Raises Retry.
    """
    read = [batch.values[reject.index] for reject in rejects]
    plain = vault.decrypt(read) if vault else read
    said = [
        replace(reject, detail=profile.masks.said(reject.detail, value))
        for reject, value in zip(rejects, plain, strict=True)
    ]
    topic = batch.source.topic
    if profile.tokens is None or topic not in TOKENISED:
        return batch, said
    keys, values, headers = list(batch.keys), list(batch.values), list(batch.headers)
    for place, reject in enumerate(said):
        index = reject.index
        headers[index], came_with = _own(headers[index]), headers[index]
        if vault and is_closed(values[index]):
            continue
        keys[index], values[index] = record_with_tokens(profile, topic, values[index], came_with)
        if batch.values[index] and not values[index]:
            said[place] = replace(reject, detail=reject.detail[:900] + WITHHELD)
    if vault:
        indices = [reject.index for reject in rejects]
        encrypted = vault.encrypt_plain([(keys[index], values[index]) for index in indices])
        for index, value in zip(indices, encrypted, strict=True):
            values[index] = value
    return replace(batch, keys=keys, values=values, headers=headers), said


def _own(headers: Headers | None) -> Headers | None:
    """The headers that are known to hold no personal data."""
    return headers and [
        (name, value) for name, value in headers if name.startswith(PREFIX) or name == _OPERATION
    ]

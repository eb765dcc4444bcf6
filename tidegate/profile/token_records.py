"""Records that others put on a topic with plain values, as Tidegate writes them."""

from __future__ import annotations

import msgspec

from tidegate.errors import Rejected
from tidegate.pipeline import FEEDBACK, RAW
from tidegate.profile.envelope import Headers, Passed
from tidegate.profile.profile import Profile

TOKENISED = (RAW, FEEDBACK)
"""The topics that others write."""
_read = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE = (Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def record_with_tokens(
    profile: Profile, topic: str, value: bytes | None, headers: Headers | None
) -> tuple[bytes | None, bytes | None]:
    """Key and value of a record of one of the topics in `TOKENISED`, as below."""
    if topic == RAW:
        return with_tokens(profile, value, headers)
    return verdict_with_tokens(profile, value)


def with_tokens(
    profile: Profile, value: bytes | None, headers: Headers | None = None
) -> tuple[bytes | None, bytes | None]:
    """Key and value of a raw record, out of its envelope and with the profile's tokens.

    The key is None where the record has none; both are where it cannot be read.
    """
    if profile.tokens is None:
        raise ValueError(f"profile {profile.name} keeps no tokens")
    try:
        row = profile.envelope.open(value, headers) if profile.envelope else value
        if isinstance(row, Passed):
            return None, None
        document = profile.tokens.document(_read(row or b""))
        key = msgspec.json.decode(document.get(profile.account or profile.id_field, b"null"))
    except _UNREADABLE:
        return None, None
    return None if key is None else str(key).encode(), msgspec.json.encode(document)


def verdict_with_tokens(profile: Profile, value: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Key and value of a verdict about the id that is kept; both None where it cannot be read."""
    try:
        document = _read(value or b"")
        stored = profile.stored_id(msgspec.json.decode(document["transaction_id"], type=str))
    except (*_UNREADABLE, KeyError):
        return None, None
    named = {"transaction_id": msgspec.Raw(msgspec.json.encode(stored))}
    return stored.encode(), msgspec.json.encode(document | named)

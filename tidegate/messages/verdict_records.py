"""Verdicts and labels as they lie on their topics, read with a word on what is wrong with them."""

from __future__ import annotations

import msgspec

from tidegate.errors import Rejected
from tidegate.messages.documents import (
    Label,
    Rollback,
    Verdict,
    decode_label,
    decode_rollback,
    decode_verdict,
)
from tidegate.words import plain


def read_verdict(value: bytes | None) -> Verdict:
    """The verdict in a record. Raises Rejected."""
    if not value:
        raise Rejected("empty", "the message is empty")
    try:
        verdict = decode_verdict(value)
    except msgspec.ValidationError as error:
        raise Rejected("wrong_type", plain(str(error))) from error
    except UnicodeDecodeError as error:
        raise Rejected("invalid_utf8", str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected("invalid_json", str(error)) from error
    if not verdict.transaction_id:
        raise Rejected("missing_field", "transaction_id is empty")
    return verdict


def decode_labelled(value: bytes) -> Label | Rollback:
    """A message of the labels topic; raises msgspec.DecodeError for anything else."""
    try:
        return decode_label(value)
    except msgspec.ValidationError as error:
        if value.startswith(b'{"rollback_to"'):
            return decode_rollback(value)
        raise error from None

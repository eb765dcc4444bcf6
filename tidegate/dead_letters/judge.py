"""Why a stage would refuse a record, as far as that follows from the record alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tidegate.errors import Rejected
from tidegate.messages.alerts import read_alert
from tidegate.messages.ciphertext import is_closed, not_opened
from tidegate.messages.verdict_records import decode_labelled, read_verdict
from tidegate.pipeline import ALERTS, FEEDBACK, LABELS, RAW, SCORED
from tidegate.profile import Profile

Judge = Callable[[bytes | None, int], Rejected | None]
"""Of a value, and when it was received (us): what is wrong with it."""


def judge_of(profile: Profile, topic: str) -> Judge:
    """The judge of the stage that reads a topic."""
    if topic == RAW:
        return lambda value, us: _fault(lambda: _decode(profile, value or b"", us))
    if topic == FEEDBACK:
        return lambda value, _: _fault(lambda: read_verdict(value))
    if topic == LABELS:
        return lambda value, _: _fault(lambda: _label(value))
    if topic == ALERTS:
        return lambda value, _: _fault(lambda: read_alert(value))
    layout = profile.scored_layout if topic == SCORED else profile.features_layout
    return lambda value, _: layout.check(value)


def _decode(profile: Profile, value: bytes, received_us: int) -> None:
    """Raises Rejected."""
    if is_closed(value):
        raise not_opened(value)
    profile.decode(value, received_us)


def _label(value: bytes | None) -> None:
    try:
        decode_labelled(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("invalid_json", str(error)) from error


def _fault(decode: Callable[[], object]) -> Rejected | None:
    try:
        decode()
    except Rejected as error:
        return error
    return None

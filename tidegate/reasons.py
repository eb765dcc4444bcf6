"""Why records become dead letters: the one table of reasons, and which of them trip the breaker."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """One reason. `breaks`: many of it say that the deployment or the format is broken."""

    breaks: bool
    meaning: str


REASONS = {
    "empty": Reason(True, "the record has no value"),
    "too_large": Reason(True, "more bytes than a transaction may have"),
    "too_deep": Reason(True, "lists and objects nested deeper than a transaction may be"),
    "not_opened": Reason(True, "encrypted by a key that this database never had, or cut or forged"),
    "invalid_utf8": Reason(True, "the bytes are not UTF-8"),
    "invalid_json": Reason(True, "not exactly one JSON document"),
    "not_an_object": Reason(True, "JSON, but no object"),
    "unknown_field": Reason(True, "a field that the profile does not name"),
    "missing_field": Reason(True, "a required field is missing or null"),
    "wrong_type": Reason(True, "a value of another type than the profile says"),
    "out_of_bounds": Reason(True, "a value outside the bounds that the profile sets"),
    "not_finite": Reason(True, "NaN, an infinity, or a number too large for 64 bits"),
    "bad_time": Reason(True, "no time, or one outside what the profile takes"),
    "wrong_partition": Reason(True, "in a partition that is not its account's: key or partitioner"),
    "not_a_frame": Reason(True, "something other than Tidegate's own steps wrote to this topic"),
    "truncated_frame": Reason(True, "a frame that is cut short or has something behind it"),
    "not_storable": Reason(True, "a frame that no database takes as a row"),
    "exception": Reason(True, "the stage raised: a defect; `tidegate-exception` names it"),
    "bad_envelope": Reason(True, "not what the profile's `envelope` looks like"),
    "not_an_alert": Reason(True, "something other than score wrote to the topic of alerts"),
    "unavailable_value": Reason(False, "an update did not send a column that the profile needs"),
    "conflicting_duplicate": Reason(False, "its id was taken by a transaction with another body"),
    "unknown_transaction": Reason(False, "a verdict whose transaction never became a row"),
}
"""Every reason that a stage of Tidegate gives, in the order of a record's way."""


def breaks(reason: str) -> bool:
    """Whether rejects for this reason count for the breaker; a word that is not listed does."""
    known = REASONS.get(reason)
    return known is None or known.breaks

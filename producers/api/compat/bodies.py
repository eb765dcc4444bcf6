"""Small differences between other projects' JSON and a profile's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Body = dict[str, msgspec.Raw]
"""A JSON object whose values are still text, so that no number changes on the way."""
Decision = Mapping[str, Any]
"""What `producers.api.decisions` gives: decision, score, scores of the models, bundle."""

_read = msgspec.json.Decoder(Body).decode
_FLAGS = {b"0": msgspec.Raw(b"false"), b"1": msgspec.Raw(b"true")}
_WHOLE = re.compile(rb"-?\d+")


def changed(raw: bytes, change: Callable[[Body], Body]) -> bytes:
    """The JSON object in `raw`, changed. What is none stays as it is: ingest says what is wrong."""
    try:
        body = _read(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return raw
    return msgspec.json.encode(change(body))


def with_flags(body: Body, *names: str) -> Body:
    """0 and 1 in these fields become false and true."""
    return body | {
        name: _FLAGS[text] for name in names if (text := _text(body.get(name))) in _FLAGS
    }


def with_texts(body: Body, *names: str) -> Body:
    """Whole numbers in these fields become texts."""
    return body | {
        name: msgspec.Raw(b'"%b"' % text)
        for name in names
        if _WHOLE.fullmatch(text := _text(body.get(name)))
    }


def _text(value: msgspec.Raw | None) -> bytes:
    return bytes(value).strip() if value is not None else b""


def flagged(decision: Decision) -> bool:
    """Whether a transaction is to be reviewed or blocked."""
    return bool(decision["decision"] != "approve")


def score_of(decision: Decision, model: str) -> float | None:
    """A model's own probability; None where it did not take part."""
    score = decision["scores"].get(model)
    return None if score is None or math.isnan(score) else float(score)

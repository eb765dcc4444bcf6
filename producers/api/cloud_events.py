"""CloudEvents 1.0 in JSON as bodies: each brings the transaction that is its data."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from producers.api.batches import Batch
from producers.api.problems import UNREADABLE, Problem, invalid, unreadable
from tidegate.errors import Rejected
from tidegate.profile.envelope import event_data
from tidegate.profile.made_ids import event_key

ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
_VERSION = "1.0"
_REQUIRED = ("id", "source", "specversion", "type")
_read = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Unwrapped(NamedTuple):
    """An event's data, and what tells the event from all others."""

    data: bytes
    key: str


def unwrap(raw: bytes) -> Unwrapped:
    """Raises Problem 400, 413 or 422."""
    try:
        raw.decode()
        event = _read(raw)
    except msgspec.ValidationError as error:
        raise Problem("invalid", "an event is a JSON object", errors=[]) from error
    except UNREADABLE as error:
        raise unreadable(error) from error
    texts = {name: _text(name, event.get(name)) for name in _REQUIRED}
    if texts["specversion"] != _VERSION:
        raise invalid("specversion", f"this is {texts['specversion'][:20]!r}, 1.0 is taken")
    if not {"data", "data_base64"} & event.keys():
        raise invalid("data", "an event brings its transaction here, or in data_base64")
    try:
        return Unwrapped(event_data(event), event_key(texts["source"], texts["id"]))
    except Rejected as rejected:
        raise invalid("data", rejected.detail) from rejected


def unwrap_all(items: list[bytes]) -> Batch:
    """The transactions of many events; of those that are none, why."""
    found: list[bytes] = []
    keys: list[str] = []
    unreadable: dict[int, Problem] = {}
    for place, item in enumerate(items):
        try:
            event = unwrap(item)
        except Problem as problem:
            event, unreadable[place] = Unwrapped(item, ""), problem
        found.append(event.data)
        keys.append(event.key)
    return Batch(found, unreadable, [], keys)


def _text(name: str, raw: msgspec.Raw | None) -> str:
    try:
        text = msgspec.json.decode(raw or b"null", type=str)
    except msgspec.DecodeError as error:
        raise invalid(name, "an event needs this attribute, a text") from error
    if not text:
        raise invalid(name, "an event needs this attribute, a text that is not empty")
    return text

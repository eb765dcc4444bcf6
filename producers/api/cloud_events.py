"""CloudEvents 1.0 by HTTP: each brings the transaction that is its data.

In the structured mode a body in JSON is the event; in the binary mode the body is its data, and
headers are its attributes (CloudEvents' HTTP protocol binding 1.0.2, 3.1 and 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

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
_ESCAPED = re.compile(r"\\(.)")
BINARY = "HTTP_CE_SPECVERSION"
"""The header, as WSGI names it, by which a body that is no event is the data of one."""
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
    _check_version("specversion", texts["specversion"])
    if not {"data", "data_base64"} & event.keys():
        raise invalid("data", "an event brings its transaction here, or in data_base64")
    try:
        return Unwrapped(event_data(event), event_key(texts["source"], texts["id"]))
    except Rejected as rejected:
        raise invalid("data", rejected.detail) from rejected


def unwrap_binary(raw: bytes, environ: Mapping[str, Any]) -> Unwrapped:
    """The data of an event whose attributes are headers. Raises Problem 422."""
    texts = {name: _header(f"ce-{name}", text) for name, text in headers_of(environ).items()}
    _check_version("ce-specversion", texts["specversion"])
    return Unwrapped(raw, event_key(texts["source"], texts["id"]))


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an event in the binary mode as they came, "" for one that is not there."""
    return {name: str(environ.get(f"HTTP_CE_{name.upper()}", "")) for name in _REQUIRED}


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


def _check_version(name: str, version: str) -> None:
    if version != _VERSION:
        raise invalid(name, f"this is {version[:20]!r}, {_VERSION} is taken")


def _header(name: str, value: str) -> str:
    """An attribute: quotes around it and percent-encoding are the header's (binding, 3.1.3.2)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise invalid(name, "its percent signs stand for bytes that are not UTF-8") from error
    if not text:
        raise invalid(name, "an event in the binary mode needs this header")
    return text


def _text(name: str, raw: msgspec.Raw | None) -> str:
    try:
        text = msgspec.json.decode(raw or b"null", type=str)
    except msgspec.DecodeError as error:
        raise invalid(name, "an event needs this attribute, a text") from error
    if not text:
        raise invalid(name, "an event needs this attribute, a text that is not empty")
    return text

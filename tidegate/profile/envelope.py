"""What connectors put around a row, taken off before the profile's decoder sees the record.

`debezium` knows change events, with and without schemas, and rows that ExtractNewRecordState has
unwrapped; `connect` the schema and payload of Kafka Connect's JSON; `cloudevents` the event around
its `data`. A table may have more columns than the profile has fields: those are left out. What
cannot be read as an envelope is left for the decoder to refuse.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from tidegate.errors import Rejected
from tidegate.profile.column_values import DECIMAL, UNAVAILABLE, UNTYPED, ColumnType, plain
from tidegate.profile.field import Field
from tidegate.profile.field_types import String
from tidegate.profile.made_ids import LENGTH, derived_id, event_key
from tidegate.profile.spec import Json

Kind = Literal["debezium", "connect", "cloudevents"]
Updates = Literal["conflict", "ignore"]
Headers = Sequence[tuple[str, bytes]]
Document = dict[str, msgspec.Raw]

_read = msgspec.json.Decoder(Document).decode
_UNREADABLE = msgspec.DecodeError, UnicodeDecodeError, RecursionError
_MOST_SCHEMAS = 64
"""Schemas that are remembered: there is one for each table and version of it."""
_NOTHING = msgspec.Raw(b"null")
_HEARTBEAT = {"ts_ms", "ts_us", "ts_ns"}
_MARKER = {"status", "id", "event_count", "data_collections"}
_WITHOUT_ROW = {"d": "delete", "t": "truncate", "m": "message"}
_UPDATED = "the row was updated after it had become a transaction, and a decision is made once"


class Passed(NamedTuple):
    """A record that brings no transaction and is no mistake, and what it is."""

    kind: str


class _Column(NamedTuple):
    """What a record's schema says of a column, and of the columns within it."""

    type: ColumnType
    within: Mapping[str, _Column]
    default: bool


_UNKNOWN = _Column(UNTYPED, {}, default=False)


class Envelope:
    """The envelope of one profile. `updates` says what becomes of a row's second version."""

    def __init__(
        self, kind: Kind, updates: Updates, fields: Mapping[str, Field], id_field: str
    ) -> None:
        self.kind = kind
        self.updates = updates
        self._fields = [
            (field, name, msgspec.json.encode(name) + b":") for name, field in fields.items()
        ]
        self._names = frozenset(fields)
        self._schemas: dict[bytes, _Column] = {}
        kept = fields.get(id_field)
        holds = isinstance(kept, String) and kept.max_length >= LENGTH
        self._made_id = id_field if holds else ""

    def open(self, value: bytes | None, headers: Headers | None = None) -> bytes | Passed:
        """The row in a record, as JSON that the profile's decoder takes. Raises Rejected."""
        if not value:
            return Passed("tombstone")
        try:
            document = _read(value)
        except _UNREADABLE:
            return Passed("tombstone") if value.strip() == b"null" else value
        if self.kind == "cloudevents":
            return self._event(document, dict(headers or ()))
        column = _UNKNOWN
        if document.keys() == {"schema", "payload"} and not self._names & document.keys():
            column = self._schema(bytes(document["schema"]))
            if _null(document["payload"]):
                return Passed("tombstone")
            document = _inner(document["payload"], "payload")
        if self.kind == "debezium":
            return self._change(document, column, dict(headers or ()))
        return self._row(document, column)

    def defaults(self, value: bytes | None) -> set[str]:
        """The profile's fields for which a record's own schema has a default.

        A connector may write the default where the table holds NULL.
        """
        try:
            column = self._schema(bytes(_read(value or b"")["schema"]))
        except (*_UNREADABLE, KeyError):
            return set()
        columns = column.within.get("after", column).within
        return {name for name in self._names if columns.get(name, _UNKNOWN).default}

    def _change(
        self, document: Document, column: _Column, headers: Mapping[str, bytes]
    ) -> bytes | Passed:
        """The row after a change. Updates are no transactions; deletes and markers are passed."""
        if kind := self._marker(document):
            return Passed(kind)
        if {"after", "before", "op"} & document.keys() - self._names:
            op = _text(document.get("op"))
            column = column.within.get("after", _UNKNOWN)
            if op not in _WITHOUT_ROW:
                document = _inner(document.get("after"), "after")
        else:
            noted = headers.get("__op") or b"r"
            op = _text(document.get("__op")) or noted.decode(errors="replace").strip('"')
            op = "d" if _text(document.get("__deleted")) == "true" else op
        if op in _WITHOUT_ROW:
            return Passed(_WITHOUT_ROW[op])
        if op == "u" or "__debezium.oldkey" in headers:
            return self._update()
        if op not in ("c", "r"):
            raise Rejected("bad_envelope", f"op: expected r, c, u, d, t or m, got {op[:20]!r}")
        if self.updates == "ignore" and any(bytes(raw) == UNAVAILABLE for raw in document.values()):
            return Passed("update")
        return self._row(document, column)

    def _marker(self, document: Document) -> str:
        """What a record of Debezium's own is; "" for a change and for a row."""
        names = document.keys()
        if names and names <= _HEARTBEAT and not self._names & names:
            return "heartbeat"
        if names >= _MARKER and _text(document["status"]) in ("BEGIN", "END"):
            return "transaction_marker"
        if names & {"ddl", "tableChanges"} and "after" not in names and not self._names & names:
            return "schema_change"
        return ""

    def _update(self) -> Passed:
        if self.updates == "ignore":
            return Passed("update")
        raise Rejected("conflicting_duplicate", _UPDATED)

    def _event(self, document: Document, headers: Mapping[str, bytes | str | None]) -> bytes:
        """The data of a structured event; the record of a binary one is its data.

        A transaction without an id gets one that is the same whenever the event comes.
        """
        source, event_id = header_text(headers, "ce_source"), header_text(headers, "ce_id")
        if "specversion" in document:
            source, event_id = _text(document.get("source")), _text(document.get("id"))
            data = event_data(document)
            try:
                document = _read(data)
            except _UNREADABLE:
                return data
        made = self._made_id
        if made and source and event_id and _null(document.get(made, _NOTHING)):
            own = derived_id(event_key(source, event_id))
            document = document | {made: msgspec.Raw(msgspec.json.encode(own))}
        others = [
            msgspec.json.encode(name) + b":" + bytes(raw)
            for name, raw in document.items()
            if name not in self._names
        ]
        return self._row(document, _UNKNOWN, others)

    def _row(self, document: Document, column: _Column, others: Sequence[bytes] = ()) -> bytes:
        """The profile's fields of a row, each in the notation that its type takes."""
        parts = list(others)
        for field, name, prefix in self._fields:
            raw = document.get(name)
            if raw is not None:
                kind = column.within.get(name, _UNKNOWN).type
                parts.append(prefix + plain(field, kind, bytes(raw)))
        return b"{" + b",".join(parts) + b"}"

    def _schema(self, raw: bytes) -> _Column:
        """A record's schema, read once."""
        known = self._schemas.get(raw)
        if known is None:
            if len(self._schemas) >= _MOST_SCHEMAS:
                self._schemas.clear()
            known = self._schemas[raw] = _column(msgspec.json.decode(raw))
        return known


def row_in(document: dict[str, Json]) -> dict[str, Json]:
    """The row that a document has inside, whatever is around it, or the document itself.

    For people who look for a dead letter: nothing is checked, and a deleted row is one too.
    """
    for names in (("payload",), ("after", "before"), ("data",)):
        inner = [row for name in names if isinstance(row := document.get(name), dict)]
        document = inner[0] if inner else document
    return document


def _column(schema: Json) -> _Column:
    """What a schema of Kafka Connect says. Raises Rejected."""
    if schema is None:
        return _UNKNOWN
    try:
        name = schema.get("name") or ""
        return _Column(
            ColumnType(name, int(schema["parameters"]["scale"]) if name == DECIMAL else None),
            {field["field"]: _column(field) for field in schema.get("fields", [])},
            default=schema.get("default") is not None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Rejected("bad_envelope", f"schema: {type(error).__name__}: {error}") from error


def event_data(document: Document) -> bytes:
    """The data of a structured event. Raises Rejected."""
    if "data" in document:
        data = bytes(document["data"])
        try:
            return msgspec.json.decode(data, type=str).encode() if data.startswith(b'"') else data
        except _UNREADABLE as error:
            raise Rejected("bad_envelope", "data: expected a text of JSON") from error
    try:
        return b64decode(_text(document.get("data_base64")), validate=True)
    except ValueError as error:
        raise Rejected("bad_envelope", "data_base64: expected base64") from error


def header_text(headers: Mapping[str, bytes | str | None], name: str) -> str:
    """A header as text, "" where there is none: bytes or text, with quotes where a converter of
    Kafka Connect has written it as JSON.
    """
    value = headers.get(name) or ""
    text = value if isinstance(value, str) else value.decode("utf-8", "replace")
    return text.strip('"')


def _inner(raw: msgspec.Raw | None, name: str) -> Document:
    try:
        return _read(raw if raw is not None else b"")
    except _UNREADABLE as error:
        raise Rejected("bad_envelope", f"{name}: expected the object of a row") from error


def _text(raw: msgspec.Raw | None) -> str:
    """A text in JSON; "" where there is none."""
    try:
        return msgspec.json.decode(raw, type=str) if raw is not None else ""
    except _UNREADABLE:
        return ""


def _null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null"

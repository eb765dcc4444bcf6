"""Personal fields: what may be said of them in a profile, and how their values are not shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.profile.field import Field
from tidegate.profile.spec import Json

MASK = "\u2022\u2022\u2022"
"""Stands where a value is not shown."""
_SHORTEST = 3
"""Shorter values are found in any sentence by accident."""


def fault(field: Field) -> str:
    """What is wrong with `personal` and `store` of a field; "" when nothing is."""
    if not field.tokenised:
        return ""
    if not field.personal:
        return "`store: token` is for a field that is `personal: true`"
    if field.type != "string":
        return f"only a string can be kept as a token: leave `store: token` out of a {field.type}"
    return ""


def shown_fault(field: Field) -> str:
    """What is wrong with a personal amount or time; "" when nothing is."""
    if field.personal:
        return "the amount and the time are shown beside the payload, so they cannot be personal"
    return ""


def erasable_fault(entities: Sequence[Field]) -> str:
    """What would stay of people in an `erasable` profile, whose first entity is the account; ""
    when nothing would.
    """
    if not entities or not entities[0].tokenised:
        return (
            "payloads are encrypted by a key of their account, whose own name must not stay: name "
            "a field as `account`, and let it be `personal: true, store: token`"
        )
    if plain := [field.name for field in entities if field.personal and not field.tokenised]:
        return f"field {plain[0]} is a key on a topic and personal: let it be `store: token`"
    return ""


def id_fault(field: Field) -> str:
    """What is wrong with a personal id; "" when nothing is."""
    if field.personal and not field.tokenised:
        return "a personal id needs `store: token`: pages and lists go by it"
    return ""


class Masks:
    """Keeps the values of a profile's personal fields out of what people and logs are shown."""

    def __init__(self, fields: Mapping[str, Field], account: str | None) -> None:
        self._personal = frozenset(name for name, field in fields.items() if field.personal)
        shown = {name: field for name, field in fields.items() if field.personal}
        self.names = frozenset(name for name, field in shown.items() if not field.tokenised)
        """The fields whose values are kept, and so have to be masked."""
        self._columns = {name for field in shown.values() for name in field.columns()}
        self._account = account in self.names

    def hides(self, column: str) -> bool:
        """Whether a feature's value is masked, since it is that of a personal field."""
        return column in self._columns

    def account(self, account: str | None) -> str | None:
        """An account as it is shown."""
        return MASK if account and self._account else account

    def payload(self, payload: Mapping[str, Json]) -> dict[str, Json]:
        """A transaction as it is shown."""
        return {
            name: MASK if name in self.names and value is not None else value
            for name, value in payload.items()
        }

    def document(self, document: Json) -> Json:
        """Any document about a transaction as it is shown, however deep its personal values lie."""
        if isinstance(document, list):
            return [self.document(each) for each in document]
        if not isinstance(document, dict):
            return document
        return {
            name: MASK if self._hidden(name) and value is not None else self.document(value)
            for name, value in document.items()
        }

    def put_back(self, shown: Json, original: Json) -> Json:
        """A document that `document` masked and somebody changed, with the values of the original
        in the masks' places. Raises ValueError for a mask where the original has no such field.
        """
        if isinstance(shown, list):
            known = original if isinstance(original, list) else []
            return [
                self.put_back(each, known[i] if i < len(known) else None)
                for i, each in enumerate(shown)
            ]
        if not isinstance(shown, dict):
            return shown
        mine = original if isinstance(original, dict) else {}
        return {name: self._put_back(name, value, mine) for name, value in shown.items()}

    def _put_back(self, name: str, value: Json, original: Mapping[str, Json]) -> Json:
        if value != MASK or not self._hidden(name):
            return self.put_back(value, original.get(name))
        if name not in original:
            raise ValueError(name)
        return original[name]

    def _hidden(self, name: str) -> bool:
        known = name in self.names or name in self._columns
        return known or (name == "account" and self._account)

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as it is shown: account, payload, and what features say of personal fields."""
        shown = dict(row)
        if not self.names:
            return shown
        shown["account"] = self.account(row["account"])
        payload = self.payload(msgspec.json.decode(row["payload"]))
        shown["payload"] = msgspec.json.encode(payload).decode()
        if row.get("features"):
            shown["features"] = self._without(row["features"])
        shown["reasons"] = [self._reason(reason) for reason in row.get("reasons") or []]
        return shown

    def decision(self, decision: Mapping[str, Any]) -> dict[str, Any]:
        """A decision as it is shown: its account, and reasons that are JSON."""
        shown = dict(decision)
        if self.names:
            reasons = msgspec.json.decode(shown["reasons"])
            shown["account"] = self.account(shown["account"])
            shown["reasons"] = [self._reason(reason) for reason in reasons]
        return shown

    def said(self, text: str, raw: bytes | None) -> str:
        """A sentence about a record without the record's personal values."""
        if not self._personal:
            return text
        try:
            document = msgspec.json.decode(raw or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return text
        for value in sorted(self._values(document), key=len, reverse=True):
            text = text.replace(value, MASK)
        return text

    def _without(self, features: Mapping[str, float | None]) -> dict[str, float | None]:
        return {name: None if name in self._columns else value for name, value in features.items()}

    def _reason(self, reason: Mapping[str, Any]) -> dict[str, Any]:
        if reason["feature"] not in self._columns:
            return dict(reason)
        return {name: reason[name] for name in ("feature", "contribution") if name in reason}

    def _values(self, document: Json, *, personal: bool = False) -> Iterator[str]:
        """The texts of all personal values in a document, however deep they lie."""
        if isinstance(document, dict):
            for name, value in document.items():
                yield from self._values(value, personal=personal or name in self._personal)
        elif isinstance(document, list):
            for value in document:
                yield from self._values(value, personal=personal)
        elif personal and document is not None and len(str(document)) >= _SHORTEST:
            yield str(document)

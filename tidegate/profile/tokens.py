"""Tokens in place of personal values: one value has one token, and only a key leads there.

A token is HMAC-SHA256 of the field's name, a NUL and the value, cut to 24 bytes, in URL-safe
Base64 behind `tok_`. A value that is a token already stays as it is. So what was decoded once may
be decoded again, and a producer that has the key may put tokens on the raw topic itself.

Where each client has ids of its own, what stands before the first colon of an id is the client's
name: it stays, and the token is that of the rest.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tidegate.errors import Rejected
from tidegate.profile.field import Field, is_token
from tidegate.profile.spec import Json

_BYTES = 24


class Tokens:
    """The tokens of one deployment's key for these `fields`, those of a profile that have some.

    `by_client` is the field whose values begin with a client's name; "" for none.
    """

    def __init__(self, key: bytes, fields: Iterable[Field], by_client: str = "") -> None:
        self._key, self._by_client = key, by_client
        self.fields = {field.name: field for field in fields}

    @property
    def fingerprint(self) -> str:
        """8 hexadecimal digits that differ by key. They lead to no value and to no token."""
        return hmac.digest(self._key, b"fingerprint", "sha256").hex()[:8]

    def secret(self, purpose: str) -> bytes:
        """32 bytes that follow from the key for one purpose, and tell nothing about others."""
        return HKDF(SHA256(), 32, salt=None, info=f"tidegate {purpose}".encode()).derive(self._key)

    def of(self, name: str, value: str | int) -> str:
        """The token of a value of field `name`; the value itself where the field has no tokens."""
        text = str(value)
        if name not in self.fields:
            return text
        if name == self._by_client and ":" in text:
            client, _, own = text.partition(":")
            return f"{client}:{self._token(name, own)}"
        return self._token(name, text)

    def _token(self, name: str, text: str) -> str:
        if is_token(text):
            return text
        said = f"{name}\0{text}".encode("utf-8", "surrogatepass")
        return "tok_" + urlsafe_b64encode(hmac.digest(self._key, said, "sha256")[:_BYTES]).decode()

    def put_in(self, tx: msgspec.Struct) -> None:
        """Put tokens in place of a decoded transaction's values. Raises Rejected for bad ones."""
        for name, field in self.fields.items():
            value = getattr(tx, name)
            if value is None:
                continue
            stored = self.of(name, value)
            if fault := field.fault(value, 0) or field.fault(stored, 0):
                raise Rejected(fault[0], f"{name}: {fault[1]}")
            setattr(tx, name, stored)

    def document(self, row: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        """A transaction's JSON, good or bad, with tokens; a list or an object there is left out."""
        changed = dict(row)
        for name in self.fields.keys() & row.keys():
            value: Json = msgspec.json.decode(row[name])
            if isinstance(value, str | int) and not isinstance(value, bool):
                changed[name] = msgspec.Raw(msgspec.json.encode(self.of(name, value)))
            elif value is not None:
                del changed[name]
        return changed

"""Tokens in place of personal values: one value has one token, and only a key leads there.

A token is HMAC-SHA256 of the field's name, a NUL and the value, cut to 24 bytes, in URL-safe
Base64 behind `tok_`. A value that is a token already stays as it is. So what was decoded once may
be decoded again, and a producer that has the key may put tokens on the raw topic itself.
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
    """The tokens of one deployment's key for these `fields`, those of a profile that have some."""

    def __init__(self, key: bytes, fields: Iterable[Field]) -> None:
        self._key = key
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
        if name not in self.fields or is_token(text):
            return text
        said = f"{name}\0{text}".encode("utf-8", "surrogatepass")
        return "tok_" + urlsafe_b64encode(hmac.digest(self._key, said, "sha256")[:_BYTES]).decode()

    def put_in(self, tx: msgspec.Struct) -> None:
        """Put tokens in place of a decoded transaction's values. Raises Rejected for bad ones."""
        for name, field in self.fields.items():
            value = getattr(tx, name)
            if value is None:
                continue
            if fault := field.fault(value, 0):
                raise Rejected(fault[0], f"{name}: {fault[1]}")
            setattr(tx, name, self.of(name, value))

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

r"""Payloads encrypted by a key of their account: once the key is destroyed, nobody reads them.

      0  \xff T D E 1   what no JSON and no frame begins with: \xff is never in UTF-8
      5  8 bytes        the key's id, by chance: it leads to no account
     13  12 bytes       the nonce, by chance
     25  ...            AES-256-GCM of the payload, and its tag of 16 bytes

All before the nonce is authenticated as well. A key encrypts some 2^32 payloads before a nonce that
comes twice is to be expected (NIST SP 800-38D), far more than an account has.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidegate.errors import Rejected

MAGIC = b"\xffTDE1"
ID = 8
"""Bytes of a key's id."""
_NONCE, _TAG = 12, 16
_HEAD = len(MAGIC) + ID
_BODY = _HEAD + _NONCE
ERASED = b"\xfferased"
"""What readers find in place of a payload whose key is destroyed. It is on no topic."""
ERASED_KIND = "erased"
"""What records are counted as that are passed over for it."""


class AccountKey(NamedTuple):
    """The key that one account's payloads are encrypted by, and the id that they name it by."""

    id: bytes
    cipher: AESGCM

    def encrypt(self, payload: bytes) -> bytes:
        """The payload in the form above."""
        head, nonce = MAGIC + self.id, os.urandom(_NONCE)
        return head + nonce + self.cipher.encrypt(nonce, payload, head)

    def decrypt(self, ciphertext: bytes) -> bytes | None:
        """The payload; None where this is not what the key encrypted."""
        nonce = ciphertext[_HEAD:_BODY]
        try:
            return self.cipher.decrypt(nonce, ciphertext[_BODY:], ciphertext[:_HEAD])
        except InvalidTag:
            return None


def key_id(value: bytes | None) -> bytes | None:
    """The id of the key by which this is encrypted; None for anything else."""
    if value is None or not value.startswith(MAGIC) or len(value) < _BODY + _TAG:
        return None
    return value[len(MAGIC) : _HEAD]


def is_closed(value: bytes | None) -> bool:
    """Whether this begins like an encrypted payload, also if it is cut.

    Once its key was tried, what still does so was opened by none.
    """
    return value is not None and value.startswith(MAGIC)


def not_opened(value: bytes) -> Rejected:
    """Why a closed value is no transaction."""
    id_ = key_id(value)
    if id_ is None:
        return Rejected("not_opened", "it begins like an encrypted payload, and is cut short")
    return Rejected(
        "not_opened",
        f"it is encrypted by key {id_.hex()}, and no key in TIDEGATE_DB opens it: the log was "
        "written with another database or a newer copy of this one, or the record was forged",
    )

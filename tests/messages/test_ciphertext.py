"""Encrypted payloads: their form, what opens them, and what does not."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as some

from tidegate.errors import Retry
from tidegate.messages.ciphertext import ERASED, MAGIC, AccountKey, key_id
from tidegate.messages.frame_marks import frame_profile
from tidegate.messages.vault import SECONDS, Vault

PLAIN = b'{"user_id":"4111111111111111"}'


def key(id_: bytes = b"8 bytes.") -> AccountKey:
    return AccountKey(id_, AESGCM(AESGCM.generate_key(256)))


@given(some.binary(max_size=200))
def test_what_is_encrypted_opens_again_and_names_its_key(payload: bytes) -> None:
    made = key()
    ciphertext = made.encrypt(payload)
    assert made.decrypt(ciphertext) == payload
    assert key_id(ciphertext) == made.id
    assert key().decrypt(ciphertext) is None
    assert made.encrypt(payload) != ciphertext


def test_it_is_never_json_nor_a_frame() -> None:
    for value in (key().encrypt(PLAIN), ERASED):
        with pytest.raises(UnicodeDecodeError):
            json.loads(value)
        assert frame_profile(value) is None
        assert PLAIN not in value


@pytest.mark.parametrize("place", [0, 5, 13, 25, -1])
def test_a_changed_byte_opens_nothing(place: int) -> None:
    made = key()
    changed = bytearray(made.encrypt(PLAIN))
    changed[place] ^= 1
    assert key_id(bytes(changed)) != made.id or made.decrypt(bytes(changed)) is None


@pytest.mark.parametrize("value", [None, b"", b"{}", MAGIC, MAGIC + b"8 bytes." + b"x" * 27])
def test_nothing_else_has_a_key(value: bytes | None) -> None:
    assert key_id(value) is None


class Source:
    """Keys in memory, and how often they were asked for."""

    name = "a test"

    def __init__(self) -> None:
        self.keys: dict[bytes, AccountKey] = {}
        self.destroyed: set[bytes] = set()
        self.asked = 0

    def of_accounts(self, accounts: Collection[bytes]) -> Mapping[bytes, AccountKey]:
        self.asked += 1
        return {name: self.keys.setdefault(name, key(name.ljust(8))) for name in accounts}

    def close(self) -> None:
        """There is nothing to close."""

    def by_id(self, ids: Collection[bytes]) -> Mapping[bytes, AccountKey | None]:
        self.asked += 1
        known = {made.id: made for made in self.keys.values()}
        return {i: None if i in self.destroyed else known[i] for i in ids if i in known}


def test_a_batch_is_one_question_and_the_next_none_for_some_seconds() -> None:
    source, now = Source(), [0.0]
    vault = Vault(source, lambda: now[0])
    payloads = [b"%d" % number for number in range(100)]
    sent = vault.encrypt([b"a", b"b"] * 50, payloads)
    assert source.asked == 1
    assert vault.decrypt(sent) == payloads
    vault.encrypt([b"a"], [PLAIN])
    vault.decrypt(sent)
    assert source.asked == 2
    source.destroyed.add(source.keys[b"a"].id)
    now[0] = SECONDS - 0.1
    assert vault.decrypt(sent) == payloads, "what was read lasts for some seconds"
    now[0] = SECONDS
    assert vault.decrypt(sent[:2]) == [ERASED, b"1"]


def test_what_nobody_encrypted_stays_as_it_is() -> None:
    source = Source()
    vault = Vault(source)
    [good] = vault.encrypt([b"a"], [PLAIN])
    forged = good[:-1] + bytes([good[-1] ^ 1])
    assert vault.decrypt([forged, None, b"", PLAIN]) == [forged, None, b"", PLAIN]
    unknown = key(b"a stranr").encrypt(PLAIN)
    assert vault.decrypt([unknown, good]) == [unknown, PLAIN]
    with pytest.raises(Retry, match="never had"):
        vault.decrypt_known([unknown, good])

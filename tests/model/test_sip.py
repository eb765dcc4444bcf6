from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.hashing import KEY_SEED, hash64, join, split
from model.sip import NO_SECRET, SipKey, sip128, sip_key

_M = 0xC6A4A7935BD1E995
REFERENCE = {
    0: "a3817f04ba25a8e66df67214c7550293",
    1: "da87c1d86b99af44347659119b22fc45",
    2: "8177228da4a45dc7fca38bdef60affe4",
    8: "3b62a9ba6258f5610f83e264f31497b4",
    15: "5493e99933b0a8117e08ec0f97cfc3d9",
}
"""Vectors of the reference implementation (vectors_sip128), by the length of the input."""


@pytest.mark.parametrize("length", REFERENCE)
def test_the_vectors_of_the_reference_implementation(length: int) -> None:
    key = SipKey(*np.frombuffer(bytes(range(16)), np.uint64))
    assert sip128(*join([bytes(range(length))]), key).tobytes().hex() == REFERENCE[length]


def test_each_text_by_itself_and_by_its_key() -> None:
    texts = [b"a", b"", b"0123456789abcdef", b"a"]
    hashes = sip128(*join(texts), NO_SECRET)
    alone = np.concatenate([sip128(*join([text]), NO_SECRET) for text in texts])
    np.testing.assert_array_equal(hashes, alone)
    assert len(np.unique(hashes, axis=0)) == 3
    assert not (hashes == sip128(*join(texts), sip_key("another cluster"))).any()


def test_lines_as_they_stand_are_texts_with_their_line_breaks() -> None:
    texts = [b"a\n", b"\n", b"0123456789abcdef\n", b"a\n"]
    lines = sip128(*split(b"".join(texts)), NO_SECRET)
    np.testing.assert_array_equal(lines, sip128(*join(texts), NO_SECRET))
    assert sip128(*split(b""), NO_SECRET).shape == (0, 2)


def test_ids_that_collide_in_murmur_whatever_its_seed_are_two() -> None:
    one, other = murmur_collision()
    assert one != other
    for seed in (KEY_SEED, 0x6761_7465, 1):
        first, second = hash64([one, other], seed).tolist()
        assert first == second
    hashes = sip128(*join([one, other]), NO_SECRET)
    assert (hashes[0] != hashes[1]).all()


def murmur_collision() -> tuple[bytes, bytes]:
    """Two ids of 16 bytes of UTF-8.

    The top bit of a mixed block goes through the product that follows as it is: what the first
    block turns round, the second turns back.
    """
    words = np.random.default_rng(4).integers(1, 256, (400_000, 8)).astype(np.uint8)
    twins = _unmix(_mix(words.view(np.uint64)[:, 0]) ^ np.uint64(1 << 63))
    pairs = zip(_texts(words), _texts(twins[:, np.newaxis].view(np.uint8)), strict=True)
    both = [pair for pair in pairs if all(map(_is_text, pair))][:2]
    return both[0][0] + both[1][0], both[0][1] + both[1][1]


def _texts(words: NDArray[np.uint8]) -> list[bytes]:
    return [row.tobytes() for row in words]


def _is_text(word: bytes) -> bool:
    try:
        return word.decode() != "" and b"\0" not in word
    except UnicodeDecodeError:
        return False


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = words * np.uint64(_M)
    return (words ^ (words >> np.uint64(47))) * np.uint64(_M)


def _unmix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    inverse = np.uint64(pow(_M, -1, 2**64))
    words = words * inverse
    return (words ^ (words >> np.uint64(47))) * inverse

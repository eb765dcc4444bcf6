"""What processes of the version before have written, read by this one: one replaces the other while
both run. The bytes are those that its code wrote.
"""

from __future__ import annotations

import base64
import zlib

import msgspec
import numpy as np
import pytest

from tidegate.errors import Stop
from tidegate.messages.documents import (
    Canary,
    Champion,
    ModelMessage,
    OnlineWeights,
    Shadow,
    decode_label,
    decode_model,
    decode_rollback,
    decode_verdict,
)
from tidegate.messages.frame_column import FrameColumn, read_block
from tidegate.messages.frames import FrameLayout
from tidegate.stream.snapshot import decode, encode

SCORED = base64.b64decode(
    "VEdTMmFiY2QxMjM0AgACAA8AAAACAAAAAAAAAAAAAAAAAAAAAAAAAOgDAAAAAAAA0AcAAAAAAADiBAAAAAAAAAAA"
    "AAALAAAAAAAAAAAAAAAAAAAAuAsAAAAAAAAAAAAAFgAAAAAAAAAAAAAAAAAAAKAPAAAAAAAABwAAAAAAAAD/////"
    "/////wAAAAAAAPg/AAAAAAAA+H8AAAAAAAAAAAAAAACIEwAAAAAAADAxMjM0NTY3ODlhYmNkZWb//////////wMA"
    "AAAAAAAAAQAAAAAAANA/AAAAAAAA0D8AAAAAAADgPwAAAAAAAPh/dDF1MXsiYW1vdW50IjoxMi41fVtd"
)
"""A scored frame."""
SNAPSHOT = base64.b64decode(
    "eJwLcQ/2cwww5Fpf89LB98DiWY9/Kc7d6t3U+FOgk8M9LYeJ5bnepNxVsnevMDAwVCvlp6UVp5YoWZnrKBVnpqQq"
    "WRnrKCUWFSVWFitZRVcr5SXmAsWUkvNL80qKlXSUUkoqC0ACNpkWQF5xRiKIF20cC9QENMSgVgeupSi/HElDdLRS"
    "dmolkG9TaqEUqxMNUaWjVBNsohQbizDJEGqSmUltbK0CWYABChihNBMDfQEA4MNJdQ=="
)
"""The file of a snapshot, compressed for this page."""


def test_a_scored_frame() -> None:
    layout = FrameLayout(b"abcd1234", steps=2, keys=2, values=2, scores=3)
    assert layout.check(SCORED) is None
    frames = layout.unpack([SCORED])
    assert (frames.ids, frames.accounts, frames.reasons) == ([b"t1"], [b"u1"], [b"[]"])
    assert frames.payloads == [b'{"amount":12.5}']
    row = frames.rows[0]
    assert (row["event_us"], row["amount_minor"], row["models_offset"]) == (1_000, 1_250, -1)
    np.testing.assert_array_equal(row["values"], [1.5, np.nan])
    np.testing.assert_array_equal(row["scores"], [0.25, 0.5, np.nan])
    assert row["steps"]["offset"].tolist() == [11, 22 << 12], "the second step's is an address now"
    (ours,) = layout.pack(frames)
    assert (SCORED[:4], ours[:4]) == (b"TGS2", b"TGS4")
    assert layout.unpack([ours]).rows.tobytes() == frames.rows.tobytes(), "and only once"


def test_scored_blocks_from_before_there_were_policies() -> None:
    """Their rows end with the scores, and are of the first layout of blocks. Both kinds are read,
    wherever one version follows the other.
    """
    layout = FrameLayout(b"abcd1234", steps=2, keys=2, values=2, scores=3)
    ours = layout.pack(layout.unpack([SCORED]))
    ours.rows[0, 4:12] = np.frombuffer(b"abcd1234", np.uint8)
    before = ours.rows[:, :-33].copy()
    before[:, :4] = np.frombuffer(b"TGS3", np.uint8)
    old = FrameColumn(before, *ours.tails)
    (block,) = old.blocks()
    assert (block[:12], ours.block()[:12]) == (b"TGF1blocks.1", b"TGF1blocks.2")
    taken, good, faults = layout.take(read_block(block) or [])
    assert (good, faults) == ([0], [])
    rows = taken.rows_as(layout.dtype)
    assert (rows["policy"][0], rows["model_decision"][0], rows["decision"][0]) == (b"", 1, 1)
    assert rows["steps"]["offset"].tolist() == [[11, 22 << 12]], "they counted addresses"
    assert (
        layout.unpack([next(iter(old)), next(iter(ours))]).rows["bundle"].tolist()
        == [b"0123456789abcdef"] * 2
    )
    mixed = FrameColumn(ours.rows[:, :-33].copy(), *ours.tails)
    assert layout.take(mixed)[2][0][1].reason == "truncated_frame", "no row of this version"


def test_the_version_before_ends_at_a_block_and_says_why() -> None:
    """To one without blocks a block is a frame of another profile, at which it stops; to one
    without policies it is of a layout that it does not read.
    """
    layout = FrameLayout(b"abcd1234", steps=2, keys=2, values=2, scores=3)
    (block,) = layout.pack(layout.unpack([SCORED])).blocks()
    assert block[:4] == b"TGF1", "a mark of its frames"
    assert block[4:12] == b"blocks.2", "where it looks for the profile"


def test_frames_that_name_the_profile_by_the_hash_of_its_whole_file() -> None:
    """As that version did. What is neither is still refused."""
    layout = FrameLayout(b"ffff0000", steps=2, keys=2, values=2, scores=3, also=b"abcd1234")
    ours = SCORED[:4] + b"ffff0000" + SCORED[12:]
    good, faults = layout.good([SCORED, ours, b"x"])
    assert (good, [index for index, _ in faults]) == ([0, 1], [2])
    assert layout.good([ours, SCORED])[1] == []
    assert (layout.ours(SCORED), layout.ours(ours)) == (True, True)
    frames = layout.unpack([SCORED, ours])
    assert frames.rows["profile"].tolist() == [b"abcd1234", b"ffff0000"]
    third = SCORED[:4] + b"eeee0000" + SCORED[12:]
    assert not layout.ours(third)
    with pytest.raises(Stop, match="frames of profile"):
        layout.check(third)


def test_a_snapshot() -> None:
    file = zlib.decompress(SNAPSHOT)
    snapshot = decode(bytearray(file))
    assert (snapshot.offset, snapshot.side) == (7, 3)
    assert snapshot.arrays["counts"].tolist() == [0, 1, 2]
    assert b"".join(bytes(piece) for piece in encode(snapshot)) == file


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            b'{"type":"champion","bundle":"b","profile":"p","promoted_us":1,"by":"x","previous":"a"}',
            Champion("b", "p", 1, "x", "a"),
        ),
        (
            b'{"type":"shadow","bundle":"b","profile":"p","started_us":1,"by":"x"}',
            Shadow("b", "p", 1, "x"),
        ),
        (
            b'{"type":"canary","bundle":"b","profile":"p","share":0.1,"started_us":1,"by":"x"}',
            Canary("b", "p", 0.1, 1, "x"),
        ),
        (
            b'{"type":"online","bundle":"b","labels":3,"weights":"AAAA","learnt":2,'
            b'"published_us":1,"frozen":false}',
            OnlineWeights("b", 3, bytes(3), 2, 1),
        ),
    ],
)
def test_a_message_on_models(written: bytes, message: ModelMessage) -> None:
    assert decode_model(written) == message
    assert msgspec.json.encode(message) == written


def test_a_label_a_rollback_and_a_verdict() -> None:
    label = decode_label(
        b'{"transaction_id":"t","label_id":"l","fraud":true,"source":"api","profile":"p",'
        b'"event_us":1,"amount_minor":2,"given_us":3,"keys":[4],"values":[0.5,null],"score":0.5,'
        b'"decision":"review","entities":["u",null]}'
    )
    assert (label.fraud, label.values) == (True, [0.5, None])
    assert decode_rollback(b'{"rollback_to":3,"profile":"p","given_us":1,"by":""}').rollback_to == 3
    assert decode_verdict(b'{"transaction_id":"t","verdict":"fraud"}').verdict == "fraud"

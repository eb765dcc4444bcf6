"""Blocks: what is cut, packed, read and joined in whatever way is the same frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.framing import LAYOUT, SCORED_LAYOUT, column
from tidegate.errors import Stop
from tidegate.messages.frame_column import (
    MOST_BYTES,
    MOST_FRAMES,
    FrameColumn,
    is_block,
    read_block,
)
from tidegate.messages.frame_marks import frame_profile, of_others
from tidegate.messages.texts import Texts

NAMES = st.lists(st.text("abc\N{SNOWMAN}", max_size=5), min_size=1, max_size=40)
TEXTS = st.lists(st.binary(max_size=6), min_size=1, max_size=30)


def read(blocks: list[bytes]) -> FrameColumn:
    """What blocks hold."""
    columns = [read_block(block) for block in blocks]
    assert all(columns)
    return FrameColumn.joined([each for each in columns if each is not None])


@given(NAMES, st.data())
def test_frames_are_the_same_however_they_are_cut_into_blocks(
    names: list[str], data: st.DataObject
) -> None:
    whole = column(names, layout=SCORED_LAYOUT, reasons=b"[1]")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(names)))) - {len(names)})
    pieces = [
        whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(names)], strict=True)
    ]
    joined = read([piece.block() for piece in pieces])
    assert joined == whole
    assert [whole[i] for i in range(len(names))] == list(joined)
    assert SCORED_LAYOUT.unpack(joined).rows.tobytes() == whole.rows.tobytes()


@given(NAMES, st.data())
def test_any_of_them_in_any_order(names: list[str], data: st.DataObject) -> None:
    whole = column(names)
    wanted = data.draw(st.lists(st.integers(0, len(names) - 1)))
    for source in (whole, read([whole.block()])):
        taken = source.take(np.array(wanted, np.intp))
        assert list(taken) == [whole[i] for i in wanted]
        if wanted:
            assert read([taken.block()]) == taken
    for frame in whole:
        assert list(read([FrameColumn.of_frame(frame).block()])) == [frame]


@given(TEXTS, st.data())
def test_texts_are_one_column_in_both_forms(texts: list[bytes], data: st.DataObject) -> None:
    lengths = np.array([len(text) for text in texts])
    for form in (Texts.of(texts), Texts.cut(b"".join(texts), lengths)):
        start = data.draw(st.integers(0, len(texts)))
        stop = data.draw(st.integers(start, len(texts)))
        assert form.slice(start, stop).texts == texts[start:stop]
        assert form.slice(start, stop).buffer == b"".join(texts[start:stop])
        assert Texts.joined([form, form]).texts == texts * 2
        backwards = np.arange(len(texts))[::-1]
        assert form.take(backwards).texts == texts[::-1]
        assert form.take(backwards).buffer == b"".join(texts[::-1])


def test_a_block_keeps_within_its_limits_and_a_large_frame_has_one_alone() -> None:
    many = list(column([str(i) for i in range(MOST_FRAMES + 10)], payload=1).blocks())
    assert [len(read([block])) for block in many] == [MOST_FRAMES, 10]
    large = column([str(i) for i in range(30)], payload=100_000)
    blocks = list(large.blocks())
    assert max(map(len, blocks)) <= MOST_BYTES
    assert len(blocks) == 4
    assert read(blocks) == large
    huge = column(["x"], payload=2 * MOST_BYTES)
    assert [len(read([block])) for block in huge.blocks()] == [1]


@given(NAMES, st.data())
def test_a_block_that_is_not_whole_is_none(names: list[str], data: st.DataObject) -> None:
    block = column(names).block()
    cut = block[: data.draw(st.integers(0, len(block) - 1))]
    assert read_block(cut) is None
    assert read_block(block + b"x") is None
    if is_block(cut) and len(cut) >= 12:
        fault = LAYOUT.check(cut)
        assert fault is not None
        assert fault.reason == "truncated_frame"


def test_of_a_damaged_head_no_size_is_believed() -> None:
    block = column(["a", "b"]).block()
    for place in range(12, 20):
        for byte in (0, 1, 255):
            damaged = block[:place] + bytes([byte]) + block[place + 1 :]
            found = read_block(damaged)
            assert found is None or damaged == block


def test_a_block_of_another_version_says_what_to_do() -> None:
    later = b"TGF1blocks.3" + column(["a"]).block()[12:]
    assert read_block(later) is None
    with pytest.raises(
        Stop, match=r"blocks of layout 3, this process reads layouts 1 and 2: start the"
    ):
        LAYOUT.good([later])
    assert not LAYOUT.ours(later), "who reads along passes over it"


def test_what_other_profiles_wrote_is_told_apart_in_blocks_too() -> None:
    mixed = FrameColumn.joined([column(["a"]), column(["b", "c"])])
    mixed.rows = mixed.rows.copy()
    mixed.rows[1, 4:12] = np.frombuffer(b"ffff0000", np.uint8)
    assert of_others(mixed, [b"abcd1234"]) == of_others(list(mixed), [b"abcd1234"]) == [1]
    assert [frame_profile(frame) for frame in mixed] == [b"abcd1234", b"ffff0000", b"abcd1234"]
    with pytest.raises(Stop, match="frames of profile"):
        LAYOUT.take(mixed)
    own, places = LAYOUT.own(mixed)
    assert (own.ids.texts, places) == ([b"a", b"c"], [0, 2])

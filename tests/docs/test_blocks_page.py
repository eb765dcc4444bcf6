"""A reader of blocks that is written after `docs/blocks.md` alone, without Tidegate's code."""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.messages.framing import LAYOUT, SCORED_LAYOUT, column
from tidegate.messages.frame_column import BLOCK_MAGIC, MOST_BYTES, MOST_FRAMES
from tidegate.messages.frames import FrameLayout, Frames

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "blocks.md").read_text()


def read(block: bytes, *, steps: int, keys: int, values: int, scores: int) -> list[dict[str, Any]]:
    """The transactions of a block; `scores`: detectors and shadow, 0 before a frame is scored."""
    magic, count, row_size = struct.unpack_from("<12sII", block)
    assert magic == (b"TGF1blocks.2" if scores else b"TGF1blocks.1")
    rows = [row(block, 20 + i * row_size, steps, keys, values, scores) for i in range(count)]
    at = 20 + count * row_size
    for name in ("id", "account", "payload", "reasons"):
        for each in rows:
            each[name] = block[at : at + each[f"{name}_len"]]
            at += each[f"{name}_len"]
    assert at == len(block)
    return rows


def row(block: bytes, at: int, steps: int, keys: int, values: int, scores: int) -> dict[str, Any]:
    """One row by the tables of the page."""
    names = ["mark", "profile", "id_len", "account_len", "payload_len", "reasons_len", "body"]
    names += ["event_us", "recorded_us", "amount_minor"]
    told = dict(zip(names, struct.unpack_from("<4s8sHHII16sqqq", block, at), strict=True))
    at += 64
    told["trace"] = [struct.unpack_from("<iqqq", block, at + 28 * k) for k in range(steps)]
    at += 28 * steps
    told["keys"] = struct.unpack_from(f"<{keys}Q", block, at)
    at += 8 * keys
    told["values"] = struct.unpack_from(f"<{values}d", block, at)
    at += 8 * values
    if scores:
        names = ["partition", "address", "scored_us", "bundle", "models", "labels", "decision"]
        fields = struct.unpack_from("<iqq16sqqBd", block, at)
        told |= dict(zip([*names, "score"], fields, strict=True))
        told["scores"] = struct.unpack_from(f"<{scores}d", block, at + 61)
        policy = struct.unpack_from("<16s16sB", block, at + 61 + 8 * scores)
        told["policy"], told["hits"], told["model_decision"] = policy
    return told


def test_a_reader_by_the_page_reads_features() -> None:
    made = column(["t-1", "t-2\N{SNOWMAN}", "t-3"])
    told = read(made.block(), steps=2, keys=2, values=3, scores=0)
    assert [each["id"].decode() for each in told] == ["t-1", "t-2\N{SNOWMAN}", "t-3"]
    compare(told, LAYOUT, LAYOUT.unpack(made))
    assert {each["mark"] for each in told} == {b"TGF2"}


def test_a_reader_by_the_page_reads_scored_ones() -> None:
    frames = SCORED_LAYOUT.unpack(column(["a", "b"], layout=SCORED_LAYOUT, reasons=b"[1]"))
    frames.rows["score"], frames.rows["decision"] = [0.25, 0.5], [0, 2]
    frames.rows["scores"] = [[0.5, 0.75], [1.0, 2.0]]
    frames.rows["bundle"], frames.rows["features_offset"] = b"0123456789abcdef", 7
    frames.rows["policy"], frames.rows["model_decision"] = b"fedcba9876543210", [1, 2]
    frames.rows["rule_hits"] = np.frombuffer(b"\5" + bytes(14) + b"\x80", "V16")
    told = read(SCORED_LAYOUT.pack(frames).block(), steps=2, keys=2, values=3, scores=2)
    compare(told, SCORED_LAYOUT, frames)
    assert [(each["score"], each["decision"]) for each in told] == [(0.25, 0), (0.5, 2)]
    assert [each["scores"] for each in told] == [(0.5, 0.75), (1.0, 2.0)]
    assert [each["address"] for each in told] == [7, 7]
    assert [each["bundle"] for each in told] == [b"0123456789abcdef"] * 2
    assert {each["mark"] for each in told} == {b"TGS4"}
    assert [(each["policy"], each["model_decision"]) for each in told] == [
        (b"fedcba9876543210", 1),
        (b"fedcba9876543210", 2),
    ]
    assert {each["hits"] for each in told} == {b"\5" + bytes(14) + b"\x80"}, "rules 0 and 2, 127"


def compare(told: list[dict[str, Any]], layout: FrameLayout, frames: Frames) -> None:
    rows = frames.rows
    assert [each["payload"] for each in told] == frames.payloads
    assert [each["account"] for each in told] == frames.accounts
    assert [each["reasons"] for each in told] == frames.reasons
    assert [each["event_us"] for each in told] == rows["event_us"].tolist()
    assert [each["trace"] for each in told] == [row["steps"].tolist() for row in rows]
    np.testing.assert_array_equal([each["values"] for each in told], rows["values"])
    assert {each["profile"] for each in told} == {layout.profile}


def test_what_the_page_says_of_sizes_is_so() -> None:
    assert f"`{BLOCK_MAGIC.decode()}`" in PAGE
    assert f"{MOST_FRAMES:,} transactions" in PAGE
    assert re.search(rf"at most\s+{MOST_BYTES:,} bytes", PAGE)
    fields = list(SCORED_LAYOUT.dtype.fields.values())  # type: ignore[union-attr] # a record
    offsets = [int(offset) for _, offset, *_ in fields]
    widths = [second - first for first, second in pairwise(offsets)]
    told = [int(byte) for byte in re.findall(r"^\| (\d+) \| [\d·s ]+ \|", PAGE, re.M)]
    assert told[3:] == offsets[:10], "the first column of the table of a row"
    assert widths[:10] == [4, 8, 2, 2, 4, 4, 16, 8, 8, 8]

"""Frames made up for tests: of a layout of two steps, whose values and tails tell them apart."""

from __future__ import annotations

from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import FrameLayout, Frames

LAYOUT = FrameLayout(b"abcd1234", steps=2, keys=2, values=3)
SCORED_LAYOUT = FrameLayout(b"abcd1234", steps=2, keys=2, values=3, scores=2)


def column(
    names: list[str], *, layout: FrameLayout = LAYOUT, payload: int = 20, reasons: bytes = b""
) -> FrameColumn:
    """A frame for each name: it is the id, and the payload has about so many bytes."""
    rows = layout.empty(len(names))
    rows["event_us"] = range(len(names))
    rows["steps"]["offset"] = 7
    ids = [name.encode() for name in names]
    payloads = [b"{" + name + b" " * max(0, payload - len(name)) + b"}" for name in ids]
    accounts = [b"u" + name[-1:] for name in ids]
    return layout.pack(Frames(rows, ids, accounts, payloads, [reasons] * len(ids)))

"""Positions as they are committed: in messages, as whoever looks at a group expects them."""

from __future__ import annotations

import re

from tidegate.broker import addresses
from tidegate.broker.records import Position
from tidegate.messages.frame_column import INDEX_BITS

_NOTE = re.compile(r"block:(\d{1,4});", re.ASCII)
_PAIRS = re.compile(r"\d+:\d+(?:\+\d+:\d+)*", re.ASCII)


def stored(topic: str, position: Position) -> Position:
    """What is committed for a position: a message's offset; the index stands in the note."""
    if not addresses.has_blocks(topic):
        return position
    offset, index = (
        position.offset >> INDEX_BITS,
        addresses.index_of(topic, position.offset),
    )
    return Position(offset, f"block:{index};{position.note}")


def restored(topic: str, position: Position) -> Position:
    """The position that was `stored`.

    Notes of the version before have no index; the offsets in its pairs (see
    `tidegate.stream.input_order`) are those of messages, and become addresses too. Those of
    `tidegate.stream.sources` stay: any address of a later frame is higher.
    """
    if not addresses.has_blocks(topic):
        return position
    first = position.offset << INDEX_BITS
    if match := _NOTE.match(position.note):
        return Position(first | int(match[1]), position.note[match.end() :])
    note = position.note
    if _PAIRS.fullmatch(note):
        pairs = [pair.split(":") for pair in note.split("+")]
        note = "+".join(f"{int(offset) << INDEX_BITS}:{side}" for offset, side in pairs)
    return Position(first, note)

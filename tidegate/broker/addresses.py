"""Where a transaction lies on a topic of blocks, as one number.

On the topics between Tidegate's own steps a message is a block of up to 4,096 transactions. An
address is the message's offset and the transaction's index in the block as one integer, offset *
4096 + index, as BGZF's virtual offsets are made. So addresses rise as offsets do, and whatever
counts, compares or seeks offsets works with them. On every other topic an address is the offset.

What leaves Tidegate counts messages: committed positions, the database, headers, what people type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tidegate.messages.frame_column import INDEX_BITS, MOST_FRAMES
from tidegate.pipeline import FRAMES

Address = TypeVar("Address", int, NDArray[np.int64])

_MASK = MOST_FRAMES - 1


def has_blocks(topic: str) -> bool:
    """Whether the messages of a topic are blocks."""
    return topic in FRAMES


def address_of(topic: str, offset: int, index: int = 0) -> int:
    """The address of a transaction by its message and its index there."""
    return offset << INDEX_BITS | index if has_blocks(topic) else offset


def offset_of(topic: str, address: Address) -> Address:
    """The offset of the message that an address, or each of several, is in."""
    return address >> INDEX_BITS if has_blocks(topic) else address


def index_of(topic: str, address: Address) -> Address:
    """The index within the message that an address names."""
    return address & _MASK if has_blocks(topic) else address * 0


def offset_after(topic: str, address: int) -> int:
    """The offset of the first message that begins at an address or later."""
    return address + _MASK >> INDEX_BITS if has_blocks(topic) else address


def messages(topic: str, addresses: int) -> int:
    """How many messages a distance between two addresses is, a part of one counted as one."""
    return -(-addresses >> INDEX_BITS) if has_blocks(topic) else addresses


def after(topic: str, addresses: Sequence[int], stop: int) -> int:
    """The next address to read after the first `stop` of some, before the one that follows there.

    Behind the last transaction of a block that is the next message.
    """
    last, following = addresses[stop - 1], addresses[stop]
    if not has_blocks(topic) or last >> INDEX_BITS == following >> INDEX_BITS:
        return last + 1
    return (last >> INDEX_BITS) + 1 << INDEX_BITS


def shown(topic: str, address: int) -> str:
    """An address for people: the offset, and the index where it is not the first of its block."""
    index = index_of(topic, address)
    return f"{offset_of(topic, address)}" + (f"/{index}" if index else "")
